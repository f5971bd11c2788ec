"""ASCII armor (RFC 4880, 6)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp.packets import MAX_BYTES

__all__ = ["armored", "dearmored"]

_BEGIN = re.compile(rb"-----BEGIN PGP (PUBLIC KEY BLOCK|PRIVATE KEY BLOCK|SIGNATURE)-----")
_DAMAGED = "the armor is damaged"
# Armored text is a third longer than its packets, and text may stand around it.
_MAX_TEXT = 2 * MAX_BYTES
_MARK = b"\xef\xbb\xbf"


def armored(data: bytes, kind: str) -> bytes:
    """The data as text; `kind` is such as `SIGNATURE`, or `PUBLIC KEY BLOCK`."""
    text = base64.b64encode(data).decode("ascii")
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    checksum = base64.b64encode(_crc24(data).to_bytes(3, "big")).decode("ascii")
    block = [f"-----BEGIN PGP {kind}-----", "", *lines, f"={checksum}", f"-----END PGP {kind}-----", ""]
    return "\n".join(block).encode("ascii")


def dearmored(data: bytes) -> bytes:
    """The packets in all blocks of armor, whatever stands around them; what is not armored is returned as it is.

    :raises InvalidKey: if a block is damaged, or it is too long.
    """
    if len(data) > _MAX_TEXT:
        raise InvalidKey("", f"it has more than {_MAX_TEXT} bytes")
    if data[:1] > b"\x7f" and not data.startswith(_MARK):
        return data  # packets begin with the highest bit set
    lines, blocks = iter(data.removeprefix(_MARK).split(b"\n")), list[bytes]()
    for line in lines:
        begin = _BEGIN.fullmatch(line.rstrip())
        if begin is not None:
            blocks.append(_block(lines, b"-----END PGP %b-----" % begin[1]))
    return b"".join(blocks) if blocks else data


def _block(lines: Iterator[bytes], end: bytes) -> bytes:
    """Decode one block, from behind its first line to its last."""
    for line in lines:
        if not line.strip():
            break
        if b": " not in line:
            raise InvalidKey("", _DAMAGED)
    text, checksum = list[bytes](), b""
    for line in lines:
        stripped = line.strip()
        if stripped == end:
            return _decoded(b"".join(text), checksum)
        if checksum:
            raise InvalidKey("", _DAMAGED)
        if stripped.startswith(b"="):
            checksum = stripped[1:]
        else:
            text.append(stripped)
    raise InvalidKey("", f"{_DAMAGED}: its end is missing")


def _decoded(text: bytes, checksum: bytes) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
        stated = base64.b64decode(checksum, validate=True)
    except binascii.Error:
        raise InvalidKey("", _DAMAGED) from None
    if checksum and stated != _crc24(data).to_bytes(3, "big"):
        raise InvalidKey("", f"{_DAMAGED}: its checksum is wrong")
    return data


def _step(value: int) -> int:
    for _ in range(8):
        value <<= 1
        if value & 0x1000000:
            value ^= 0x1864CFB
    return value


_TABLE = tuple(_step(byte << 16) for byte in range(256))


def _crc24(data: bytes) -> int:
    crc = 0xB704CE
    for byte in data:
        crc = ((crc << 8) & 0xFFFFFF) ^ _TABLE[(crc >> 16) ^ byte]
    return crc
