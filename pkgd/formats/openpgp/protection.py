"""How secret keys are protected by a passphrase (RFC 4880, 3.7 and 5.5.3), as GnuPG does it."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp.packets import Fields

__all__ = ["is_stub", "protect", "unprotect"]

_UNPROTECTED = 0
_SHA1_CHECKED = 254
_CHECKSUMMED = 255
_AES = {7: 16, 8: 24, 9: 32}
_HASHES = {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}
_ITERATED = 3
_GNU = 101
_BLOCK = 16
# What we write: AES-256, SHA-512, and as many rounds as an octet can say.
_CIPHER, _HASH, _COUNT = 9, 10, 0xFF


def unprotect(data: bytes, passphrase: str | None) -> bytes | None:
    """The secret numbers in what follows a key's public part; None if they are elsewhere (a stub, a smart card).

    :raises InvalidKey: if the passphrase is missing or wrong, or the protection is not supported.
    """
    fields = Fields(data)
    usage = fields.number(1)
    if usage == _UNPROTECTED:
        return _checked(fields.rest)
    if usage not in (_SHA1_CHECKED, _CHECKSUMMED):
        raise InvalidKey("", "the secret key's protection is not supported: export it anew with GnuPG")
    cipher = fields.number(1)
    if is_stub(data):
        return None
    if cipher not in _AES:
        raise InvalidKey("", "the secret key is encrypted by something else than AES")
    if passphrase is None:
        raise InvalidKey("", "the secret key has a passphrase")
    key = _derived(fields, passphrase, _AES[cipher])
    iv = fields.take(_BLOCK)
    decryptor = Cipher(AES(key), CFB(iv)).decryptor()
    plain = decryptor.update(fields.rest) + decryptor.finalize()
    if usage == _CHECKSUMMED:
        return _checked(plain)
    numbers, checksum = plain[:-20], plain[-20:]
    if not hmac.compare_digest(hashlib.sha1(numbers, usedforsecurity=False).digest(), checksum):
        raise InvalidKey("", "the passphrase is wrong")
    return numbers


def protect(numbers: bytes, passphrase: str | None, salt: bytes, iv: bytes) -> bytes:
    """The secret part of a key packet.

    :param salt: 8 random bytes; `iv`: 16.
    """
    if passphrase is None:
        return bytes([_UNPROTECTED]) + numbers + (sum(numbers) & 0xFFFF).to_bytes(2, "big")
    specifier = bytes([_ITERATED, _HASH]) + salt + bytes([_COUNT])
    key = _derived(Fields(specifier), passphrase, _AES[_CIPHER])
    encryptor = Cipher(AES(key), CFB(iv)).encryptor()
    plain = numbers + hashlib.sha1(numbers, usedforsecurity=False).digest()
    return bytes([_SHA1_CHECKED, _CIPHER]) + specifier + iv + encryptor.update(plain) + encryptor.finalize()


def is_stub(data: bytes) -> bool:
    """Whether GnuPG has left the secret out: it is on a card, or was taken away."""
    return len(data) > 2 and data[0] in (_SHA1_CHECKED, _CHECKSUMMED) and data[2] == _GNU


def _checked(data: bytes) -> bytes:
    numbers, checksum = data[:-2], data[-2:]
    if (sum(numbers) & 0xFFFF).to_bytes(2, "big") != checksum:
        raise InvalidKey("", "the secret key is damaged, or the passphrase wrong")
    return numbers


def _derived(fields: Fields, passphrase: str, size: int) -> bytes:
    """The key that a passphrase stands for (RFC 4880, 3.7.1)."""
    kind, algorithm = fields.number(1), _HASHES.get(fields.number(1))
    if kind not in (0, 1, _ITERATED) or algorithm is None:
        raise InvalidKey("", "the secret key's protection is not supported")
    salt = fields.take(8) if kind else b""
    secret = salt + passphrase.encode("utf-8")
    count = len(secret)
    if kind == _ITERATED:
        coded = fields.number(1)
        count = max(count, (16 + (coded & 15)) << ((coded >> 4) + 6))
    derived, prefix = b"", b""
    while len(derived) < size:
        running = hashlib.new(algorithm, prefix, usedforsecurity=False)
        whole, rest = divmod(count, len(secret)) if secret else (0, 0)
        block = secret * 1024 if secret else b""
        for _ in range(whole // 1024):
            running.update(block)
        running.update(secret * (whole % 1024) + secret[:rest])
        derived += running.digest()
        prefix += b"\0"
    return derived[:size]
