"""The token service (distribution, `spec/auth/token.md` and `oauth.md`): `/auth/token`, its aliases, and `/auth/jwks`.

A token never fails for what isn't granted: it is good for what the policy allows of what was asked for, be it nothing.
Only wrong credentials are refused; and not even those, where they may be meant for an upstream and nobody needs any.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from attrs import Factory, frozen
from twisted.python.failure import Failure

from pkgd.auth.audit import Audit, Unaudited
from pkgd.auth.authority import Authority
from pkgd.auth.credentials import Basic
from pkgd.auth.granting import Granting
from pkgd.auth.model import Identity
from pkgd.auth.scopes import Scope, TokenCap, format_scopes, parse_scopes
from pkgd.auth.sources import RefreshTokens
from pkgd.auth.tokenkeys import TokenKeys
from pkgd.auth.tokens import AccessToken, AccessTokens
from pkgd.errors import InvalidRequest, Throttled, Unauthenticated, UnknownRoute, Unsupported
from pkgd.sharing import Tasks
from pkgd.web import errors
from pkgd.web.challenge import BASIC, TOKEN_PATH
from pkgd.web.gate import anonymous
from pkgd.web.outside import Outside
from pkgd.web.request import Request
from pkgd.web.respond import send_json
from pkgd.web.target import parse_path

__all__ = ["TokenApi", "TokenParts"]

MAX_BODY = 64 << 10
MAX_FIELDS = 256
JWKS_PATH = "/auth/jwks"
_ALIASES = ("/token", "/v2/token")
_NO_STORE = b"Cache-Control: no-store\r\n"
_CACHED = b"Cache-Control: public, max-age=300\r\n"
_NOT_FOR_TOKENS = "an access token buys no other token"


@frozen
class TokenParts:
    """What the service is made of. `offers_refresh`: whether clients that ask for refresh tokens get them."""

    authority: Authority
    tokens: AccessTokens
    granting: Granting
    keys: TokenKeys
    refresh: RefreshTokens | None = None
    offers_refresh: bool = False
    audit: Audit | Unaudited = Factory(Unaudited)


@frozen
class _Order:
    """What a client asks for."""

    scopes: Sequence[Scope]
    address: str
    service: str
    client: str
    offline: bool


class TokenApi:
    """Dispatches the paths of `paths`."""

    paths = frozenset(path.encode("ascii") for path in (TOKEN_PATH, *_ALIASES, JWKS_PATH))

    def __init__(
        self, parts: TokenParts, outside: Outside, ignores_foreign: bool = True, tasks: Tasks | None = None
    ) -> None:
        """
        :param ignores_foreign: as for the gate.
        :param tasks: where every handler runs, for the stop to wait for it.
        """
        self._parts = parts
        self._outside = outside
        self._ignores_foreign = ignores_foreign
        self._tasks = tasks or Tasks()

    def handle(self, request: Request) -> None:
        """Answer a request.

        :raises PkgdError: if it cannot be dispatched; whatever the handler raises, it answers.
        """
        request.route = "token"
        parse_path(request.path)
        if request.path == JWKS_PATH.encode("ascii"):
            _check_method(request, b"GET", b"HEAD")
            send_json(request, 200, self._parts.keys.jwks(), _CACHED)
            return
        if request.path not in self.paths:
            raise UnknownRoute(request.path.decode("ascii", "replace")[:200])
        _check_method(request, b"GET", b"POST")
        self._tasks.start("request", self._run(request))

    async def _run(self, request: Request) -> None:
        try:
            await (self._get(request) if request.method == b"GET" else self._post(request))
        except Unauthenticated as error:
            errors.answer(request, Failure(Unauthenticated(error.reason, BASIC)))
        except Exception:
            errors.answer(request, Failure())

    # -- GET --

    async def _get(self, request: Request) -> None:
        """A token for the credentials of the header, or for nobody."""
        query = _Form(request.uri.partition(b"?")[2])
        order = self._order(
            request,
            query.all("scope"),
            query.one("service"),
            query.one("client_id"),
            (query.one("offline_token") or "").lower() in ("true", "1") or query.one("access_type") == "offline",
        )
        header = request.head.headers.get(b"authorization")
        parts = self._parts
        identity = await self._identify(
            order, lambda local_only: parts.authority.identify(header, order.address, local_only, order.scopes)
        )
        request.user_name = identity.principal.name
        token, granted = self._mint(identity, order)
        answer = self._answer(token, granted)
        await self._send(request, {"token": token.text, **answer}, identity, order)

    # -- POST --

    async def _post(self, request: Request) -> None:
        """A token for a password or a refresh token in the form (RFC 6749, 4.3 and 6)."""
        form = _Form(await request.body.read_all(MAX_BODY))
        order = self._order(
            request, form.all("scope"), form.one("service"), form.one("client_id"), form.one("access_type") == "offline"
        )
        match form.one("grant_type"):
            case "password":
                credentials = Basic(form.one("username") or "", form.one("password") or "")
                parts = self._parts
                identity = await self._identify(
                    order,
                    lambda local_only: parts.authority.log_in(credentials, order.address, local_only, order.scopes),
                )
                refresh = None
            case "refresh_token":
                refresh = form.one("refresh_token") or ""
                identity = await self._redeem(refresh, order)
            case _:
                raise InvalidRequest("grant_type", "password or refresh_token is needed")
        request.user_name = identity.principal.name
        token, granted = self._mint(identity, order)
        answer = self._answer(token, granted)
        if refresh is not None:
            answer["refresh_token"] = refresh
            order = _Order(order.scopes, order.address, order.service, order.client, False)
        await self._send(request, answer, identity, order)

    async def _redeem(self, token: str, order: _Order) -> Identity:
        refresh = self._parts.refresh
        found = None if refresh is None else await refresh.redeem(token, order.service)
        if not isinstance(found, Identity) or not self._parts.authority.is_current(found):
            raise Unauthenticated("the refresh token is not valid")
        return found

    # -- both --

    def _order(
        self, request: Request, scopes: Sequence[str], service: str | None, client: str | None, offline: bool
    ) -> _Order:
        """What is asked for. The service that the client names only says which one it has found: it is always this."""
        return _Order(
            parse_scopes(scopes),
            self._outside.address(request),
            self._outside.service(request),
            (client or "")[:256],
            offline,
        )

    async def _identify(self, order: _Order, ask: Any) -> Identity:
        """Who asks; nobody, if his credentials are nobody's here and none are needed."""
        parts = self._parts
        is_open = self._ignores_foreign and parts.granting.is_open(order.scopes, order.address)
        local_only = is_open and not await parts.granting.means_ours(order.scopes, order.address)
        try:
            identity: Identity = await ask(local_only)
        except (Unauthenticated, Throttled):
            if not is_open:
                raise
            return anonymous(order.address)
        if isinstance(identity.cap, TokenCap):
            raise Unauthenticated(_NOT_FOR_TOKENS)
        return identity

    def _mint(self, identity: Identity, order: _Order) -> tuple[AccessToken, list[Scope]]:
        granted = self._parts.granting.granted(identity, order.scopes)
        return self._parts.tokens.mint(identity, granted), granted

    def _answer(self, token: AccessToken, granted: Sequence[Scope]) -> dict[str, Any]:
        return {
            "access_token": token.text,
            "scope": format_scopes(granted),
            "expires_in": token.expires_in,
            "issued_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(token.issued)),
        }

    async def _send(self, request: Request, answer: dict[str, Any], identity: Identity, order: _Order) -> None:
        refresh = self._parts.refresh
        if order.offline and self._parts.offers_refresh and refresh is not None and refresh.may_have(identity):
            answer["refresh_token"] = await refresh.issue(identity, order.service, order.client)
            self._parts.audit.record("login", identity, "refresh-token", client=order.client)
        send_json(request, 200, answer, _NO_STORE)


class _Form:
    """`application/x-www-form-urlencoded`, as which the query is read, too: scopes and users may have spaces."""

    def __init__(self, body: bytes) -> None:
        """
        :raises InvalidRequest: if it is none; nothing of it is repeated.
        """
        try:
            text = body.decode("utf-8")
            self._fields = parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
        except ValueError:
            raise InvalidRequest("", "the parameters cannot be read") from None

    def all(self, name: str) -> list[str]:
        """Every value of a field."""
        return self._fields.get(name, [])

    def one(self, name: str) -> str | None:
        """A field that may be given once.

        :raises InvalidRequest: if it is given more often.
        """
        values = self.all(name)
        if len(values) > 1:
            raise InvalidRequest(name, "the field is given more than once")
        return values[0] if values else None


def _check_method(request: Request, *methods: bytes) -> None:
    if request.method not in methods:
        allowed = tuple(one.decode("ascii") for one in methods)
        raise Unsupported(f"{request.method.decode('ascii')} is not among {', '.join(allowed)} here", allowed)
