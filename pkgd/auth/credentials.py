"""What stands in `Authorization`, parsed strictly: Basic (RFC 7617) or Bearer (RFC 6750)."""

from __future__ import annotations

import binascii
import re
from base64 import b64encode

from attrs import field, frozen

from pkgd.errors import Unauthenticated

__all__ = ["Basic", "Bearer", "looks_like_jwt", "parse_authorization"]

# Room for a workload's token of 12 KiB in base64, with a user's name before it.
MAX_HEADER = 24 << 10
MAX_USER = 256
# What a compact JWS may have, as a password or behind Bearer.
MAX_TOKEN = 12 << 10

_TOKEN = re.compile(rb"[A-Za-z0-9\-._~+/]+=*")
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
# RFC 7617, 2: neither user name nor password has control characters.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@frozen
class Basic:
    """A user's name and password."""

    user: str
    password: str = field(repr=False)


@frozen
class Bearer:
    """A token."""

    token: str = field(repr=False)


def parse_authorization(header: bytes) -> Basic | Bearer:
    """Read the header's value.

    :raises Unauthenticated: if it is neither, or broken.
    """
    scheme, _, rest = header.partition(b" ")
    rest = rest.strip(b" ")
    if len(header) > MAX_HEADER:
        raise Unauthenticated("the credentials are too long")
    match scheme.lower():
        case b"basic":
            return _basic(rest)
        case b"bearer" if _TOKEN.fullmatch(rest):
            return Bearer(rest.decode("ascii"))
    raise Unauthenticated("the Authorization header cannot be read: Basic or Bearer is needed")


def looks_like_jwt(text: str) -> bool:
    """Whether it is a compact JWS by its form, and so never a password that may be shown to others."""
    return len(text) <= MAX_TOKEN and _JWT.fullmatch(text) is not None


def _basic(encoded: bytes) -> Basic:
    unreadable = Unauthenticated("the Basic credentials cannot be read: user:password in UTF-8 and base64")
    try:
        data = binascii.a2b_base64(encoded)
        text = data.decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        # No cause is passed on: it has the bytes in it.
        raise unreadable from None
    user, colon, password = text.partition(":")
    # The library forgives much; one pair of credentials has one spelling here.
    if b64encode(data) != encoded or not colon or len(user) > MAX_USER or _CONTROL.search(text):
        raise unreadable
    return Basic(user, password)
