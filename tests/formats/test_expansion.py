"""Bytes out of compressed bytes: exact, and never more than was agreed to."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats.expansion import COMPRESSIONS, expand
from tests.formats.debs import COMPRESSORS

PACKED = sorted(COMPRESSIONS - {""})
# Those that may be written as several streams one behind the other.
JOINED = sorted(COMPRESSIONS - {"", "lzma"})


def cut(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def whole(data: bytes, compression: str, limit: int = 1 << 20) -> bytes:
    return b"".join(expand(cut(data, 1000), compression, limit))


class ExpandTests(SynchronousTestCase):
    """Each compression that dpkg has written."""

    def test_round_trip(self) -> None:
        """What was packed comes out, however the stream is cut into pieces."""
        data = bytes(range(256)) * 300
        for compression in sorted(COMPRESSIONS):
            packed = COMPRESSORS[compression](data)
            for size in (1, 7, 4096, len(packed)):
                self.assertEqual(b"".join(expand(cut(packed, size), compression, len(data))), data, compression)

    def test_nothing(self) -> None:
        """A stream of nothing expands to nothing; no stream at all is cut."""
        for compression in PACKED:
            self.assertEqual(whole(COMPRESSORS[compression](b""), compression), b"")
            self.assertRaises(InvalidPackage, whole, b"", compression)

    def test_frames(self) -> None:
        """Streams that follow each other are read as one, and counted as one."""
        for compression in JOINED:
            packed = COMPRESSORS[compression](b"ab") + COMPRESSORS[compression](b"c")
            self.assertEqual(whole(packed, compression), b"abc", compression)
            self.assertRaises(InvalidPackage, whole, packed, compression, 2)

    def test_limit(self) -> None:
        """One byte more than agreed to is refused, before the rest is expanded."""
        for compression in sorted(COMPRESSIONS):
            packed = COMPRESSORS[compression](b"\0" * 3_000_000)
            expanded = expand(cut(packed, 1000), compression, 100_000)
            seen = 0
            with self.assertRaises(InvalidPackage):
                for piece in expanded:
                    seen += len(piece)
            self.assertLessEqual(seen, 100_000)

    def test_many_frames(self) -> None:
        """Empty frames without end are refused."""
        for compression in JOINED:
            self.assertRaises(InvalidPackage, whole, COMPRESSORS[compression](b"") * 5000, compression)

    def test_cut(self) -> None:
        """A stream that ends early is refused."""
        for compression in PACKED:
            packed = COMPRESSORS[compression](bytes(range(256)) * 10)
            for end in (1, len(packed) // 2, len(packed) - 1):
                self.assertRaises(InvalidPackage, whole, packed[:end], compression)

    def test_left_over(self) -> None:
        """Bytes behind the stream are refused."""
        for compression in PACKED:
            self.assertRaises(InvalidPackage, whole, COMPRESSORS[compression](b"abc") + b"left over", compression)

    def test_damage(self) -> None:
        """Another compression, no compression and flipped bytes are refused."""
        for compression in PACKED:
            for other in sorted(COMPRESSIONS - {compression}):
                packed = COMPRESSORS[other](b"hello" * 100)
                self.assertRaises(InvalidPackage, whole, packed, compression)

    def test_window(self) -> None:
        """A window of more memory than there is for it is refused: lzma's of 4 GiB, zstd's of 1 GiB."""
        lzma = bytearray(COMPRESSORS["lzma"](b"hello"))
        lzma[1:5] = (0xF0000000).to_bytes(4, "little")
        # Magic, a descriptor without size, a window of 2^30 bytes, one empty last block.
        zstd = b"\x28\xb5\x2f\xfd\x00\xa0\x01\x00\x00"

        self.assertRaises(InvalidPackage, whole, bytes(lzma), "lzma")
        self.assertRaises(InvalidPackage, whole, zstd, "zst")
        self.assertEqual(whole(zstd.replace(b"\xa0", b"\x88"), "zst"), b"")

    def test_forged_size(self) -> None:
        """A frame that says it has a tebibyte gets no memory for it."""
        forged = b"\x28\xb5\x2f\xfd\xe0" + (2**40).to_bytes(8, "little") + b"\x01\x00\x00"

        self.assertRaises(InvalidPackage, whole, forged, "zst")

    def test_no_more_than_needed(self) -> None:
        """Pieces behind what was taken are not asked for."""
        asked = 0

        def pieces() -> Iterator[bytes]:
            nonlocal asked
            for piece in cut(COMPRESSORS["gz"](bytes(range(256)) * 4000), 100):
                asked += 1
                yield piece

        next(expand(pieces(), "gz", 1 << 20))

        self.assertLess(asked, 5)
