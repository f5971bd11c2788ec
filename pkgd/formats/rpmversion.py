"""The order of rpm versions (rpm's `rpmvercmp`, and epoch, version, release together).

A version is read as runs of digits and runs of ASCII letters; everything else only separates them, but for
`~`, which sorts before the end of the string, and `^`, which sorts after it and before anything else.
"""

from __future__ import annotations

import re
from functools import cmp_to_key

from attrs import frozen

__all__ = ["Evr", "compare", "compare_evr", "key"]

_TOKENS = re.compile(r"[0-9]+|[A-Za-z]+|[~^]")


@frozen
class Evr:
    """Epoch, version and release; a missing epoch is 0, a missing release is "", which matches any."""

    epoch: int
    version: str
    release: str


def compare(a: str, b: str) -> int:
    """Order two versions (or two releases): -1, 0 or 1."""
    if a == b:
        return 0
    ours, theirs = _TOKENS.findall(a), _TOKENS.findall(b)
    for one, two in zip(ours, theirs, strict=False):
        order = _compare_tokens(one, two)
        if order:
            return order
    shared = min(len(ours), len(theirs))
    if len(ours) == len(theirs):
        return 0
    # What is left of the longer one decides: more is newer, unless it is a `~`.
    longer, sign = (ours, 1) if len(ours) > len(theirs) else (theirs, -1)
    return -sign if longer[shared] == "~" else sign


def _compare_tokens(one: str, two: str) -> int:
    if one == two:
        return 0
    for low in "~^":
        if low in (one, two):
            return -1 if one == low else 1
    if one.isdigit() != two.isdigit():
        return 1 if one.isdigit() else -1
    if one.isdigit():
        one, two = one.lstrip("0"), two.lstrip("0")
        if len(one) != len(two):
            return 1 if len(one) > len(two) else -1
    return (one > two) - (one < two)


def compare_evr(a: Evr, b: Evr) -> int:
    """Order two packages of one name: by epoch, then version, then release where both have one."""
    order = (a.epoch > b.epoch) - (a.epoch < b.epoch) or compare(a.version, b.version)
    return order or (compare(a.release, b.release) if a.release and b.release else 0)


key = cmp_to_key(compare_evr)
