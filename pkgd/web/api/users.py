"""`/api/v1/users`: users who are not let in any more. For administrators.

GET  /api/v1/users/disabled    who, and since when
POST /api/v1/users/disable     {"user": …}; 204, also if he is one already
POST /api/v1/users/enable      {"user": …}; 204: he is let in again

Names are in bodies, because they may have any characters. Browsers come as to `/api/v1/keys`.
"""

from __future__ import annotations

import msgspec
from attrs import frozen

from pkgd.auth.disabled import DisabledUsers, checked_user
from pkgd.errors import InvalidRequest, UnknownUser
from pkgd.sharing import Tasks
from pkgd.web.api.bodies import read_json
from pkgd.web.api.people import ADMIN, NO_STORE, AccountApi, Browsers, Endpoint, shown_time
from pkgd.web.gate import Gate, Grant
from pkgd.web.request import Request
from pkgd.web.respond import send_empty, send_json

__all__ = ["UserApiParts", "UsersApi"]

MAX_BODY = 4096


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a POST."""

    user: str


@frozen
class UserApiParts:
    """What the endpoint is made of; `browsers` is None where none log in."""

    gate: Gate
    disabled: DisabledUsers
    browsers: Browsers | None = None


class UsersApi(AccountApi):
    """Dispatches what is below `/api/v1/users`."""

    prefix = b"/api/v1/users"
    route = "api_users"

    def __init__(self, parts: UserApiParts, tasks: Tasks | None = None) -> None:
        """See `AccountApi`."""
        self._disabled = parts.disabled
        endpoints: list[Endpoint] = [
            ("/api/v1/users/disabled", ("GET", "HEAD"), self._list),
            ("/api/v1/users/disable", ("POST",), self._disable),
            ("/api/v1/users/enable", ("POST",), self._enable),
        ]
        super().__init__(parts.gate, parts.browsers, endpoints, tasks)

    async def _list(self, request: Request, grant: Grant) -> None:
        grant.require(ADMIN)
        rows = [{"user": one.user, "since": shown_time(one.since)} for one in self._disabled.list()]
        send_json(request, 200, {"disabled": rows}, NO_STORE)

    async def _disable(self, request: Request, grant: Grant) -> None:
        user = await _named(request, grant)
        if user == grant.principal.name:
            raise InvalidRequest("user", "nobody disables himself")
        if await self._disabled.disable(user):
            grant.record("disable-user", f"user:{user}")
        send_empty(request, 204, NO_STORE)

    async def _enable(self, request: Request, grant: Grant) -> None:
        user = await _named(request, grant)
        if not await self._disabled.enable(user):
            raise UnknownUser(user)
        grant.record("enable-user", f"user:{user}")
        send_empty(request, 204, NO_STORE)


async def _named(request: Request, grant: Grant) -> str:
    """Whom an administrator names."""
    grant.require(ADMIN)
    return checked_user((await read_json(request, _Body, MAX_BODY)).user)
