"""How far something long is, and whether it is still wanted: told by who does it, shown by who waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Progress", "Silent", "Until"]


class Progress(Protocol):
    """Is told how far it is."""

    def begin(self, what: str, total: int) -> None:
        """Something begins that has so many steps, or bytes; 0 if nobody knows how many."""

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

    def close(self) -> None:
        """Nothing more happens."""


class Until(Silent):
    """Nobody looks; but it is to end some time."""

    def __init__(self, is_over: Callable[[], bool]) -> None:
        self._is_over = is_over

    def is_over(self) -> bool:
        """See `Progress.is_over`."""
        return self._is_over()
