"""The command `pkgd gc`: what no manifest names, and how much of it there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pkgd.commands.common import WithConfig, carried_out

__all__ = ["GcOptions", "lines", "run"]


class GcOptions(WithConfig):
    """The command line."""

    longdesc = (
        "Finds blobs that no manifest names, and says how many there are in each repository. With --apply they are"
        " removed. Asks the daemon, if one runs on the state directory; else does it itself."
    )
    optFlags = [["apply", None, "Remove them."], ["json", None, "Report as JSON."]]


def run(options: Any) -> int:
    """Do it, here or in the daemon; 1 if a repository could not be looked at."""
    result = carried_out(options, "gc", {"apply": bool(options["apply"])}, lines)
    return 1 if any(one["problem"] for one in result["repositories"]) else 0


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """What was found, for people."""
    done = "removed" if result["applied"] else "would be removed"
    found = result["repositories"]
    for one in found:
        if one["problem"]:
            yield f"{one['repository']}: left alone: {one['problem']}"
        if one["objects"]:
            yield f"{one['repository']}: {one['objects']} blobs, {one['bytes']} bytes {done}"
        if one["waiting_objects"]:
            waiting = f"{one['waiting_objects']} blobs, {one['waiting_bytes']} bytes"
            yield f"{one['repository']}: {waiting} not old enough yet"
    total = sum(one["objects"] for one in found), sum(one["bytes"] for one in found)
    yield f"in all {total[0]} blobs, {total[1]} bytes {done}"
    if total[0] and not result["applied"]:
        yield "nothing has been removed: --apply does it"
