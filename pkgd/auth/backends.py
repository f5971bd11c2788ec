"""Back ends that know users and passwords: services that are asked over HTTP and answer with a token.

A back end says yes, no, or nothing: no is the next one's turn, and nothing is never taken for either. What it has said
is remembered for a while; it is asked by few at a time, once for all who ask the same, and left alone when it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from attrs import field, frozen
from twisted.internet.defer import Deferred, DeferredSemaphore, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pkgd.auth.backendcall import BackEndCall
from pkgd.auth.claims import access_of, cap_of, granted_by, groups_of, told, user_of
from pkgd.auth.credentials import looks_like_jwt
from pkgd.auth.jwtverify import Claims, Verifier
from pkgd.auth.model import Cap, Identity, Principal
from pkgd.auth.remembered import Remembered
from pkgd.auth.scopes import Scope, canonical_scopes
from pkgd.auth.sources import Verdict
from pkgd.errors import AuthUnavailable, TokenRefused, Upstream, UpstreamBusy, UpstreamTimeout, UpstreamUnavailable
from pkgd.formats.globs import Globs
from pkgd.outbound.breaker import Breaker
from pkgd.sharing import SingleFlight

__all__ = ["ApiBackEnd", "BackEndSettings"]

log = Logger()

MAX_CALLS = 32
# What is remembered ends so long before the token that it stands for, in seconds.
MARGIN = 30.0


@frozen
class BackEndSettings:
    """What a back end is asked about, and what its answers count for.

    `users` are globs of the names that are ever sent there. `username_claim` None is the first of the usual ones.
    `on_reject` says whether its no is the last word. `timeout` is for all of one question, in seconds.
    `trust_access` lets the claim `access` of its tokens allow what no rule does.
    """

    name: str
    users: Sequence[str] = ("**",)
    username_claim: str | None = None
    match_username: Literal["exact", "casefold", "off"] = "exact"
    groups_claim: str = "groups"
    on_reject: Literal["next", "stop"] = "next"
    timeout: float = 10.0
    cache_ttl: float = field(default=60.0)
    trust_access: bool = False


class ApiBackEnd:
    """One back end, as a password source."""

    remote = True

    def __init__(
        self,
        settings: BackEndSettings,
        call: BackEndCall,
        verifier: Verifier,
        clock: IReactorTime,
        now: Callable[[], float],
        is_local: Callable[[str], bool] = lambda _: False,
        answered: Callable[[str, float], None] = lambda result, seconds: None,
    ) -> None:
        """
        :param now: seconds since the epoch.
        :param is_local: whether a name is that of a user of this server's own, whom nobody else may speak for.
        :param answered: told what became of each question (ok, rejected, unavailable), and how many seconds it took.
        """
        self.name = f"api:{settings.name}"
        self.settings = settings
        self._call = call
        self._verifier = verifier
        self._clock = clock
        self._now = now
        self._is_local = is_local
        self._answered = answered
        self._users = Globs(settings.users)
        self._remembered = Remembered(settings.cache_ttl, now)
        self._flights: SingleFlight[Identity | None] = SingleFlight()
        self._places = DeferredSemaphore(MAX_CALLS)
        self._breaker = Breaker(settings.name, clock, self._note_circuit)

    # -- what the authority asks --

    async def check(self, user: str, password: str, asked: Sequence[Scope] = ()) -> Identity | Verdict:
        """See `PasswordSource`."""
        if not self._is_asked_about(user, password):
            return Verdict.UNKNOWN
        scopes = self._told(asked)
        key = self._remembered.key(user, password, scopes)
        found = self._remembered.find(key)
        if found is True:
            found = await self._flights.join(key, lambda: self._ask(key, user, password, scopes)) or False
        return found if isinstance(found, Identity) else self._refusal

    def remembered(
        self, user: str, password: str, asked: Sequence[Scope] = ()
    ) -> Identity | Literal[Verdict.UNKNOWN] | None:
        """See `Remembering`."""
        if not self._is_asked_about(user, password):
            return Verdict.UNKNOWN
        found = self._remembered.find(self._remembered.key(user, password, self._told(asked)))
        if isinstance(found, Identity):
            return found
        return None if found or self.settings.on_reject == "stop" else Verdict.UNKNOWN

    def is_current(self, identity: Identity) -> bool:
        """Whether it is this back end that has vouched; that it would still do so nobody knows without the password."""
        return identity.via == self.name

    def narrows(self, identity: Identity) -> Cap | None:
        """See `Narrowing`."""
        return cap_of(identity.stamp)

    def widens(self, identity: Identity) -> Cap | None:
        """See `Widening`."""
        return granted_by(identity.stamp) if self.settings.trust_access else None

    def forget(self) -> None:
        """Ask again, whoever comes."""
        self._remembered.clear()

    # -- one question --

    @property
    def _refusal(self) -> Verdict:
        return Verdict.REJECTED if self.settings.on_reject == "stop" else Verdict.UNKNOWN

    def _is_asked_about(self, user: str, password: str) -> bool:
        """Whether the two may be shown to it.

        A workload's token is for nobody but its issuer's verifier, and there are services that take an empty password
        for a question that needs none.
        """
        named = bool(user) and ":" not in user
        return named and bool(password) and self._users.match(user) and not looks_like_jwt(password)

    def _told(self, asked: Sequence[Scope]) -> tuple[str, ...]:
        """What it is told of the scopes: whatever its answer may depend on is a part of what is remembered."""
        return canonical_scopes(asked) if self._call.tells_scopes else ()

    async def _ask(self, key: bytes, user: str, password: str, scopes: Sequence[str]) -> Identity | None:
        """Ask, and remember the answer.

        :raises AuthUnavailable: if there is none.
        """
        began, result = self._clock.seconds(), "unavailable"
        try:
            identity = await self._within_time(user, password, scopes)
            result = "rejected" if identity is None else "ok"
        except Upstream as error:
            raise self._unavailable(error.message) from None
        except TokenRefused as error:
            raise self._unavailable(f"its token is refused: {error.reason}") from None
        finally:
            self._answered(result, self._clock.seconds() - began)
        if identity is None:
            self._remembered.refuse(key)
        else:
            self._remembered.accept(key, identity, (identity.expires or 0.0) - MARGIN)
        return identity

    def _unavailable(self, why: str) -> AuthUnavailable:
        log.warn("the back end {name} cannot tell who a user is: {why}", name=self.settings.name, why=why)
        return AuthUnavailable(f"the back end {self.settings.name} gives no answer")

    async def _within_time(self, user: str, password: str, scopes: Sequence[str]) -> Identity | None:
        asking = Deferred.fromCoroutine(self._ask_in_turn(user, password, scopes))
        try:
            return await asking.addTimeout(self.settings.timeout, self._clock)
        except TimeoutError:
            raise UpstreamTimeout(self.settings.name, "does not answer in time") from None

    async def _ask_in_turn(self, user: str, password: str, scopes: Sequence[str]) -> Identity | None:
        await self._places.acquire()
        try:
            token = await self._ask_guarded(user, password, scopes)
        finally:
            self._places.release()
        if token is None:
            return None
        now = self._now()
        claims = await self._verifier.verify(token, now)
        return self._identity(user, claims, self._verifier.rules.check(claims, now))

    async def _ask_guarded(self, user: str, password: str, scopes: Sequence[str]) -> str | None:
        """Ask through the breaker. An answer that makes no sense is one: it may be about this user alone."""
        self._breaker.check()
        answered = False
        try:
            token = await self._call.ask(user, password, scopes, self._now())
            answered = True
            return token
        except UpstreamBusy as error:
            self._breaker.busy(error.retry_after)
            raise
        except UpstreamUnavailable:
            raise
        except Upstream:
            answered = True
            raise
        finally:
            # Also if time has run out, in which case this was cancelled.
            self._breaker.succeeded() if answered else self._breaker.failed()

    def _identity(self, user: str, claims: Claims, expires: float) -> Identity:
        """Whom the back end has accepted.

        :raises TokenRefused: if that is not who has asked.
        """
        name = self._name(user, claims)
        access = access_of(claims)
        principal = Principal(
            name,
            groups_of(claims, self.settings.groups_claim),
            self._verifier.rules.issuer,
            told(claims),
            granted=granted_by(access) if self.settings.trust_access else None,
        )
        return Identity(principal, self.name, access, cap_of(access), expires)

    def _name(self, user: str, claims: Claims) -> str:
        name = user_of(claims, self.settings.username_claim)
        match self.settings.match_username:
            case "exact":
                same = name == user
            case "casefold":
                same = name is not None and name.casefold() == user.casefold()
            case "off":
                name, same = name or user, True
        if name is None or not same:
            raise TokenRefused("it is for another user than the one who logs in")
        if name != user and self._is_local(name):
            raise TokenRefused("it is for a user of this server's own")
        return name

    def _note_circuit(self, is_open: bool) -> None:
        if is_open:
            log.warn("the back end {name} has failed several times, and is left alone for a moment", name=self.name)
        else:
            log.info("the back end {name} answers again", name=self.name)
