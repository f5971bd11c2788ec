"""Compressed forms of leaves, such that files are joined from them without compressing anything again.

Members of gzip and frames of zstd may follow each other in a file; apt, dnf and zypper read that. Of xz they read
one stream only, so a leaf is kept as a stream with one block, and the blocks are put into a stream of their own
(the .xz file format, 2.1 and 3-4).
"""

from __future__ import annotations

import gzip
import lzma
import struct
import sys
import zlib
from binascii import crc32
from collections.abc import Sequence

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["SUFFIXES", "Piece", "compress", "expand", "frame", "piece", "read_unpadded"]

# Form -> how a file of it is called; "" is the plain text.
SUFFIXES = {"": "", "gz": ".gz", "zst": ".zst", "xz": ".xz"}

_GZ_LEVEL = 6
_ZST_LEVEL = 6
_XZ_PRESET = 1
_XZ_MAGIC = b"\xfd7zXZ\0"
_XZ_FLAGS = b"\0\1"  # CRC32
_XZ_EDGE = 12  # the size of a stream's header, and of its footer

# Where in a leaf's file the bytes are that belong into the joined file: offset and size.
Piece = tuple[int, int]


def compress(form: str, text: bytes) -> bytes:
    """A leaf's file."""
    match form:
        case "gz":
            return gzip.compress(text, _GZ_LEVEL, mtime=0)
        case "zst":
            return zstd.compress(text, _ZST_LEVEL)
        case "xz":
            return lzma.compress(text, check=lzma.CHECK_CRC32, preset=_XZ_PRESET)
        case _:
            return text


def expand(form: str, data: bytes) -> bytes:
    """The text of a leaf's file.

    :raises OSError, EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError: if it is damaged.
    """
    match form:
        case "gz":
            return zlib.decompress(data, wbits=31)
        case "zst":
            return zstd.decompress(data)
        case "xz":
            return lzma.decompress(data)
        case _:
            return data


def piece(form: str, size: int) -> Piece:
    """What of a leaf's file is joined.

    :param size: of the file; for xz, of the block without its padding.
    """
    return (_XZ_EDGE, size + -size % 4) if form == "xz" else (0, size)


def read_unpadded(data: bytes) -> int:
    """The size of the one block in an xz stream, without its padding."""
    size = (struct.unpack("<I", data[-8:-4])[0] + 1) * 4
    index = data[-_XZ_EDGE - size : -_XZ_EDGE]
    return _read_number(index, 2)


def frame(form: str, leaves: Sequence[tuple[int, int]], head: bytes = b"", tail: bytes = b"") -> tuple[bytes, bytes]:
    """What stands before and behind the leaves in a joined file.

    :param leaves: of each the size as in `piece`, and that of its text.
    :param head: the text before them, `tail` that behind them; xz has none.
    """
    if form == "xz":
        return _xz_frame(leaves)
    if not form:
        return head, tail
    # Even an empty file has to be one of its kind.
    opening = compress(form, head) if head or not (leaves or tail) else b""
    return opening, compress(form, tail) if tail else b""


def _xz_frame(leaves: Sequence[tuple[int, int]]) -> tuple[bytes, bytes]:
    header = _XZ_MAGIC + _XZ_FLAGS + struct.pack("<I", crc32(_XZ_FLAGS))
    records = b"".join(_number(unpadded) + _number(plain) for unpadded, plain in leaves)
    index = b"\0" + _number(len(leaves)) + records
    index += bytes(-len(index) % 4)
    index += struct.pack("<I", crc32(index))
    footer = struct.pack("<I", len(index) // 4 - 1) + _XZ_FLAGS
    return header, index + struct.pack("<I", crc32(footer)) + footer + b"YZ"


def _number(value: int) -> bytes:
    """A multibyte integer, as the format has them."""
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _read_number(data: bytes, at: int) -> int:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value
        at, shift = at + 1, shift + 7
