"""The command `pkgd restore`."""

from __future__ import annotations

import os
from typing import Any

from twisted.python import usage

from pkgd.commands.common import WithConfig
from pkgd.config import load

__all__ = ["RestoreOptions", "run"]


class RestoreOptions(WithConfig):
    """The command line."""

    synopsis = "[options] BACKUP"
    longdesc = (
        "Copies a backup into the state directory, which has to be empty, and verifies it. As root, what is written"
        " belongs to the owner of that directory. If it was interrupted, the same command completes it."
    )
    optFlags = [["json", None, "Report as JSON."]]

    def parseArgs(self, *directories: str) -> None:
        """The one argument."""
        if len(directories) != 1:
            raise usage.UsageError("give one BACKUP")
        self["directory"] = directories[0]


def run(options: Any) -> int:
    """Restore it."""
    from pkgd.backup.command import Screen, put_back

    config = load(options["config"], os.environ)
    return put_back(config, options["directory"], Screen.standard(bool(options["json"])))
