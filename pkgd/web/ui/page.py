"""`/ui/keys` and what it loads: read once, and sent with a policy that lets nothing else run.

The page has no secrets in it; what it shows it asks of `/api/v1/keys`.
"""

from __future__ import annotations

import os

from pkgd.errors import UnknownRoute, Unsupported
from pkgd.web.request import Request
from pkgd.web.respond import send_body
from pkgd.web.target import parse_path

__all__ = ["KeysPage"]

_FILES = {
    b"/ui/keys": ("keys.html", b"text/html; charset=utf-8"),
    b"/ui/keys.js": ("keys.js", b"text/javascript; charset=utf-8"),
    b"/ui/keys.css": ("keys.css", b"text/css; charset=utf-8"),
}
_HEADERS = (
    b"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    b" base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    b"Referrer-Policy: no-referrer\r\n"
    b"Cross-Origin-Opener-Policy: same-origin\r\n"
    b"Cache-Control: no-cache\r\n"
)


class KeysPage:
    """Dispatches the paths of `paths`."""

    paths = frozenset(_FILES)

    def __init__(self) -> None:
        self._files = {path: (kind, _read(name)) for path, (name, kind) in _FILES.items()}

    def handle(self, request: Request) -> None:
        """Answer a request.

        :raises PkgdError: if there is nothing there.
        """
        request.route = "ui"
        parse_path(request.path)
        if request.path not in self._files:
            raise UnknownRoute(request.path.decode("ascii", "replace")[:200])
        if request.method not in (b"GET", b"HEAD"):
            raise Unsupported("pages are read", ("GET", "HEAD"))
        kind, data = self._files[request.path]
        send_body(request, 200, kind, data, _HEADERS)


def _read(name: str) -> bytes:
    with open(os.path.join(os.path.dirname(__file__), name), "rb") as file:
        return file.read()
