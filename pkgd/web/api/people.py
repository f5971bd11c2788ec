"""Who comes to look after what is his own: by credentials, or with a browser that has logged in."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Protocol

from twisted.python.failure import Failure

from pkgd.auth.model import Access, Action, Identity
from pkgd.sharing import Tasks
from pkgd.web import errors
from pkgd.web.gate import Gate, Grant
from pkgd.web.request import Request
from pkgd.web.routes import Routes

__all__ = ["ACCOUNT", "ADMIN", "NO_STORE", "AccountApi", "Browsers", "Endpoint", "admit_account", "shown_time"]

ACCOUNT = Access("account", Action.ENTER)
# Administrators may; DELETE, because it is nobody else's without a rule.
ADMIN = Access("admin", Action.DELETE)

NO_STORE = b"Cache-Control: no-store\r\n"


# A path, its methods, and what answers: it is given the request, the grant, and what the path has in braces.
Endpoint = tuple[str, tuple[str, ...], Callable[..., Awaitable[None]]]


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


class AccountApi:
    """Dispatches what lies below one path to handlers, once it is known whose account it is.

    :param endpoints: the paths below.
    :param tasks: where every handler runs, for the stop to wait for it.
    """

    # The path, and what logs and metrics call it.
    prefix: ClassVar[bytes]
    route: ClassVar[str]

    def __init__(
        self, gate: Gate, browsers: Browsers | None, endpoints: Sequence[Endpoint], tasks: Tasks | None
    ) -> None:
        self._gate = gate
        self._browsers = browsers
        self._tasks = tasks or Tasks()
        self.routes: Routes[Callable[..., Awaitable[None]]] = Routes(endpoints)

    def handle(self, request: Request) -> None:
        """Answer a request.

        :raises PkgdError: if it cannot be dispatched; whatever the handler raises, it answers.
        """
        request.route = self.route
        work, values = self.routes.find(request)
        self._tasks.start("request", self._answer(request, work, values))

    async def _answer(self, request: Request, work: Callable[..., Awaitable[None]], values: list[str]) -> None:
        try:
            grant = await admit_account(request, self._gate, self._browsers)
            await work(request, grant, *values)
        except Exception:
            errors.answer(request, Failure())


def shown_time(seconds: float) -> str:
    """Seconds since the epoch as these answers have them (RFC 3339)."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
