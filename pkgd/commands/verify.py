"""The command `pkgd verify`."""

from __future__ import annotations

import os
from typing import Any

from twisted.python import usage

from pkgd.commands.common import WithConfig
from pkgd.config import load

__all__ = ["VerifyOptions", "run"]


class VerifyOptions(WithConfig):
    """The command line."""

    synopsis = "[options] [DIRECTORY]"
    longdesc = (
        "Reads every file of a backup, or of a state directory (by default the configuration's, also while a daemon"
        " runs on it): does everything lead to what it names, is everything what its hash says, is everything signed"
        " by a key that is there? Exits with 1 if not."
    )
    optFlags = [["json", None, "Report as JSON."]]

    def parseArgs(self, *directories: str) -> None:
        """At most one argument."""
        if len(directories) > 1:
            raise usage.UsageError("give one DIRECTORY at most")
        self["directory"] = directories[0] if directories else None


def run(options: Any) -> int:
    """Look through it."""
    from pkgd.backup.command import Screen, verify

    config = load(options["config"], os.environ)
    return verify(config, options["directory"], Screen.standard(bool(options["json"])))
