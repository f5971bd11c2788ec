"""What the endpoints of logins share: forms that commands send, and how they are answered (RFC 6749)."""

from __future__ import annotations

from urllib.parse import parse_qs

from pkgd.errors import InvalidRequest
from pkgd.web.request import Request
from pkgd.web.respond import send_empty, send_json

__all__ = ["NO_STORE", "field_of", "redirect", "send_error"]

NO_STORE = b"Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"


def field_of(body: bytes, name: str) -> str:
    """A field of a form, which is there once.

    :raises InvalidRequest: if it isn't.
    """
    try:
        values = parse_qs(body.decode("utf-8"), errors="strict", max_num_fields=16).get(name, [])
    except ValueError:
        values = []
    if len(values) != 1:
        raise InvalidRequest(name, "the field is needed, once, in a form")
    return values[0]


def send_error(request: Request, error: str) -> None:
    """Refuse, as RFC 6749, 5.2 has it."""
    send_json(request, 400, {"error": error}, NO_STORE)


def redirect(request: Request, status: int, place: str, cookies: bytes) -> None:
    """Send a browser on. What has a code or a state in it is kept by nobody, and told to nobody."""
    send_empty(request, status, b"Location: %b\r\n%b%b" % (place.encode("ascii"), NO_STORE, cookies))
