"""Who somebody is, by the credentials of a request: the order in which everybody who can vouch for them is asked.

A password is looked at by its form first: API keys and workloads' tokens go to whoever makes them, and never to anybody
else. Then the password sources, in order, until one knows the user. What a token says is asked of its source again at
each request, without waiting, so that whoever is removed is out at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container, Sequence
from functools import lru_cache
from typing import Protocol

from attrs import evolve, frozen

from pkgd.auth.counting import Counting, Uncounted, method_of
from pkgd.auth.credentials import Basic, looks_like_jwt, parse_authorization
from pkgd.auth.model import ANONYMOUS, Identity
from pkgd.auth.scopes import NarrowedCap, Scope, TokenCap
from pkgd.auth.sources import Immediate, Narrowing, PasswordSource, Remembering, TokenSource, Verdict, Widening
from pkgd.auth.throttle import Throttle
from pkgd.auth.tokens import AccessTokens
from pkgd.errors import AuthUnavailable, Throttled, Unauthenticated

__all__ = ["Authority", "Pretending", "Sources"]

# Verified access tokens that are remembered, each for one address.
MAX_SEEN = 4096
WRONG = "wrong user name or password"
DISABLED = "the user has been disabled"


class Pretending(Protocol):
    """Takes as long over an unknown user as over one that is known."""

    async def pretend(self, password: str) -> None:
        """Do the work of a check, for nothing."""


@frozen
class Sources:
    """Who is asked, in order; and the users whom nobody's word helps."""

    passwords: Sequence[PasswordSource] = ()
    tokens: Sequence[TokenSource] = ()
    unknown: Pretending | None = None
    disabled: Container[str | None] = ()


