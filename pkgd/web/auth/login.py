"""Logging in by the provider, with a browser or by a device code.

GET  /auth/login?redirect=/…     to the provider, with state, nonce and PKCE (OpenID Connect Core 1.0, 3.1; RFC 7636)
GET  /auth/callback?code&state   from there; then to the path, with a session in a cookie
POST /auth/logout                the session ends
POST /auth/device                a code to log in with elsewhere, for commands (pkgd.web.auth.devices)
POST /auth/device/token          its refresh token, once somebody has: `device_code` in a form
GET  /auth/loopback              to the provider, for a command on the browser's machine (pkgd.web.auth.loopback)
POST /auth/loopback/token        its refresh token: `code` and `code_verifier` in a form
POST /auth/revoke                a refresh token ends: `token` in a form (RFC 7009)

Whatever the provider calls an error is said in words of ours; a browser is sent to a path here, or to the provider.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any

from attrs import Factory, evolve, frozen
from twisted.logger import Logger
from twisted.python.failure import Failure

from pkgd.auth.audit import Audit, Unaudited
from pkgd.auth.jwtverify import Claims
from pkgd.auth.model import Identity
from pkgd.auth.oidc import Provider, Refusal
from pkgd.auth.oidcusers import OidcUsers
from pkgd.auth.pending import (
    BrowserLogin,
    DeviceLogin,
    LoopbackCode,
    LoopbackLogin,
    Pending,
    challenge_of,
    new_browser_login,
)
from pkgd.auth.secrettexts import new_secret
from pkgd.auth.sessions import LIFETIME, Sessions
from pkgd.auth.sources import RefreshTokens
from pkgd.auth.throttle import Rate, Throttle
from pkgd.errors import (
    Denied,
    InvalidRequest,
    TokenRefused,
    Unauthenticated,
    UnknownRoute,
    Unsupported,
)
from pkgd.sharing import Tasks
from pkgd.web import errors
from pkgd.web.auth.browsers import check_same_origin
from pkgd.web.auth.devices import DEVICE_SECONDS, DeviceCodes
from pkgd.web.auth.forms import NO_STORE, field_of, redirect, send_error
from pkgd.web.auth.loopback import CODE_SECONDS, read_loopback, redeem_loopback, show_link
from pkgd.web.cookies import LOGIN, SESSION, cookie_of, forget_cookie, set_cookie
from pkgd.web.outside import Outside
from pkgd.web.request import Request
from pkgd.web.respond import send_empty, send_json
from pkgd.web.target import parse_path, parse_query
from pkgd.web.ui.refusal import answer_with_page, wants_page

__all__ = ["CALLBACK_PATH", "HOME", "LoginApi", "LoginParts", "UnderWay"]

log = Logger()

CALLBACK_PATH = "/auth/callback"
# Where a browser goes that has not said where to.
HOME = "/ui/keys"
# How long a login may take, in seconds.
LOGIN_SECONDS = 600.0
MAX_BODY = 64 * 1024
MAX_CODE = 4096
# How often the provider is asked for who comes from one address, and in all.
ASKING = Rate(60, 60.0)
EVERYBODY = Rate(1200, 60.0)

# A path here, plain: nothing that a browser could take for another host.
_TARGET = re.compile(r"/(?:[A-Za-z0-9_.~-][A-Za-z0-9_.~/-]*)?(?:\?[A-Za-z0-9_.~/=&-]*)?")
_FAILED = "the login has failed: begin anew at /auth/login"


class UnderWay:
    """Logins that have been begun, and how often the provider was asked for somebody: what a reload goes on with."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.browsers: Pending[BrowserLogin] = Pending(LOGIN_SECONDS, now)
        self.devices: Pending[DeviceLogin] = Pending(DEVICE_SECONDS, now)
        self.codes: Pending[LoopbackCode] = Pending(CODE_SECONDS, now)
        self.asking = Throttle(ASKING, EVERYBODY, now)


