"""The command `pkgd backup`."""

from __future__ import annotations

import os
from typing import Any

from twisted.python import usage

from pkgd.commands.common import WithConfig
from pkgd.config import load

__all__ = ["BackupOptions", "run"]


class BackupOptions(WithConfig):
    """The command line."""

    synopsis = "[options] DIRECTORY"
    longdesc = (
        "Copies the state into a new DIRECTORY, also while a daemon runs on it. What is in it belongs together: every"
        " tag leads to its blobs, every repository to its packages. Signing keys and token keys are in it, for its"
        " owner only: keep it as safe as the state. Exits with 1 if the state itself lacks something."
    )
    optParameters = [
        *WithConfig.optParameters,
        [
            "previous",
            "p",
            None,
            "An earlier backup on the same file system: what has not changed is linked from there.",
        ],
    ]
    optFlags = [
        ["without-keys", None, "Leave signing keys and token keys out."],
        ["without-mirror", None, "Leave out what the mirror has cached."],
        ["json", None, "Report as JSON."],
    ]

    def parseArgs(self, *directories: str) -> None:
        """The one argument."""
        if len(directories) != 1:
            raise usage.UsageError("give one DIRECTORY")
        self["directory"] = directories[0]


def run(options: Any) -> int:
    """Take it."""
    from pkgd.backup.command import Screen, back_up
    from pkgd.backup.taking import Order

    order = Order(options["directory"], options["previous"], not options["without-keys"], not options["without-mirror"])
    return back_up(load(options["config"], os.environ), order, Screen.standard(bool(options["json"])))
