"""Headers of rpm packages: the structure that carries every value, signature header and main header alike.

    magic 8 | entries n, data d | n × (tag, type, offset, count) | d bytes of data

The first entry is the region: it points at a trailer of 16 bytes in the data, which says how many entries and
bytes are signed. In a package that is all of the main header; a signing tool may have added entries behind the
region of a signature header. Packages of rpm 3 have no region (rpm, docs/manual/format_header.md, lib/header.cc).

Values are checked when the header is read and taken out when asked for. What rpm refuses is refused here, and
rpm is exact: data lies in the order of the entries, without a gap but for alignment.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

from attrs import field, frozen

from pkgd.errors import InvalidPackage
from pkgd.formats import rpmtags as tags
from pkgd.formats.rpmtext import check_text, decode

__all__ = ["MAGIC", "MAX_DATA", "Entry", "Header", "ReadAt", "read_exactly", "read_header"]

# Offset and size to that many bytes, fewer at the end.
ReadAt = Callable[[int, int], bytes]

MAGIC = b"\x8e\xad\xe8\x01\x00\x00\x00\x00"
MAX_DATA = 32 * 1024 * 1024
_MAX_ENTRIES = 0xFFFF
_MAX_SIGNATURE_ENTRIES = 32
_MAX_COUNT = 0xFFFFF
_REGION_SIZE = 16
_FIRST_TAG = 100

_SIZES = (0, 1, 1, 2, 4, 8, 0, 1, 0, 0)
_ALIGNMENT = (1, 1, 1, 2, 4, 8, 1, 1, 1, 1)
_INTEGERS = {tags.CHAR: "B", tags.INT8: "B", tags.INT16: "H", tags.INT32: "I", tags.INT64: "Q"}
_STRINGS = frozenset([tags.STRING, tags.STRING_ARRAY, tags.I18N_STRING])
_RECORD = struct.Struct(">IIII")
_INTRO = struct.Struct(">II")


class Entry(NamedTuple):
    """Where a tag's value is: type, number of items, and its place in `Header.raw`."""

    kind: int
    items: int
    start: int
    end: int


@frozen
class Header:
    """A header as it is in the file.

    `start` and `end` are offsets in the file, padding not included; `raw` are the bytes between them, which is
    what header digests and signatures cover. `region` is 0 for packages of rpm 3.
    """

    what: str
    start: int
    raw: bytes = field(repr=False)
    region: int
    entries: Mapping[int, Entry] = field(repr=False)

    @property
    def end(self) -> int:
        """Where the file goes on."""
        return self.start + len(self.raw)

    def __contains__(self, tag: int) -> bool:
        return tag in self.entries

    def count(self, tag: int) -> int:
        """How many items a tag has."""
        entry = self.entries.get(tag)
        return entry.items if entry else 0

    def numbers(self, tag: int) -> tuple[int, ...]:
        """All numbers of a tag.

        :raises InvalidPackage: if it holds something else.
        """
        entry = self.entries.get(tag)
        if entry is None:
            return ()
        code = _INTEGERS.get(entry.kind)
        if code is None:
            raise self._unexpected(tag, "numbers")
        return struct.unpack_from(f">{entry.items}{code}", self.raw, entry.start)

    def number(self, tag: int) -> int | None:
        """The first number of a tag, if there is one.

        :raises InvalidPackage: if it holds something else.
        """
        entry = self.entries.get(tag)
        if entry is None:
            return None
        if entry.kind not in _INTEGERS:
            raise self._unexpected(tag, "numbers")
        return int.from_bytes(self.raw[entry.start : entry.start + _SIZES[entry.kind]], "big")

    def binary(self, tag: int) -> bytes:
        """The bytes of a tag.

        :raises InvalidPackage: if it holds something else.
        """
        entry = self.entries.get(tag)
        if entry is not None and entry.kind != tags.BINARY:
            raise self._unexpected(tag, "bytes")
        return self.value(tag)

    def value(self, tag: int) -> bytes:
        """A tag's value as it lies in the header, whatever its type."""
        entry = self.entries.get(tag)
        return self.raw[entry.start : entry.end] if entry else b""

    def strings(self, tag: int, limit: int = -1) -> list[bytes]:
        """The strings of a tag: all, or as many as `limit` says.

        :raises InvalidPackage: if it holds something else.
        """
        entry = self.entries.get(tag)
        if entry is None:
            return []
        if entry.kind not in _STRINGS:
            raise self._unexpected(tag, "strings")
        found = self.raw[entry.start : entry.end - 1].split(b"\0", limit)
        return found if limit < 0 else found[:limit]

    def text(self, tag: int) -> str:
        """The one string of a tag; of translations, the first, which is the untranslated one; "" if there is none.

        :raises InvalidPackage: if it holds something else, or what XML cannot carry.
        """
        entry = self.entries.get(tag)
        if entry is None or (entry.kind == tags.STRING_ARRAY and entry.items > 1):
            return ""
        if entry.kind not in _STRINGS:
            raise self._unexpected(tag, "a string")
        value = self.raw[entry.start : self.raw.index(b"\0", entry.start)]
        check_text(f"tag {tag}", value)
        return decode(value)

    def check_texts(self, *wanted: int) -> None:
        """Refuse tags whose strings XML cannot carry.

        :raises InvalidPackage: naming the tag.
        """
        for tag in wanted:
            check_text(f"tag {tag}", self.value(tag))

    def _unexpected(self, tag: int, wanted: str) -> InvalidPackage:
        return InvalidPackage(self.what, f"tag {tag} has type {self.entries[tag].kind}, expected {wanted}")


