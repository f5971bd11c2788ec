"""The command `pkgd retention`: what no rule keeps, and why."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from pkgd.commands.common import WithConfig, carried_out

__all__ = ["RetentionOptions", "lines", "run"]


class RetentionOptions(WithConfig):
    """The command line."""

    longdesc = (
        "Says which tags, manifests and packages the rules of repositories.retention don't keep, and why. With --apply"
        " they are removed. Asks the daemon, if one runs on the state directory, which goes by the rules that it has"
        " read last; else does it itself. The exit status is 1 if a repository had to be left alone."
    )
    optFlags = [["apply", None, "Remove them."], ["json", None, "Report as JSON."]]


def run(options: Any) -> int:
    """Do it, here or in the daemon; 1 if a repository had to be left alone."""
    result = carried_out(options, "retention", {"apply": bool(options["apply"])}, lines)
    return 1 if any(one["problem"] for one in result["repositories"]) else 0


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """What was found, for people."""
    done, total = "removed" if result["applied"] else "would be removed", 0
    for one in result["repositories"]:
        if one["problem"]:
            yield f"{one['resource']}: left alone: {one['problem']}"
        for it in one["goes"]:
            pushed = "" if it["pushed"] is None else f", pushed {time.strftime('%Y-%m-%d', time.gmtime(it['pushed']))}"
            yield f"{one['resource']}: {it['kind']} {it['name']} {done}: {it['rule']}: {it['reason']}{pushed}"
        total += len(one["goes"])
    stays = sum(one["stays"] for one in result["repositories"])
    yield f"in all {total} {done}, {stays} tags and packages kept by rules with limits"
    if total and not result["applied"]:
        yield "nothing has been removed: --apply does it"
