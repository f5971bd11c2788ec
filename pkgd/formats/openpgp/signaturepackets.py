"""Signature packets, read (RFC 4880, 5.2): what they say, and whether a key has made them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping

from attrs import frozen

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp.material import HASHES, PublicMaterial
from pkgd.formats.openpgp.packets import Fields

__all__ = [
    "BINARY",
    "CERTIFICATIONS",
    "CERTIFICATION_REVOCATION",
    "CREATED",
    "CROSS_CERTIFICATION",
    "DIRECT",
    "EMBEDDED",
    "FINGERPRINT",
    "ISSUER",
    "KEY_FLAGS",
    "KEY_LIFETIME",
    "KEY_REVOCATION",
    "MAY_SIGN",
    "PREFERRED_HASHES",
    "PRIMARY_USER_ID",
    "SUBKEY_BINDING",
    "SUBKEY_REVOCATION",
    "TEXT",
    "SignaturePacket",
    "read_signature",
    "trailer",
]

# Types.
BINARY, TEXT = 0x00, 0x01
CERTIFICATIONS = frozenset([0x10, 0x11, 0x12, 0x13])
SUBKEY_BINDING, CROSS_CERTIFICATION, DIRECT = 0x18, 0x19, 0x1F
KEY_REVOCATION, SUBKEY_REVOCATION, CERTIFICATION_REVOCATION = 0x20, 0x28, 0x30

# Subpackets.
CREATED, LIFETIME, KEY_LIFETIME, ISSUER, PREFERRED_HASHES = 2, 3, 9, 16, 21
PRIMARY_USER_ID, KEY_FLAGS, EMBEDDED, FINGERPRINT = 25, 27, 32, 33
MAY_SIGN = 0x02


@frozen
class SignaturePacket:
    """A version 4 signature.

    `head` is what is hashed of it, `start` what the digest begins with, `stated` its hashed subpackets, `issuer` the
    key id that it names, if any, `embedded` the signature within it.
    """

    kind: int
    algorithm: int
    hash: int
    head: bytes
    stated: Mapping[int, bytes]
    issuer: bytes
    embedded: bytes
    start: bytes
    numbers: bytes

    @property
    def created(self) -> int:
        """When it was made, in seconds since the epoch; 0 if it doesn't say, which it must."""
        return self._seconds(CREATED)

    @property
    def key_lifetime(self) -> int:
        """How long the key is good for from when it was made, in seconds; 0 is for ever."""
        return self._seconds(KEY_LIFETIME)

    @property
    def expires(self) -> int:
        """When the signature itself expires, in seconds since the epoch; 0 is never."""
        lifetime = self._seconds(LIFETIME)
        return self.created + lifetime if lifetime else 0

    def made_by(self, key: PublicMaterial, content: bytes) -> bool:
        """Whether this is a signature by the key of the content, which is given in the form in which it is hashed."""
        return self.hash in HASHES and self.fits(key, hashlib.new(HASHES[self.hash][0], content))

    def fits(self, key: PublicMaterial, content: hashlib._Hash) -> bool:
        """Like `made_by`, of content that has been hashed already, with the hash of the signature."""
        whole = content.copy()
        whole.update(trailer(self.head))
        digest = whole.digest()
        if digest[:2] != self.start or self.algorithm != key.algorithm:
            return False
        return key.verifies(self.numbers, self.hash, digest)

    def _seconds(self, subpacket: int) -> int:
        return int.from_bytes(self.stated.get(subpacket, b"")[:4], "big")


def trailer(head: bytes) -> bytes:
    """What is hashed behind the content: the head and its length."""
    return head + b"\x04\xff" + struct.pack(">I", len(head))


def read_signature(body: bytes) -> SignaturePacket:
    """Read a signature packet's body.

    :raises InvalidKey: if it is damaged, or of another version.
    """
    fields = Fields(body)
    version, kind, algorithm, digest = (fields.number(1) for _ in range(4))
    if version != 4:
        raise InvalidKey("", f"signatures of version {version} are not supported")
    size = fields.number(2)
    stated = _subpackets(Fields(fields.take(size)))
    # What proves itself, or is a mere hint, may stand among those that are not hashed.
    further = {**_subpackets(Fields(fields.take(fields.number(2)))), **stated}
    issuer = further.get(FINGERPRINT, b"")[-8:] or further.get(ISSUER, b"")
    embedded = further.get(EMBEDDED, b"")
    start, head = fields.take(2), body[: 6 + size]
    return SignaturePacket(kind, algorithm, digest, head, stated, issuer, embedded, start, fields.rest)


def _subpackets(fields: Fields) -> dict[int, bytes]:
    """By kind, whether critical or not; of several of a kind the first."""
    found: dict[int, bytes] = {}
    while not fields.at_end:
        body = fields.take(_length(fields))
        if not body:
            raise InvalidKey("", "a signature has an empty subpacket")
        found.setdefault(body[0] & 0x7F, body[1:])
    return found


def _length(fields: Fields) -> int:
    first = fields.number(1)
    if first < 192:
        return first
    if first < 255:
        return ((first - 192) << 8) + fields.number(1) + 192
    return fields.number(4)
