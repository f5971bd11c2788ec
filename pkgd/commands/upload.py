"""The command `pkgd upload`."""

from __future__ import annotations

from typing import Any

from twisted.python import usage

from pkgd.commands.common import SERVER, Anywhere, jobs, running
from pkgd.commands.credentials import CREDENTIALS, basic
from pkgd.errors import PkgdError

__all__ = ["UploadOptions", "run"]


class UploadOptions(Anywhere):
    """The command line."""

    synopsis = "[options] FILE…"
    longdesc = "Puts packages into a repository of a running pkgd; they are published when it ends."
    optParameters: list[Any] = [
        ["repo", "r", None, "The repository: apt:NAME or rpm:NAME."],
        ["suite", "s", None, "The suite of an apt repository."],
        ["component", None, None, "Its component, main by default."],
        *SERVER,
        ["jobs", "j", 8, "How many files are sent at the same time.", jobs],
        CREDENTIALS,
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


def run(options: Any) -> int:
    """Upload them."""
    from pkgd.prefetch.transport import HttpTransport
    from pkgd.terminal import Streams
    from pkgd.upload.command import upload

    transport = HttpTransport.to(running(options), options["ca-file"], basic(options["credentials"]))
    return upload(options["files"], options["target"], transport, Streams.standard(), options["jobs"])
