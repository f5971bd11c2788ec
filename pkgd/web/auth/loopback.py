"""Logging in for a command by the browser of the same machine (RFC 8252), where the provider has no device codes.

The command listens at a port of its own. The browser goes to the provider and back, and is then shown a page with a
link to that port: 127.0.0.1, and never any other host. Nothing goes there before the user has followed the link, so
that a page which somebody else has had opened gives nothing away unseen. The code in it is good once, for a minute, and
for the command that has begun: who only sees it lacks the verifier (RFC 7636).
"""

from __future__ import annotations

import re
from html import escape

from pkgd.auth.model import Identity
from pkgd.auth.pending import LoopbackCode, LoopbackLogin, Pending
from pkgd.auth.secrettexts import new_secret
from pkgd.errors import InvalidRequest
from pkgd.web.auth.forms import field_of
from pkgd.web.request import Request
from pkgd.web.respond import send_body
from pkgd.web.target import parse_query

__all__ = ["CODE_SECONDS", "read_loopback", "redeem_loopback", "show_link"]

CODE_SECONDS = 60.0

_PORT = re.compile(r"[1-9][0-9]{3,4}")
_STATE = re.compile(r"[A-Za-z0-9_-]{16,128}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>pkgd login</title>
<h1>pkgd login</h1>
<p>A command on this machine wants to be logged in as {user}, for docker and others.
<p>If you have just run <code>pkgd login</code>, <a id="go" href="{place}">go on</a>. If not, close this page.
</html>
"""
_HEADERS = (
    b"Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    b"Referrer-Policy: no-referrer\r\n"
    b"Cache-Control: no-store\r\n"
)


def read_loopback(query: bytes) -> LoopbackLogin:
    """What a command has sent a browser with.

    :raises InvalidRequest: if it is not as `pkgd login` has it.
    """
    fields = parse_query(query)
    port, state, challenge = (fields.one(name) or "" for name in ("port", "state", "code_challenge"))
    if not (_PORT.fullmatch(port) and 1024 <= int(port) <= 65535):
        raise InvalidRequest("port", "no port that a command could have")
    if not _STATE.fullmatch(state) or not _CHALLENGE.fullmatch(challenge):
        raise InvalidRequest("", "pkgd login makes this link: run it again")
    return LoopbackLogin(int(port), state, challenge)


def show_link(
    request: Request, codes: Pending[LoopbackCode], login: LoopbackLogin, identity: Identity, cookies: bytes
) -> None:
    """Show who has logged in the way back to the command, with a new code."""
    code = new_secret()
    codes.add(code, LoopbackCode(identity, login.challenge))
    place = f"http://127.0.0.1:{login.port}/?code={code}&state={login.state}"
    page = _PAGE.format(user=escape(identity.principal.name or ""), place=escape(place))
    send_body(request, 200, b"text/html; charset=utf-8", page.encode("utf-8"), _HEADERS + cookies)


def redeem_loopback(codes: Pending[LoopbackCode], body: bytes) -> Identity | None:
    """Who has logged in, for the command that has the code; None if it is none, or somebody else's. It is over then.

    :raises InvalidRequest: if the form has not what it needs.
    """
    code, verifier = field_of(body, "code"), field_of(body, "code_verifier")
    found = codes.take(code)
    if found is None or not _VERIFIER.fullmatch(verifier) or not found.is_by(verifier):
        return None
    return found.identity
