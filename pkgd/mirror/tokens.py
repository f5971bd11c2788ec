"""Authorization for an upstream: Basic credentials and Bearer tokens (distribution-spec's token flow).

Credentials go to the configured origin, and to a token service of the same host or registrable
domain over TLS; a challenge that names another gets an anonymous request at most (CVE-2026-33540).
What one host has issued is shown to that host only.
"""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from attrs import field, frozen
from twisted.internet.interfaces import IReactorTime

from pkgd.errors import AddressRefused, TooLarge, UpstreamBusy, UpstreamCorrupt, UpstreamRefused, UpstreamUnavailable
from pkgd.formats.hosts import registrable_domain
from pkgd.mirror.challenge import Challenge
from pkgd.outbound.breaker import parse_retry_after
from pkgd.outbound.client import Answer, Client
from pkgd.sharing import SingleFlight

__all__ = ["Credentials", "Tokens", "origin_of", "scope_of"]

# A token endpoint's answer; tokens with many groups have some kilobytes.
MAX_ANSWER = 64 * 1024
# The lifetime of a token that states none (distribution-spec, token flow), and the bounds of one that does.
DEFAULT_LIFETIME = 60.0
MAX_LIFETIME = 3600.0
# A token is renewed when this part of its lifetime is over.
RENEW_AT = 0.8
MAX_TOKENS = 1024

_REPOSITORY = re.compile(r"(.+)/(?:(?:manifests|blobs|referrers)/[^/]+|tags/list)")
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,32768}")


@frozen
class Credentials:
    """A user's name and password at one upstream."""

    username: str
    password: str = field(repr=False)

    @property
    def header(self) -> str:
        """The Authorization header (RFC 7617)."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"


class _Issued(msgspec.Struct):
    """A token endpoint's answer."""

    token: str | None = None
    access_token: str | None = None
    expires_in: float | None = None


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL: what may share secrets (RFC 6454)."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def scope_of(url: str) -> str | None:
    """The scope that pulling from a registry's URL takes, or None if it is no such URL."""
    match = _REPOSITORY.fullmatch(urlsplit(url).path.partition("/v2/")[2])
    return f"repository:{match[1]}:pull" if match else None


class Tokens:
    """The Authorization headers of one upstream, each for the host and scope it was issued for."""

    def __init__(self, host: str, base: str, client: Client, credentials: Credentials | None, clock: IReactorTime):
        """
        :param host: the upstream's name.
        :param base: its configured URL: the only origin that credentials belong to.
        """
        self._host = host
        self._home = origin_of(base)
        self._client = client
        self._credentials = credentials
        self._clock = clock
        self._known: dict[tuple[object, str], tuple[str, float]] = {}
        self._flights: SingleFlight[tuple[str, float]] = SingleFlight()

    def known(self, url: str) -> str | None:
        """The Authorization header that a URL has wanted before, if it is still good."""
        key = self._key(url)
        header, renew = self._known.get(key, ("", 0.0))
        if header and renew <= self._clock.seconds():
            del self._known[key]
            return None
        return header or None

    async def answer(self, url: str, challenges: list[Challenge], refused: str | None = None) -> str:
        """The Authorization header that answers a 401 of this URL.

        :param refused: the one that it was sent, and did not accept.
        :raises UpstreamRefused: if there is none.
        :raises UpstreamUnavailable: if the token service fails; `UpstreamBusy` if it asks for a pause.
        """
        key = self._key(url)
        renewed = self.known(url)
        if renewed is not None and renewed != refused:
            return renewed  # fetched for another request while this one was on its way
        self._known.pop(key, None)
        by_scheme = {one.scheme: one for one in reversed(challenges)}
        if "bearer" in by_scheme:
            bearer = by_scheme["bearer"]
            header, renew = await self._flights.join(key, lambda: self._issue(url, bearer))
        elif "basic" in by_scheme and self._credentials is not None and origin_of(url) == self._home:
            header, renew = self._credentials.header, float("inf")
        else:
            raise UpstreamRefused(self._host, "asks for credentials")
        if key not in self._known and len(self._known) >= MAX_TOKENS:
            del self._known[next(iter(self._known))]
        self._known[key] = (header, renew)
        return header

    def _key(self, url: str) -> tuple[object, str]:
        """What may share an authorization: a repository of an origin, or one path where there is none."""
        return origin_of(url), scope_of(url) or urlsplit(url).path

    async def _issue(self, url: str, challenge: Challenge) -> tuple[str, float]:
        """Fetch a token; returns its header and when to renew it."""
        realm = challenge.parameters.get("realm", "")
        self._check_realm(url, realm)
        credentials = self._credentials if origin_of(url) == self._home and self._is_trusted(realm) else None
        query = {"service": challenge.parameters.get("service", "")}
        query["scope"] = scope_of(url) or challenge.parameters.get("scope", "")
        headers = {}
        if credentials is not None:
            query["account"] = credentials.username
            headers["Authorization"] = credentials.header
        given = urlencode({name: value for name, value in query.items() if value})
        target = f"{realm}{'&' if '?' in realm else '?'}{given}"
        try:
            answer = await self._client.request("GET", target, headers)
        except AddressRefused as error:
            raise self._distrust() from error
        try:
            return await self._read(answer, credentials is not None)
        finally:
            answer.close()

    def _check_realm(self, url: str, realm: str) -> None:
        """Refuse a token service that cannot be right.

        :raises UpstreamRefused: unless it is an https URL, or of the very origin that has answered.
        """
        try:
            parts = urlsplit(realm)
            plain = parts.username is None and not parts.fragment
            secure = origin_of(realm) == origin_of(url) or parts.scheme == "https"
        except ValueError:
            plain = secure = False
        if not (plain and secure and parts.hostname):
            raise self._distrust()

    def _distrust(self) -> UpstreamRefused:
        """This tells nothing of what is there or not."""
        return UpstreamRefused(self._host, "names a token service that is not to be trusted", definite=False)

    def _is_trusted(self, realm: str) -> bool:
        """Whether credentials may go there."""
        scheme, host, port = origin_of(realm)
        if (scheme, host, port) == self._home:
            return True
        ours = {self._home[1], self._host.partition(":")[0]}
        domains = {registrable_domain(one) for one in ours} - {None}
        return scheme == "https" and (host in ours or registrable_domain(host) in domains)

    async def _read(self, answer: Answer, with_credentials: bool) -> tuple[str, float]:
        now = self._clock.seconds()
        if answer.status == 429:
            pause = parse_retry_after(answer.header("retry-after"), now)
            raise UpstreamBusy(self._host, "has a token service that wants no more requests for now", pause)
        if answer.status >= 500:
            raise UpstreamUnavailable(self._host, f"has a token service that answers {answer.status}")
        if answer.status != 200:
            # With credentials, 401 means that these are wrong: nobody knows what would be there with the right ones.
            definite = answer.status == 403 or (answer.status == 401 and not with_credentials)
            raise UpstreamRefused(self._host, f"has a token service that answers {answer.status}", definite)
        try:
            issued: Any = msgspec.json.decode(await answer.body.read_all(MAX_ANSWER), type=_Issued)
        except (TooLarge, ValueError, RecursionError) as error:
            raise UpstreamCorrupt(self._host, "has a token service that sends no token") from error
        token = issued.token or issued.access_token or ""
        if not _PRINTABLE.fullmatch(token):
            raise UpstreamCorrupt(self._host, "has a token service that sends no token")
        lifetime = min(max(issued.expires_in or DEFAULT_LIFETIME, 0.0), MAX_LIFETIME)
        return f"Bearer {token}", now + lifetime * RENEW_AT