class Authority:
    """Identifies requests."""

    def __init__(
        self,
        sources: Sources,
        tokens: AccessTokens,
        throttle: Throttle,
        now: Callable[[], float],
        failed: Callable[[str, str | None], None] = lambda user, address: None,
        wrong: str = WRONG,
        counting: Counting | None = None,
    ) -> None:
        """
        :param now: seconds since the epoch.
        :param failed: told of each wrong password, whose it was to be, and from where it came.
        :param wrong: what is said of a wrong password.
        :param counting: told what becomes of everything that is shown.
        """
        self._counting = counting or Uncounted()
        self._wrong = wrong
        self._immediate = [one for one in sources.tokens if isinstance(one, Immediate)]
        self._sources = sources
        # By which a password is looked at that nobody is asked about.
        self._first = method_of(sources.passwords[0].name) if sources.passwords else "htpasswd"
        every: list[PasswordSource | TokenSource] = [*sources.tokens, *sources.passwords]
        self._named = {one.name: one for one in every}
        self._narrowing = {name: one for name, one in self._named.items() if isinstance(one, Narrowing)}
        self._widening = {name: one for name, one in self._named.items() if isinstance(one, Widening)}
        self._tokens = tokens
        self._throttle = throttle
        self._now = now
        self._failed = failed
        # What tokens have been found to say, by the header; only what is verified gets in here.
        self._seen: OrderedDict[tuple[bytes, str | None], Identity] = OrderedDict()

    def identify_at_once(
        self, header: bytes | None, address: str | None, asked: Sequence[Scope] = ()
    ) -> Identity | None:
        """Who it is, or None if that takes waiting.

        :param header: the value of Authorization.
        :param address: where the request comes from.
        :param asked: what a password is shown for.
        :raises Unauthenticated: if the credentials are wrong for sure.
        """
        if header is None:
            self._counting.request("anon", "ok")
            return _anonymous(address)
        seen = self._seen.get((header, address))
        if seen is not None and seen.expires is not None and seen.expires > self._now():
            self._counting.cached(True)
            return self._still(seen)
        credentials = parse_authorization(header)
        if isinstance(credentials, Basic):
            return self._remembered(credentials, address, asked)
        found = self._check_at_once(credentials.token, address)
        if found is not None:
            return found
        if not self._tokens.recognises(credentials.token):
            return None
        self._counting.cached(False)
        try:
            identity = _at(self._tokens.verify(credentials.token), address)
        except Unauthenticated:
            self._counting.request("token", "rejected")
            raise
        self._seen[header, address] = identity
        if len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)
        return self._still(identity)

    async def identify(
        self, header: bytes | None, address: str | None, local_only: bool = False, asked: Sequence[Scope] = ()
    ) -> Identity:
        """Who it is.

        :param asked: what a password is shown for.
        :param local_only: the credentials may be another server's: they are shown to nobody outside this process.
        :raises Unauthenticated: if the credentials are wrong.
        :raises Throttled: if there were too many wrong ones of late.
        :raises AuthUnavailable: if it cannot be told now.
        """
        identity = self.identify_at_once(header, address, asked)
        if identity is not None:
            return identity
        assert header is not None, "who shows nothing is known at once"
        credentials = parse_authorization(header)
        if isinstance(credentials, Basic):
            return await self.log_in(credentials, address, local_only, asked)
        return self._let_in(*await self._ask_token(credentials.token, "the token is not valid"), address)

    async def log_in(
        self, credentials: Basic, address: str | None, local_only: bool = False, asked: Sequence[Scope] = ()
    ) -> Identity:
        """Whose user name and password these are.

        :raises PkgdError: as `identify`.
        """
        known = self._remembered(credentials, address, asked)
        if known is not None:
            return known
        user, password = credentials.user, credentials.password
        if self._has_form(password):
            try:
                found = await self._ask_token(password, self._wrong)
            except Unauthenticated:
                self._failed(user, address)
                raise
            return self._let_in(*found, address)
        try:
            self._throttle.check(user, address)
        except Throttled:
            self._counting.request(self._first, "throttled")
            raise
        self._counting.cached(False)
        verdict, method = await self._ask(credentials, local_only, asked)
        if isinstance(verdict, Identity):
            self._throttle.succeeded(user, address)
            return self._let_in(verdict, method, address)
        self._counting.request(method, "rejected")
        if verdict is Verdict.REJECTED or not local_only:
            # A foreign user's failure tells nobody anything about ours, and costs nothing.
            self._throttle.failed(user, address)
            self._failed(user, address)
        raise Unauthenticated(self._wrong)

    def is_current(self, identity: Identity) -> bool:
        """Whether what vouches for it still does, as far as is known here, and that is enough."""
        if identity.principal.name in self._sources.disabled:
            return False
        source = self._named.get(identity.via) or self._named.get(identity.via.partition(":")[0])
        if source is None:
            return identity.via == ANONYMOUS.via
        return source.is_current(identity)

    def can_narrow(self, identity: Identity) -> bool:
        """Whether an access token can be made as narrow as the identity's own credentials are."""
        return identity.cap is None or self._source_of(identity) in self._narrowing

    def _let_in(self, identity: Identity, method: str, address: str | None) -> Identity:
        """Whose credentials are good, unless he is one of those whom that does not help."""
        name = identity.principal.name
        if name in self._sources.disabled:
            self._counting.request(method, "rejected")
            self._failed(name or "", address)
            raise Unauthenticated(DISABLED)
        self._counting.request(method, "ok")
        return _at(identity, address)

    # -- tokens --

    def _still(self, identity: Identity) -> Identity:
        """What a token says, if that still holds; as narrow, and as wide, as what it was given for is now."""
        is_current = self.is_current(identity)
        self._counting.request("token", "ok" if is_current else "rejected")
        if not is_current:
            raise Unauthenticated("the token has been revoked")
        if not self._narrowing:
            return identity
        name = self._source_of(identity)
        widening = self._widening.get(name)
        granted = None if widening is None else widening.widens(identity)
        if granted is not None:
            identity = evolve(identity, principal=evolve(identity.principal, granted=granted))
        source = self._narrowing.get(name)
        cap = None if source is None else source.narrows(identity)
        if cap is None or not isinstance(identity.cap, TokenCap):
            return identity
        return evolve(identity, cap=NarrowedCap(identity.cap, cap))

    async def _ask_token(self, token: str, wrong: str) -> tuple[Identity, str]:
        """Whom a token that is none of ours stands for; and the method by which it was found out."""
        method = "oidc" if looks_like_jwt(token) else "token"
        try:
            for source in self._sources.tokens:
                if source.recognises(token):
                    method = method_of(source.name)
                    verdict = await source.check_token(token)
                    if isinstance(verdict, Identity):
                        return verdict, method
                    if verdict is Verdict.REJECTED:
                        break
        except AuthUnavailable:
            self._counting.request(method, "unavailable")
            raise
        self._counting.request(method, "rejected")
        raise Unauthenticated(wrong)

    def _source_of(self, identity: Identity) -> str:
        """The name of who has vouched: `api:<name>` is a source, `key:<id>` is one of the source `key`."""
        via = identity.via
        return via if via in self._named else via.partition(":")[0]

    def _check_at_once(self, token: str, address: str | None, user: str = "") -> Identity | None:
        """Whom a token stands for, if that takes no waiting.

        :raises Unauthenticated: if it is a wrong one.
        """
        for source in self._immediate:
            if source.recognises(token):
                verdict = source.check_at_once(token, address)
                if isinstance(verdict, Identity):
                    self._counting.request(method_of(source.name), "ok")
                    return verdict
                self._counting.request(method_of(source.name), "rejected")
                self._failed(user, address)
                raise Unauthenticated("the API key is not valid: it is wrong, has expired, or has been revoked")
        return None

    # -- passwords --

    def _has_form(self, password: str) -> bool:
        """Whether it is an API key or a workload's token by its form, and so nobody's password."""
        return looks_like_jwt(password) or any(one.recognises(password) for one in self._sources.tokens)

    def _remembered(self, credentials: Basic, address: str | None, asked: Sequence[Scope]) -> Identity | None:
        """Who it is if that is known at once: by a key, or because the one who knows the user has lately said so."""
        found = self._check_at_once(credentials.password, address, credentials.user)
        if found is not None:
            return found
        for source in self._sources.passwords:
            if not isinstance(source, Remembering):
                return None
            known = source.remembered(credentials.user, credentials.password, asked)
            if known is None:
                return None
            if known is not Verdict.UNKNOWN:
                self._counting.cached(True)
                return self._let_in(known, method_of(source.name), address)
        return None

    async def _ask(
        self, credentials: Basic, local_only: bool, asked: Sequence[Scope]
    ) -> tuple[Identity | Verdict, str]:
        """Ask who may know the user, in order; and the method by which it was found out."""
        unavailable: AuthUnavailable | None = None
        method = self._first
        try:
            for source in self._sources.passwords:
                if local_only and source.remote:
                    continue
                method = method_of(source.name)
                try:
                    verdict = await source.check(credentials.user, credentials.password, asked)
                except AuthUnavailable as error:
                    if not source.remote:
                        raise
                    unavailable = error
                    continue
                if verdict is Verdict.UNKNOWN:
                    continue
                if verdict is Verdict.REJECTED and unavailable is not None:
                    raise unavailable
                return verdict, method
            if unavailable is not None:
                raise unavailable
            if self._sources.unknown is not None and not local_only:
                await self._sources.unknown.pretend(credentials.password)
        except AuthUnavailable:
            self._counting.request(method, "unavailable")
            raise
        return Verdict.UNKNOWN, method


@lru_cache(1024)
def _anonymous(address: str | None) -> Identity:
    return _at(ANONYMOUS, address)


def _at(identity: Identity, address: str | None) -> Identity:
    return evolve(identity, principal=evolve(identity.principal, address=address))
