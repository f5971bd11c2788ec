"""Cookies: one read, one set (RFC 6265). `__Host-` binds them to this very host, over TLS (RFC 6265bis, 4.1.3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pkgd.web.request import Request

__all__ = ["LOGIN", "SESSION", "cookie_of", "forget_cookie", "set_cookie"]

SESSION = "__Host-pkgd"
LOGIN = "__Host-pkgd-login"

# What a cookie of ours may have.
MAX_VALUE = 64


def cookie_of(request: Request, name: str) -> str | None:
    """The value of a cookie; None if it is not there, is there twice, or is none that we have ever set."""
    found = []
    for part in (request.header(b"cookie") or "").split(";"):
        key, equals, value = part.strip(" \t").partition("=")
        if equals and key == name:
            found.append(value)
    if len(found) != 1 or not found[0].isalnum() or not found[0].isascii() or len(found[0]) > MAX_VALUE:
        return None
    return found[0]


def set_cookie(name: str, value: str, seconds: float) -> bytes:
    """The header line that sets one: not for scripts, and not sent along when another site changes something here."""
    text = f"Set-Cookie: {name}={value}; Path=/; Max-Age={int(seconds)}; Secure; HttpOnly; SameSite=Lax\r\n"
    return text.encode("ascii")


def forget_cookie(name: str) -> bytes:
    """The header line that takes one back."""
    return set_cookie(name, "", 0)
