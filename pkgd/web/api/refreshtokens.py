"""`/api/v1/refresh-tokens`: what docker and its like keep of a login, listed and revoked.

GET    /api/v1/refresh-tokens        one's own; with `?all=true` everybody's, for administrators
DELETE /api/v1/refresh-tokens/<id>   204; for who has lost the machine that the token is on

Browsers come as to `/api/v1/keys`.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from pkgd.auth.refresh import RefreshRow, StoredRefreshTokens
from pkgd.errors import UnknownRefreshToken
from pkgd.sharing import Tasks
from pkgd.web.api.people import ADMIN, NO_STORE, AccountApi, Browsers, Endpoint, shown_time
from pkgd.web.gate import Gate, Grant
from pkgd.web.request import Request
from pkgd.web.respond import send_empty, send_json
from pkgd.web.target import parse_query

__all__ = ["RefreshTokenApiParts", "RefreshTokensApi"]


@frozen
class RefreshTokenApiParts:
    """What the endpoint is made of; `browsers` is None where none log in."""

    gate: Gate
    tokens: StoredRefreshTokens
    browsers: Browsers | None = None


class RefreshTokensApi(AccountApi):
    """Dispatches `/api/v1/refresh-tokens` and what is below."""

    prefix = b"/api/v1/refresh-tokens"
    route = "api_refresh_tokens"

    def __init__(self, parts: RefreshTokenApiParts, tasks: Tasks | None = None) -> None:
        """See `AccountApi`."""
        self._parts = parts
        endpoints: list[Endpoint] = [
            ("/api/v1/refresh-tokens", ("GET", "HEAD"), self._list),
            ("/api/v1/refresh-tokens/{token}", ("DELETE",), self._revoke),
        ]
        super().__init__(parts.gate, parts.browsers, endpoints, tasks)

    async def _list(self, request: Request, grant: Grant) -> None:
        everybody = parse_query(request.uri.partition(b"?")[2]).one("all") == "true"
        if everybody:
            grant.require(ADMIN)
        rows = await self._parts.tokens.list(None if everybody else grant.principal.name)
        send_json(request, 200, {"refresh_tokens": [_shown(one) for one in rows]}, NO_STORE)

    async def _revoke(self, request: Request, grant: Grant, identifier: str) -> None:
        # With a narrowed key nobody ends what was given for the password itself.
        own = grant.identity.cap is None
        rows = await self._parts.tokens.list(None if grant.may(ADMIN) else grant.principal.name)
        row = next((one for one in rows if one.id == identifier and (own or grant.may(ADMIN))), None)
        if row is None or not await self._parts.tokens.end(identifier):
            raise UnknownRefreshToken(identifier[:40])
        grant.record("revoke-refresh-token", f"refresh-token:{row.id}", owner=row.user, client=row.client)
        send_empty(request, 204, NO_STORE)


def _shown(row: RefreshRow) -> dict[str, Any]:
    """A refresh token as JSON has it: everything but the secret."""
    return {
        "id": row.id,
        "owner": row.user,
        "client": row.client,
        "service": row.service,
        "created": shown_time(row.created),
        "expires": shown_time(row.expires),
    }
