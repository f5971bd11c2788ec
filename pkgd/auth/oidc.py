"""An OpenID Connect provider, as its client: codes and device codes for verified claims (OpenID Connect Core 1.0, 3.1).

The start does not depend on it: where it is, is found out when somebody needs it, and again and again in the background
as long as it is not known.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from attrs import field, frozen
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pkgd.auth.discovery import Issuers
from pkgd.auth.jwks import RemoteKeys
from pkgd.auth.jwtverify import Claims, TokenRules, Verifier
from pkgd.auth.strictjson import parse_object
from pkgd.errors import AuthUnavailable, TokenRefused, TooLarge, Upstream, UpstreamCorrupt, UpstreamTimeout
from pkgd.outbound.client import Client
from pkgd.sharing import SingleFlight

__all__ = ["Provider", "ProviderSettings", "Refusal"]

log = Logger()

# How long what the provider says of itself is used without asking again, in seconds; and the pause after a failure.
MAX_AGE = 3600.0
PAUSE = 5.0
SECONDS = 10.0
MAX_ANSWER = 256 * 1024

_FORM = "application/x-www-form-urlencoded"


@frozen
class ProviderSettings:
    """Who we are to the provider, and what is wanted of it."""

    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    scopes: tuple[str, ...]
    redirect_uri: str
    claims: tuple[str, ...] = ()
    """Those that are needed: what the ID token does not have of them is asked of the userinfo endpoint."""


@frozen
class Refusal:
    """What the provider says of a code that it doesn't accept, in its own words of RFC 6749, 5.2 and RFC 8628, 3.5."""

    error: str


@frozen
class _Metadata:
    authorization: str
    token: str
    userinfo: str | None
    device: str | None


