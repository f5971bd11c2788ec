"""Reading what is published, and drafts of what will be: edits on top, and edits on top of those."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from pkgd.packages.generations import Gone
from pkgd.packages.indices import Index
from pkgd.packages.leaves import Entry, Key, Shape, Texts, parse, position
from pkgd.packages.shelf import Shelf

__all__ = ["Draft", "Published", "Readable"]


class Readable(Protocol):
    """Entries by slot and key: a slot is what an index is called in its generation."""

    @property
    def slots(self) -> frozenset[str]:
        """Which indices there are."""

    async def find(self, slot: str, key: Key) -> Texts | None:
        """An entry's texts, or None if there is none."""

    async def named(self, slot: str, name: str) -> list[Entry]:
        """The entries whose key begins with a name, sorted."""


class Published:
    """The indices of one generation, read from the shelf. Implements `Readable`."""

    def __init__(self, shelf: Shelf, indices: Mapping[str, Index], shape: Shape) -> None:
        self._shelf = shelf
        self._shape = shape
        self.indices = indices

    @property
    def slots(self) -> frozenset[str]:
        """See `Readable.slots`."""
        return frozenset(self.indices)

    async def find(self, slot: str, key: Key) -> Texts | None:
        """See `Readable.find`."""
        index = self.indices.get(slot)
        at = index.position(key) if index else None
        if index is None or at is None:
            return None
        rows = await self._shelf.rows(self._shape, index.leaves[at])
        there = position(self._shape, rows, key)
        return rows[there] if there < len(rows) and self._shape.key(rows[there][0]) == key else None

    async def named(self, slot: str, name: str) -> list[Entry]:
        """See `Readable.named`."""
        index = self.indices.get(slot)
        found: list[Entry] = []
        if index is not None:
            for at in index.positions(name) if index.leaves else ():
                rows = await self._shelf.rows(self._shape, index.leaves[at])
                for row in rows[position(self._shape, rows, (name,)) :]:
                    key = self._shape.key(row[0])
                    if key[0] != name:
                        break
                    found.append((key, row))
        return found

    async def all(self, slot: str) -> AsyncIterator[Entry]:
        """Every entry of an index."""
        index = self.indices.get(slot)
        for leaf in index.leaves if index else ():
            rows = await self._shelf.rows(self._shape, leaf)
            for entry in await self._shelf.blocking.work(parse, self._shape, rows):
                yield entry


class Draft:
    """Edits on what lies below: what is published, or another draft. Implements `Readable`.

    `whole` holds texts of indices that are no lists of entries, None for those that go.
    """

    def __init__(self, below: Published | Draft) -> None:
        self._below = below
        self.edits: dict[str, dict[Key, Texts | None]] = {}
        self.whole: dict[str, bytes | None] = {}
        self.gone: list[Gone] = []
        # New indices, and which published one they begin as.
        self.begun: dict[str, str] = {}
        # Of each new package, who has signed it, or None if that is unknown.
        self.vouched: list[frozenset[str] | None] = []
        self._touched = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to publish."""
        return not (self.edits or self.whole or self.begun or self._touched)

    @property
    def slots(self) -> frozenset[str]:
        """See `Readable.slots`."""
        return self._below.slots | self.edits.keys() | self.begun.keys()

    async def find(self, slot: str, key: Key) -> Texts | None:
        """See `Readable.find`."""
        if key in self.edits.get(slot, ()):
            return self.edits[slot][key]
        return await self._below.find(self.begun.get(slot, slot), key)

    async def named(self, slot: str, name: str) -> list[Entry]:
        """See `Readable.named`."""
        entries: dict[Key, Texts | None] = dict(await self._below.named(self.begun.get(slot, slot), name))
        entries.update((key, texts) for key, texts in self.edits.get(slot, {}).items() if key[0] == name)
        return sorted((key, texts) for key, texts in entries.items() if texts is not None)

    def put(self, slot: str, key: Key, texts: Texts) -> None:
        """Add or replace an entry."""
        self.edits.setdefault(slot, {})[key] = texts

    def remove(self, slot: str, key: Key) -> None:
        """Take an entry out."""
        self.edits.setdefault(slot, {})[key] = None

    def begin(self, slot: str, like: str) -> None:
        """A new index, with what another has now."""
        self.begun[slot] = like
        self.edits[slot] = {**self._edits_below(like), **self.edits.get(like, {})}

    def vouch(self, signers: frozenset[str] | None) -> None:
        """Note who has signed a new package, by the fingerprints of their keys; None if nobody has looked."""
        self.vouched.append(signers)

    def touch(self) -> None:
        """Publish even if nothing is edited."""
        self._touched = True

    def commit(self) -> None:
        """Take the edits over into the draft below."""
        assert isinstance(self._below, Draft), "what is published is changed by the publisher only"
        for slot, edits in self.edits.items():
            self._below.edits.setdefault(slot, {}).update(edits)
        self._below.begun.update(self.begun)
        self._below.whole.update(self.whole)
        self._below.gone += self.gone
        self._below.vouched += self.vouched
        self._below._touched |= self._touched

    def _edits_below(self, slot: str) -> Mapping[Key, Texts | None]:
        return self._below.edits.get(slot, {}) if isinstance(self._below, Draft) else {}
