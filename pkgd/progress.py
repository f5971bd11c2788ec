"""How far something long is, and whether it is still wanted: told by who does it, shown by who waits for it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "Silent"]


class Progress(Protocol):
    """Is told how far it is."""

    def begin(self, what: str, total: int) -> None:
        """Something begins that has so many steps; 0 if nobody knows how many."""

    def advance(self, count: int = 1) -> None:
        """So many of them are done."""

    def is_over(self) -> bool:
        """Whether nobody waits for the rest: it is to end early, at a moment that suits it."""


class Silent:
    """Implements `Progress`: nobody looks, and nobody leaves."""

    def begin(self, what: str, total: int) -> None:
        """See `Progress.begin`."""

    def advance(self, count: int = 1) -> None:
        """See `Progress.advance`."""

    def is_over(self) -> bool:
        """See `Progress.is_over`."""
        return False
