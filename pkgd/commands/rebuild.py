"""The command `pkgd rebuild`."""

from __future__ import annotations

import os
from typing import Any

from pkgd.commands.common import WithConfig
from pkgd.config import load

__all__ = ["RebuildOptions", "run"]


class RebuildOptions(WithConfig):
    """The command line."""

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


def run(options: Any) -> int:
    """Derive it anew."""
    from pkgd.rebuild.command import Request, rebuild
    from pkgd.terminal import Streams

    request = Request(frozenset(options["adopt"]), bool(options["discard"]), bool(options["json"]))
    return rebuild(load(options["config"], os.environ), request, Streams.standard())
