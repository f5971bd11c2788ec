"""Users, keys and authorities for tests: bcrypt at its lowest cost, and a wall clock that stands still unless moved."""

from __future__ import annotations

from collections.abc import Container, Sequence

import bcrypt
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from pkgd.auth.authority import Authority, Sources
from pkgd.auth.claims import cap_of, granted_by
from pkgd.auth.htpasswd import Table, parse_htpasswd
from pkgd.auth.model import Cap, Identity, Principal
from pkgd.auth.passwords import HtpasswdPasswords, matches
from pkgd.auth.scopes import Scope, format_scopes
from pkgd.auth.sources import PasswordSource, TokenSource, Verdict
from pkgd.auth.throttle import Rate, Throttle
from pkgd.auth.tokenkeys import Algorithm, TokenKey, TokenKeys
from pkgd.auth.tokens import AccessTokens, TokenSettings
from pkgd.errors import AuthUnavailable

__all__ = [
    "FakeIssuer",
    "FakeSource",
    "FakeTokenSource",
    "HeldHashing",
    "InlineHashing",
    "Wall",
    "hashed",
    "keys",
    "table",
]

_HASHES: dict[str, bytes] = {}


def hashed(password: str) -> bytes:
    """A hash of a password, made once."""
    if password not in _HASHES:
        _HASHES[password] = bcrypt.hashpw(password.encode("utf-8"), bcrypt.gensalt(4))
    return _HASHES[password]


def table(**users: str) -> Table:
    """Users and their passwords."""
    lines = [f"{user}:{hashed(password).decode('ascii')}" for user, password in users.items()]
    return parse_htpasswd("\n".join(lines).encode("utf-8"), "users")


def keys(clock: Clock, *made: TokenKey, algorithm: Algorithm = "EdDSA") -> TokenKeys:
    """Keys that are in memory only."""
    found = TokenKeys("/nowhere", algorithm, None, clock.seconds)
    found.use(list(made) or [TokenKey.generate(algorithm)])
    return found


class InlineHashing:
    """bcrypt at once, counted."""

    def __init__(self) -> None:
        self.checked: list[bytes] = []

    def check(self, password: bytes, against: bytes) -> Deferred[bool]:
        """See `Hashing`."""
        self.checked.append(against)
        return succeed(matches(password, against))


class HeldHashing:
    """bcrypt when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes, bytes, Deferred[bool]]] = []
        self.full = False

    def check(self, password: bytes, against: bytes) -> Deferred[bool]:
        """See `Hashing`."""
        if self.full:
            raise AuthUnavailable("full")
        answer: Deferred[bool] = Deferred()
        self.waiting.append((password, against, answer))
        return answer

    def release(self) -> None:
        """Let everything that waits be checked."""
        waiting, self.waiting = self.waiting, []
        for password, against, answer in waiting:
            answer.callback(matches(password, against))


class FakeSource:
    """A password source with one answer, which notes what it is shown."""

    def __init__(self, answer: Identity | Verdict | AuthUnavailable, name: str = "api:a", remote: bool = True) -> None:
        self.answer = answer
        self.name = name
        self.remote = remote
        self.asked: list[tuple[str, str]] = []
        self.scopes: list[str] = []
        self.current = True

    async def check(self, user: str, password: str, asked: Sequence[Scope] = ()) -> Identity | Verdict:
        """See `PasswordSource`."""
        self.asked.append((user, password))
        self.scopes.append(format_scopes(asked))
        if isinstance(self.answer, AuthUnavailable):
            raise self.answer
        return self.answer

    def is_current(self, identity: Identity) -> bool:
        """See `PasswordSource`."""
        return self.current


class FakeTokenSource:
    """Knows the tokens that begin with `pkgd_`: the good one is `pkgd_good`. Narrows to `cap`."""

    name = "key"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.current = True
        self.cap: Cap | None = None

    def recognises(self, token: str) -> bool:
        """See `TokenSource`."""
        return token.startswith("pkgd_")

    async def check_token(self, token: str) -> Identity | Verdict:
        """See `TokenSource`."""
        self.asked.append(token)
        if token == "pkgd_good":
            return Identity(Principal("robot"), "key:1", "s", self.cap)
        return Verdict.REJECTED

    def is_current(self, identity: Identity) -> bool:
        """See `TokenSource`."""
        return self.current

    def narrows(self, identity: Identity) -> Cap | None:
        """See `Narrowing`."""
        return self.cap


class FakeIssuer(FakeSource):
    """A password source that narrows and widens whom it accepts to the scopes of `stamp`."""

    def narrows(self, identity: Identity) -> Cap | None:
        """See `Narrowing`."""
        return cap_of(identity.stamp)

    def widens(self, identity: Identity) -> Cap | None:
        """See `Widening`."""
        return granted_by(identity.stamp)


class Counts:
    """What the authority has counted: credentials by method and result, and what was known from before or not."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.cache: list[bool] = []

    def request(self, method: str, result: str) -> None:
        """See `Counting`."""
        self.requests.append((method, result))

    def cached(self, is_known: bool) -> None:
        """See `Counting`."""
        self.cache.append(is_known)

    def taken(self) -> tuple[list[tuple[str, str]], list[bool]]:
        """What there is, and nothing from here on."""
        found = self.requests, self.cache
        self.requests, self.cache = [], []
        return found


class Wall:
    """An authority with its parts: `alice` and `bob`, whose passwords are `secret` and `other`."""

    def __init__(
        self,
        clock: Clock,
        more: list[PasswordSource] | None = None,
        tokens: list[TokenSource] | None = None,
        per_address: int = 1000,
        per_user: int = 1000,
        disabled: Container[str | None] | None = None,
    ) -> None:
        self.clock = clock
        self.hashing = InlineHashing()
        self.passwords = HtpasswdPasswords(table(alice="secret", bob="other"), self.hashing, clock.seconds)
        self.keys = keys(clock)
        self.tokens = AccessTokens(
            self.keys, TokenSettings("https://pkg.example.com", "pkg.example.com"), clock.seconds
        )
        throttle = Throttle(Rate(per_address, 60.0), Rate(per_user, 60.0), clock.seconds)
        self.disabled: set[str | None] = set()
        out = self.disabled if disabled is None else disabled
        sources = Sources([self.passwords, *(more or [])], tokens or [], self.passwords, out)
        self.counts = Counts()
        self.authority = Authority(sources, self.tokens, throttle, clock.seconds, counting=self.counts)

    def use(self, users: Table) -> None:
        """The file has changed."""
        self.passwords.table = users
