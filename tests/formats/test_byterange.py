"""Ranges of downloads and of upload chunks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidUpload, UnsatisfiableRange
from pkgd.formats.byterange import MAX_RANGES, ByteRange, parse_chunk_range, parse_ranges
from tests.properties import ANY_TEXT, bounded

SIZES = st.integers(0, 5000)
HEADERS = ANY_TEXT | st.text("0123456789-,= bytes", max_size=40).map("bytes={}".format)


class RangeTests(SynchronousTestCase):
    """`Range` of a download (RFC 9110, 14.1.2), against a known size."""

    def test_one(self) -> None:
        """Each form of a range is resolved against the size, and clamped to it."""
        forms = {
            "bytes=0-0": ByteRange(0, 1),
            "bytes=500-1499": ByteRange(500, 1500),
            "bytes=500-": ByteRange(500, 2048),
            "bytes=-500": ByteRange(1548, 2048),
            "bytes=-5000": ByteRange(0, 2048),
            "bytes=2000-5000": ByteRange(2000, 2048),
            "bytes=2047-": ByteRange(2047, 2048),
            "BYTES=1-2": ByteRange(1, 3),
            " bytes=1-2 ": ByteRange(1, 3),
            f"bytes=0-{'9' * 40}": ByteRange(0, 2048),
        }
        for header, span in forms.items():
            self.assertEqual(parse_ranges(header, 2048), [span], header)

    def test_several(self) -> None:
        """Several ranges keep the client's order; those that name no byte are left out."""
        found = parse_ranges("bytes=10-19, 0-1 ,,5000-,-1", 100)

        self.assertEqual(found, [ByteRange(10, 20), ByteRange(0, 2), ByteRange(99, 100)])

    def test_unsatisfiable(self) -> None:
        """Ranges that name no byte at all are refused, with the size."""
        for header in ("bytes=500-0", "bytes=5000-10000", "bytes=2048-", "bytes=-0", "bytes=9-8,7-6"):
            error = self.assertRaises(UnsatisfiableRange, parse_ranges, header, 2048)
            self.assertEqual(error.size, 2048)

    def test_empty_content(self) -> None:
        """Empty content satisfies no range."""
        for header in ("bytes=0-", "bytes=0-0", "bytes=-1"):
            self.assertRaises(UnsatisfiableRange, parse_ranges, header, 0)

    def test_ignored(self) -> None:
        """Another unit, or what is no range, is ignored: the whole content is the answer."""
        headers = ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes=1-2-3", "bytes=1-2,x", "items=0-1"]
        for header in [
            *headers,
            "bytes 0-1",
            "bytes=+1-2",
            "bytes=0x1-2",
            "bytes=١-٢",
            "bytes=1-2\n3",
            f"bytes=0-{'9' * 41}",
        ]:
            self.assertIsNone(parse_ranges(header, 2048), header)

    def test_too_many(self) -> None:
        """As many ranges as a client of zstd:chunked layers sends are served, more are refused."""
        fits = "bytes=" + ",".join("0-0" for _ in range(MAX_RANGES))

        self.assertEqual(len(parse_ranges(fits, 2048) or []), MAX_RANGES)
        self.assertRaises(UnsatisfiableRange, parse_ranges, fits + ",0-0", 2048)

    def test_multiplying_overlap(self) -> None:
        """Overlapping ranges that would multiply the traffic are refused (RFC 9110, 17.15)."""
        self.assertEqual(parse_ranges("bytes=0-,0-", 100_000), [ByteRange(0, 100_000)] * 2)
        self.assertRaises(UnsatisfiableRange, parse_ranges, "bytes=0-,0-,0-", 100_000)

    @bounded
    @given(HEADERS, SIZES)
    def test_any_header(self, header: str, size: int) -> None:
        """Any header is ignored, refused, or gives ranges within the content, not much more than twice it."""
        try:
            found = parse_ranges(header, size)
        except UnsatisfiableRange:
            return
        if found is not None:
            self.assertTrue(found)
            self.assertTrue(all(0 <= one.start < one.end <= size for one in found))
            self.assertLessEqual(sum(one.size for one in found), 2 * size + MAX_RANGES)

    @bounded
    @given(st.integers(0, 60), st.integers(0, 60), st.binary(min_size=1, max_size=50))
    def test_like_a_slice(self, first: int, last: int, content: bytes) -> None:
        """`first-last` is the slice from first to last, inclusive; refused exactly where that is empty."""
        expected = content[first : last + 1]

        try:
            found = parse_ranges(f"bytes={first}-{last}", len(content)) or []
        except UnsatisfiableRange:
            self.assertEqual(expected, b"")
        else:
            self.assertEqual([content[one.start : one.end] for one in found], [expected])


class ChunkRangeTests(SynchronousTestCase):
    """`Content-Range` of an upload chunk: `<start>-<end>`, inclusive."""

    def test_range(self) -> None:
        """Both ends are inclusive on the wire, the end is exclusive in the value."""
        self.assertEqual(parse_chunk_range("0-0"), ByteRange(0, 1))
        self.assertEqual(parse_chunk_range("1024-2047"), ByteRange(1024, 2048))
        self.assertEqual(parse_chunk_range("0-1023").size, 1024)

    def test_other_forms(self) -> None:
        """A unit, a total, white space, a sign, a reversed or an open range is refused."""
        forms = ["", "-", "0-", "-5", "5", "bytes 0-5", "bytes=0-5", "0-5/10", "0-5/*", " 0-5", "0-5 ", "0 - 5", "5-4"]
        for form in [*forms, "+0-5", "0--5", "0-5\n", "0-5,6-7", "0x0-0x5", "٠-٥", "1e3-2e3", "0-" + "9" * 20, "*"]:
            self.assertRaises(InvalidUpload, parse_chunk_range, form)

    @bounded
    @given(ANY_TEXT | st.text("0123456789-", max_size=25))
    def test_any_header(self, header: str) -> None:
        """Any header is refused as InvalidUpload, or names at least one byte."""
        try:
            found = parse_chunk_range(header)
        except InvalidUpload:
            return
        self.assertEqual([int(part) for part in header.split("-")], [found.start, found.end - 1])
        self.assertGreater(found.size, 0)
