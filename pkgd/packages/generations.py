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

from pkgd.errors import FailedStorage, NotReady
from pkgd.packages.indices import Index
from pkgd.packages.layout import current_key, generation_key, generations_prefix
from pkgd.packages.leaves import Key
from pkgd.packages.records import Window
from pkgd.packages.shelf import Shelf
from pkgd.sharing import SingleFlight

__all__ = ["FileRef", "Generation", "Gone", "Kept", "read_pointer", "signers_after"]

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
    """One generation. `marks` is how the settings and keys it was made with are known.

    `signers` are the keys, by their fingerprints, that every package is signed by, each by some of them; None if that
    is not known.
    """

    number: int
    date: int
    marks: str
    indices: Mapping[str, str] = field(repr=False, hash=False)
    files: Mapping[str, FileRef] = field(repr=False, hash=False)
    documents: Mapping[str, bytes] = field(repr=False, hash=False)
    gone: Sequence[Gone] = field(repr=False, default=())
    signers: frozenset[str] | None = None

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
            "signers": None if self.signers is None else sorted(self.signers),
        }
        return json.dumps(document, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, found: Any) -> Generation:
        """A generation from its document.

        :raises FailedStorage: if it is none.
        """
        try:
            return cls(
                int(found["number"]),
                int(found["date"]),
                found["marks"],
                dict(found["indices"]),
                {path: FileRef(*one[:5]) for path, one in found["files"].items()},  # those of old had another hash
                {path: text.encode() for path, text in found["documents"].items()},
                tuple(Gone(slot, tuple(key), tuple(paths)) for slot, key, paths in found["gone"]),
                None if found.get("signers") is None else frozenset(found["signers"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise FailedStorage("a generation is damaged") from error


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
        self.window = window
        self.current: Generation | None = None
        self._known: list[_Known] = []
        # Digest of a file -> the last generation that has it, and where.
        self._files: dict[str, tuple[int, FileRef]] = {}
        self._remembered: dict[int, Generation] = {}
        self._complete = False
        self._flights: SingleFlight[None] = SingleFlight()

    async def load(self) -> None:
        """Read the pointer, and the current generation.

        :raises FailedStorage: if it is missing or damaged.
        """
        number = await read_pointer(self._shelf)
        if number is None:
            self._complete = True
            return
        found = await self._read(number)
        if found is None:
            raise FailedStorage("the generation that is published is missing")
        self.add(found)

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

    @property
    def numbers(self) -> Sequence[int]:
        """Which are known, oldest first: all that are kept, once `complete` has been called."""
        return [one.number for one in self._known]

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
        if len(self._known) <= self.window.generations + 1:
            return None
        if now - self._known[1].date < self.window.seconds:
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


async def read_pointer(shelf: Shelf) -> int | None:
    """Which generation is published; None if none ever was.

    :raises FailedStorage: if what says it is damaged.
    """
    found = await shelf.find_json(current_key(shelf.base))
    match found:
        case None | {"generation": int()}:
            return None if found is None else int(found["generation"])
        case _:
            raise FailedStorage("the pointer to what is published is damaged")


def signers_after(
    before: Generation | None, vouched: Sequence[frozenset[str] | None], indices: Mapping[str, Index]
) -> frozenset[str] | None:
    """`Generation.signers` of the generation with these indices; where there is no package, nobody is missing.

    :param vouched: of each package that is new in it, its signers.
    """
    known = before.signers if before is not None else frozenset[str]()
    if not any(index.count for index in indices.values()):
        return frozenset()
    for one in vouched:
        known = None if known is None or one is None else known | one
    return known


def _know(generation: Generation) -> _Known:
    return _Known(generation.number, generation.date, tuple(generation.gone))
