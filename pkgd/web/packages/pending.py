"""Files that have arrived before what closes their set: a source's before its .dsc, an upload's before its .changes.

They are in the spool, and known in memory only: whoever is interrupted by a restart uploads the set again. A set is of
one user's files: nobody puts one into another's.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping

from attrs import frozen

from pkgd.packages.records import Arrival
from pkgd.web.packages.receiving import Receiver

__all__ = ["Pending"]

# Beyond so many the oldest are given up.
MAX_FILES = 1000


@frozen
class _Held:
    arrival: Arrival
    since: float


class Pending:
    """Keeps arrivals, by what set they belong to and their names."""

    def __init__(self, receiver: Receiver, seconds: Callable[[], float], max_files: int = MAX_FILES) -> None:
        self._receiver = receiver
        self._seconds = seconds
        self._max_files = max_files
        # In the order of arrival.
        self._held: dict[tuple[Hashable, str], _Held] = {}

    async def hold(self, group: Hashable, arrival: Arrival) -> None:
        """Keep a file, in place of an earlier one of its name."""
        await self._drop([(group, arrival.file_name)])
        self._held[group, arrival.file_name] = _Held(arrival, self._seconds())
        await self._drop(list(self._held)[: max(0, len(self._held) - self._max_files)])

    def names(self, group: Hashable) -> Mapping[str, Arrival]:
        """The files of a set, to be looked at."""
        return {name: held.arrival for (of, name), held in self._held.items() if of == group}

    def take(self, group: Hashable, names: Iterable[str]) -> dict[str, Arrival]:
        """Take files of a set out, as far as they are there. Who takes them discards them, or holds them again."""
        found = {name: self._held.pop((group, name), None) for name in names}
        return {name: held.arrival for name, held in found.items() if held is not None}

    async def expire(self, older_than: float) -> int:
        """Give up what has been kept longer than `older_than` seconds; returns how many."""
        now = self._seconds()
        old = [key for key, held in self._held.items() if now - held.since > older_than]
        await self._drop(old)
        return len(old)

    async def _drop(self, keys: list[tuple[Hashable, str]]) -> None:
        for key in keys:
            held = self._held.pop(key, None)
            if held is not None:
                await self._receiver.discard(held.arrival)
