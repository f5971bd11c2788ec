"""Logging in by a browser of this machine, where the provider gives no device codes (RFC 8252).

We listen at a port of this machine alone, name a page of pkgd's, and the browser comes back to us with a code. Whoever
else knocks there lacks our state, and whoever sees the code lacks our verifier (RFC 7636).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlencode, urlsplit

from attrs import field, frozen

__all__ = ["Callback", "Listening", "Ticket"]

# How long a browser that has connected may take to say what it wants, in seconds.
REQUEST_SECONDS = 10.0
_DONE = b"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>pkgd login</title>
<p>That is all: go back to the terminal, and close this page.
</html>
"""


@frozen
class Ticket:
    """What one login is known by."""

    state: str = field(repr=False)
    verifier: str = field(repr=False)

    @classmethod
    def new(cls) -> Ticket:
        """One that nobody can guess."""
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32))

    def page(self, url: str, port: int) -> str:
        """The page of a pkgd that a browser has to open."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        challenge = urlsafe_b64encode(digest).decode("ascii").rstrip("=")
        query = urlencode({"port": port, "state": self.state, "code_challenge": challenge})
        return f"{url}/auth/loopback?{query}"

    def code_in(self, target: str) -> str | None:
        """The code that a browser brings; None if it isn't ours."""
        try:
            parts = urlsplit(target)
            fields = parse_qs(parts.query, max_num_fields=16) if parts.path == "/" else {}
        except ValueError:
            return None
        states, codes = fields.get("state", []), fields.get("code", [])
        if len(states) != 1 or len(codes) != 1:
            return None
        known = hmac.compare_digest(states[0].encode("utf-8", "replace"), self.state.encode("ascii"))
        return codes[0] if known else None


class Callback(Protocol):
    """A port at which a browser may come back."""

    port: int

    def wait(self, code_in: Callable[[str], str | None], seconds: float) -> str | None:
        """The code that somebody brings within that time; None if nobody does. The port is closed then.

        :param code_in: says which of those who knock has one.
        """


class Listening:
    """See `Callback`."""

    def __init__(self, now: Callable[[], float]) -> None:
        """
        :param now: a clock in seconds.
        :raises OSError: if there is no port.
        """
        self._now = now
        self._found: str | None = None
        self._code_in: Callable[[str], str | None] = lambda target: None
        self._server = HTTPServer(("127.0.0.1", 0), self._handler())
        self.port = int(self._server.server_address[1])

    def wait(self, code_in: Callable[[str], str | None], seconds: float) -> str | None:
        """See `Callback`."""
        self._code_in = code_in
        until = self._now() + seconds
        with self._server:
            while self._found is None and (left := until - self._now()) > 0:
                self._server.timeout = left
                self._server.handle_request()
        return self._found

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listening = self

        class Request(BaseHTTPRequestHandler):
            timeout = REQUEST_SECONDS

            def do_GET(self) -> None:
                listening._found = listening._code_in(self.path)
                body = b"" if listening._found is None else _DONE
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Referrer-Policy", "no-referrer")
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: there is a code in what is asked for."""

        return Request
