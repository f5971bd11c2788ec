"""Globs over repository names: `*` and `?` stay within one part, `**` spans parts."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["Globs", "pattern_of"]

_PIECES = {"**": ".*", "*": "[^/]*", "?": "[^/]"}


class Globs:
    """A set of globs, matched as one."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._pattern = re.compile("|".join(f"(?:{pattern_of(one)})" for one in patterns) or r"(?!)")

    def match(self, name: str) -> bool:
        """Whether the whole name matches one of the globs."""
        return self._pattern.fullmatch(name) is not None


def pattern_of(glob: str) -> str:
    """A glob as a regular expression, for `fullmatch`."""
    pieces = re.split(r"(\*\*|\*|\?)", glob)
    return "".join(_PIECES.get(piece) or re.escape(piece) for piece in pieces)