class Provider:
    """See the module."""

    def __init__(
        self,
        settings: ProviderSettings,
        client: Client,
        clock: IReactorTime,
        now: Callable[[], float],
        plain: bool = False,
    ) -> None:
        """
        :param now: seconds since the epoch.
        :param plain: whether plain HTTP may be spoken beyond this machine.
        """
        self.settings = settings
        self._client = client
        self._clock = clock
        self._now = now
        self._issuers = Issuers(client, clock, plain)
        self.keys = RemoteKeys(settings.issuer, partial(self._issuers.keys_of, settings.issuer), now)
        self._verifier = Verifier(self.keys, TokenRules(settings.issuer, (settings.client_id,)))
        self._flights: SingleFlight[_Metadata] = SingleFlight()
        self._metadata: _Metadata | None = None
        self._learnt = self._failed = -MAX_AGE
        self._by_post = False
        self.is_degraded = True

    # -- where it is --

    def state(self) -> str:
        """How it is with it, in a word."""
        return "degraded" if self.is_degraded else "ok"

    async def look(self) -> None:
        """Find out where it is, if that is not known or long ago. Never fails."""
        with suppress(AuthUnavailable):  # which has been logged
            await self._find()

    async def probe(self) -> str:
        """What it says of itself, in a line for operators.

        :raises AuthUnavailable: if it cannot be asked, or nobody could log in by what it says.
        """
        found = await self._find()
        devices = "device codes" if found.device is not None else "no device codes, so pkgd login is of no use"
        return f"logs in at {urlsplit(found.authorization).netloc}; {devices}"

    async def close(self) -> None:
        """End what is asked."""
        await self._client.close()

    async def _find(self) -> _Metadata:
        """
        :raises AuthUnavailable: if it cannot be asked, and never could.
        """
        now = self._clock.seconds()
        known = self._metadata
        if known is not None and now - self._learnt < MAX_AGE:
            return known
        if now - self._failed < PAUSE:
            if known is not None:
                return known
            raise AuthUnavailable("the provider cannot be asked")
        try:
            return await self._flights.join("metadata", self._learn)
        except Upstream as error:
            if known is not None:
                return known
            raise AuthUnavailable(error.message) from None

    async def _learn(self) -> _Metadata:
        issuer = self.settings.issuer
        try:
            document = await self._issuers.document_of(issuer)
            place = partial(self._issuers.place, document, base=issuer)

            def optional(name: str) -> str | None:
                return place(name) if document.get(name) is not None else None

            found = _Metadata(
                authorization=place("authorization_endpoint"),
                token=place("token_endpoint"),
                userinfo=optional("userinfo_endpoint"),
                device=optional("device_authorization_endpoint"),
            )
        except Upstream as error:
            self._failed = self._clock.seconds()
            if not self.is_degraded or self._metadata is None:
                log.warn("nobody can log in by {issuer}: {why}", issuer=issuer, why=error.message)
            self.is_degraded = True
            raise
        if self.is_degraded:
            log.info("users log in by {issuer}", issuer=issuer)
        self._metadata, self._learnt, self.is_degraded = found, self._clock.seconds(), False
        return found

    # -- codes --

    async def authorization_url(self, state: str, nonce: str, challenge: str) -> str:
        """Where a browser goes to log in.

        :param challenge: of PKCE, by S256 (RFC 7636, 4.2).
        :raises AuthUnavailable: if that is not known.
        """
        settings, place = self.settings, (await self._find()).authorization
        query = urlencode(
            {
                "response_type": "code",
                "client_id": settings.client_id,
                "redirect_uri": settings.redirect_uri,
                "scope": " ".join(settings.scopes),
                "state": state,
                "nonce": nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            },
            quote_via=quote,
        )
        return f"{place}{'&' if '?' in place else '?'}{query}"

    async def redeem_code(self, code: str, verifier: str, nonce: str) -> Claims | Refusal:
        """The claims that a browser's code stands for.

        :raises TokenRefused: if what the provider answers is not to be believed.
        :raises AuthUnavailable: if it cannot be asked.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.settings.redirect_uri,
            "code_verifier": verifier,
        }
        return await self._redeem(form, nonce)

    async def redeem_device(self, code: str) -> Claims | Refusal:
        """The claims that a device code stands for, once its user has logged in (RFC 8628, 3.4).

        :raises TokenRefused: as `redeem_code`; so with `AuthUnavailable`.
        """
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": code}
        return await self._redeem(form, None)

    async def authorize_device(self) -> Mapping[str, Any] | None:
        """A new device code with all that goes with it (RFC 8628, 3.2); None if the provider has none.

        :raises AuthUnavailable: if it cannot be asked.
        """
        place = (await self._find()).device
        if place is None:
            return None
        status, answer = await self._post(place, {"scope": " ".join(self.settings.scopes)})
        if status != 200:
            log.warn("{issuer} gives no device code: {error}", issuer=self.settings.issuer, error=_error(answer))
            return None
        return answer

    async def _redeem(self, form: dict[str, str], nonce: str | None) -> Claims | Refusal:
        status, answer = await self._post((await self._find()).token, form)
        if status != 200:
            return Refusal(_error(answer))
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise TokenRefused("the provider sends no ID token")
        claims = await self._verifier.verify(token, self._now())
        self._check(claims, nonce)
        access = answer.get("access_token")
        if isinstance(access, str) and any(one not in claims for one in self.settings.claims):
            return {**await self._userinfo(access, claims), **claims}
        return claims

    def _check(self, claims: Claims, nonce: str | None) -> None:
        """What is special of ID tokens (OpenID Connect Core 1.0, 3.1.3.7)."""
        audience, party = claims.get("aud"), claims.get("azp")
        if party not in (None, self.settings.client_id) or (
            isinstance(audience, list) and len(audience) > 1 and party is None
        ):
            raise TokenRefused("the ID token is for another party")
        said = claims.get("nonce")
        if nonce is not None and (not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode())):
            raise TokenRefused("the ID token is of another login")
        if not isinstance(claims.get("sub"), str):
            raise TokenRefused("the ID token has no subject")

    async def _userinfo(self, access: str, claims: Claims) -> dict[str, Any]:
        """Further claims (OpenID Connect Core 1.0, 5.3), if they are of the same subject."""
        place = (await self._find()).userinfo
        if place is None or not access.isascii() or not access.isprintable():
            return {}
        status, found = await self._ask("GET", place, {"Authorization": f"Bearer {access}"}, None)
        if status != 200 or found.get("sub") != claims.get("sub"):
            raise TokenRefused("the provider does not say who the user is")
        return found

    # -- asking --

    async def _post(self, place: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """A request in a form, with what shows who we are.

        Every provider has to take that in a header (RFC 6749, 2.3.1), and some don't of some clients: who is not known
        by it shows it in the form, once.
        """
        status, answer = await self._ask("POST", place, *self._shown(form))
        if status in (400, 401) and _error(answer) == "invalid_client" and self.settings.client_secret is not None:
            self._by_post = not self._by_post
            status, answer = await self._ask("POST", place, *self._shown(form))
        return status, answer

    def _shown(self, form: dict[str, str]) -> tuple[dict[str, str], bytes]:
        """Headers and body of a form."""
        settings, headers = self.settings, {"Content-Type": _FORM}
        form, secret = {**form, "client_id": settings.client_id}, settings.client_secret
        if secret is not None and self._by_post:
            form["client_secret"] = secret
        elif secret is not None:
            pair = f"{quote(settings.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode('ascii')).decode('ascii')}"
        return headers, urlencode(form).encode("ascii")

    async def _ask(
        self, method: str, place: str, headers: dict[str, str], body: bytes | None
    ) -> tuple[int, dict[str, Any]]:
        """
        :raises AuthUnavailable: if there is no answer that could be understood.
        """
        asking = Deferred.fromCoroutine(self._exchange(method, place, headers, body))
        try:
            return await asking.addTimeout(SECONDS, self._clock)
        except TimeoutError:
            error: Upstream = UpstreamTimeout(urlsplit(place).netloc, "does not answer in time")
        except Upstream as failure:
            error = failure
        log.warn("{issuer} cannot be asked: {why}", issuer=self.settings.issuer, why=error.message)
        raise AuthUnavailable(error.message) from None

    async def _exchange(
        self, method: str, place: str, headers: dict[str, str], body: bytes | None
    ) -> tuple[int, dict[str, Any]]:
        answer = await self._client.request(method, place, {"Accept": "application/json", **headers}, body)
        host = urlsplit(place).netloc
        try:
            if answer.status >= 500 or 300 <= answer.status < 400:
                raise UpstreamCorrupt(host, f"answers {answer.status}")
            return answer.status, parse_object(await answer.body.read_all(MAX_ANSWER))
        except TooLarge:
            raise UpstreamCorrupt(host, f"sends more than {MAX_ANSWER >> 10} KiB") from None
        except ValueError:
            raise UpstreamCorrupt(host, "sends what is no JSON") from None
        finally:
            answer.close()


def _error(answer: Mapping[str, Any]) -> str:
    """The provider's word for what is wrong; none of its sentences."""
    error = answer.get("error")
    return error if isinstance(error, str) and error.isascii() and error.isidentifier() else "invalid_request"
