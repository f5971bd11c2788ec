"""Who comes to look after what is his own: by credentials, or with a browser that has logged in."""

from __future__ import annotations

import time
from typing import Protocol

from pkgd.auth.model import Access, Action, Identity
from pkgd.web.gate import Gate, Grant
from pkgd.web.request import Request

__all__ = ["ACCOUNT", "ADMIN", "NO_STORE", "Browsers", "admit_account", "shown_time"]

ACCOUNT = Access("account", Action.ENTER)
# Administrators may; DELETE, because it is nobody else's without a rule.
ADMIN = Access("admin", Action.DELETE)

NO_STORE = b"Cache-Control: no-store\r\n"


class Browsers(Protocol):
    """Knows browsers that have logged in."""

    async def identify(self, request: Request) -> Identity | None:
        """Who it is; None if there is no session.

        :raises Denied: if another site may have made the browser send this.
        """


async def admit_account(request: Request, gate: Gate, browsers: Browsers | None) -> Grant:
    """Let in whoever has a name: by the credentials of the header, else by the session of his browser.

    :param browsers: None where none log in.
    :raises PkgdError: as `Gate.admit`.
    """
    if browsers is not None and b"authorization" not in request.head.headers:
        identity = await browsers.identify(request)
        if identity is not None:
            return gate.admit_as(request, identity, ACCOUNT)
    return await gate.admit(request, ACCOUNT)


def shown_time(seconds: float) -> str:
    """Seconds since the epoch as these answers have them (RFC 3339)."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
