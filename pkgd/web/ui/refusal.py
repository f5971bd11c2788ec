"""A refusal as a page, for browsers that have been sent to us and would show JSON to somebody who waits for a page.

It says what the same error says to everybody else, loads nothing, and runs nothing.
"""

from __future__ import annotations

from html import escape

from twisted.python.failure import Failure

from pkgd.errors import AuthUnavailable, Denied, InvalidRequest, Throttled, Unauthenticated
from pkgd.web import errors
from pkgd.web.request import Request
from pkgd.web.respond import send_body

__all__ = ["answer_with_page", "wants_page"]

# What is worth a page; everything else is answered as everywhere.
_SHOWN = (AuthUnavailable, Denied, InvalidRequest, Throttled, Unauthenticated)
_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Not logged in</title>
<h1>Not logged in</h1>
<p>{message}
<p><a href="/auth/login">Log in again</a>
</html>
"""
_HEADERS = (
    b"Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    b"Referrer-Policy: no-referrer\r\n"
    b"Cache-Control: no-store\r\n"
)


def wants_page(request: Request) -> bool:
    """Whether it is a browser that shows what it gets (RFC 9110, 12.5.1)."""
    accepted = (request.header(b"accept") or "").lower().split(",")
    return any(one.partition(";")[0].strip() in ("text/html", "application/xhtml+xml") for one in accepted)


def answer_with_page(request: Request, failure: Failure) -> None:
    """Answer a request that failed; never raises."""
    error = failure.value
    if not isinstance(error, _SHOWN) or request.gone or request.started:
        errors.answer(request, failure)
        return
    status, _ = errors.lookup(type(error))
    page = _PAGE.format(message=escape(error.message)).encode("utf-8")
    send_body(request, status, b"text/html; charset=utf-8", page, _HEADERS + errors.headers_of(error))
