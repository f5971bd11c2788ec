"""Lists that upstreams hand out in pages, each naming the next one in a Link header (RFC 8288)."""

from __future__ import annotations

import re

from pkgd.outbound.client import Answer

__all__ = ["next_page"]

_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_RELATIONS = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,\"]+))", re.IGNORECASE)


def next_page(answer: Answer, path: str) -> str | None:
    """What to ask for next, below the repository; None if this is the last page.

    :param path: what was asked for, without its query.

    Of the link, only the query counts: host and path stay, wherever it points. An `ns` in it is our own, and
    is sent along anyway.
    """
    for header in answer.headers("link"):
        for target, parameters in _LINK.findall(header):
            if _is_next(parameters):
                query = target.partition("#")[0].partition("?")[2]
                wanted = [one for one in query.split("&") if one and not one.startswith("ns=")]
                return f"{path}?{'&'.join(wanted)}" if wanted else None
    return None


def _is_next(parameters: str) -> bool:
    """Whether a link's parameters say that it leads to the next page."""
    relations = _RELATIONS.search(parameters)
    return relations is not None and "next" in (relations[1] or relations[2] or "").lower().split()