@frozen
class LoginParts:
    """What logging in is made of."""

    provider: Provider
    users: OidcUsers
    sessions: Sessions
    refresh: RefreshTokens
    outside: Outside
    now: Callable[[], float]
    audit: Audit | Unaudited = Factory(Unaudited)
    under_way: UnderWay = Factory(lambda self: UnderWay(self.now), takes_self=True)


class LoginApi:
    """Dispatches the paths of `paths`."""

    paths = frozenset(
        [b"/auth/login", b"/auth/callback", b"/auth/logout", b"/auth/device", b"/auth/device/token", b"/auth/revoke"]
        + [b"/auth/loopback", b"/auth/loopback/token"]
    )

    def __init__(self, parts: LoginParts, tasks: Tasks | None = None) -> None:
        """
        :param tasks: where every handler runs, for the stop to wait for it.
        """
        self._parts = parts
        self._tasks = tasks or Tasks()
        self._browsers = parts.under_way.browsers
        self._asking = parts.under_way.asking
        self._devices = DeviceCodes(parts.provider, parts.under_way.devices, parts.now)
        self._work: dict[bytes, tuple[bytes, Callable[[Request], Coroutine[Any, Any, None]]]] = {
            b"/auth/login": (b"GET", self._login),
            b"/auth/callback": (b"GET", self._callback),
            b"/auth/logout": (b"POST", self._logout),
            b"/auth/device": (b"POST", self._device),
            b"/auth/device/token": (b"POST", self._device_token),
            b"/auth/loopback": (b"GET", self._loopback),
            b"/auth/loopback/token": (b"POST", self._loopback_token),
            b"/auth/revoke": (b"POST", self._revoke),
        }

    def handle(self, request: Request) -> None:
        """Answer a request.

        :raises PkgdError: if it cannot be dispatched; whatever the handler raises, it answers.
        """
        request.route = "login"
        parse_path(request.path)
        if request.path not in self._work:
            raise UnknownRoute(request.path.decode("ascii", "replace")[:200])
        method, work = self._work[request.path]
        if request.method != method:
            raise Unsupported(f"{method.decode('ascii')} is needed here", (method.decode("ascii"),))
        self._tasks.start("request", self._run(request, work))

    async def _run(self, request: Request, work: Callable[[Request], Coroutine[Any, Any, None]]) -> None:
        try:
            await work(request)
        except TokenRefused as error:
            log.warn("a login has failed: {why}", why=error.reason)
            _refuse(request, Failure(Unauthenticated(_FAILED)))
        except Exception:
            _refuse(request, Failure())

    # -- browsers --

    async def _login(self, request: Request) -> None:
        """To the provider."""
        target = parse_query(request.uri.partition(b"?")[2]).one("redirect") or HOME
        if not _TARGET.fullmatch(target):
            raise InvalidRequest("redirect", "a path of this server is needed")
        await self._begin(request, target)

    async def _begin(self, request: Request, target: str, loopback: LoopbackLogin | None = None) -> None:
        state, cookie = new_secret(), new_secret()
        login = new_browser_login(cookie, target, loopback)
        url = await self._parts.provider.authorization_url(state, login.nonce, challenge_of(login.verifier))
        self._browsers.add(state, login)
        redirect(request, 302, url, set_cookie(LOGIN, cookie, LOGIN_SECONDS))

    async def _callback(self, request: Request) -> None:
        """From the provider: the code is redeemed once, for the browser that has begun."""
        query = parse_query(request.uri.partition(b"?")[2])
        login = self._browsers.take(query.one("state") or "")
        if login is None or not login.is_by(cookie_of(request, LOGIN)):
            raise Unauthenticated(_FAILED)
        self._count(request)
        code = query.one("code")
        if code is None or len(code) > MAX_CODE:
            raise Unauthenticated(f"the provider has let nobody in. {_FAILED}")
        claims = await self._parts.provider.redeem_code(code, login.verifier, login.nonce)
        if isinstance(claims, Refusal):
            raise TokenRefused(f"the provider does not take its code: {claims.error}")
        identity = await self._let_in(request, claims)
        if login.loopback is not None:
            show_link(request, self._parts.under_way.codes, login.loopback, identity, forget_cookie(LOGIN))
            return
        session = await self._parts.sessions.begin(identity)
        self._parts.audit.record("login", identity, "session")
        old = cookie_of(request, SESSION)
        if old is not None:
            await self._parts.sessions.end(old)
        log.info("{user} has logged in", user=identity.principal.name)
        redirect(request, 303, login.target, set_cookie(SESSION, session, LIFETIME) + forget_cookie(LOGIN))

    async def _logout(self, request: Request) -> None:
        check_same_origin(request, self._parts.outside)
        session = cookie_of(request, SESSION)
        if session is not None:
            await self._parts.sessions.end(session)
        send_empty(request, 204, NO_STORE + forget_cookie(SESSION))

    async def _let_in(self, request: Request, claims: Claims) -> Identity:
        """Who the claims are of, where the request comes from.

        :raises PkgdError: if he is not let in, which is noted.
        """
        address = self._parts.outside.address(request)
        try:
            identity = await self._parts.users.log_in(claims)
        except (Denied, TokenRefused):
            self._parts.audit.failed_login(self._parts.users.name_of(claims), address)
            raise
        request.user_name = identity.principal.name
        return evolve(identity, principal=evolve(identity.principal, address=address))

    def _count(self, request: Request) -> None:
        """Count what the provider is asked for somebody that nobody knows yet.

        :raises Throttled: if that was too often of late.
        """
        address = self._parts.outside.address(request)
        self._asking.check("", address)
        self._asking.failed("", address)

    # -- commands --

    async def _device(self, request: Request) -> None:
        """A new code."""
        await request.body.read_all(MAX_BODY)
        self._count(request)
        send_json(request, 200, await self._devices.start(), NO_STORE)

    async def _device_token(self, request: Request) -> None:
        """The refresh token of who has logged in elsewhere meanwhile."""
        claims = await self._devices.redeem(field_of(await request.body.read_all(MAX_BODY), "device_code"))
        if isinstance(claims, Refusal):
            send_error(request, claims.error)
            return
        identity = await self._let_in(request, claims)
        send_json(request, 200, await self._tokens(request, identity), NO_STORE)

    async def _loopback(self, request: Request) -> None:
        """To the provider, for a command on the same machine."""
        await self._begin(request, HOME, read_loopback(request.uri.partition(b"?")[2]))

    async def _loopback_token(self, request: Request) -> None:
        """The refresh token of who has followed the link."""
        identity = redeem_loopback(self._parts.under_way.codes, await request.body.read_all(MAX_BODY))
        if identity is None:
            send_error(request, "invalid_grant")
            return
        request.user_name = identity.principal.name
        send_json(request, 200, await self._tokens(request, identity), NO_STORE)

    async def _tokens(self, request: Request, identity: Identity) -> dict[str, Any]:
        service = self._parts.outside.service(request)
        token = await self._parts.refresh.issue(identity, service, "pkgd login")
        self._parts.audit.record("login", identity, "refresh-token", client="pkgd login")
        log.info("{user} has logged in by a device code", user=identity.principal.name)
        return {"refresh_token": token, "user": identity.principal.name, "service": service}

    async def _revoke(self, request: Request) -> None:
        """Whoever has it may end it; whether it was one is not said (RFC 7009, 2.2)."""
        await self._parts.refresh.revoke(field_of(await request.body.read_all(MAX_BODY), "token"))
        send_json(request, 200, {}, NO_STORE)


def _refuse(request: Request, failure: Failure) -> None:
    """A browser that has been sent here shows a page; whoever else asks gets what tools can read."""
    places = (b"/auth/login", b"/auth/loopback", CALLBACK_PATH.encode("ascii"))
    by_browser = request.path in places and wants_page(request)
    (answer_with_page if by_browser else errors.answer)(request, failure)
