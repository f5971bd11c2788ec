"""Leaves: the pieces of an ordered map of packages, each a few hundred entries whose text is compressed once.

An entry has a key and one text for each part of the index: one for apt's Packages, three for primary, filelists
and other of rpm, which are cut at the same places. A leaf's keys are read from its own text, so the published
files are the only record there is.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Protocol

from attrs import field, frozen

from pkgd.errors import FailedStorage
from pkgd.packages.forms import compress, read_unpadded

__all__ = [
    "PACKAGES_CUT",
    "Cut",
    "Edit",
    "Edits",
    "Entry",
    "Key",
    "Leaf",
    "LeafPart",
    "Made",
    "Patch",
    "PlainShape",
    "Shape",
    "Texts",
]
__all__ += ["make_leaves", "parse", "position", "rows_of", "runs"]

Key = tuple[str, ...]
# One text for each part.
Texts = tuple[bytes, ...]
Entry = tuple[Key, Texts]


class Patch(Protocol):
    """An edit that depends on what is there."""

    @property
    def may_remove(self) -> bool:
        """Whether the entry may go."""

    def __call__(self, present: Texts | None) -> Texts | None:
        """What becomes of an entry's texts; None for one that isn't there, or goes."""


# New texts, or None for what goes.
Edit = Texts | None | Patch
Edits = Mapping[Key, Edit]

MOST = 256
USUAL = 176
LEAST = 48
# Long lists of files are cut at fewer packages.
MOST_BYTES = 1 << 20


@frozen
class Cut:
    """How large leaves are: in entries, and in bytes."""

    most: int = MOST
    usual: int = USUAL
    least: int = LEAST
    most_bytes: int = MOST_BYTES


PACKAGES_CUT = Cut()


class Shape(Protocol):
    """What kind of index it is."""

    @property
    def cut(self) -> Cut:
        """How large its leaves are."""

    @property
    def keeps_texts(self) -> bool:
        """Whether the texts of leaves are kept in memory, too: where entries are looked up often."""

    @property
    def parts(self) -> Sequence[str]:
        """What its entries have texts for."""

    @property
    def forms(self) -> Sequence[str]:
        """Compressed forms, at least one; the plain text is always among the files."""

    def head(self, part: str, count: int) -> bytes:
        """The text before the entries."""

    def tail(self, part: str) -> bytes:
        """The text behind them."""

    def split(self, text: bytes) -> list[bytes]:
        """The texts of a leaf, one an entry."""

    def key(self, text: bytes) -> Key:
        """The key of an entry, by its text of the first part."""


@frozen
class PlainShape:
    """What shapes have in common whose entries have one text each, with nothing before or behind them."""

    forms: Sequence[str]
    parts: Sequence[str] = ("",)
    cut: Cut = PACKAGES_CUT
    keeps_texts: bool = True

    def head(self, part: str, count: int) -> bytes:
        """See `Shape.head`."""
        return b""

    def tail(self, part: str) -> bytes:
        """See `Shape.tail`."""
        return b""


@frozen
class LeafPart:
    """A leaf's text of one part: its name in the store, its size, and those of its forms, as `forms.piece` has them."""

    name: str
    size: int
    forms: Mapping[str, int] = field(hash=False)


@frozen
class Leaf:
    """A leaf: its first key, how many entries it has, and its parts."""

    first: Key
    count: int
    parts: tuple[LeafPart, ...]


@frozen
class Made:
    """A new leaf, and its files by name and form; what is under "" is only kept in memory."""

    leaf: Leaf
    files: Mapping[tuple[str, str], bytes] = field(repr=False)


def rows_of(shape: Shape, texts: Sequence[bytes]) -> list[Texts]:
    """The texts of a leaf's entries, in the order of their keys.

    :raises FailedStorage: if its parts don't fit each other.
    """
    columns = [shape.split(text) for text in texts]
    if len({len(column) for column in columns}) != 1:
        raise FailedStorage("a leaf of an index whose parts have different entries")
    return list(zip(*columns, strict=True))


def position(shape: Shape, rows: Sequence[Texts], key: Key) -> int:
    """Where in a leaf an entry is, or would be. Only the keys on the way are read: all of them take their time.

    :raises FailedStorage: if an entry isn't what it should be.
    """
    return bisect_left(rows, key, key=lambda row: shape.key(row[0]))


def parse(shape: Shape, rows: Sequence[Texts]) -> list[Entry]:
    """The entries of a leaf.

    :raises FailedStorage: if one isn't what it should be.
    """
    return [(shape.key(row[0]), row) for row in rows]


def runs(leaves: Sequence[Leaf], keys: Sequence[Key], removals: int, least: int = LEAST) -> list[tuple[int, int]]:
    """The leaves that edits touch, as ranges; leaves that may become too small are joined by a neighbour.

    :param keys: those that are edited, sorted.
    :param removals: how many of them may go.
    :param least: what is too small.
    """
    if not leaves:
        return [(0, 0)]
    firsts = [leaf.first for leaf in leaves]
    touched = sorted({max(bisect_right(firsts, key) - 1, 0) for key in keys})
    found: list[tuple[int, int]] = []
    for at in touched:
        start, end = at, at + 1
        if removals and leaves[at].count - removals < least and len(leaves) > 1:
            start, end = (at, at + 2) if at + 1 < len(leaves) else (at - 1, at + 1)
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def make_leaves(shape: Shape, generation: int, old: Sequence[Texts], edits: Edits) -> list[Made]:
    """The leaves that come of some rows after the edits."""

    @cache
    def key_at(at: int) -> Key:
        return shape.key(old[at][0])

    rows: list[Texts] = []
    done = 0
    for key, edit in sorted(edits.items()):
        at = bisect_left(range(len(old)), key, done, key=key_at)
        rows += old[done:at]
        is_there = at < len(old) and key_at(at) == key
        texts = edit(old[at] if is_there else None) if callable(edit) else edit
        if texts is not None:
            rows.append(texts)
        done = at + is_there
    rows += old[done:]
    return [_make(shape, generation, group) for group in _groups(rows, shape.cut)]


def _groups(rows: Sequence[Texts], cut: Cut) -> Iterator[Sequence[Texts]]:
    """Rows in groups of about the same size, none too large."""
    if not rows:
        return
    size = sum(len(text) for texts in rows for text in texts)
    if len(rows) == 1 or (len(rows) <= cut.most and size <= cut.most_bytes):
        yield rows
        return
    pieces = max(2, -(-len(rows) // cut.usual)) if len(rows) > cut.most else 2
    for number in range(pieces):
        start, end = (len(rows) * at // pieces for at in (number, number + 1))
        yield from _groups(rows[start:end], cut)


def _make(shape: Shape, generation: int, rows: Sequence[Texts]) -> Made:
    files: dict[tuple[str, str], bytes] = {}
    parts = [make_part(shape.forms, generation, b"".join(column), files) for column in zip(*rows, strict=True)]
    return Made(Leaf(shape.key(rows[0][0]), len(rows), tuple(parts)), files)


def make_part(forms: Sequence[str], generation: int, text: bytes, files: dict[tuple[str, str], bytes]) -> LeafPart:
    """One part of a new leaf; its files are added to `files`."""
    name = f"{generation}-{hashlib.sha256(text).hexdigest()}"
    files[name, ""] = text
    sizes = {}
    for form in forms:
        data = files[name, form] = compress(form, text)
        sizes[form] = read_unpadded(data) if form == "xz" else len(data)
    return LeafPart(name, len(text), sizes)
