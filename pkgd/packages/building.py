"""Building the next version of an index: only leaves that change are compressed, only what follows them is hashed."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import define, evolve, field, frozen

from pkgd.packages.composing import Composer
from pkgd.packages.drafts import Draft, Published
from pkgd.packages.forms import piece
from pkgd.packages.indices import Index, IndexFile, frames, write_index
from pkgd.packages.layout import index_key, leaf_key
from pkgd.packages.leaves import Edits, Leaf, LeafPart, Made, Shape, Texts, make_leaves, make_part, runs
from pkgd.packages.shelf import Shelf, expanded
from pkgd.sharing import together

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["Builder", "Built"]

# So many bytes are hashed in one hop.
_SLICE = 4 * 1024 * 1024
# So many leaves are made at the same time.
_AT_ONCE = 4


@frozen
class Built:
    """A new index, its document, and the leaves that are new with it."""

    index: Index
    document: bytes = field(repr=False)
    files: Mapping[tuple[str, str], bytes] = field(repr=False)


@define
class _Trail:
    """Where hashing has been: the file's beginning, the leaves' names, and the hash before and after each of them."""

    head: bytes
    leaves: list[str] = field(factory=list)
    states: list[_Hash] = field(factory=list)


class Builder:
    """Builds the indices of one suite or rpm repository, one at a time. Remembers hashes from one to the next."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._trails: dict[tuple[str, str, str], _Trail] = {}

    async def assemble(
        self, composer: Composer, published: Published, draft: Draft, generation: int
    ) -> tuple[dict[str, Index], dict[str, bytes]]:
        """Every index of a generation, and what has to be written for it, by its keys.

        :param published: what the draft's edits are on top of.
        :raises Storage: if leaves of that cannot be read.
        """
        indices, objects = dict(published.indices), dict[str, bytes]()
        derived = await composer.derive(published, draft)
        for slot, like in draft.begun.items():
            if like in indices:
                indices[slot] = indices[like]
        outdated = [
            slot
            for slot, one in indices.items()
            if not composer.is_whole(slot) and one.forms != tuple(composer.shape_of(slot).forms)
        ]
        missing = [slot for slot in composer.required() if slot not in indices]
        changed = sorted({*draft.edits, *outdated, *missing, *derived})
        # Memory goes to those first that are looked into.
        for slot in sorted(changed, key=lambda one: not composer.shape_of(one).keeps_texts):
            edits = derived.get(slot, draft.edits.get(slot, {}))
            if edits is None:
                indices.pop(slot, None)
                continue
            built = await self.build(slot, composer.shape_of(slot), indices.get(slot), edits, generation)
            self._take(slot, built, indices, objects)
        for slot, text in draft.whole.items():
            if text is None:
                indices.pop(slot, None)
                continue
            self._take(slot, await self.build_whole(slot, composer.shape_of(slot), text, generation), indices, objects)
        return indices, objects

    def _take(self, slot: str, built: Built, indices: dict[str, Index], objects: dict[str, bytes]) -> None:
        indices[slot] = built.index
        self._shelf.keep_index(built.index)
        objects[index_key(self._shelf.base, built.index.name)] = built.document
        for (name, form), data in built.files.items():
            if form:
                objects[leaf_key(self._shelf.base, name, form)] = data

    async def build(self, slot: str, shape: Shape, base: Index | None, edits: Edits, generation: int) -> Built:
        """The index after the edits.

        :param slot: what the index is called in its generation.
        :param base: the index before them. One of other forms is made anew.
        :raises Storage: if its leaves cannot be read.
        """
        leaves: Sequence[Leaf] = base.leaves if base is not None else ()
        old: Sequence[Texts] = ()
        if base is not None and base.forms != tuple(shape.forms):
            old = tuple([row for leaf in base.leaves for row in await self._shelf.rows(shape, leaf)])
            leaves = ()
        changed, files = await self._edit(shape, leaves, old, edits, generation)
        return await self._finish(slot, shape, changed, files, generation)

    async def build_whole(self, slot: str, shape: Shape, text: bytes, generation: int) -> Built:
        """An index whose one file has this text, which is no list of entries."""
        files: dict[tuple[str, str], bytes] = {}
        part = await self._shelf.blocking.work(make_part, shape.forms, generation, text, files)
        return await self._finish(slot, shape, [Leaf(("",), 0, (part,))], files, generation)

    async def _edit(
        self, shape: Shape, leaves: Sequence[Leaf], extra: Sequence[Texts], edits: Edits, generation: int
    ) -> tuple[list[Leaf], dict[tuple[str, str], bytes]]:
        """The leaves after the edits, and the files of those that are new."""
        files: dict[tuple[str, str], bytes] = {}
        changed = list(leaves)
        if not edits and not extra:
            return changed, files

        async def remake(planned: tuple[int, int, Edits]) -> None:
            start, end, mine = planned
            run = leaves[start:end]
            rows = [*extra]
            for leaf in run:
                rows += await self._shelf.rows(shape, leaf)
            made = await self._shelf.blocking.work(make_leaves, shape, generation, rows, mine)
            if [_content(one.leaf) for one in made] != [_content(one) for one in run]:
                remade.append((start, end, made))

        remade: list[tuple[int, int, list[Made]]] = []
        plan = await self._shelf.blocking.work(_plan, shape, leaves, edits)
        # As many at once as there are threads: what is being made is all in memory.
        for at in range(0, len(plan), _AT_ONCE):
            await together(remake(one) for one in plan[at : at + _AT_ONCE])
        # From the end on, so that positions stay what they are.
        for start, end, made in sorted(remade, key=lambda one: one[:2], reverse=True):
            changed[start:end] = [one.leaf for one in made]
            for one in made:
                files.update(one.files)
        return changed, files

    async def _finish(
        self, slot: str, shape: Shape, leaves: list[Leaf], files: dict[tuple[str, str], bytes], generation: int
    ) -> Built:
        self._shelf.keep({key: data for key, data in files.items() if key[1] or shape.keeps_texts})
        wanted = [(part, form) for part in shape.parts for form in ("", *shape.forms)]
        found = dict(
            zip(wanted, await together(self._file(slot, shape, leaves, one, files) for one in wanted), strict=True)
        )
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
        trail = self._trail((slot, part, form), head, [leaf.parts[at].name for leaf in leaves])
        waiting: list[_Piece] = []
        size = 0
        for leaf in leaves[len(trail.leaves) :]:
            # There may be no room on the shelf for what is new, and it is not in the store yet.
            data = new.get((leaf.parts[at].name, form))
            stored = (form, data) if data is not None else await self._shelf.stored(shape, leaf.parts[at], form)
            waiting.append(_Piece(leaf.parts[at], form, *stored))
            trail.leaves.append(leaf.parts[at].name)
            size += len(waiting[-1].data) if form else leaf.parts[at].size
            if size >= _SLICE:
                await self._shelf.blocking.work(_advance, trail.states, waiting)
                waiting, size = [], 0
        await self._shelf.blocking.work(_advance, trail.states, waiting)
        ended = trail.states[-1].copy()
        ended.update(tail)
        sizes = (piece(form, one.parts[at].forms[form])[1] if form else one.parts[at].size for one in leaves)
        size = len(head) + sum(sizes) + len(tail)
        return IndexFile(head, tail, size, ended.hexdigest())

    def _trail(self, key: tuple[str, str, str], head: bytes, names: Sequence[str]) -> _Trail:
        """How far the last hashing is of use: up to the first leaf that is another now."""
        trail = self._trails.get(key)
        if trail is None or trail.head != head or len(trail.states) != len(trail.leaves) + 1:
            trail = self._trails[key] = _Trail(head, [], [hashlib.sha256(head)])
        same = 0
        for one, other in zip(trail.leaves, names, strict=False):
            if one != other:
                break
            same += 1
        del trail.leaves[same:]
        del trail.states[same + 1 :]
        return trail


