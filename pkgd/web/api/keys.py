"""`/api/v1/keys`: API keys listed, made and revoked.

GET    /api/v1/keys            one's own; with `?all=true` everybody's, for administrators
POST   /api/v1/keys            {"label": …, "expires_in": seconds, "allow": [{"resources": […], "actions": […]}],
                                "networks": […]}, for a robot also {"robot": …, "groups": […]}; answers 201 with `key`
DELETE /api/v1/keys/<id>       204

A browser that has logged in comes with a cookie instead of credentials, and then with `X-Pkgd: 1` and, for changes, an
Origin that is ours: no other site can make it send these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from attrs import frozen

from pkgd.auth.apikeys import ApiKeys, KeyRow
from pkgd.auth.keycaps import AllowRow, allowance_document, checked_allowance
from pkgd.auth.keymaking import KeyLimits, Wish, order_for
from pkgd.errors import InvalidRequest, UnknownKey
from pkgd.sharing import Tasks
from pkgd.web.api.bodies import read_json
from pkgd.web.api.people import ADMIN, NO_STORE, AccountApi, Browsers, Endpoint, shown_time
from pkgd.web.gate import Gate, Grant
from pkgd.web.request import Request
from pkgd.web.respond import send_empty, send_json
from pkgd.web.target import parse_query

__all__ = ["KeyApiParts", "KeysApi"]

MAX_BODY = 64 * 1024
MAX_KEYS = 200


class _Allow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    resources: list[str]
    actions: list[str]


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a POST."""

    label: str = ""
    robot: str | None = None
    groups: list[str] = []
    allow: list[_Allow] | None = None
    networks: list[str] = []
    expires_in: float | None = None


@frozen
class KeyApiParts:
    """What the endpoint is made of; `browsers` is None where none log in."""

    gate: Gate
    keys: ApiKeys
    limits: KeyLimits
    now: Callable[[], float]
    browsers: Browsers | None = None


class KeysApi(AccountApi):
    """Dispatches `/api/v1/keys` and what is below."""

    prefix = b"/api/v1/keys"
    route = "api_keys"

    def __init__(self, parts: KeyApiParts, tasks: Tasks | None = None) -> None:
        """See `AccountApi`."""
        self._parts = parts
        endpoints: list[Endpoint] = [
            ("/api/v1/keys", ("GET", "HEAD"), self._list),
            ("/api/v1/keys", ("POST",), self._create),
            ("/api/v1/keys/{key}", ("DELETE",), self._revoke),
        ]
        super().__init__(parts.gate, parts.browsers, endpoints, tasks)

    # -- the three --

    async def _list(self, request: Request, grant: Grant) -> None:
        everybody = parse_query(request.uri.partition(b"?")[2]).one("all") == "true"
        if everybody:
            grant.require(ADMIN)
        rows = [one for one in self._parts.keys.list() if everybody or one.owner == grant.principal.name]
        send_json(request, 200, {"keys": [_shown(one) for one in rows], "user": grant.principal.name}, NO_STORE)

    async def _create(self, request: Request, grant: Grant) -> None:
        wish = _wish(await read_json(request, _Body, MAX_BODY))
        parts = self._parts
        order = order_for(grant.identity, grant.may(ADMIN), wish, parts.limits, parts.now())
        if sum(one.owner == order.owner for one in parts.keys.list()) >= MAX_KEYS:
            raise InvalidRequest("", f"{order.owner} has {MAX_KEYS} keys already: revoke some")
        row, text = await parts.keys.create(order)
        grant.record("create-key", f"key:{row.id}", owner=row.owner, label=row.label)
        send_json(request, 201, {**_shown(row), "key": text}, NO_STORE)

    async def _revoke(self, request: Request, grant: Grant, identifier: str) -> None:
        row = self._parts.keys.find(identifier)
        if row is None or not (self._is_own(row, grant) or grant.may(ADMIN)):
            raise UnknownKey(identifier[:40])
        await self._parts.keys.revoke(identifier)
        grant.record("revoke-key", f"key:{row.id}", owner=row.owner, label=row.label)
        send_empty(request, 204, NO_STORE)

    def _is_own(self, row: KeyRow, grant: Grant) -> bool:
        """Whether he may revoke it as his own; with a narrowed key only that one, and those made with it."""
        if row.owner != grant.principal.name:
            return False
        mine = grant.identity.via.partition(":")[2]
        return grant.identity.cap is None or mine in (row.id, row.parent)


def _wish(found: _Body) -> Wish:
    allow: tuple[AllowRow, ...] | None = None
    if found.allow is not None:
        allow = tuple(checked_allowance(one.resources, one.actions) for one in found.allow)
    return Wish(found.label, found.robot, tuple(found.groups), allow, tuple(found.networks), found.expires_in)


def _shown(row: KeyRow) -> dict[str, Any]:
    """A key as JSON has it: everything but the secret."""
    return {
        "id": row.id,
        "owner": row.owner,
        "label": row.label,
        "allow": allowance_document(row.allow),
        "networks": row.networks,
        "made_with": row.parent,
        "suspended": row.suspended,
        "created": shown_time(row.created),
        "expires": shown_time(row.expires),
        "last_used": None if row.used is None else shown_time(row.used),
    }
