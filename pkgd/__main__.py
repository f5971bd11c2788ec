"""The command `pkgd`."""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec
from twisted.python import usage

from pkgd import __version__
from pkgd.config import json_schema, load
from pkgd.errors import PkgdError

__all__ = ["main"]

_FIRST_STEPS = """\
pkgd serves {url}, with its state in {state}

  push:     podman push --tls-verify=false IMAGE {host}/hello     or: docker push {host}/hello
  pull:     podman pull --tls-verify=false {host}/hello           or: docker pull {host}/hello
  look:     curl {url}/v2/_catalog
"""


class _WithConfig(usage.Options):
    optParameters = [["config", "c", None, "The configuration file."]]


class _Check(_WithConfig):
    optFlags = [["print", None, "Print the effective configuration."]]


class _Command(usage.Options):
    """pkgd: an OCI registry, and what grows around it."""

    subCommands = [
        ["serve", None, _WithConfig, "Run the daemon in the foreground."],
        ["check-config", None, _Check, "Say whether a configuration can be used; exit with 1 if not."],
        ["config-schema", None, usage.Options, "Print the JSON Schema of the configuration."],
        ["version", None, usage.Options, "Print the version."],
    ]

    def opt_version(self) -> None:
        """Print the version."""
        print(__version__)
        raise SystemExit(0)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 it cannot be done, 2 it was not understood."""
    command: Any = _Command()
    try:
        command.parseOptions(sys.argv[1:] if arguments is None else arguments)
        if not command.subCommand:
            raise usage.UsageError("which command?")
    except usage.UsageError as error:
        print(f"{command}\npkgd: {error}", file=sys.stderr)
        return 2
    try:
        _COMMANDS[command.subCommand](command.subOptions)
    except PkgdError as error:
        print(f"pkgd: {error.message}", file=sys.stderr)
        return 1
    return 0


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


def _check_config(options: Any) -> None:
    config = load(options["config"], os.environ)
    tls = config.server.tls
    if tls.certificate is not None and tls.key is not None:
        from pkgd.web.tls import load_context

        load_context(tls.certificate, tls.key)
    if options["print"]:
        print(msgspec.yaml.encode(config).decode("utf-8"), end="")
    else:
        print("the configuration can be used")


def _config_schema(_: Any) -> None:
    print(msgspec.json.format(msgspec.json.encode(json_schema())).decode("utf-8"))


def _version(_: Any) -> None:
    print(__version__)


_COMMANDS = {"serve": _serve, "check-config": _check_config, "config-schema": _config_schema, "version": _version}


if __name__ == "__main__":
    sys.exit(main())
