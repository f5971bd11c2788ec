"""`Range` of a download (RFC 9110, 14) and `Content-Range` of an upload chunk (distribution-spec)."""

from __future__ import annotations

import re

from attrs import frozen

from pkgd.errors import InvalidUpload, UnsatisfiableRange

__all__ = ["ByteRange", "parse_chunk_range", "parse_ranges"]

# A client such as containers-storage asks for many ranges of a zstd:chunked layer at once; more
# than this in one header is no client, and costs more than sending the whole.
MAX_RANGES = 1024

_RANGES = re.compile(r"[bB][yY][tT][eE][sS]=(.+)")
_SPEC = re.compile(r"([0-9]{0,40})-([0-9]{0,40})")
_CHUNK = re.compile(r"([0-9]{1,19})-([0-9]{1,19})")


@frozen
class ByteRange:
    """The bytes from `start` up to, not including, `end`."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """How many bytes it spans."""
        return self.end - self.start


def parse_ranges(header: str, size: int) -> list[ByteRange] | None:
    """Read a `Range` header against content of `size` bytes.

    Returns the satisfiable ranges in the client's order, or None where the header is to be
    ignored: another unit, or no range syntax at all (RFC 9110, 14.2).

    :raises UnsatisfiableRange: if it is a byte range and no part of it lies within the content.
    """
    match = _RANGES.fullmatch(header.strip())
    if not match:
        return None
    specs = [spec.strip() for spec in match[1].split(",")]
    if len(specs) > MAX_RANGES:
        raise UnsatisfiableRange(size)
    ranges = []
    for spec in filter(None, specs):
        parsed = _SPEC.fullmatch(spec)
        if not parsed or spec == "-":
            return None
        one = _resolve(parsed[1], parsed[2], size)
        if one is not None:
            ranges.append(one)
    if not ranges or sum(one.size for one in ranges) > 2 * size + MAX_RANGES:
        # The second condition is overlap made to multiply the traffic (RFC 9110, 17.15).
        raise UnsatisfiableRange(size)
    return ranges


def _resolve(first: str, last: str, size: int) -> ByteRange | None:
    """One `first-last`, `first-` or `-suffix` within the content, or None if nothing of it is."""
    if not first:
        start = max(0, size - int(last))
        return ByteRange(start, size) if start < size else None
    start = int(first)
    end = min(int(last) + 1, size) if last else size
    return ByteRange(start, end) if start < end else None


def parse_chunk_range(header: str) -> ByteRange:
    """Read the `Content-Range` of an upload: `<start>-<end>`, inclusive, no unit and no total.

    :raises InvalidUpload: if it has another form or ends before it starts.
    """
    match = _CHUNK.fullmatch(header)
    if not match or int(match[2]) < int(match[1]):
        raise InvalidUpload(header, "Content-Range must be <start>-<end>")
    return ByteRange(int(match[1]), int(match[2]) + 1)