@frozen
class _Piece:
    """What a leaf gives to a file in a form: its bytes in that form, or in the one that is stored."""

    part: LeafPart
    form: str
    stored: str
    data: bytes

    def read(self) -> bytes:
        if self.stored != self.form:
            return expanded(self.part, self.stored, self.data)
        start, size = piece(self.form, self.part.forms[self.form]) if self.form else (0, len(self.data))
        return self.data if size == len(self.data) else self.data[start : start + size]


def _advance(states: list[_Hash], pieces: Sequence[_Piece]) -> None:
    for one in pieces:
        following = states[-1].copy()
        following.update(one.read())
        states.append(following)


def _content(leaf: Leaf) -> tuple[str, ...]:
    """What a leaf consists of, whatever generation it is from."""
    return tuple(part.name.partition("-")[2] for part in leaf.parts)


def _plan(shape: Shape, leaves: Sequence[Leaf], edits: Edits) -> list[tuple[int, int, Edits]]:
    """The runs of leaves that are made anew, each with the edits from its first key on, to the first of the next."""
    keys = sorted(edits)
    removals = sum(edit.may_remove if callable(edit) else edit is None for edit in edits.values())
    found: list[tuple[int, int, Edits]] = []
    for start, end in runs(leaves, keys, removals, shape.cut.least):
        low = bisect_left(keys, leaves[start].first) if start else 0
        high = bisect_left(keys, leaves[end].first) if end < len(leaves) else len(keys)
        found.append((start, end, {key: edits[key] for key in keys[low:high]}))
    return found
