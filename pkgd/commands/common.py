"""What several commands have in common: their configuration, and the pkgd that they ask."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.python import usage

from pkgd.config import load
from pkgd.errors import PkgdError
from pkgd.options import AnywhereOptions

__all__ = ["INTERRUPTED", "NOBODY_READS", "SERVER", "Anywhere", "Group", "WithConfig", "carried_out", "jobs", "running"]

# Whom SIGINT has ended, as shells count it.
INTERRUPTED = 130
# Whom SIGPIPE would have ended.
NOBODY_READS = 141


class WithConfig(usage.Options):
    """A command that reads the configuration."""

    optParameters: list[Any] = [["config", "c", None, "The configuration file."]]


SERVER: list[Any] = [
    ["url", "u", None, "The running pkgd; by default where the configuration makes it listen on this machine."],
    ["ca-file", None, None, "A PEM file with the certificates to trust instead of the system's."],
]


class Anywhere(AnywhereOptions, WithConfig):
    """Options of a command that asks a running pkgd."""

    def parse_server(self) -> None:
        """Read `--url`."""
        from pkgd.prefetch.transport import Server

        try:
            self["server"] = None if self["url"] is None else Server.parse(self["url"])
        except PkgdError as error:
            raise usage.UsageError(error.message) from error


def jobs(text: str) -> int:
    """Read `--jobs`."""
    if not 1 <= int(text) <= 64:
        raise ValueError("from 1 to 64")
    return int(text)


class Group(usage.Options):
    """A command that is nothing without one of its own."""

    name = ""

    def postOptions(self) -> None:
        """A command of its own it is not."""
        if not self.subCommand:
            raise usage.UsageError(f"which command of {self.name}?")


def carried_out(
    options: Any, job: str, settings: Mapping[str, Any], lines: Callable[[Mapping[str, Any]], Iterable[str]]
) -> Mapping[str, Any]:
    """Have a job of upkeep done, here or in the daemon, and print what came of it.

    :param lines: what came of it, for people; else it is printed as JSON.
    """
    from pkgd.upkeep_command import carry_out

    result: Mapping[str, Any] = carry_out(load(options["config"], os.environ), job, settings)
    print(json.dumps(result, indent=1) if options["json"] else "\n".join(lines(result)))
    return result


def running(options: Any) -> Any:
    """The pkgd that is meant: the one of `--url`, else of the configuration."""
    from pkgd.prefetch.transport import local_server

    if options["server"] is not None:
        return options["server"]
    listening = load(options["config"], os.environ).server
    return local_server(listening.listen[0], listening.tls.certificate is not None)
