"""Headers of rpm packages: what is read, and what is refused."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats import rpmtags as tags
from pkgd.formats.rpmheader import MAGIC, Header, read_exactly, read_header
from tests.formats.rpms import Value, binary, header, i18n, int16, int32, int64, reader, string, strings
from tests.properties import bounded

FREE = 7000
"""A tag that rpm gives no meaning, and which may have any type."""


def read(raw: bytes, region: int = tags.REGION_IMMUTABLE, **more: Any) -> Header:
    """Read a header that is at the beginning of a file."""
    return read_header(reader(raw), 0, len(raw), region, **more)


def parts(raw: bytes) -> tuple[list[list[int]], bytearray]:
    """Records and data of a header, to be changed."""
    entries = int.from_bytes(raw[8:12], "big")
    records = [list(struct.unpack_from(">4I", raw, 16 + 16 * number)) for number in range(entries)]
    return records, bytearray(raw[16 + 16 * entries :])


def joined(records: list[list[int]], data: bytes) -> bytes:
    """A header of records and data."""
    return (
        MAGIC + struct.pack(">II", len(records), len(data)) + b"".join(struct.pack(">4I", *r) for r in records) + data
    )


class ValueTests(SynchronousTestCase):
    """What is taken out of a header."""

    def test_numbers(self) -> None:
        """Numbers of every size."""
        found = read(header({FREE: int16(1, 65535), FREE + 1: int32(7, 0xFFFFFFFF), FREE + 2: int64(1 << 40)}))

        self.assertEqual([found.numbers(FREE + one) for one in range(3)], [(1, 65535), (7, 0xFFFFFFFF), (1 << 40,)])
        self.assertEqual([found.number(FREE + one) for one in range(3)], [1, 7, 1 << 40])

    def test_strings(self) -> None:
        """Arrays of strings, empty ones included, whatever padding follows them."""
        found = read(header({FREE: strings("a", "", "bc", ""), FREE + 1: int64(1)}))

        self.assertEqual(found.strings(FREE), [b"a", b"", b"bc", b""])
        self.assertEqual(found.strings(FREE, 2), [b"a", b""])
        self.assertEqual(found.count(FREE), 4)

    def test_text(self) -> None:
        """Of translations the first is read, and of an array nothing but its only string."""
        values = {FREE: string("one"), FREE + 1: i18n("C", "de"), FREE + 2: strings("x"), FREE + 3: strings("x", "y")}
        found = read(header(values))

        self.assertEqual([found.text(FREE + one) for one in range(4)], ["one", "C", "x", ""])

    def test_binary(self) -> None:
        """Bytes as they are."""
        self.assertEqual(read(header({FREE: binary(b"\0\1\2")})).binary(FREE), b"\0\1\2")

    def test_absent(self) -> None:
        """What isn't there has no value."""
        found = read(header({FREE: string("")}))

        self.assertNotIn(FREE + 1, found)
        self.assertEqual((found.text(FREE + 1), found.number(FREE + 1), found.numbers(FREE + 1)), ("", None, ()))
        self.assertEqual((found.strings(FREE + 1), found.binary(FREE + 1), found.count(FREE + 1)), ([], b"", 0))

    def test_other_type(self) -> None:
        """A value is not read as what it isn't."""
        found = read(header({FREE: string("a"), FREE + 1: int32(1)}))

        for wrong in (
            lambda: found.numbers(FREE),
            lambda: found.number(FREE),
            lambda: found.binary(FREE),
            lambda: found.text(FREE + 1),
            lambda: found.strings(FREE + 1),
        ):
            self.assertRaises(InvalidPackage, wrong)

    def test_place(self) -> None:
        """A header knows where in the file it is."""
        raw = header({FREE: string("a")})

        found = read_header(reader(b"12345678" + raw + b"rest"), 8, len(raw) + 12, tags.REGION_IMMUTABLE)

        self.assertEqual((found.start, found.end, found.raw), (8, 8 + len(raw), raw))


class RegionTests(SynchronousTestCase):
    """What the region says."""

    def test_none(self) -> None:
        """Packages of rpm 3 have none."""
        found = read(header({FREE: string("a")}, region=0))

        self.assertEqual((found.region, found.text(FREE)), (0, "a"))

    def test_entries_behind(self) -> None:
        """A signing tool may have added entries behind the region of a signature header; they replace others."""
        records, data = parts(header({FREE: string("old"), FREE + 1: string("b")}, tags.REGION_SIGNATURES))
        records.append([FREE, tags.STRING, len(data), 1])

        found = read(joined(records, data + b"new\0"), tags.REGION_SIGNATURES)

        self.assertEqual((found.text(FREE), found.text(FREE + 1)), ("new", "b"))

    def test_nothing_behind(self) -> None:
        """The region of the header proper covers all of it."""
        records, data = parts(header({FREE: string("a")}))
        records.append([FREE + 1, tags.STRING, len(data), 1])

        self.assertRaises(InvalidPackage, read, joined(records, data + b"b\0"))

    def test_old_trailer(self) -> None:
        """Some tool wrote another tag into the trailer of signature headers, which rpm forgives."""
        raw = bytearray(header({FREE: string("a")}, tags.REGION_SIGNATURES))
        raw[-13] = tags.REGION_IMAGE

        self.assertEqual(read(bytes(raw), tags.REGION_SIGNATURES).text(FREE), "a")

    def test_malformed(self) -> None:
        """A region has one type, one size, and a trailer where its entries end that counts them."""
        for field, value in ((1, tags.STRING), (3, 15), (2, 0), (2, 0xFFFFFFF0)):
            records, data = parts(header({FREE: string("ab")}))
            records[0][field] = value
            self.assertRaises(InvalidPackage, read, joined(records, data))
        for at, value in ((-13, 62), (-9, 6), (-5, 0), (-5, 0xD0), (-1, 15)):
            raw = bytearray(header({FREE: string("ab")}))
            raw[at] = value
            self.assertRaises(InvalidPackage, read, bytes(raw))

    def test_wrong_region(self) -> None:
        """The regions of the two headers are not interchangeable."""
        self.assertRaises(InvalidPackage, read, header({FREE: string("a")}, tags.REGION_SIGNATURES))
        self.assertRaises(InvalidPackage, read, header({FREE: string("a")}), tags.REGION_SIGNATURES)


class StructureTests(SynchronousTestCase):
    """What has to be true of every header."""

    def setUp(self) -> None:
        """One value of each kind, with padding between them."""
        values = {
            FREE: string("a"),
            FREE + 1: int32(1, 2),
            FREE + 2: strings("a", "b"),
            FREE + 3: int64(1),
            FREE + 4: binary(b"x"),
        }
        self.records, self.data = parts(header(values))

    def assert_refused(self, number: int, field: int, value: int) -> None:
        """A record with this value in this field is refused."""
        records = [list(record) for record in self.records]
        records[number][field] = value
        self.assertRaises(InvalidPackage, read, joined(records, self.data))

    def test_whole(self) -> None:
        """Unchanged, it is read."""
        self.assertEqual(read(joined(self.records, self.data)).strings(FREE + 2), [b"a", b"b"])

    def test_tags(self) -> None:
        """Tags come once, and neither below 100, where regions are, nor above what rpm can hold."""
        for tag in (0, 62, 63, 99, FREE, 1 << 31):
            self.assert_refused(2, 0, tag)

    def test_types(self) -> None:
        """There are nine types."""
        for kind in (0, 10, 0xFFFFFFFF):
            self.assert_refused(1, 1, kind)

    def test_known_tags(self) -> None:
        """A tag that rpm knows has the type that rpm knows, though strings may be of any kind."""
        self.assertRaises(InvalidPackage, read, header({tags.NAME: int32(1)}))
        self.assertRaises(InvalidPackage, read, header({tags.EPOCH: string("1")}))
        self.assertEqual(read(header({tags.NAME: strings("a")})).text(tags.NAME), "a")

    def test_offsets(self) -> None:
        """Values follow each other: no gap, no overlap, nothing beyond the end, nothing unaligned."""
        for number in range(1, len(self.records)):
            right = self.records[number][2]
            for offset in (right + 1, right + 8, right - 1, len(self.data), 0xFFFFFFFF, 0x7FFFFFFF):
                self.assert_refused(number, 2, offset & 0xFFFFFFFF)

    def test_counts(self) -> None:
        """As many items as there are: none is too few, and all end before the next value."""
        for number in range(1, len(self.records)):
            for count in (0, self.records[number][3] + 1, 0x100000, 0xFFFFFFFF):
                self.assert_refused(number, 3, count)
        self.assert_refused(3, 3, 1)

    def test_unterminated(self) -> None:
        """Strings end with a NUL within their value."""
        records, data = parts(header({FREE: string("abc")}))
        data[3] = ord("d")

        self.assertRaises(InvalidPackage, read, joined(records, data))

    def test_padding(self) -> None:
        """Between values there are only NULs."""
        records, data = parts(header({FREE: strings("a", "b", "c"), FREE + 1: int64(1)}))
        data[7] = 1

        self.assertRaises(InvalidPackage, read, joined(records, data))

    def test_trailing_data(self) -> None:
        """The data ends with the last value."""
        records, data = parts(header({FREE: string("a")}, region=0))

        self.assertRaises(InvalidPackage, read, joined(records, data + b"\0"))

    def test_magic(self) -> None:
        """A header begins with its magic, reserved bytes included."""
        raw = joined(self.records, self.data)
        for at in range(8):
            self.assertRaises(InvalidPackage, read, raw[:at] + b"\x55" + raw[at + 1 :])

    def test_short(self) -> None:
        """A file that ends within the header is refused, wherever it ends."""
        raw = joined(self.records, self.data)
        for size in range(len(raw)):
            self.assertRaises(InvalidPackage, read, raw[:size])