def read_exactly(read_at: ReadAt, offset: int, size: int, what: str) -> bytes:
    """Read that many bytes.

    :raises InvalidPackage: if the file is shorter.
    """
    pieces = []
    while size:
        piece = read_at(offset, size)
        if not piece:
            raise InvalidPackage(what, f"the file ends within it, at offset {offset}")
        pieces.append(piece)
        offset += len(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def read_header(read_at: ReadAt, offset: int, size: int, region: int, max_data: int = MAX_DATA) -> Header:
    """Read and check the header at an offset.

    :param size: of the file.
    :param region: `REGION_SIGNATURES` or `REGION_IMMUTABLE`: which of the two headers is expected.
    :param max_data: how many bytes of data are taken.
    :raises InvalidPackage: for anything that rpm would not read, and for what exceeds the limits.
    """
    signatures = region == tags.REGION_SIGNATURES
    what = "signature header" if signatures else "header"
    intro = read_exactly(read_at, offset, 16, what)
    if not intro.startswith(MAGIC):
        raise InvalidPackage(what, f"no header begins at offset {offset}")
    entries, data = _INTRO.unpack_from(intro, 8)
    if not 1 <= entries <= (_MAX_SIGNATURE_ENTRIES if signatures else _MAX_ENTRIES):
        raise InvalidPackage(what, f"{entries} entries are out of range")
    if data > max_data:
        raise InvalidPackage(what, f"{data} bytes are more than the limit of {max_data}")
    total = 16 + 16 * entries + data
    if offset + total > size:
        raise InvalidPackage(what, f"it ends at offset {offset + total}, the file at {size}")
    raw = read_exactly(read_at, offset, total, what)
    found_region, ours = _read_region(raw, entries, region, what)
    walked = _Walk(raw, entries, what, typed=found_region == tags.REGION_IMMUTABLE)
    return Header(what, offset, raw, found_region, walked.entries(1 if found_region else 0, ours))


def _read_region(raw: bytes, entries: int, region: int, what: str) -> tuple[int, int]:
    """Check the region: its tag, or 0 without one, and how many entries are in it."""
    tag, kind, offset, count = _RECORD.unpack_from(raw, 16)
    if tag != region:
        return 0, entries
    base = 16 + 16 * entries
    if kind != tags.BINARY or count != _REGION_SIZE or offset + _REGION_SIZE > len(raw) - base:
        raise InvalidPackage(what, "its region is malformed")
    tag, kind, back, count = struct.unpack_from(">IIiI", raw, base + offset)
    if tag == tags.REGION_IMAGE and region == tags.REGION_SIGNATURES:
        tag = region  # some old signing tool wrote this
    ours, rest = divmod(-back, 16)
    if tag != region or kind != tags.BINARY or count != _REGION_SIZE or rest or not 1 <= ours <= entries:
        raise InvalidPackage(what, "its region's trailer is malformed")
    if region == tags.REGION_IMMUTABLE and (ours != entries or offset + _REGION_SIZE != len(raw) - base):
        raise InvalidPackage(what, "its region does not cover it")
    return region, ours


class _Walk:
    """One pass over the entries: each must begin where the one before it ended."""

    def __init__(self, raw: bytes, entries: int, what: str, *, typed: bool) -> None:
        self._raw = raw
        self._base = 16 + 16 * entries
        self._records = list(_RECORD.iter_unpack(raw[16 : self._base]))
        self._what = what
        self._typed = typed

    def entries(self, first: int, ours: int) -> dict[int, Entry]:
        """Check the records from `first` on; `ours` of all are in the region, whose trailer follows their data."""
        found: dict[int, Entry] = {}
        records = self._records
        # Offsets count from the beginning of the raw header here; its data begins at a multiple of 16.
        at = self._base
        trailer = self._base + records[0][2] if first else len(self._raw)
        for number in range(first, len(records)):
            tag, kind, offset, count = records[number]
            if number == ours:
                at = self._pass_trailer(at, trailer)
            self._check(tag, kind, count)
            at += -at % _ALIGNMENT[kind]
            if self._base + offset != at:
                raise self._malformed(tag, f"is at {offset}, expected at {at - self._base}")
            if tag in found and number < ours:
                raise self._malformed(tag, "comes twice")
            limit = trailer if number < ours else len(self._raw)
            if number + 1 not in (ours, len(records)):
                limit = min(self._base + records[number + 1][2], limit)
            end = self._end(tag, kind, count, at, limit)
            found[tag] = Entry(kind, count, at, end)
            at = end
        if first and ours == len(records):
            at = self._pass_trailer(at, trailer)
        if at != len(self._raw):
            raise InvalidPackage(self._what, "its data goes on behind its last entry")
        return found

    def _pass_trailer(self, at: int, trailer: int) -> int:
        if at != trailer:
            raise InvalidPackage(self._what, "its region's trailer is not where its region ends")
        return at + _REGION_SIZE

    def _check(self, tag: int, kind: int, count: int) -> None:
        # Many versions of rpm take tags for signed.
        if not _FIRST_TAG <= tag < 1 << 31 or not tags.CHAR <= kind <= tags.I18N_STRING:
            raise self._malformed(tag, f"has type {kind}")
        if count < 1 or (count > _MAX_COUNT and kind != tags.BINARY):
            raise self._malformed(tag, f"has {count} items")
        if self._typed and kind not in tags.TYPES.get(tag, (kind,)):
            raise self._malformed(tag, f"has type {kind}")

    def _end(self, tag: int, kind: int, count: int, start: int, limit: int) -> int:
        """Where a value ends that must not reach beyond `limit`, which is where the next one begins."""
        if kind not in _STRINGS:
            end = start + count * _SIZES[kind]
            if end > limit:
                raise self._malformed(tag, "reaches beyond its place")
            return end
        if kind == tags.STRING and count != 1:
            raise self._malformed(tag, f"has {count} items")
        # Behind the last string there is only padding, which is NULs, too.
        surplus = self._raw.count(b"\0", start, limit) - count
        end = limit - surplus
        if not 0 <= surplus < 8 or self._raw[end - 1] or any(self._raw[end:limit]):
            raise self._malformed(tag, "is not as many strings as it says, each ending with a NUL")
        return end

    def _malformed(self, tag: int, reason: str) -> InvalidPackage:
        return InvalidPackage(self._what, f"tag {tag} {reason}")
