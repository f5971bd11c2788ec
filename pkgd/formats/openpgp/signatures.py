"""Signatures: detached, clear-signed, within an rpm header, of keys on themselves (RFC 4880, 5.2 and 7)."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pkgd.errors import Invalid, InvalidKey
from pkgd.formats.clearsigned import signed_text
from pkgd.formats.openpgp.armor import armored, dearmored
from pkgd.formats.openpgp.material import HASHES, PublicMaterial, Secret
from pkgd.formats.openpgp.packets import SIGNATURE, Packet, mpi, read_packets
from pkgd.formats.openpgp.secrets import PrivateKey
from pkgd.formats.openpgp.signaturepackets import BINARY, CREATED, FINGERPRINT, ISSUER, TEXT, read_signature, trailer

__all__ = ["cleartext", "detached", "rpm_header_signature", "sign", "signed_by", "subpacket", "text_signed_by"]

_SHA512 = 10
# More than anybody puts on one file.
_MAX_SIGNATURES = 16


def subpacket(kind: int, data: bytes) -> bytes:
    """A signature's subpacket, which is never critical: rpm refuses keys with such."""
    size = len(data) + 1
    return (bytes([size]) if size < 192 else b"\xff" + struct.pack(">I", size)) + bytes([kind]) + data


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
    signed = subpacket(CREATED, struct.pack(">I", now)) + subpacket(FINGERPRINT, b"\x04" + public.fingerprint) + further
    unsigned = subpacket(ISSUER, public.key_id)
    head = bytes([4, kind, public.algorithm, _SHA512]) + struct.pack(">H", len(signed)) + signed
    running = hashlib.sha512(content)
    running.update(trailer(head))
    digest = running.digest()
    numbers = _numbers(secret, digest)
    return Packet(SIGNATURE, head + struct.pack(">H", len(unsigned)) + unsigned + digest[:2] + numbers).encode()


def _numbers(secret: Secret, digest: bytes) -> bytes:
    if isinstance(secret, Ed25519PrivateKey):
        signature = secret.sign(digest)
        return mpi(int.from_bytes(signature[:32], "big")) + mpi(int.from_bytes(signature[32:], "big"))
    signature = secret.sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA512()))
    return mpi(int.from_bytes(signature, "big"))


# -- what repositories publish --


def detached(keys: Sequence[PrivateKey], data: bytes, now: int) -> bytes:
    """A detached signature by each of the keys, in one armor: `Release.gpg`, `repomd.xml.asc`.

    :raises InvalidKey: if a key cannot sign at that time.
    """
    return armored(b"".join(_by(key, BINARY, data, now) for key in keys), "SIGNATURE")


def cleartext(keys: Sequence[PrivateKey], text: bytes, now: int) -> bytes:
    """A clear-signed text, framed as GnuPG frames it: `InRelease`.

    :param text: lines, each with its line end. What is signed has no white space at the ends of lines.
    :raises InvalidKey: if a key cannot sign at that time.
    """
    lines = text.removesuffix(b"\n").split(b"\n")
    escaped = b"\n".join(b"- " + line if line.startswith(b"-") else line for line in lines)
    canonical = _canonical(text)
    signature = armored(b"".join(_by(key, TEXT, canonical, now) for key in keys), "SIGNATURE")
    return b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n" + escaped + b"\n" + signature


def rpm_header_signature(key: PrivateKey, header: bytes, now: int) -> bytes:
    """The signature packet for an rpm's header (rpm's format, "Signatures").

    :raises InvalidKey: if the key cannot sign at that time.
    """
    return _by(key, BINARY, header, now)


def _by(key: PrivateKey, kind: int, content: bytes, now: int) -> bytes:
    problem = key.problem(now)
    if problem:
        raise InvalidKey(key.fingerprint, problem)
    # A clock that has gone back a little must not make signatures that are older than their key.
    return sign(key.secret, key.signer, kind, content, max(now, key.signer.created))


def _canonical(text: bytes) -> bytes:
    """What is hashed of a clear-signed text (RFC 4880, 7.1)."""
    return b"\r\n".join(line.rstrip(b" \t\r") for line in text.removesuffix(b"\n").split(b"\n"))


# -- what others have signed --


def signed_by(signature: bytes, content: bytes, keys: Iterable[PublicMaterial]) -> PublicMaterial | None:
    """Which of the keys has made a binary signature of the content, or None.

    Only version 4 signatures with SHA-256 and better count. Expiry and revocation are not looked at: see
    `Certificate.usable_keys`.

    :param signature: packets, without armor.
    """
    return _found(signature, BINARY, content, keys)


def text_signed_by(message: bytes, keys: Iterable[PublicMaterial]) -> PublicMaterial | None:
    """Which of the keys has made a clear-signed message, or None; otherwise like `signed_by`."""
    try:
        text = signed_text(message)
        signature = dearmored(message[len(b"-----BEGIN PGP SIGNED MESSAGE-----") :])
    except Invalid:
        return None
    return _found(signature, TEXT, _canonical(text), keys)


def _found(signatures: bytes, kind: int, content: bytes, keys: Iterable[PublicMaterial]) -> PublicMaterial | None:
    """The first of the keys that has made the first signature that any of them has made."""
    try:
        packets = read_packets(signatures)
    except InvalidKey:
        return None
    known, hashed = list(keys), dict[int, "hashlib._Hash"]()
    for packet in packets[:_MAX_SIGNATURES]:
        try:
            found = read_signature(packet.body)
        except InvalidKey:
            continue
        if packet.tag != SIGNATURE or found.kind != kind or found.hash not in HASHES:
            continue
        if found.hash not in hashed:  # once for all signatures, for the content may be large
            hashed[found.hash] = hashlib.new(HASHES[found.hash][0], content)
        for key in known:
            if found.issuer in (b"", key.key_id) and found.fits(key, hashed[found.hash]):
                return key
    return None
