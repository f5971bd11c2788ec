"""What clients complained of, counted by kind."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable

__all__ = ["KINDS", "LOST", "MISMATCH", "MISSING", "OTHER", "SIGNATURE", "Lost", "Tally", "kind_of", "table"]

MISMATCH, SIGNATURE, MISSING, LOST, OTHER = "hash mismatch", "bad signature", "not found", "lost package", "other"
KINDS = (MISMATCH, SIGNATURE, MISSING, LOST, OTHER)

# The first that is found counts: what apt says of a mismatch names a signature as well now and then.
_SIGNS = (
    (MISMATCH, re.compile(r"Hash Sum mismatch|unexpected size|[Cc]hecksum|does(?:n't| not) match", re.DOTALL)),
    (MISSING, re.compile(r"\b404\b|Not Found|not found on medium|all mirrors were already tried")),
    (SIGNATURE, re.compile(r"BADSIG|NO_PUBKEY|[Ss]ignature|GPG|gpg")),
)


class Lost(Exception):
    """What has been published, and answered for, was not there after an update that began later."""


def kind_of(error: Exception) -> str:
    """Which of `KINDS` a client's failure is."""
    if isinstance(error, Lost):
        return LOST
    return next((kind for kind, sign in _SIGNS if sign.search(str(error))), OTHER)


class Tally:
    """The turns of all clients of a kind, and their complaints. Threads may share it."""

    def __init__(self, name: str, loops: int) -> None:
        self.name = name
        self.loops = loops
        self.turns = 0
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self._lock = threading.Lock()

    def turn(self, error: Exception | None) -> None:
        """Note a turn, and what went wrong in it."""
        with self._lock:
            self.turns += 1
            if error is not None:
                kind = kind_of(error)
                self.counts[kind] += 1
                self.examples.setdefault(kind, f"{type(error).__name__}: {error}"[-1500:])


def table(tallies: Iterable[Tally]) -> list[str]:
    """The figures side by side, one line for each kind of client."""
    lines = [f"{'clients':34}{'loops':>6}{'turns':>7}" + "".join(f"{kind:>15}" for kind in KINDS)]
    for one in tallies:
        lines.append(f"{one.name:34}{one.loops:6}{one.turns:7}" + "".join(f"{one.counts[kind]:15}" for kind in KINDS))
    return lines
