"""The command `pkgd client-setup`: what a client has to be told of a pkgd, printed, or put where it looks for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

from attrs import evolve
from twisted.python import usage

from pkgd.clientsetup.clients import CLIENTS, needs, rendered, set_up
from pkgd.clientsetup.installing import install
from pkgd.clientsetup.model import Commands, File, Lines, Login, Part, Target
from pkgd.commands.common import SERVER, Anywhere
from pkgd.commands.credentials import CREDENTIALS, read_credentials
from pkgd.config import Config, load
from pkgd.errors import ConfigError
from pkgd.prefetch.transport import HttpTransport, Server, Transport, Unreachable

__all__ = ["ClientSetupOptions", "run", "target_of"]

# What the server has for a client is a few kilobytes.
_MAX_SERVED = 1 << 20
_ALIASES = {"crio": "cri-o", "upload": "curl", "skopeo": "podman", "buildah": "podman"}


class ClientSetupOptions(Anywhere):
    """The command line."""

    synopsis = "[options] CLIENT"
    longdesc = f"Prints what a client has to be told to use a pkgd. CLIENT is one of {', '.join(CLIENTS)}."
    optParameters: list[Any] = [
        ["url", "u", None, "The pkgd, as its clients reach it; by default server.external_url of the configuration."],
        SERVER[1],
        ["user", None, None, "Who logs in; key stands for an API key. By default key, if the configuration asks."],
        CREDENTIALS,
        ["repo", "r", None, "The repository of packages: NAME, apt:NAME or rpm:NAME. By default the first."],
        ["suite", "s", None, "The suite of an apt repository. By default the first."],
    ]
    optFlags: list[Any] = [
        ["no-fallback", None, "containerd: never go to the registries themselves."],
        ["install", None, "Write the files, and print what is left to be done."],
        ["force", None, "With --install: replace files that have other lines."],
    ]

    def parseArgs(self, *given: str) -> None:
        """The client."""
        client = _ALIASES.get(given[0], given[0]) if len(given) == 1 else ""
        if client not in CLIENTS:
            raise usage.UsageError(f"give one CLIENT: {', '.join(CLIENTS)}")
        self["client"] = client

    def postOptions(self) -> None:
        """Read what has a form of its own."""
        self.parse_server()
        kind, _, name = (self["repo"] or "").rpartition(":")
        if kind not in ("", "apt", "rpm"):
            raise usage.UsageError(f"--repo {self['repo']}: apt:NAME or rpm:NAME")
        self["apt"], self["rpm"] = name if kind != "rpm" else "", name if kind != "apt" else ""


def run(options: Any, connect: Callable[..., Transport] = HttpTransport.to) -> None:
    """Print a set-up, or install it.

    :param connect: makes the transport to a server that has to be asked.
    """
    target = target_of(options)
    path = needs(options["client"], target)
    parts = set_up(options["client"], target, "" if path is None else _ask(target, path, options, connect))
    if not options["install"]:
        print(rendered(parts), end="")
        return
    if target.login and not target.login.secret and _names_secrets(parts):
        raise ConfigError("--install", "what logs in is needed: give --credentials FILE")
    done = install([one for one in parts if isinstance(one, File)], bool(options["force"]))
    rest = [one for one in parts if isinstance(one, Lines | Commands)]
    print("\n".join([*done, "", rendered(rest)]), end="")


def _names_secrets(parts: list[Part]) -> bool:
    return any(isinstance(one, File) and one.mode & 0o077 == 0 for one in parts)


def target_of(options: Any) -> Target:
    """The pkgd that is meant: that of `--url`, else that of the configuration."""
    login = _login(options)
    if options["server"] is not None:
        target = Target(_url(options["server"]), login)
    else:
        target = _configured(load(options["config"], os.environ), login)
    named = {key: options[key] for key in ("apt", "rpm", "suite") if options[key]}
    return evolve(target, falls_back=not options["no-fallback"], **named)


def _configured(config: Config, login: Login | None) -> Target:
    url = config.server.external_url
    if url is None:
        raise ConfigError(
            "server.external_url", "clients have to be told how to reach this server: set it, or give --url"
        )
    mode = config.auth.mode if config.auth else "none"
    if login is None and mode != "none":
        login = Login("key")
    target = Target(url, login, mode == "oidc")
    for apt in config.repositories.apt[:1]:
        target = evolve(target, apt=apt.name, suite=apt.suites[0].codename)
    for rpm in config.repositories.rpm[:1]:
        target = evolve(target, rpm=rpm.name)
    return target


def _login(options: Any) -> Login | None:
    if options["credentials"] is not None:
        user, _, secret = read_credentials(options["credentials"]).partition(":")
        return Login(user, secret)
    return None if options["user"] is None else Login(options["user"])


def _url(server: Server) -> str:
    """As clients write it: without the port that its scheme has anyway."""
    return str(server).removesuffix(":443" if server.scheme == "https" else ":80")


def _authorization(target: Target) -> str | None:
    """The header for what is asked of the server, if there is a secret."""
    return f"Basic {target.login.base64}" if target.login and target.login.secret else None


def _ask(target: Target, path: str, options: Any, connect: Callable[..., Transport]) -> str:
    """What the server has for this client."""
    transport = connect(Server.parse(target.url), options["ca-file"], _authorization(target))
    try:
        answer = transport("GET", path, {})
        try:
            text = answer.read(_MAX_SERVED).decode("utf-8", "replace")
        finally:
            answer.close()
    except Unreachable as error:
        raise ConfigError(target.url, f"no connection: {error}") from error
    except (OSError, HTTPException) as error:
        raise ConfigError(target.url, f"it is no pkgd that answers there: {error}") from error
    if answer.status != 200:
        hint = "; give --credentials FILE" if answer.status in (401, 403) else ""
        raise ConfigError(f"{target.url}{path}", f"the server answers {answer.status}{hint}")
    return text
