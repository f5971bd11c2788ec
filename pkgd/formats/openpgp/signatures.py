"""Signatures: detached, clear-signed, within an rpm header, of keys on themselves (RFC 4880, 5.2 and 7)."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp.armor import armored
from pkgd.formats.openpgp.material import HASHES, PublicMaterial, Secret
from pkgd.formats.openpgp.packets import SIGNATURE, Fields, Packet, mpi, read_packets
from pkgd.formats.openpgp.secrets import PrivateKey

__all__ = ["cleartext", "detached", "rpm_header_signature", "sign", "signed_by", "subpacket"]

BINARY = 0x00
TEXT = 0x01

_SHA512 = 10
_CREATED, _ISSUER, _FINGERPRINT = 2, 16, 33


def subpacket(kind: int, data: bytes) -> bytes:
    """A signature's subpacket, which is never critical: rpm refuses keys with such."""
    return bytes([len(data) + 1, kind]) + data


def sign(
    secret: Secret,
    public: PublicMaterial,
    kind: int,
    content: bytes,
    now: int,
    further: bytes = b"",
) -> bytes:
    """A version 4 signature packet with SHA-512.

    :param kind: the signature's type.
    :param content: what is signed, in the form in which it is hashed.
    :param now: when, in seconds since the epoch.
    :param further: more subpackets.
    """
    signed = (
        subpacket(_CREATED, struct.pack(">I", now)) + subpacket(_FINGERPRINT, b"\x04" + public.fingerprint) + further
    )
    unsigned = subpacket(_ISSUER, public.key_id)
    head = bytes([4, kind, public.algorithm, _SHA512]) + struct.pack(">H", len(signed)) + signed
    digest = hashlib.sha512(content + _trailed(head)).digest()
    numbers = _numbers(secret, digest)
    return Packet(SIGNATURE, head + struct.pack(">H", len(unsigned)) + unsigned + digest[:2] + numbers).encode()


def _trailed(head: bytes) -> bytes:
    """What is hashed behind the content."""
    return head + b"\x04\xff" + struct.pack(">I", len(head))


def _numbers(secret: Secret, digest: bytes) -> bytes:
    if isinstance(secret, Ed25519PrivateKey):
        signature = secret.sign(digest)
        return mpi(int.from_bytes(signature[:32], "big")) + mpi(int.from_bytes(signature[32:], "big"))
    signature = secret.sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA512()))
    return mpi(int.from_bytes(signature, "big"))


# -- what repositories publish --


def detached(keys: Sequence[PrivateKey], data: bytes, now: int) -> bytes:
    """A detached signature by each of the keys, in one armor: `Release.gpg`, `repomd.xml.asc`."""
    return armored(b"".join(sign(key.secret, key.signer, BINARY, data, now) for key in keys), "SIGNATURE")


def cleartext(keys: Sequence[PrivateKey], text: bytes, now: int) -> bytes:
    """A clear-signed text, framed as GnuPG frames it: `InRelease`.

    :param text: lines, each with its line end. What is signed has no white space at the ends of lines.
    """
    lines = text.removesuffix(b"\n").split(b"\n")
    canonical = b"\r\n".join(line.rstrip(b" \t\r") for line in lines)
    escaped = b"\n".join(b"- " + line if line.startswith(b"-") else line for line in lines)
    signature = armored(b"".join(sign(key.secret, key.signer, TEXT, canonical, now) for key in keys), "SIGNATURE")
    return b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n" + escaped + b"\n" + signature


def rpm_header_signature(key: PrivateKey, header: bytes, now: int) -> bytes:
    """The signature packet for an rpm's header (rpm's format, "Signatures")."""
    return sign(key.secret, key.signer, BINARY, header, now)


# -- what others have signed --


def signed_by(signature: bytes, content: bytes, keys: Iterable[PublicMaterial]) -> PublicMaterial | None:
    """Which of the keys has made a binary signature of the content, or None.

    Only version 4 signatures with SHA-256 and better count. Expiry and revocation are not looked at.
    """
    try:
        packets = read_packets(signature)
    except InvalidKey:
        return None
    known = list(keys)
    for packet in packets:
        if packet.tag == SIGNATURE:
            found = _signer(packet.body, content, known)
            if found is not None:
                return found
    return None


def _signer(body: bytes, content: bytes, keys: Iterable[PublicMaterial]) -> PublicMaterial | None:
    fields = Fields(body)
    try:
        version, kind, _, algorithm = (fields.number(1) for _ in range(4))
        head = body[:6] + fields.take(fields.number(2))
        fields.take(fields.number(2))
        start = fields.take(2)
    except InvalidKey:
        return None
    if version != 4 or kind != BINARY or algorithm not in HASHES:
        return None
    digest = hashlib.new(HASHES[algorithm][0], content + _trailed(head)).digest()
    if digest[:2] != start:
        return None
    return next((key for key in keys if key.verifies(fields.rest, algorithm, digest)), None)
