"""The tables that the cases are made from, one module for each part of a request."""

from __future__ import annotations

from tests.hostile.case import Case
from tests.hostile.corpus import (
    bodies,
    connections,
    framing,
    headers,
    hosts,
    manifests,
    methods,
    names,
    queries,
    ranges,
    sequences,
    slow,
    targets,
    traversal,
    uploads,
)

_PARTS = (
    traversal,
    targets,
    methods,
    hosts,
    framing,
    headers,
    names,
    queries,
    ranges,
    uploads,
    manifests,
    bodies,
    sequences,
    connections,
)


def quick_cases() -> list[Case]:
    """Every case that is answered at once; what two tables say is said once."""
    cases = list({one.steps: one for part in reversed(_PARTS) for one in part.cases()}.values())
    if len({(one.category, one.name) for one in cases}) != len(cases):
        raise ValueError("two cases have the same name")
    return cases


def slow_cases(edge: bool) -> list[Case]:
    """The cases of slow clients, which run beside the others; `edge`: those that a proxy passes on."""
    return list(slow.cases(edge))
