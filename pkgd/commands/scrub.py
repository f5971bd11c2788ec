"""The command `pkgd scrub`: everything that is stored is read again, and what is damaged is taken out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pkgd.commands.common import WithConfig, carried_out

__all__ = ["ScrubOptions", "lines", "run"]


class ScrubOptions(WithConfig):
    """The command line."""

    longdesc = (
        "Reads every blob, manifest and package again. What is not what its hash says is served no more: blobs,"
        " manifests and packages are set aside, and what the mirror has cached is deleted, to be fetched again. Asks"
        " the daemon, if one runs on the state directory; else does it itself. The exit status is 1 if something was"
        " damaged."
    )
    optFlags = [["json", None, "Report as JSON."]]


def run(options: Any) -> int:
    """Do it, here or in the daemon; 1 if something was damaged, or not everything was looked at."""
    result = carried_out(options, "scrub", {}, lines)
    return 1 if result["damage"] or not result["is_complete"] else 0


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """What was found, for people."""
    for one in result["damage"]:
        yield f"{one['name']}: {one['reason']}: {one['done']}"
    whole = "" if result["is_complete"] else "; not everything: it was stopped"
    yield f"{result['objects']} objects read, {len(result['damage'])} damaged{whole}"
