"""Bytes out of compressed bytes, a piece at a time and never more than was agreed to.

Everything that a hostile stream can ask for is bounded on the expanded side: bytes, frames that follow each
other, and the memory of the window; a stream that is cut is an error, and so is anything that follows it.
"""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Iterator
from typing import Protocol

from attrs import define

from pkgd.errors import InvalidPackage

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["COMPRESSIONS", "expand"]

_PIECE = 64 * 1024
_MAX_FRAMES = 4096
_LZMA_MEMORY = 128 * 1024 * 1024
_ZSTD_WINDOW_LOG = 27

_CORRUPT = (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, EOFError, ValueError, MemoryError)


class _Decompressor(Protocol):
    """What bz2, lzma and zstd have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """One member of a gzip file, with the methods that the others have."""

    def __init__(self) -> None:
        self._inflating = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inflating.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflating.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inflating.decompress(self._inflating.unconsumed_tail + data, max_length)


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY)


def _lzma() -> _Decompressor:
    return lzma.LZMADecompressor(format=lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY)


def _zstd() -> _Decompressor:
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
    return zstd.ZstdDecompressor(options=options)


_DECOMPRESSORS = {"gz": _Gzip, "xz": _xz, "lzma": _lzma, "bz2": bz2.BZ2Decompressor, "zst": _zstd}
# By the ending of a file's name; "" is none at all.
COMPRESSIONS = frozenset(["", *_DECOMPRESSORS])


@define
class _Budget:
    """How many bytes may still come out."""

    limit: int
    left: int

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise InvalidPackage("archive", f"it expands to more than {self.limit} bytes")


def expand(pieces: Iterator[bytes], compression: str, limit: int) -> Iterator[bytes]:
    """The bytes that a stream expands to, in pieces of at most 64 KiB.

    :param pieces: of the stream; none is asked for before it is needed.
    :param compression: one of `COMPRESSIONS`.
    :param limit: how many bytes may come out.
    :raises InvalidPackage: if the stream is not what it is said to be, is cut, or asks for too much.
    """
    budget = _Budget(limit, limit)
    expanded = _frames(pieces, compression) if compression else pieces
    for piece in expanded:
        budget.spend(len(piece))
        yield piece


def _frames(pieces: Iterator[bytes], compression: str) -> Iterator[bytes]:
    """Frame after frame, until the pieces end where a frame does."""
    data = next(pieces, b"")
    for _ in range(_MAX_FRAMES):
        frame = _DECOMPRESSORS[compression]()
        while not frame.eof:
            try:
                piece = frame.decompress(data, _PIECE)
            except _CORRUPT as error:
                raise InvalidPackage(
                    "archive", f"its {compression} stream is damaged or needs too much memory"
                ) from error
            data = b""
            if piece:
                yield piece
            elif not frame.eof and not (data := next(pieces, b"")):
                raise InvalidPackage("archive", f"its {compression} stream is cut")
        data = frame.unused_data or next(pieces, b"")
        if not data:
            return
    raise InvalidPackage("archive", f"its {compression} stream has more than {_MAX_FRAMES} frames")
