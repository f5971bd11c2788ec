"""Packets and the numbers in them (RFC 4880, 3 and 4)."""

from __future__ import annotations

import struct

from attrs import frozen

from pkgd.errors import InvalidKey

__all__ = [
    "MAX_BYTES",
    "PUBLIC_KEY",
    "PUBLIC_SUBKEY",
    "SECRET_KEY",
    "SECRET_SUBKEY",
    "SIGNATURE",
    "USER_ID",
    "Fields",
    "Packet",
    "mpi",
    "read_packets",
]

SIGNATURE = 2
SECRET_KEY = 5
PUBLIC_KEY = 6
SECRET_SUBKEY = 7
USER_ID = 13
PUBLIC_SUBKEY = 14

# A key with many user names and signatures has some hundred kilobytes.
MAX_BYTES = 1 << 20
MAX_PACKETS = 4096


@frozen
class Packet:
    """A tag and its body."""

    tag: int
    body: bytes

    def encode(self) -> bytes:
        """The packet, with a header in the new format."""
        size = len(self.body)
        if size < 192:
            length = bytes([size])
        elif size < 8384:
            length = bytes([((size - 192) >> 8) + 192, (size - 192) & 0xFF])
        else:
            length = b"\xff" + struct.pack(">I", size)
        return bytes([0xC0 | self.tag]) + length + self.body


class Fields:
    """Reads a body from front to back.

    Every method raises `InvalidKey` where the body ends too early.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    @property
    def at_end(self) -> bool:
        """Whether everything has been read."""
        return self.position >= len(self._data)

    @property
    def rest(self) -> bytes:
        """What has not been read."""
        return self._data[self.position :]

    def take(self, count: int) -> bytes:
        """So many bytes."""
        found = self._data[self.position : self.position + count]
        if len(found) != count:
            raise InvalidKey("", "it ends too early")
        self.position += count
        return found

    def number(self, size: int) -> int:
        """A number of so many bytes."""
        return int.from_bytes(self.take(size), "big")

    def mpi(self) -> int:
        """A multiprecision integer."""
        return int.from_bytes(self.take((self.number(2) + 7) // 8), "big")


def mpi(value: int) -> bytes:
    """A multiprecision integer, encoded."""
    return struct.pack(">H", value.bit_length()) + value.to_bytes((value.bit_length() + 7) // 8, "big")


def read_packets(data: bytes) -> list[Packet]:
    """Split a sequence of packets.

    :raises InvalidKey: if it is none, or too long.
    """
    if len(data) > MAX_BYTES:
        raise InvalidKey("", f"it has more than {MAX_BYTES} bytes")
    fields, packets = Fields(data), list[Packet]()
    while not fields.at_end:
        if len(packets) >= MAX_PACKETS:
            raise InvalidKey("", f"it has more than {MAX_PACKETS} packets")
        first = fields.number(1)
        if not first & 0x80:
            raise InvalidKey("", "it is not OpenPGP")
        if first & 0x40:
            tag, size = first & 0x3F, _new_length(fields)
        else:
            tag, size = (first >> 2) & 0x0F, _old_length(fields, first & 3)
        packets.append(Packet(tag, fields.take(size)))
    return packets


def _new_length(fields: Fields) -> int:
    first = fields.number(1)
    if first < 192:
        return first
    if first < 224:
        return ((first - 192) << 8) + fields.number(1) + 192
    if first == 255:
        return fields.number(4)
    raise InvalidKey("", "a packet of unknown length is in it")


def _old_length(fields: Fields, kind: int) -> int:
    if kind == 3:
        raise InvalidKey("", "a packet of unknown length is in it")
    return fields.number(1 << kind)