class LimitTests(SynchronousTestCase):
    """Nothing is read that is larger than it may be."""

    def sizes_read(self, raw: bytes, size: int, **more: Any) -> list[int]:
        """How many bytes were asked for until the header was refused, the file claiming to be of that size."""
        asked = list[int]()

        def read_at(offset: int, size: int) -> bytes:
            asked.append(size)
            return raw[offset : offset + size]

        region = more.pop("region", tags.REGION_IMMUTABLE)
        self.assertRaises(InvalidPackage, read_header, read_at, 0, size, region, **more)
        return asked

    def test_data(self) -> None:
        """More data than the limit is refused by its size alone."""
        raw = header({FREE: string("a" * 100)})

        self.assertEqual(self.sizes_read(raw, len(raw), max_data=100), [16])

    def test_entries(self) -> None:
        """So are more entries than rpm has, which is few in signature headers."""
        for count, region in (
            (0x10000, tags.REGION_IMMUTABLE),
            (33, tags.REGION_SIGNATURES),
            (0, tags.REGION_IMMUTABLE),
        ):
            raw = MAGIC + struct.pack(">II", count, 16)
            self.assertEqual(self.sizes_read(raw, 1 << 30, region=region), [16])

    def test_beyond_the_file(self) -> None:
        """And what the file is too short for."""
        self.assertEqual(self.sizes_read(MAGIC + struct.pack(">II", 100, 1 << 20), 1 << 20), [16])


class ReadExactlyTests(SynchronousTestCase):
    """Reading from files that give less than asked for."""

    def test_pieces(self) -> None:
        """What comes in pieces is put together."""
        self.assertEqual(read_exactly(lambda offset, size: b"abcdef"[offset : offset + 1], 1, 4, "x"), b"bcde")

    def test_end(self) -> None:
        """An early end is an invalid package."""
        self.assertRaises(InvalidPackage, read_exactly, reader(b"abc"), 1, 3, "x")


VALUES = st.one_of(
    st.binary(min_size=1, max_size=6).map(binary),
    st.lists(st.sampled_from(["", "a", "bc"]), min_size=1, max_size=4).map(lambda some: strings(*some)),
    st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=3).map(lambda some: int16(*some)),
    st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=3).map(lambda some: int64(*some)),
)


class HostileTests(SynchronousTestCase):
    """Whatever the bytes are, there is a header or InvalidPackage."""

    @bounded
    @given(st.dictionaries(st.integers(FREE, FREE + 20), VALUES, min_size=1), st.booleans())
    def test_round_trip(self, values: dict[int, Value], has_region: bool) -> None:
        """What is written is read."""
        found = read(header(values, tags.REGION_IMMUTABLE if has_region else 0))

        self.assertEqual(
            {tag: found.value(tag) for tag in found.entries}, {tag: one.data for tag, one in values.items()}
        )

    @bounded
    @given(st.dictionaries(st.integers(FREE, FREE + 9), VALUES, min_size=1), st.data())
    def test_changed(self, values: dict[int, Value], data: st.DataObject) -> None:
        """Changed bytes make another header or an invalid one, and every value of it can be asked for."""
        raw = bytearray(header(values))
        for at, value in data.draw(st.lists(st.tuples(st.integers(8, len(raw) - 1), st.integers(0, 255)), max_size=4)):
            raw[at] = value
        try:
            found = read(bytes(raw))
            for tag in found.entries:
                found.text(tag)
        except InvalidPackage:
            return
        self.assertTrue(all(0 <= entry.start <= entry.end <= len(raw) for entry in found.entries.values()))

    @bounded
    @given(st.binary(max_size=200))
    def test_anything(self, rest: bytes) -> None:
        """Nor do any other bytes do harm."""
        for raw in (rest, MAGIC + struct.pack(">II", 2, max(0, len(rest) - 32)) + rest):
            try:
                read(raw)
            except InvalidPackage:
                continue
