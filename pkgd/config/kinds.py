"""What the sections of the configuration are made of: quantities with units, secrets, and what a section is.

A secret has a type of its own, which is never shown: nothing encodes it unless told how.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

__all__ = ["CENTURY", "MASK", "Duration", "Secret", "Section", "Size", "Staleness"]

# At most a century, and less than any counter: what is larger is a slip of the keyboard.
CENTURY = 3.2e9
Duration = Annotated[
    float, msgspec.Meta(title="duration", description="30s, 5m, 24h; seconds if without unit", ge=0, le=CENTURY)
]
Staleness = Annotated[
    float, msgspec.Meta(title="duration or forever", description="forever, or a duration such as 30s, 5m, 24h", ge=0)
]
Size = Annotated[
    int, msgspec.Meta(title="size", description="512KiB, 256MiB, 1GiB; bytes if without unit", ge=0, le=1 << 62)
]

MASK = "********"


class Secret:
    """A text that only `reveal` shows. No attrs class, because those msgspec would encode."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def reveal(self) -> str:
        """The text itself, for who is about to use it."""
        return self._text


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A mapping of the file."""
