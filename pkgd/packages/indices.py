"""Indices: what one ordered map of packages is made of, and how its files are put together from leaves.

An index is written once and never changed. Each of its files – one for each part and form – is a beginning, the
pieces of all leaves one after the other, and an end.
"""

from __future__ import annotations

import base64
import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from pkgd.errors import FailedStorage
from pkgd.packages.forms import frame, piece
from pkgd.packages.leaves import Key, Leaf, LeafPart, Shape

__all__ = ["Index", "IndexFile", "Segment", "frames", "read_index", "segments", "write_index"]


@frozen
class IndexFile:
    """One file of an index: what is before and behind the leaves, and what is known of all of it."""

    head: bytes = field(repr=False)
    tail: bytes = field(repr=False)
    size: int
    sha256: str


@frozen
class Index:
    """An index as it was published; `forms` and `parts` are those of its shape then."""

    name: str
    parts: tuple[str, ...]
    forms: tuple[str, ...]
    leaves: tuple[Leaf, ...] = field(repr=False)
    files: Mapping[tuple[str, str], IndexFile] = field(repr=False, hash=False)

    @property
    def count(self) -> int:
        """How many entries it has."""
        return sum(leaf.count for leaf in self.leaves)

    def position(self, key: Key) -> int | None:
        """Which leaf has the key, if any has."""
        if not self.leaves:
            return None
        return max(bisect_right([leaf.first for leaf in self.leaves], key) - 1, 0)

    def positions(self, name: str) -> range:
        """Which leaves have keys that begin with the name."""
        firsts = [leaf.first for leaf in self.leaves]
        start = max(bisect_right(firsts, (name,)) - 1, 0)
        end = start
        while end < len(firsts) and (end == start or firsts[end][0] <= name):
            end += 1
        return range(start, end)


@frozen
class Segment:
    """A piece of a file: `data`, or so many bytes from `offset` of a leaf's file.

    With `form` the leaf's file is expanded first: the plain text is not stored.
    """

    size: int
    data: bytes | None = field(default=None, repr=False)
    leaf: str = ""
    stored: str = ""
    offset: int = 0
    expanded: bool = False


def frames(shape: Shape, leaves: Sequence[Leaf], part: str, form: str) -> tuple[bytes, bytes]:
    """What is before and behind the leaves in one file."""
    at = list(shape.parts).index(part)
    count = sum(leaf.count for leaf in leaves)
    sizes = [(leaf.parts[at].forms.get(form, 0), leaf.parts[at].size) for leaf in leaves]
    return frame(form, sizes, shape.head(part, count), shape.tail(part))


def segments(index: Index, part: str, form: str) -> list[Segment]:
    """What one file of an index consists of.

    :raises FailedStorage: if it has no such file.
    """
    file = index.files.get((part, form))
    if file is None:
        raise FailedStorage("an index without a file that its generation names")
    at = index.parts.index(part)
    found = [Segment(len(file.head), file.head)] if file.head else []
    found += [_segment(leaf.parts[at], form, index.forms[0]) for leaf in index.leaves]
    if file.tail:
        found.append(Segment(len(file.tail), file.tail))
    return found


def _segment(part: LeafPart, form: str, cheapest: str) -> Segment:
    if not form:
        return Segment(part.size, None, part.name, cheapest, 0, expanded=True)
    offset, size = piece(form, part.forms[form])
    return Segment(size, None, part.name, form, offset)


def write_index(index: Index, generation: int) -> tuple[str, bytes]:
    """The name that an index gets, and its bytes in the store."""
    document = {
        "parts": index.parts,
        "forms": index.forms,
        "files": [
            [part, form, _encode(one.head), _encode(one.tail), one.size, one.sha256]
            for (part, form), one in index.files.items()
        ],
        "leaves": [
            [leaf.first, leaf.count, [[one.name, one.size, *one.forms.values()] for one in leaf.parts]]
            for leaf in index.leaves
        ],
    }
    data = json.dumps(document, separators=(",", ":")).encode()
    return f"{generation}-{hashlib.sha256(data).hexdigest()}", data


def read_index(name: str, data: bytes) -> Index:
    """An index from its bytes in the store.

    :raises FailedStorage: if they are damaged.
    """
    if hashlib.sha256(data).hexdigest() != name.partition("-")[2]:
        raise FailedStorage("an index is damaged")
    found: dict[str, Any] = json.loads(data)
    forms = tuple(found["forms"])
    files = {
        (part, form): IndexFile(_decode(head), _decode(tail), size, sha256)
        for part, form, head, tail, size, sha256, *_ in found["files"]  # those of old had another hash
    }
    leaves = tuple(
        Leaf(
            tuple(first),
            count,
            tuple(LeafPart(one, size, dict(zip(forms, sizes, strict=True))) for one, size, *sizes in parts),
        )
        for first, count, parts in found["leaves"]
    )
    return Index(name, tuple(found["parts"]), forms, leaves, files)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text)
