"""ASCII armor (RFC 4880, 6)."""

from __future__ import annotations

import base64
import binascii
import re

from pkgd.errors import InvalidKey

__all__ = ["armored", "dearmored"]

_BLOCK = re.compile(
    rb"-----BEGIN PGP ([A-Z ]+)-----[ \t]*\r?\n(?:[!-~][^\r\n]*\r?\n)*[ \t]*\r?\n"
    rb"([A-Za-z0-9+/=\s]+?)-----END PGP \1-----"
)
_CHECKSUM = re.compile(rb"(?s)^(.*?)\s*=([A-Za-z0-9+/]{4})\s*$")


def armored(data: bytes, kind: str) -> bytes:
    """The data as text; `kind` is such as `SIGNATURE`, or `PUBLIC KEY BLOCK`."""
    text = base64.b64encode(data).decode("ascii")
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    checksum = base64.b64encode(_crc24(data).to_bytes(3, "big")).decode("ascii")
    block = [f"-----BEGIN PGP {kind}-----", "", *lines, f"={checksum}", f"-----END PGP {kind}-----", ""]
    return "\n".join(block).encode("ascii")


def dearmored(data: bytes) -> bytes:
    """The packets in one or more blocks of armor; what is not armored at all is returned as it is.

    :raises InvalidKey: if a block is damaged.
    """
    if b"-----BEGIN PGP " not in data:
        return data
    blocks = _BLOCK.findall(data)
    if not blocks:
        raise InvalidKey("", "the armor is damaged")
    return b"".join(_decode(text) for _, text in blocks)


def _decode(text: bytes) -> bytes:
    checked = _CHECKSUM.fullmatch(text)
    body, checksum = (checked[1], checked[2]) if checked else (text, None)
    try:
        data = base64.b64decode(re.sub(rb"\s", b"", body), validate=True)
        stated = None if checksum is None else int.from_bytes(base64.b64decode(checksum), "big")
    except binascii.Error:
        raise InvalidKey("", "the armor is damaged") from None
    if stated is not None and stated != _crc24(data):
        raise InvalidKey("", "the armor is damaged: its checksum is wrong")
    return data


def _crc24(data: bytes) -> int:
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc
