"""The command `pkgd`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
from twisted.python import usage

from pkgd import __version__, explain_command, key_command
from pkgd.config import json_schema, load, masked, read_passphrase, read_password
from pkgd.errors import ConfigError, PkgdError
from pkgd.login import helper
from pkgd.login.command import LoginOptions, run_login, run_logout
from pkgd.options import AnywhereOptions

__all__ = ["main"]

# Whom SIGINT has ended, as shells count it.
_INTERRUPTED = 130

# The name under which docker finds its helper; the frozen executable has it as a link.
_HELPER = "docker-credential-pkgd"

_FIRST_STEPS = """\
pkgd serves {url}, with its state in {state}

  push an image:     podman push --tls-verify=false IMAGE {host}/hello
  upload a package:  curl -fT FILE.deb {url}/apt/main/stable/main/    or: curl -fT FILE.rpm {url}/rpm/main/
  use it:            curl -fsS {url}/apt/main/stable.sources | sudo tee /etc/apt/sources.list.d/pkgd.sources
"""


class _WithConfig(usage.Options):
    optParameters = [["config", "c", None, "The configuration file."]]


class _Check(_WithConfig):
    optFlags = [
        ["print", None, "Print the effective configuration."],
        ["online", None, "Ask every back end and issuer of auth, too, without credentials."],
    ]


def _jobs(text: str) -> int:
    if not 1 <= int(text) <= 64:
        raise ValueError("from 1 to 64")
    return int(text)


_SERVER: list[Any] = [
    ["url", "u", None, "The running pkgd; by default where the configuration makes it listen on this machine."],
    ["ca-file", None, None, "A PEM file with the certificates to trust instead of the system's."],
]


class _Anywhere(AnywhereOptions, _WithConfig):
    """Options of a command that asks a running pkgd."""

    def parse_server(self) -> None:
        """Read `--url`."""
        from pkgd.prefetch.transport import Server

        try:
            self["server"] = None if self["url"] is None else Server.parse(self["url"])
        except PkgdError as error:
            raise usage.UsageError(error.message) from error


class _Prefetch(_Anywhere):
    synopsis = "[options] LIST"
    longdesc = "Makes a running pkgd fetch every image of LIST (a file, or - for standard input), and verifies it."
    optParameters: list[Any] = [
        *_SERVER,
        ["platform", "p", None, "Only these platforms of every image, such as linux/amd64,linux/arm64."],
        ["jobs", "j", 4, "How much is fetched at the same time.", _jobs],
    ]
    optFlags = [["json", None, "Report as JSON, one object a line."]]

    def parseArgs(self, *paths: str) -> None:
        """The one argument."""
        if len(paths) != 1:
            raise usage.UsageError("give one LIST")
        self["list"] = paths[0]

    def postOptions(self) -> None:
        """Read what has a form of its own."""
        from pkgd.prefetch.images import parse_platforms

        self.parse_server()
        try:
            self["platforms"] = () if self["platform"] is None else parse_platforms(self["platform"])
        except PkgdError as error:
            raise usage.UsageError(error.message) from error


class _Upload(_Anywhere):
    synopsis = "[options] FILE…"
    longdesc = "Puts packages into a repository of a running pkgd; they are published when it ends."
    optParameters: list[Any] = [
        ["repo", "r", None, "The repository: apt:NAME or rpm:NAME."],
        ["suite", "s", None, "The suite of an apt repository."],
        ["component", None, None, "Its component, main by default."],
        *_SERVER,
    ]

    def parseArgs(self, *paths: str) -> None:
        """The files."""
        if not paths:
            raise usage.UsageError("give one FILE or more")
        self["files"] = paths

    def postOptions(self) -> None:
        """Read what has a form of its own."""
        from pkgd.upload.target import Target

        if self["repo"] is None:
            raise usage.UsageError("give --repo")
        self.parse_server()
        try:
            self["target"] = Target.parse(self["repo"], self["suite"], self["component"])
        except PkgdError as error:
            raise usage.UsageError(error.message) from error


class _Mirror(usage.Options):
    subCommands = [["prefetch", None, _Prefetch, "Fetch the images of a list before anybody asks for them."]]

    def postOptions(self) -> None:
        """A command of its own it is not."""
        if not self.subCommand:
            raise usage.UsageError("which command of mirror?")


class _OneKey(_Anywhere):
    """A command on keys that takes `most` arguments at most, and `least` at least."""

    least, most, what = 0, 0, ""

    def parseArgs(self, *given: str) -> None:
        """The arguments."""
        if not self.least <= len(given) <= self.most:
            raise usage.UsageError(f"give one {self.what}" if self.most else "no arguments are expected")
        self["argument"] = given[0] if given else None


class _NewKey(_OneKey):
    optParameters = [
        *_WithConfig.optParameters,
        ["algorithm", "a", None, "One of rsa3072, rsa4096, ed25519; by default that of the configuration."],
        ["user-id", "u", None, "Whose key it is; by default `pkgd signing key` and the host's name."],
    ]


class _ImportKey(_OneKey):
    least, most, what = 1, 1, "FILE"
    synopsis = "[options] FILE"
    longdesc = "Imports the secret keys in FILE (or - for standard input), as gpg --export-secret-keys writes them."
    optParameters = [
        *_WithConfig.optParameters,
        ["passphrase-file", "p", None, "A file whose first line is the passphrase of the keys."],
    ]


class _ExportKey(_OneKey):
    most, what = 1, "FINGERPRINT"
    synopsis = "[options] [FINGERPRINT]"
    longdesc = "Prints the public keys that clients need, or one key."
    optFlags = [["secret", None, "Export the secret key, protected by a passphrase."]]
    optParameters = [
        *_WithConfig.optParameters,
        ["passphrase-file", "p", None, "A file whose first line is the passphrase to protect the secret key with."],
    ]

    def postOptions(self) -> None:
        """A secret key without a passphrase is not handed out."""
        if bool(self["secret"]) != (self["passphrase-file"] is not None):
            raise usage.UsageError("--secret and --passphrase-file go together")


class _RetireKey(_OneKey):
    least, most, what = 1, 1, "FINGERPRINT"
    synopsis = "[options] FINGERPRINT"


class _SigningKey(usage.Options):
    subCommands = [
        ["generate", None, _NewKey, "Make the key that signs the repositories; the first start does it, too."],
        ["import", None, _ImportKey, "Import keys, of GnuPG for example."],
        ["export", None, _ExportKey, "Print the public keys for clients, or a secret key."],
        ["rotate", None, _NewKey, "Make another key, which signs along with what there is."],
        ["retire", None, _RetireKey, "Let a key sign no longer."],
        ["list", None, _OneKey, "Show the keys, one a line."],
    ]

    def postOptions(self) -> None:
        """A command of its own it is not."""
        if not self.subCommand:
            raise usage.UsageError("which command of signing-key?")


class _Rebuild(_WithConfig):
    longdesc = (
        "Derives anew, from what is in the state directory, what can be derived: index.sqlite, and what package"
        " repositories publish. No daemon may be running on it."
    )
    optFlags = [
        ["discard", None, "Remove files of pools that nothing names, if they are older than a day."],
        ["json", None, "Report as JSON."],
    ]

    def __init__(self) -> None:
        base: Any = super()
        base.__init__()
        self["adopt"] = []

    def opt_adopt(self, name: str) -> None:
        """Publish, in apt:NAME/SUITE or rpm:NAME, the files of its pool that nothing names. May be given again."""
        self["adopt"].append(name)


class _Auth(usage.Options):
    subCommands = [
        ["explain", None, explain_command.ExplainOptions, "Say whether somebody may do something, and by which rule."]
    ]

    def postOptions(self) -> None:
        """A command of its own it is not."""
        if not self.subCommand:
            raise usage.UsageError("which command of auth?")


class _Command(usage.Options):
    """pkgd: an OCI registry, and what grows around it."""

    subCommands = [
        ["serve", None, _WithConfig, "Run the daemon in the foreground."],
        ["check-config", None, _Check, "Say whether a configuration can be used; exit with 1 if not."],
        ["config-schema", None, usage.Options, "Print the JSON Schema of the configuration."],
        ["mirror", None, _Mirror, "What the mirror can be told to do."],
        ["upload", None, _Upload, "Put packages into a repository."],
        ["auth", None, _Auth, "Who may do what."],
        ["login", None, LoginOptions, "Log in by a browser, for docker and others."],
        ["logout", None, LoginOptions, "Log out again."],
        ["key", None, key_command.KeyOptions, "API keys, for users' tools and for robots."],
        ["signing-key", None, _SigningKey, "The keys that sign apt and rpm repositories."],
        ["rebuild", None, _Rebuild, "Derive anew what is derived from the state, after damage."],
        ["version", None, usage.Options, "Print the version."],
    ]

    def opt_version(self) -> None:
        """Print the version."""
        print(__version__)
        raise SystemExit(0)


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns the exit status: 0 done, 1 it cannot be done, 2 it was not understood, 130 interrupted.
    """
    if arguments is None and os.path.basename(sys.argv[0]).startswith(_HELPER):
        return helper.main()
    command: Any = _Command()
    try:
        command.parseOptions(sys.argv[1:] if arguments is None else arguments)
        if not command.subCommand:
            raise usage.UsageError("which command?")
    except usage.UsageError as error:
        print(f"{command}\npkgd: {error}", file=sys.stderr)
        return 2
    try:
        return _COMMANDS[command.subCommand](command.subOptions) or 0
    except PkgdError as error:
        print(f"pkgd: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("pkgd: interrupted", file=sys.stderr)
        return _INTERRUPTED


def _serve(options: Any) -> None:
    """Run the daemon until a signal stops it."""
    from twisted.internet import reactor

    from pkgd import logs
    from pkgd.tap import makeService

    loop: Any = reactor
    config = load(options["config"], os.environ)
    logs.begin(config.logging.level)

    def announce(url: str) -> None:
        if not options["config"]:
            host = url.partition("://")[2]
            print(_FIRST_STEPS.format(url=url, host=host, state=config.state_dir), flush=True)

    daemon = makeService(options, announce)
    daemon.privilegedStartService()
    daemon.startService()
    loop.addSystemEventTrigger("before", "shutdown", daemon.stopService)
    loop.run()


def _check_config(options: Any) -> int:
    config = load(options["config"], os.environ)
    tls = config.server.tls
    if tls.certificate is not None and tls.key is not None:
        from pkgd.web.tls import load_context

        load_context(tls.certificate, tls.key)
    for host, registry in config.mirror.registries.items():
        read_password(host, registry)
    for name, key in config.signing.keys.items():
        read_passphrase(name, key)
    if options["print"]:
        print(msgspec.yaml.encode(masked(config)).decode("utf-8"), end="")
    else:
        print("the configuration can be used")
    return _check_online(config) if options["online"] else 0


def _check_online(config: Any) -> int:
    """Ask whom the configuration names; returns the exit status."""
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred

    from pkgd.online_check import check

    loop: Any = reactor
    outcome: list[Any] = []

    def begin() -> None:
        checking = Deferred.fromCoroutine(check(loop, config, time.time, print))
        checking.addBoth(outcome.append).addBoth(lambda _: loop.stop())

    loop.callWhenRunning(begin)
    loop.run()
    if not outcome:
        return _INTERRUPTED
    if outcome[0] is not True and outcome[0] is not False:
        outcome[0].raiseException()
    return 0 if outcome[0] else 1


def _config_schema(_: Any) -> None:
    print(msgspec.json.format(msgspec.json.encode(json_schema())).decode("utf-8"))


def _mirror(options: Any) -> int:
    """Prefetch: the one command of the mirror."""
    from pkgd.prefetch.command import Order, Streams, prefetch, read_list
    from pkgd.prefetch.transport import HttpTransport

    given, streams = options.subOptions, Streams.standard()
    server = _running(given)
    lines = read_list(given["list"], streams)
    order = Order(str(server), given["platforms"], given["jobs"], bool(given["json"]))
    return prefetch(lines, HttpTransport.to(server, given["ca-file"]), order, streams)


def _upload(options: Any) -> int:
    from pkgd.prefetch.transport import HttpTransport
    from pkgd.upload.command import Streams, upload

    transport = HttpTransport.to(_running(options), options["ca-file"])
    return upload(options["files"], options["target"], transport, Streams.standard())


def _running(options: Any) -> Any:
    """The pkgd that is meant: the one of `--url`, else of the configuration."""
    from pkgd.prefetch.transport import local_server

    if options["server"] is not None:
        return options["server"]
    listening = load(options["config"], os.environ).server
    return local_server(listening.listen[0], listening.tls.certificate is not None)


def _auth(options: Any) -> int:
    return explain_command.run(options.subOptions)


def _key(options: Any) -> None:
    key_command.run(options)


def _signing_key(options: Any) -> None:
    """One of the commands on keys; what it has to say goes to standard output."""
    from pkgd.signing_command import SigningKeys, run

    given = options.subOptions
    config = load(given["config"], os.environ)
    key = config.signing.key("default")
    if key.key_file is not None or key.backend != "native":
        where = key.key_file or "GnuPG"
        raise ConfigError("signing.keys.default", f"it is in {where}; this command is for keys in the state directory")
    passphrase = read_passphrase("default", key)
    keys = SigningKeys.below(str(config.state_dir), int(time.time()), passphrase, key.algorithm)
    print(run(keys, options.subCommand, given, getattr(sys.stdin, "buffer", None)), end="")


def _rebuild(options: Any) -> int:
    from pkgd.rebuild.command import Request, Streams, rebuild

    request = Request(frozenset(options["adopt"]), bool(options["discard"]), bool(options["json"]))
    return rebuild(load(options["config"], os.environ), request, Streams.standard())


def _version(_: Any) -> None:
    print(__version__)


_COMMANDS: dict[str, Callable[[Any], int | None]] = {
    "serve": _serve,
    "check-config": _check_config,
    "config-schema": _config_schema,
    "mirror": _mirror,
    "upload": _upload,
    "auth": _auth,
    "login": run_login,
    "logout": run_logout,
    "key": _key,
    "signing-key": _signing_key,
    "rebuild": _rebuild,
    "version": _version,
}


if __name__ == "__main__":
    sys.exit(main())
