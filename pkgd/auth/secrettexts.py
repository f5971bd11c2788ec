"""Secrets as texts: what an API key looks like, and the random texts of refresh tokens and sessions.

    pkgd_<8: id>_<43: secret>_<6: CRC-32>     in base62; the prefix is what scanners for secrets look for

The checksum finds slips of the keyboard without asking anybody; it is no protection. A secret has 256 random bits, so
that its plain SHA-256 is all that has to be kept.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from zlib import crc32

from attrs import field, frozen

__all__ = ["PREFIX", "KeyText", "digest_of", "new_key", "new_secret", "read_key"]

PREFIX = "pkgd_"

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID, _SECRET, _SUM = 8, 43, 6
_KEY = re.compile(rf"pkgd_([0-9A-Za-z]{{{_ID}}})_([0-9A-Za-z]{{{_SECRET}}})_([0-9A-Za-z]{{{_SUM}}})", re.ASCII)


@frozen
class KeyText:
    """An API key taken apart; the whole of it is `text`."""

    id: str
    digest: bytes
    text: str = field(repr=False)


def new_key() -> KeyText:
    """A new key."""
    identifier, secret = _random(_ID), new_secret()
    body = f"{PREFIX}{identifier}_{secret}"
    return KeyText(identifier, digest_of(secret), f"{body}_{_checksum(body)}")


def read_key(text: str) -> KeyText | None:
    """Take a key apart; None if it is none, or has a slip in it."""
    match = _KEY.fullmatch(text)
    if match is None or _checksum(text[: match.end(2)]) != match[3]:
        return None
    return KeyText(match[1], digest_of(match[2]), text)


def new_secret() -> str:
    """A text of 256 random bits."""
    return _random(_SECRET)


def digest_of(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(length))


def _checksum(text: str) -> str:
    """CRC-32 in base62, with zeros in front."""
    rest, digits = crc32(text.encode("ascii")), ""
    for _ in range(_SUM):
        rest, digit = divmod(rest, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
