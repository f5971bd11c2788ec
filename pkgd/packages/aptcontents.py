"""Contents of a suite: ordered maps of paths, which follow from what changes in Packages.

Each index of packages has one of its own beside it, but the packages of `all` are in Contents-all alone: apt reads
that one, too, since Release says of Packages only that `all` is in the others. A publish changes the lines of the
packages that come and go, whatever else is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import define, frozen

from pkgd.errors import FailedStorage, InvalidPackage
from pkgd.formats.aptcontents import contents_line, contents_location, read_contents_line
from pkgd.packages.aptindices import (
    contents_slot,
    is_contents_slot,
    is_packages_slot,
    own_architecture,
    paths_of,
    read_section,
)
from pkgd.packages.drafts import Draft, Published
from pkgd.packages.generations import Generation
from pkgd.packages.leaves import Cut, Edits, Key, PlainShape, Texts
from pkgd.packages.pathlists import PathLists

__all__ = ["Contents", "ContentsShape", "lists_contents"]

# Lines are short, and a package's paths are spread over few places: larger leaves than those of packages.
_CUT = Cut(most=1024, usual=704, least=192)


@frozen
class ContentsShape(PlainShape):
    """Contents: lines by path. Implements `Shape`."""

    cut: Cut = _CUT
    keeps_texts: bool = False

    def split(self, text: bytes) -> list[bytes]:
        """See `Shape.split`."""
        return [line + b"\n" for line in text.split(b"\n")[:-1]]

    def key(self, text: bytes) -> Key:
        """See `Shape.key`: the path, a letter for each of its bytes, whose order is kept so."""
        try:
            return _key(read_contents_line(text)[0])
        except InvalidPackage as error:
            raise FailedStorage("a leaf of an index has a line that is none") from error


@define
class _Line:
    """What becomes of the line of a path. Implements `Patch`."""

    path: bytes
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def may_remove(self) -> bool:
        """See `Patch.may_remove`."""
        return not self.added

    def __call__(self, present: Texts | None) -> Texts | None:
        """See `Patch`."""
        there = read_contents_line(present[0])[1] if present else ()
        locations = sorted({*there}.difference(self.removed).union(self.added))
        return (contents_line(self.path, locations),) if locations else None


_Lines = dict[Key, _Line]


class Contents:
    """The Contents of one suite.

    Until `is_complete` they are there without being listed: some packages may not be in them yet.
    """

    def __init__(self, forms: Sequence[str], lists: PathLists) -> None:
        self.shape = ContentsShape(tuple(forms))
        self.is_complete = False
        self._lists = lists

    def resume(self, current: Generation | None, published: Published) -> None:
        """Find out whether they are complete: if they have been listed, or if there are no packages yet."""
        packages = any(index.count for slot, index in published.indices.items() if is_packages_slot(slot))
        self.is_complete = self.is_complete or lists_contents(current) or not packages

    async def derive(self, published: Published, draft: Draft) -> Mapping[str, Edits]:
        """See `Composer.derive`. An entry that is put again as it was is taken for new: nothing comes of that but
        that its paths are sure to be there.
        """
        found: dict[str, _Lines] = {}
        for slot in filter(is_packages_slot, draft.slots):
            lines: _Lines = {}
            edits = {key: texts for key, texts in draft.edits.get(slot, {}).items() if key[2] == own_architecture(slot)}
            # What comes has the last word on lines that packages which go have, too.
            for key in [key for key, texts in edits.items() if texts is None]:
                await self._remove(lines, slot, key, published, draft)
            for texts in edits.values():
                if texts is not None:
                    await self._add(lines, texts[0])
            if edits or contents_slot(slot) not in published.slots:
                found[contents_slot(slot)] = lines
        return found

    async def _add(self, lines: _Lines, text: bytes) -> None:
        await self._lists.blocking.work(_mark, lines, await self._paths(text), _location(text), True)

    async def _remove(self, lines: _Lines, slot: str, key: Key, published: Published, draft: Draft) -> None:
        """A package goes; the paths that another version of it has stay."""
        gone = await published.find(slot, key)
        if gone is None:
            return
        location, work = _location(gone[0]), self._lists.blocking.work
        left = await work(set, await self._paths(gone[0]))
        for other, texts in await draft.named(slot, key[0]):
            if left and other[2] == key[2] and _location(texts[0]) == location:
                await work(left.difference_update, await self._paths(texts[0]))
        await work(_mark, lines, left, location, False)

    async def _paths(self, text: bytes) -> list[bytes]:
        return await self._lists.read(paths_of(text)[0])


def _mark(lines: _Lines, paths: Iterable[bytes], location: str, is_there: bool) -> None:
    """Note for each path that a package has it, or has it no more."""
    one = (location,)
    for path in paths:
        line = lines.setdefault(_key(path), _Line(path))
        if is_there:
            line.added = line.added + one if line.added else one
        else:
            line.removed = line.removed + one if line.removed else one


def lists_contents(generation: Generation | None) -> bool:
    """Whether a generation has Contents that clients know of."""
    return generation is not None and any(is_contents_slot(path) for path in generation.files)


def _key(path: bytes) -> Key:
    return (path.decode("latin-1"),)


def _location(text: bytes) -> str:
    return contents_location(*read_section(text))
