"""The shelf: leaves, indices and generations in the store, and as many leaves in memory as there is room for.

What is in memory stays until it is retired: publishing walks through whole indices, and of a cache that throws out
what was used least recently nothing would be left after such a walk.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pkgd.blocking import Blocking
from pkgd.errors import FailedStorage
from pkgd.packages import layout
from pkgd.packages.forms import expand
from pkgd.packages.indices import Index, read_index
from pkgd.packages.leaves import Leaf, LeafPart, Shape, Texts, rows_of
from pkgd.sharing import together
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.whole import read_object

__all__ = ["Shelf", "expanded"]

_ROOM = 256 * 1024 * 1024
_INDICES = 32
# An upload looks into the same leaf several times.
_SPLIT = 16


class Shelf:
    """What is stored below `base`, the prefix of a suite or an rpm repository."""

    def __init__(self, base: str, store: ObjectStore, blocking: Blocking, room: int = _ROOM) -> None:
        self.base = base
        self.store = store
        self.blocking = blocking
        self._room = room
        self._leaves: dict[tuple[str, str], bytes] = {}
        self._indices: dict[str, Index] = {}
        self._split: dict[tuple[LeafPart, ...], list[Texts]] = {}

    # -- leaves --

    async def file(self, part: LeafPart, form: str) -> bytes:
        """A leaf's file in a form, or its text, if `form` is "".

        :raises FailedStorage: if it is missing or damaged.
        """
        found = self._leaves.get((part.name, form))
        if found is None:
            found = await (self._read_file(part, form) if form else self._read_text(part))
            self._keep(part.name, form, found)
        return found

    async def stored(self, shape: Shape, part: LeafPart, form: str) -> tuple[str, bytes]:
        """A leaf's file in a form: which, and its bytes. In place of a text that isn't kept another, to be `expanded`.

        :raises FailedStorage: as `file`.
        """
        found = form if form or shape.keeps_texts else _fastest(part)
        return found, await self.file(part, found)

    async def rows(self, shape: Shape, leaf: Leaf) -> list[Texts]:
        """The texts of a leaf's entries, in the order of their keys; not to be changed.

        :raises FailedStorage: as `file`.
        """
        if not shape.keeps_texts:
            stored = [(part, *await self.stored(shape, part, "")) for part in leaf.parts]
            return await self.blocking.work(_split_stored, shape, stored)
        found = self._split.get(leaf.parts)
        if found is None:
            found = rows_of(shape, [await self.file(part, "") for part in leaf.parts])
            while len(self._split) >= _SPLIT:
                del self._split[next(iter(self._split))]
            self._split[leaf.parts] = found
        return found

    def keep(self, files: Mapping[tuple[str, str], bytes]) -> None:
        """Keep new leaves in memory, as far as there is room."""
        for (name, form), data in files.items():
            self._keep(name, form, data)

    def retire(self, before: Mapping[str, Index], after: Mapping[str, Index]) -> None:
        """Leaves that are not needed for the next publish need no room."""
        staying = {part.name for index in after.values() for leaf in index.leaves for part in leaf.parts}
        parts = [part for index in before.values() for leaf in index.leaves for part in leaf.parts]
        self.forget(part for part in parts if part.name not in staying)

    def forget(self, parts: Iterable[LeafPart]) -> None:
        """These need no room any more."""
        for part in parts:
            for form in ("", *part.forms):
                found = self._leaves.pop((part.name, form), b"")
                self._room += len(found)

    def _keep(self, name: str, form: str, data: bytes) -> None:
        if len(data) <= self._room and (name, form) not in self._leaves:
            self._leaves[name, form] = data
            self._room -= len(data)

    async def _read_file(self, part: LeafPart, form: str) -> bytes:
        return await self.read(layout.leaf_key(self.base, part.name, form), "a leaf of an index")

    async def peek(self, part: LeafPart) -> bytes:
        """A leaf's text, which is not kept in memory."""
        found = self._leaves.get((part.name, ""))
        if found is None:
            form = _fastest(part)
            found = await self.blocking.work(expanded, part, form, await self._read_file(part, form))
        return found

    async def _read_text(self, part: LeafPart) -> bytes:
        form = _fastest(part)
        return await self.blocking.work(expanded, part, form, await self.file(part, form))

    # -- indices --

    async def index(self, name: str) -> Index:
        """An index by its name.

        :raises FailedStorage: if it is missing or damaged.
        """
        if name not in self._indices:
            data = await self.read(layout.index_key(self.base, name), "an index")
            self.keep_index(await self.blocking.work(read_index, name, data))
        return self._indices[name]

    async def find_index(self, name: str) -> Index | None:
        """An index by its name, or None if it has been removed; it is not remembered."""
        if name in self._indices:
            return self._indices[name]
        data = await self.find(layout.index_key(self.base, name))
        return None if data is None else await self.blocking.work(read_index, name, data)

    def keep_index(self, index: Index) -> None:
        """Remember an index."""
        while len(self._indices) >= _INDICES:
            del self._indices[next(iter(self._indices))]
        self._indices[index.name] = index

    # -- all --

    async def read(self, key: str, what: str) -> bytes:
        """An object that has to be there.

        :raises FailedStorage: if it isn't.
        """
        data = await self.find(key)
        if data is None:
            raise FailedStorage(f"{what} is missing")
        return data

    async def find(self, key: str) -> bytes | None:
        """An object's bytes, or None if there is none."""
        return await read_object(self.store, self.blocking, key)

    async def find_json(self, key: str) -> Any:
        """A document, or None if there is none.

        :raises FailedStorage: if it is damaged.
        """
        data = await self.find(key)
        if data is None:
            return None
        try:
            return json.loads(data)
        except ValueError as error:
            raise FailedStorage("a document of a repository is damaged") from error

    async def write(self, objects: Sequence[tuple[str, bytes]]) -> None:
        """Write objects at the same time; all are durable then. Waits for all, even if one fails."""
        await together(self.store.put_bytes(key, data) for key, data in objects)


def expanded(part: LeafPart, form: str, data: bytes) -> bytes:
    """The text of a leaf by its file in a form.

    :raises FailedStorage: if it is damaged.
    """
    try:
        text = expand(form, data)
    except Exception as error:
        raise FailedStorage("a leaf of an index is damaged") from error
    if len(text) != part.size:
        raise FailedStorage("a leaf of an index is damaged")
    return text


def _fastest(part: LeafPart) -> str:
    """The form of a leaf that is expanded fastest."""
    return next(one for one in ("zst", "gz", "xz") if one in part.forms)


def _split_stored(shape: Shape, stored: Sequence[tuple[LeafPart, str, bytes]]) -> list[Texts]:
    return rows_of(shape, [expanded(part, form, data) for part, form, data in stored])
