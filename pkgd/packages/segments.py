"""A file made of segments, read as if it were one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from pkgd.errors import FailedStorage
from pkgd.packages.forms import expand
from pkgd.packages.indices import Segment
from pkgd.packages.layout import leaf_key
from pkgd.storage.interfaces import ObjectStore, Reader

__all__ = ["SegmentReader"]

# So much is opened at a time.
_AHEAD = 256 * 1024


class SegmentReader:
    """Implements `Reader`: `available` opens the leaves that are next, `read_at` reads what has been opened.

    :param base: the prefix of the suite or repository in the store.
    """

    def __init__(self, store: ObjectStore, base: str, segments: Sequence[Segment]) -> None:
        self._store = store
        self._base = base
        self._segments = segments
        self._starts = [0, *accumulate(segment.size for segment in segments)]
        self._open: dict[int, Reader] = {}
        # The last that was expanded: its number and text.
        self._expanded: tuple[int, bytes] = (-1, b"")
        self.size = self._starts[-1]

    def fileno(self) -> int | None:
        """There is none."""
        return None

    async def available(self, offset: int) -> int:
        """See `Reader.available`: up to the end of the segments that are open now."""
        if offset >= self.size:
            return self.size
        first = self._number(offset)
        for number in [one for one in self._open if one < first]:
            self._open.pop(number).close()
        last = first
        while last < len(self._segments) and (last == first or self._starts[last] < offset + _AHEAD):
            await self._prepare(last)
            last += 1
        return self._starts[last]

    def read_at(self, offset: int, size: int) -> bytes:
        """See `Reader.read_at`; less than asked for where `available` has not been called for the rest."""
        parts = []
        size = min(size, self.size - offset)
        while size > 0:
            number = self._number(offset)
            data = self._read(number, offset - self._starts[number], size)
            if data is None:
                break
            if not data:
                raise FailedStorage("a leaf of an index is shorter than it was")
            parts.append(data)
            offset, size = offset + len(data), size - len(data)
        return b"".join(parts)

    def close(self) -> None:
        """See `Reader.close`."""
        while self._open:
            self._open.popitem()[1].close()
        self._expanded = (-1, b"")

    def _number(self, offset: int) -> int:
        return bisect_right(self._starts, offset) - 1

    async def _prepare(self, number: int) -> None:
        segment = self._segments[number]
        if segment.data is None and number not in self._open:
            reader = await self._store.open(leaf_key(self._base, segment.leaf, segment.stored))
            if reader is None:
                raise FailedStorage("a leaf of an index is missing")
            self._open[number] = reader

    def _read(self, number: int, offset: int, size: int) -> bytes | None:
        """Bytes of one segment, or None if it isn't open."""
        segment = self._segments[number]
        size = min(size, segment.size - offset)
        if segment.data is not None:
            return segment.data[offset : offset + size]
        reader = self._open.get(number)
        if reader is None:
            return None
        if segment.expanded:
            return self._text(number, reader, segment)[offset : offset + size]
        return reader.read_at(segment.offset + offset, size)

    def _text(self, number: int, reader: Reader, segment: Segment) -> bytes:
        if self._expanded[0] != number:
            data = reader.read_at(0, reader.size)
            try:
                self._expanded = (number, expand(segment.stored, data))
            except Exception as error:  # whatever a decompressor thinks of it
                raise FailedStorage("a leaf of an index is damaged") from error
        return self._expanded[1]
