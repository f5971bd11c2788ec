"""What the records of a suite or an rpm repository still say, whatever of them is missing or damaged.

The pointer, the generation that it names, its indices and their leaves say exactly what is published. Where any of
them cannot be read, the other leaves that are there are asked, each of which is known to be sound by its name: what
a leaf has is in the repository, unless a later generation that can be read has taken it out. So nothing gets lost
whose record is left anywhere; what the lost generation had taken out may come back.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Protocol

from attrs import define, evolve, field, frozen

from pkgd.errors import FailedStorage
from pkgd.packages import layout
from pkgd.packages.forms import expand
from pkgd.packages.generations import Generation, read_pointer
from pkgd.packages.indices import Index, read_index
from pkgd.packages.shelf import Shelf

__all__ = ["Recorded", "Records", "Vocabulary", "read_records"]

_LEAF = re.compile(r"([0-9]+)-([0-9a-f]{64})\.(\w+)")


@frozen
class Recorded:
    """A package that a record names: all its files, the one that is read first, its SHA-256, and when it was uploaded.

    `generation` brought the newest leaf that has it. `time` is 0 where records don't say it.
    """

    paths: tuple[str, ...]
    sha256: str
    time: int = 0
    generation: int = 0

    @property
    def path(self) -> str:
        """The file that is read first."""
        return self.paths[0]


class Vocabulary(Protocol):
    """How the texts of leaves are understood, in one kind of repository."""

    def packages(self, text: bytes) -> Iterator[Recorded]:
        """The packages that a leaf names; none if it is one of another kind.

        Raises `FailedStorage` if it is none at all.
        """

    def document(self, text: bytes) -> str | None:
        """The slot of a document that is published whole, if a leaf is one."""

    def is_document(self, slot: str) -> bool:
        """Whether an index is such a document."""


@frozen
class Records:
    """What could be read of one suite or rpm repository.

    `packages` are those that are in it, by the file that is read first; `documents` those that are published whole, by
    slot, and `lost` those slots whose document cannot be read. `paths` are all files that anything names which is to
    be kept. `whole` are the numbers of the generations of which nothing is missing, the newest one last; `newest` is
    the greatest number that anything carries.
    """

    exists: bool
    is_exact: bool
    packages: Mapping[str, Recorded] = field(repr=False)
    documents: Mapping[str, bytes] = field(repr=False)
    lost: tuple[str, ...]
    paths: frozenset[str] = field(repr=False)
    whole: tuple[int, ...]
    newest: int
    date: int
    damage: tuple[str, ...]


@define
class _Leaves:
    """What all leaves say."""

    packages: dict[str, Recorded] = field(factory=dict)
    # By slot: the generation that brought a document, and the name of its leaf.
    documents: dict[str, tuple[int, str]] = field(factory=dict)
    forms: dict[str, set[str]] = field(factory=dict)
    # Packages of leaves that the published generation names.
    published: set[str] = field(factory=set)


async def read_records(shelf: Shelf, vocabulary: Vocabulary) -> Records:
    """Read whatever there is.

    :raises Storage: if the machine doesn't let it be read; what is damaged is no reason.
    """
    return await _Reading(shelf, vocabulary).run()


class _Reading:
    def __init__(self, shelf: Shelf, vocabulary: Vocabulary) -> None:
        self._shelf = shelf
        self._vocabulary = vocabulary
        # In the order in which it was found.
        self._damage: dict[str, None] = {}
        self._newest = 0
        self._exists = False
        self._generations: dict[int, Generation] = {}
        self._indices: dict[str, Index] = {}
        # Beyond the pointer is what a crash has left half-published.
        self._last: float = float("inf")

    async def run(self) -> Records:
        pointer = await self._read_pointer()
        await self._read_generations()
        await self._read_indices()
        current = self._generations.get(pointer) if pointer is not None else None
        leaves = await self._read_leaves(self._named(current))
        self._note_missing(leaves)
        exact = current if current is not None and self._is_sound(current, leaves) else None
        packages = {path: leaves.packages[path] for path in leaves.published} if exact else self._remaining(leaves)
        whole = sorted(
            one.number for one in self._generations.values() if self._is_sound(one, leaves, in_every_form=True)
        )
        documents = await self._documents(exact, leaves)
        latest = self._generations[max(self._generations)].indices if self._generations else {}
        return Records(
            exists=self._exists,
            is_exact=exact is not None or not self._exists,
            packages=packages,
            documents=documents,
            lost=tuple(one for one in latest if self._vocabulary.is_document(one) and one not in documents),
            paths=frozenset(path for one in leaves.packages.values() for path in one.paths),
            whole=tuple(whole),
            newest=self._newest,
            date=max((one.date for one in self._generations.values()), default=0),
            damage=tuple(self._damage),
        )

    # -- documents --

    async def _read_pointer(self) -> int | None:
        try:
            pointer = await read_pointer(self._shelf)
        except FailedStorage:
            self._exists = True
            self._note(layout.current_key(self._shelf.base))
            return None
        if pointer is not None:
            self._exists, self._last, self._newest = True, pointer, pointer
        return pointer

    async def _read_generations(self) -> None:
        for name in await self._names(layout.generations_prefix(self._shelf.base)):
            if not name.isdigit() or not self._counts(int(name)):
                continue
            key = layout.generation_key(self._shelf.base, int(name))
            try:
                self._generations[int(name)] = Generation.decode(await self._shelf.find_json(key))
            except FailedStorage:
                self._note(key)
        if self._last != float("inf") and int(self._last) not in self._generations:
            self._note(layout.generation_key(self._shelf.base, int(self._last)))

    async def _read_indices(self) -> None:
        await self._names(layout.indices_prefix(self._shelf.base))
        for name in sorted({name for one in self._generations.values() for name in one.indices.values()}):
            key = layout.index_key(self._shelf.base, name)
            data = await self._shelf.find(key)
            try:
                if data is None:
                    raise FailedStorage("an index is missing")
                self._indices[name] = read_index(name, data)
            except FailedStorage:
                self._note(key)

    # -- leaves --

    async def _read_leaves(self, published: Collection[str]) -> _Leaves:
        found, texts = _Leaves(), set[str]()
        for file in sorted(await self._names(layout.leaves_prefix(self._shelf.base))):
            match = _LEAF.fullmatch(file)
            if match is None or not self._counts(int(match[1])):
                continue
            name, form = file.rpartition(".")[0], match[3]
            text = await self._leaf(name, form)
            if text is None:
                self._note(layout.leaf_key(self._shelf.base, name, form))
                continue
            found.forms.setdefault(name, set()).add(form)
            if name not in texts:
                texts.add(name)
                self._understand(name, text, found, name in published)
        return found

    async def _leaf(self, name: str, form: str) -> bytes | None:
        """The text of a leaf's file, or None if it is damaged."""
        data = await self._shelf.find(layout.leaf_key(self._shelf.base, name, form))
        try:
            text = expand(form, data or b"")
        except Exception:  # whatever a decompressor thinks of it
            return None
        return text if hashlib.sha256(text).hexdigest() == name.partition("-")[2] else None

    def _understand(self, name: str, text: bytes, found: _Leaves, is_published: bool) -> None:
        number = _number(name)
        for package in self._vocabulary.packages(text):
            known = found.packages.get(package.path)
            if known is None or known.generation < number:
                found.packages[package.path] = evolve(package, generation=number)
            if is_published:
                found.published.add(package.path)
        slot = self._vocabulary.document(text)
        if slot is not None:
            found.documents[slot] = max(found.documents.get(slot, (0, "")), (number, name))

    # -- conclusions --

    def _named(self, generation: Generation | None) -> set[str]:
        """The leaves of a generation, as far as its indices can be read."""
        indices = [] if generation is None else [self._indices.get(name) for name in generation.indices.values()]
        return {part.name for index in indices if index for leaf in index.leaves for part in leaf.parts}

    def _is_sound(self, generation: Generation, leaves: _Leaves, in_every_form: bool = False) -> bool:
        """Whether all of a generation can be read, each leaf in one of its forms, or in every form."""
        indices = [self._indices.get(name) for name in generation.indices.values()]
        for index in indices:
            if index is None:
                return False
            for part in (part for leaf in index.leaves for part in leaf.parts):
                readable = leaves.forms.get(part.name, set())
                if not (readable.issuperset(part.forms) if in_every_form else readable):
                    return False
        return True

    def _note_missing(self, leaves: _Leaves) -> None:
        for part in (part for index in self._indices.values() for leaf in index.leaves for part in leaf.parts):
            for form in part.forms:
                if form not in leaves.forms.get(part.name, ()):
                    self._note(layout.leaf_key(self._shelf.base, part.name, form))

    def _note(self, key: str) -> None:
        self._damage[key] = None

    def _remaining(self, leaves: _Leaves) -> dict[str, Recorded]:
        """What leaves name, but for what a later generation has taken out."""
        gone: dict[str, int] = {}
        for number, generation in self._generations.items():
            for one in generation.gone:
                for path in one.paths:
                    gone[path] = max(gone.get(path, 0), number)
        return {path: one for path, one in leaves.packages.items() if one.generation > gone.get(path, 0)}

    async def _documents(self, current: Generation | None, leaves: _Leaves) -> dict[str, bytes]:
        names = {slot: name for slot, (_, name) in leaves.documents.items()}
        if current is not None:
            names = {
                slot: self._indices[index].leaves[0].parts[0].name
                for slot, index in current.indices.items()
                if slot in names
            }
        found = {}
        for slot, name in names.items():
            text = await self._leaf(name, min(leaves.forms[name]))
            if text is not None:
                found[slot] = text
        return found

    # -- small --

    async def _names(self, prefix: str) -> list[str]:
        found = [one.name for one in await self._shelf.store.list(prefix) if not one.is_prefix]
        self._exists = self._exists or bool(found)
        self._newest = max([self._newest, *(_number(name) for name in found)])
        return found

    def _counts(self, number: int) -> bool:
        return number <= self._last


def _number(name: str) -> int:
    number = name.partition("-")[0]
    return int(number) if number.isdigit() else 0
