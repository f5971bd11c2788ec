"""Building the next version of an index: only leaves that change are compressed, only what follows them is hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import define, evolve, field, frozen

from pkgd.packages.forms import piece
from pkgd.packages.indices import Index, IndexFile, frames, write_index
from pkgd.packages.leaves import Edits, Entry, Key, Leaf, Shape, make_leaves, make_part, runs
from pkgd.packages.shelf import Shelf

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["Builder", "Built"]

# So many bytes are hashed in one hop.
_SLICE = 4 * 1024 * 1024

Hashes = tuple["_Hash", ...]


@frozen
class Built:
    """A new index, its document, and the leaves that are new with it."""

    index: Index
    document: bytes = field(repr=False)
    files: Mapping[tuple[str, str], bytes] = field(repr=False)


@define
class _Trail:
    """Where hashing has been: the file's beginning, the leaves' names, and the hashes after each of them."""

    head: bytes
    leaves: list[str] = field(factory=list)
    states: list[Hashes] = field(factory=list)


class Builder:
    """Builds the indices of one suite or rpm repository, one at a time. Remembers hashes from one to the next."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._trails: dict[tuple[str, str, str], _Trail] = {}

    async def build(self, slot: str, shape: Shape, base: Index | None, edits: Edits, generation: int) -> Built:
        """The index after the edits.

        :param slot: what the index is called in its generation.
        :param base: the index before them. One of other forms is made anew.
        :raises Storage: if its leaves cannot be read.
        """
        leaves: Sequence[Leaf] = base.leaves if base is not None else ()
        old: Sequence[Entry] = ()
        if base is not None and base.forms != tuple(shape.forms):
            old = tuple([entry for leaf in base.leaves for entry in await self._shelf.entries(shape, leaf)])
            leaves = ()
        changed, files = await self._edit(shape, leaves, old, edits, generation)
        return await self._finish(slot, shape, changed, files, generation)

    async def build_whole(self, slot: str, shape: Shape, text: bytes, generation: int) -> Built:
        """An index whose one file has this text, which is no list of entries."""
        files: dict[tuple[str, str], bytes] = {}
        part = await self._shelf.blocking.work(make_part, shape.forms, generation, text, files)
        return await self._finish(slot, shape, [Leaf(("",), 0, (part,))], files, generation)

    async def _edit(
        self, shape: Shape, leaves: Sequence[Leaf], extra: Sequence[Entry], edits: Edits, generation: int
    ) -> tuple[list[Leaf], dict[tuple[str, str], bytes]]:
        """The leaves after the edits, and the files of those that are new."""
        files: dict[tuple[str, str], bytes] = {}
        changed = list(leaves)
        keys = sorted(edits)
        if not keys and not extra:
            return changed, files
        removals = sum(texts is None for texts in edits.values())
        # From the end on, so that positions stay what they are.
        for start, end in reversed(runs(leaves, keys, removals)):
            run = leaves[start:end]
            entries = [*extra]
            for leaf in run:
                entries += await self._shelf.entries(shape, leaf)
            mine = _between(edits, keys, leaves[start].first if start else None, _first(leaves, end))
            made = await self._shelf.blocking.work(make_leaves, shape, generation, entries, mine)
            if [_content(one.leaf) for one in made] == [_content(one) for one in run]:
                continue
            changed[start:end] = [one.leaf for one in made]
            for one in made:
                files.update(one.files)
        return changed, files

    async def _finish(
        self, slot: str, shape: Shape, leaves: list[Leaf], files: dict[tuple[str, str], bytes], generation: int
    ) -> Built:
        self._shelf.keep(files)
        found = {}
        for part in shape.parts:
            for form in ("", *shape.forms):
                found[part, form] = await self._file(slot, shape, leaves, (part, form), files)
        index = Index("", tuple(shape.parts), tuple(shape.forms), tuple(leaves), found)
        name, document = await self._shelf.blocking.work(write_index, index, generation)
        return Built(evolve(index, name=name), document, files)

    async def _file(
        self,
        slot: str,
        shape: Shape,
        leaves: Sequence[Leaf],
        which: tuple[str, str],
        new: Mapping[tuple[str, str], bytes],
    ) -> IndexFile:
        part, form = which
        at = list(shape.parts).index(part)
        head, tail = frames(shape, leaves, part, form)
        trail = self._trail((slot, part, form), head, shape, [leaf.parts[at].name for leaf in leaves])
        waiting: list[bytes] = []
        for leaf in leaves[len(trail.leaves) :]:
            data = new.get((leaf.parts[at].name, form))
            if data is None:  # what is new is in no store yet, and there may be no room for it on the shelf
                data = await self._shelf.file(leaf.parts[at], form)
            start, size = piece(form, leaf.parts[at].forms[form]) if form else (0, len(data))
            waiting.append(data if size == len(data) else data[start : start + size])
            trail.leaves.append(leaf.parts[at].name)
            if sum(map(len, waiting)) >= _SLICE:
                await self._shelf.blocking.work(_advance, trail.states, waiting)
                waiting = []
        await self._shelf.blocking.work(_advance, trail.states, waiting)
        digests = dict(zip(shape.hashes, _ended(trail.states[-1], tail), strict=True))
        sizes = (piece(form, one.parts[at].forms[form])[1] if form else one.parts[at].size for one in leaves)
        size = len(head) + sum(sizes) + len(tail)
        return IndexFile(head, tail, size, digests["sha256"], digests.get("sha512", ""))

    def _trail(self, key: tuple[str, str, str], head: bytes, shape: Shape, names: Sequence[str]) -> _Trail:
        """How far the last hashing is of use: up to the first leaf that is another now."""
        trail = self._trails.get(key)
        if trail is None or trail.head != head or len(trail.states) != len(trail.leaves) + 1:
            states = tuple(hashlib.new(name, head) for name in shape.hashes)
            trail = self._trails[key] = _Trail(head, [], [states])
        same = 0
        for one, other in zip(trail.leaves, names, strict=False):
            if one != other:
                break
            same += 1
        del trail.leaves[same:]
        del trail.states[same + 1 :]
        return trail


def _advance(states: list[Hashes], pieces: Sequence[bytes]) -> None:
    for data in pieces:
        following = tuple(one.copy() for one in states[-1])
        for one in following:
            one.update(data)
        states.append(following)


def _ended(states: Hashes, tail: bytes) -> list[str]:
    ended = []
    for one in states:
        copied = one.copy()
        copied.update(tail)
        ended.append(copied.hexdigest())
    return ended


def _content(leaf: Leaf) -> tuple[str, ...]:
    """What a leaf consists of, whatever generation it is from."""
    return tuple(part.name.partition("-")[2] for part in leaf.parts)


def _first(leaves: Sequence[Leaf], at: int) -> Key | None:
    return leaves[at].first if at < len(leaves) else None


def _between(edits: Edits, keys: Sequence[Key], start: Key | None, end: Key | None) -> Edits:
    """The edits of a run: from its first key on, to the first of the next."""
    return {key: edits[key] for key in keys if (start is None or key >= start) and (end is None or key < end)}
