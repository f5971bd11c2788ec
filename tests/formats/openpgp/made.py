"""Certificates made packet by packet, as any program might have made them."""

from __future__ import annotations

import struct
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pkgd.formats.openpgp.material import PublicMaterial, public_of
from pkgd.formats.openpgp.packets import PUBLIC_KEY, PUBLIC_SUBKEY, USER_ID, Packet, read_packets
from pkgd.formats.openpgp.signaturepackets import (
    CROSS_CERTIFICATION,
    EMBEDDED,
    KEY_FLAGS,
    KEY_LIFETIME,
    PRIMARY_USER_ID,
    SUBKEY_BINDING,
)
from pkgd.formats.openpgp.signatures import sign, subpacket

__all__ = ["BEGUN", "CERTIFY", "SIGN", "Maker", "lifetime", "secret"]

# When the keys here are made, in seconds since the epoch.
BEGUN = 1_700_000_000
CERTIFY, SIGN, ENCRYPT = b"\x01", b"\x02", b"\x0c"


@cache
def secret(number: int) -> Ed25519PrivateKey:
    """Always the same key for a number."""
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def lifetime(seconds: int) -> bytes:
    """The subpacket by which a key expires."""
    return subpacket(KEY_LIFETIME, struct.pack(">I", seconds))


class Maker:
    """The packets of a certificate, one after the other."""

    def __init__(self, number: int = 1, created: int = BEGUN) -> None:
        self.secret = secret(number)
        self.primary = public_of(self.secret, created)
        self.packets = [Packet(PUBLIC_KEY, self.primary.body)]

    def signed(self, kind: int, content: bytes, now: int = BEGUN, further: bytes = b"", by: int | None = None) -> None:
        """Add a signature by the primary key, or by another."""
        key, public = (self.secret, self.primary) if by is None else (secret(by), public_of(secret(by), BEGUN))
        self.packets += read_packets(sign(key, public, kind, self.primary.hashed + content, now, further))

    def name(
        self, name: str, now: int = BEGUN, flags: bytes = CERTIFY, further: bytes = b"", by: int | None = None
    ) -> None:
        """Add a certified user name; without `flags` it doesn't say what the key is for."""
        self.packets.append(Packet(USER_ID, name.encode("utf-8")))
        self.certified(name, 0x13, now, (subpacket(KEY_FLAGS, flags) if flags else b"") + further, by)

    def certified(self, name: str, kind: int, now: int, further: bytes = b"", by: int | None = None) -> None:
        """Add a signature about a user name."""
        content = name.encode("utf-8")
        self.signed(kind, b"\xb4" + struct.pack(">I", len(content)) + content, now, further, by)

    def primary_name(self, name: str, now: int = BEGUN) -> None:
        """Add the user name that says that it is the primary one."""
        self.name(name, now, further=subpacket(PRIMARY_USER_ID, b"\x01"))

    def subkey(
        self, number: int, created: int = BEGUN, flags: bytes = SIGN, further: bytes = b"", cross: bytes | None = None
    ) -> PublicMaterial:
        """Add a bound subkey.

        :param cross: the signature by which it agrees; by default the right one, and none if it is empty.
        """
        public = public_of(secret(number), created)
        embedded = self.cross(number, created) if cross is None else cross
        stated = subpacket(KEY_FLAGS, flags) + (subpacket(EMBEDDED, embedded) if embedded else b"") + further
        self.packets.append(Packet(PUBLIC_SUBKEY, public.body))
        self.bound(public, SUBKEY_BINDING, created, stated)
        return public

    def cross(self, number: int, created: int = BEGUN, kind: int = CROSS_CERTIFICATION) -> bytes:
        """The body of a signature by a subkey about itself and the primary key."""
        public = public_of(secret(number), created)
        content = self.primary.hashed + b"\x99" + struct.pack(">H", len(public.body)) + public.body
        return read_packets(sign(secret(number), public, kind, content, created))[0].body

    def bound(self, public: PublicMaterial, kind: int, now: int, further: bytes = b"", by: int | None = None) -> None:
        """Add a signature about a subkey."""
        self.signed(kind, b"\x99" + struct.pack(">H", len(public.body)) + public.body, now, further, by)

    def encode(self) -> bytes:
        """The certificate."""
        return b"".join(packet.encode() for packet in self.packets)
