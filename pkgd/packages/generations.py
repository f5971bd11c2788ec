"""Generations: what was published together, and the window of those that are kept.

A generation is one document: when, which files at which paths, the signed documents themselves, and what it took
out of the repository, whose files go when no older generation is kept.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from pkgd.errors import NotReady
from pkgd.packages.layout import current_key, generation_key, generations_prefix
from pkgd.packages.leaves import Key
from pkgd.packages.records import Window
from pkgd.packages.shelf import Shelf
from pkgd.sharing import SingleFlight

__all__ = ["FileRef", "Generation", "Gone", "Kept"]

_REMEMBERED = 16


@frozen
class FileRef:
    """One file of a generation: which index has it, as which part in which form; and what Release says of it."""

    index: str
    part: str
    form: str
    size: int
    sha256: str


@frozen
class Gone:
    """What a generation has taken out: where it stood, and the paths of its files, below the repository."""

    slot: str
    key: Key
    paths: tuple[str, ...]


@frozen
class Generation:
    """One generation. `marks` is how the settings and keys it was made with are known."""

    number: int
    date: int
    marks: str
    indices: Mapping[str, str] = field(repr=False, hash=False)
    files: Mapping[str, FileRef] = field(repr=False, hash=False)
    documents: Mapping[str, bytes] = field(repr=False, hash=False)
    gone: Sequence[Gone] = field(repr=False, default=())

    def encode(self) -> bytes:
        """Its bytes in the store."""
        document = {
            "number": self.number,
            "date": self.date,
            "marks": self.marks,
            "indices": self.indices,
            "files": {path: [one.index, one.part, one.form, one.size, one.sha256] for path, one in self.files.items()},
            "documents": {path: data.decode() for path, data in self.documents.items()},
            "gone": [[one.slot, one.key, one.paths] for one in self.gone],
        }
        return json.dumps(document, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, found: Any) -> Generation:
        """A generation from its document."""
        return cls(
            found["number"],
            found["date"],
            found["marks"],
            found["indices"],
            {path: FileRef(*one) for path, one in found["files"].items()},
            {path: text.encode() for path, text in found["documents"].items()},
            tuple(Gone(slot, tuple(key), tuple(paths)) for slot, key, paths in found["gone"]),
        )


@frozen
class _Known:
    """What is remembered of every generation that is kept."""

    number: int
    date: int
    gone: tuple[Gone, ...]


class Kept:
    """The generations that are kept, the current one last. Older ones are read when first asked for."""

    def __init__(self, shelf: Shelf, window: Window) -> None:
        self._shelf = shelf
        self._window = window
        self.current: Generation | None = None
        self._known: list[_Known] = []
        # Digest of a file -> the last generation that has it, and where.
        self._files: dict[str, tuple[int, FileRef]] = {}
        self._remembered: dict[int, Generation] = {}
        self._complete = False
        self._flights: SingleFlight[None] = SingleFlight()

    async def load(self) -> None:
        """Read the pointer, and the current generation."""
        pointer = await self._shelf.find_json(current_key(self._shelf.base))
        if pointer is None:
            self._complete = True
            return
        found = await self._shelf.read(generation_key(self._shelf.base, pointer["generation"]), "a generation")
        self.add(Generation.decode(json.loads(found)))

    def add(self, generation: Generation) -> None:
        """A generation has become the current one."""
        self.current = generation
        self._learn(generation)
        self._known.append(_know(generation))

    async def complete(self) -> None:
        """Read the older generations, unless they are known already.

        :raises NotReady: if not even the current one has been read.
        """
        if not self._complete:
            if self.current is None:
                raise NotReady
            await self._flights.join("older", self._read_older)

    async def _read_older(self) -> None:
        newest = self._known[0].number
        entries = await self._shelf.store.list(generations_prefix(self._shelf.base))
        numbers = sorted(int(one.name) for one in entries if one.name.isdigit() and int(one.name) < newest)
        older = []
        for number in reversed(numbers):
            generation = await self._read(number)
            if generation is not None:
                self._learn(generation)
                older.append(_know(generation))
        self._known[:0] = reversed(older)
        self._complete = True

    async def find(self, digest: str) -> FileRef | None:
        """A file of any generation that is kept, by its SHA-256."""
        if digest not in self._files:
            await self.complete()
        found = self._files.get(digest)
        return found[1] if found else None

    async def get(self, number: int) -> Generation | None:
        """A generation by its number, or None if it isn't kept."""
        if self.current is None or number > self.current.number:
            return None
        if number == self.current.number:
            return self.current
        if number not in self._remembered:
            found = await self._read(number)
            if found is None:
                return None
            while len(self._remembered) >= _REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[number] = found
        return self._remembered[number]

    def shares_second(self, generation: Generation) -> bool:
        """Whether another generation is from the same second; so it may be while the older ones are not known."""
        if not self._complete:
            return True
        # Dates never go back, so those of one second stand beside each other.
        at = bisect_left(self._known, generation.date, key=lambda one: one.date)
        return len(self._known) > at + 1 and self._known[at + 1].date == generation.date

    def expired(self, now: float) -> tuple[int, int] | None:
        """The oldest generation and the one after it, if the oldest need not be kept any more."""
        if len(self._known) <= self._window.generations + 1:
            return None
        if now - self._known[1].date < self._window.seconds:
            return None
        return self._known[0].number, self._known[1].number

    def drop(self, number: int, oldest: Generation | None) -> None:
        """The oldest generation is not kept any more: nothing finds its files from now on."""
        del self._known[0]
        self._remembered.pop(number, None)
        for ref in oldest.files.values() if oldest else ():
            if self._files.get(ref.sha256, (number + 1,))[0] <= number:
                del self._files[ref.sha256]

    def withdrawn(self, path: str, after: int = 0) -> bool:
        """Whether a generation later than `after`, of which an older one is kept, has taken out this file."""
        return any(path in gone.paths for one in self._known[1:] if one.number > after for gone in one.gone)

    def _learn(self, generation: Generation) -> None:
        for ref in generation.files.values():
            if self._files.get(ref.sha256, (-1,))[0] < generation.number:
                self._files[ref.sha256] = (generation.number, ref)

    async def _read(self, number: int) -> Generation | None:
        found = await self._shelf.find_json(generation_key(self._shelf.base, number))
        return None if found is None else Generation.decode(found)


def _know(generation: Generation) -> _Known:
    return _Known(generation.number, generation.date, tuple(generation.gone))
