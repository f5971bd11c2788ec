"""The parts of a certificate, each with what the primary key has signed about it (RFC 4880, 11.1).

Signatures of others are passed over, and so are those with SHA-1, which clients refuse. But a revocation counts
whatever it is made with: a key that may be revoked is one that clients may refuse.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from attrs import frozen

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp.material import HASHES, PublicMaterial
from pkgd.formats.openpgp.packets import PUBLIC_KEY, PUBLIC_SUBKEY, SIGNATURE, USER_ID, Packet
from pkgd.formats.openpgp.signaturepackets import (
    CERTIFICATION_REVOCATION,
    CERTIFICATIONS,
    DIRECT,
    KEY_REVOCATION,
    SUBKEY_BINDING,
    SUBKEY_REVOCATION,
    SignaturePacket,
    read_signature,
)

__all__ = ["Part", "Signed", "about_subkey", "read_parts"]

_REVOCATIONS = frozenset([KEY_REVOCATION, SUBKEY_REVOCATION, CERTIFICATION_REVOCATION])
_KINDS = {
    PUBLIC_KEY: frozenset([DIRECT, KEY_REVOCATION]),
    USER_ID: CERTIFICATIONS | {CERTIFICATION_REVOCATION},
    PUBLIC_SUBKEY: frozenset([SUBKEY_BINDING, SUBKEY_REVOCATION]),
}
# GnuPG's notes in its own files, markers, padding.
_PASSED_OVER = frozenset([10, 12, 21])
# More are in no honest certificate, and each costs a verification.
_MAX_SIGNATURES = 256


@frozen
class Signed:
    """A signature as a packet, and what it says."""

    packet: Packet
    says: SignaturePacket


@frozen
class Part:
    """A primary key, user name or subkey, and the primary key's signatures about it."""

    packet: Packet
    signatures: tuple[Signed, ...]

    def newest(self) -> Signed | None:
        """The latest word that isn't a revocation; of several of one second the last."""
        vouching = [one for one in self.signatures if one.says.kind not in _REVOCATIONS]
        return max(reversed(vouching), key=lambda one: one.says.created, default=None)

    def revocations(self) -> list[Signed]:
        """What takes it back."""
        return [one for one in self.signatures if one.says.kind in _REVOCATIONS]


def read_parts(packets: Sequence[Packet], primary: PublicMaterial) -> list[Part]:
    """The parts of a certificate: first of all the primary key. What we don't know is left out.

    :raises InvalidKey: if there are more signatures than anybody would make.
    """
    parts, left = [], _MAX_SIGNATURES
    for packet, signatures in _groups(packets):
        content = _hashed(packet, primary)
        found = []
        for one in signatures:
            signed = _read(one, packet.tag, primary)
            if signed is None or content is None:
                continue
            left -= 1
            if left < 0:
                raise InvalidKey("", f"it has more than {_MAX_SIGNATURES} signatures of its own")
            if _holds(signed.says, primary, content):
                found.append(signed)
        if content is not None:
            parts.append(Part(packet, tuple(found)))
    return parts


def about_subkey(body: bytes, primary: PublicMaterial) -> bytes:
    """What is hashed in signatures that bind a subkey, or by which it binds itself."""
    return primary.hashed + b"\x99" + struct.pack(">H", len(body)) + body


def _groups(packets: Sequence[Packet]) -> Iterator[tuple[Packet, list[Packet]]]:
    """Every packet that isn't a signature, with the signatures behind it."""
    head, signatures = packets[0], list[Packet]()
    for packet in packets[1:]:
        if packet.tag == SIGNATURE:
            signatures.append(packet)
        elif packet.tag not in _PASSED_OVER:
            yield head, signatures
            head, signatures = packet, []
    yield head, signatures


def _read(packet: Packet, tag: int, primary: PublicMaterial) -> Signed | None:
    """A signature that claims to be one of the primary key's about such a part."""
    try:
        says = read_signature(packet.body)
    except InvalidKey:
        return None
    if says.kind not in _KINDS.get(tag, ()) or says.issuer not in (b"", primary.key_id):
        return None
    return Signed(packet, says)


def _holds(says: SignaturePacket, primary: PublicMaterial, content: bytes) -> bool:
    if says.kind in _REVOCATIONS and says.hash not in HASHES:
        return True
    return says.made_by(primary, content)


def _hashed(packet: Packet, primary: PublicMaterial) -> bytes | None:
    """How a part is hashed; None for one that we don't know."""
    if packet.tag == PUBLIC_KEY:
        return primary.hashed
    if packet.tag == USER_ID:
        return primary.hashed + b"\xb4" + struct.pack(">I", len(packet.body)) + packet.body
    if packet.tag == PUBLIC_SUBKEY and len(packet.body) < 1 << 16:
        return about_subkey(packet.body, primary)
    return None
