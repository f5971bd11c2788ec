"""Dex, in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import bcrypt

from tests.live.tools import CommandFailed, Daemon, run, running
from tests.oidc.bench import Bench, Browser, is_open

# The Go modules of Dex's v2 are not called v2, so that this release, 2.45.1, goes by its commit.
_MODULE = "github.com/dexidp/dex"
_VERSION = "v0.0.0-20260303133905-11d2eeb52b42"

# What has to be quoted on its way in a header (RFC 6749, 2.3.1).
SECRET = "canary: client+secret/2"
_PASSWORD = "canary-of-dex"


def build(program: Path) -> None:
    """Where that fails its cases fail, and no others.

    As a module that is needed by another, since `go install` takes none that replaces one of its own.
    """
    folder = program.parent / "dex-module"
    folder.mkdir()
    (folder / "go.mod").write_text(f"module suite\ngo 1.25.0\nrequire {_MODULE} {_VERSION}\n")
    command = ("go", "build", "-C", str(folder), "-mod=mod", "-o", str(program), f"{_MODULE}/cmd/dex")
    try:
        run("env", "CGO_ENABLED=0", *command, timeout=900)
    except (CommandFailed, FileNotFoundError) as error:
        print(f"Dex cannot be built\n{error}")


class Dex:
    """A Dex that knows `alice`, who is in two groups, and `bob`, who is in none, and makes another key every 10 s.

    pkgd is two clients to it: `pkgd` has a secret, `pkgd-login` has none.
    """

    def __init__(self, bench: Bench, path: str) -> None:
        """
        :param path: that of its issuer.
        """
        self._port = bench.port + 2
        self.issuer = f"http://localhost:{self._port}{path}"
        self._folder = bench.folder
        self._redirect = f"{bench.url}/auth/callback"

    def section(self, **changes: Any) -> dict[str, Any]:
        """How pkgd is told of it, as a client with a secret."""
        return {**self.public_section(), "client_id": "pkgd", "client_secret": SECRET, **changes}

    def public_section(self) -> dict[str, Any]:
        """How pkgd is told of it, as a client without."""
        return {"issuer": self.issuer, "client_id": "pkgd-login", "scopes": ["openid", "profile", "email", "groups"]}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run. What it knew before, its keys among that, is forgotten."""
        config = self._folder / "dex.json"
        config.write_text(json.dumps(self._config()))
        with running(Daemon("dex", [str(self._folder / "dex"), "serve", str(config)], self._folder / "dex.log")) as dex:
            dex.wait_until(lambda: is_open(self._port))
            yield

    def signs_with(self) -> str:
        """The name of its key of now, which it publishes before those of the past."""
        with urlopen(f"{self.issuer}/keys", timeout=10) as answer:
            return str(json.load(answer)["keys"][0]["kid"])

    def log_in(self, browser: Browser, user: str) -> None:
        """Fill in its forms."""
        browser.do("fill", at="input[name=login]", text=f"{user}@example.com")
        browser.do("fill", at="input[name=password]", text=_PASSWORD)
        browser.do("click", at="#submit-login")
        browser.do("click", at="form:has(input[value=approve]) button")

    def open_device(self, browser: Browser, place: str) -> None:
        """Confirm the code at the place that `pkgd login` names."""
        browser.do("fresh")
        browser.do("go", url=place)
        browser.do("click", at="#submit-login")

    def _config(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "storage": {"type": "memory"},
            "web": {"http": f"127.0.0.1:{self._port}"},
            "expiry": {"signingKeys": "10s", "deviceRequests": "20s"},
            "staticClients": [
                {**_client("pkgd", self._redirect), "secret": SECRET},
                {**_client("pkgd-login", self._redirect, "/device/callback"), "public": True},
            ],
            "enablePasswordDB": True,
            "staticPasswords": [_user("alice", ["dev", "ops"]), _user("bob", [])],
        }


def _client(name: str, *redirects: str) -> dict[str, Any]:
    return {"id": name, "name": name, "redirectURIs": redirects}


def _user(name: str, groups: list[str]) -> dict[str, Any]:
    return {
        "email": f"{name}@example.com",
        "hash": bcrypt.hashpw(_PASSWORD.encode(), bcrypt.gensalt(10)).decode(),
        "username": name,
        "preferredUsername": name,
        "userID": f"id-of-{name}",
        "groups": groups,
    }
