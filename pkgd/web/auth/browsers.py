"""Browsers that have logged in, and what they show beside their cookie, so that no other site can make them ask."""

from __future__ import annotations

from pkgd.auth.model import Identity
from pkgd.auth.sessions import Sessions
from pkgd.errors import Denied, Unauthenticated
from pkgd.web.cookies import SESSION, cookie_of
from pkgd.web.outside import Outside
from pkgd.web.request import Request

__all__ = ["BrowserSessions", "check_same_origin", "is_from_page"]

_READS = (b"GET", b"HEAD")


class BrowserSessions:
    """See `pkgd.web.api.keys.Browsers`."""

    def __init__(self, sessions: Sessions, outside: Outside) -> None:
        self._sessions = sessions
        self._outside = outside

    async def identify(self, request: Request) -> Identity | None:
        """Who it is; None if there is neither a session nor a page of ours.

        :raises Denied: if another site may have made the browser send this.
        :raises Unauthenticated: if a page of ours asks without a session: without a challenge, which a browser would
            answer by asking its user for a password.
        """
        text = cookie_of(request, SESSION)
        if text is None and not is_from_page(request):
            return None
        check_same_origin(request, self._outside)
        identity = None if text is None else await self._sessions.find(text)
        if identity is None:
            raise Unauthenticated("log in at /auth/login first")
        return identity


def is_from_page(request: Request) -> bool:
    """Whether it has the header that scripts of ours send; those of other sites cannot without asking (CORS)."""
    return request.header(b"x-pkgd") == "1"


def check_same_origin(request: Request, outside: Outside) -> None:
    """Make sure that a page of ours has sent this.

    :raises Denied: if that isn't so.
    """
    origin = request.header(b"origin")
    if not is_from_page(request) or (origin is None and request.method not in _READS):
        raise Denied("a browser's session is good for this server's own pages only: X-Pkgd: 1 and Origin are needed")
    if origin is not None and origin.lower() != outside.url(request).lower():
        raise Denied("another site has asked for this")
