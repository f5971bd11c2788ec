"""The command `pkgd mirror prefetch`."""

from __future__ import annotations

from typing import Any

from twisted.python import usage

from pkgd.commands.common import SERVER, Anywhere, Group, jobs, running
from pkgd.commands.credentials import CREDENTIALS, basic
from pkgd.errors import PkgdError

__all__ = ["MirrorOptions", "run"]


class _Prefetch(Anywhere):
    synopsis = "[options] LIST"
    longdesc = "Makes a running pkgd fetch every image of LIST (a file, or - for standard input), and verifies it."
    optParameters: list[Any] = [
        *SERVER,
        CREDENTIALS,
        ["platform", "p", None, "Only these platforms of every image, such as linux/amd64,linux/arm64."],
        ["jobs", "j", 4, "How much is fetched at the same time.", jobs],
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


class MirrorOptions(Group):
    """What the mirror can be told to do."""

    name = "mirror"
    subCommands = [["prefetch", None, _Prefetch, "Fetch the images of a list before anybody asks for them."]]


def run(options: Any) -> int:
    """Prefetch: the one command of the mirror."""
    from pkgd.prefetch.command import Order, Streams, prefetch, read_list
    from pkgd.prefetch.transport import HttpTransport

    given, streams = options.subOptions, Streams.standard()
    server = running(given)
    lines = read_list(given["list"], streams)
    order = Order(str(server), given["platforms"], given["jobs"], bool(given["json"]))
    transport = HttpTransport.to(server, given["ca-file"], basic(given["credentials"]))
    return prefetch(lines, transport, order, streams)
