"""Tokens that clients bring from elsewhere: CI jobs, pods, services, instead of a password or behind Bearer.

The issuer is chosen by exactly what the token says, and then has to have signed it. Whom the token stands for, the
configuration says: by templates over claims, or as for a back end of passwords.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from attrs import field, frozen
from twisted.logger import Logger

from pkgd.auth.claims import Requirements, Template, access_of, cap_of, granted_by, groups_of, told, user_of
from pkgd.auth.credentials import looks_like_jwt
from pkgd.auth.jwtverify import Claims, Verifier, read_token
from pkgd.auth.model import Cap, Identity, Principal
from pkgd.auth.sources import Verdict
from pkgd.errors import TokenRefused

__all__ = ["NAME", "ByClaims", "ByTemplates", "Issuer", "Mapper", "Workloads"]

log = Logger()

NAME = "workload"


class Mapper(Protocol):
    """Says whom a token stands for."""

    def principal(self, claims: Claims) -> tuple[str, frozenset[str]]:
        """Name and groups.

        :raises TokenRefused: if it stands for nobody.
        """


@frozen
class ByTemplates:
    """A workload: name and groups are put together from claims, if those are as they must be."""

    user: Template
    groups: Sequence[Template] = ()
    requirements: Requirements = field(factory=lambda: Requirements({}))

    def principal(self, claims: Claims) -> tuple[str, frozenset[str]]:
        """See `Mapper`. A group whose claim is not there is left out; a name must be whole."""
        texts = told(claims)
        self.requirements.check(texts)
        # Filled in as a claim would be: the same is asked of it.
        name = user_of({"name": self.user.fill(texts)}, "name")
        if name is None:
            raise TokenRefused("the token lacks claims that make its user's name")
        filled = [one.fill(texts) for one in self.groups]
        return name, groups_of({"groups": [one for one in filled if one is not None]}, "groups")


@frozen
class ByClaims:
    """A user, as of a back end: name and groups are claims."""

    user: str | None
    groups: str

    def principal(self, claims: Claims) -> tuple[str, frozenset[str]]:
        """See `Mapper`."""
        name = user_of(claims, self.user)
        if name is None:
            raise TokenRefused("the token names no user")
        return name, groups_of(claims, self.groups)


@frozen
class Issuer:
    """Whose tokens are taken, and how. `trust_access` lets their claim `access` allow what no rule does."""

    url: str
    verifier: Verifier
    mapper: Mapper
    trust_access: bool = False

    @property
    def via(self) -> str:
        """What stands in an identity of its."""
        return f"{NAME}:{self.url}"


class Workloads:
    """The token source of all issuers.

    :param now: seconds since the epoch.
    :param is_local: whether a name is that of a user of this server's own, whom nobody else may speak for.
    """

    name = NAME

    def __init__(
        self, issuers: Iterable[Issuer], now: Callable[[], float], is_local: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._issuers: Mapping[str, Issuer] = {one.url: one for one in issuers}
        self._by_via = {one.via: one for one in self._issuers.values()}
        self._now = now
        self._is_local = is_local

    def recognises(self, token: str) -> bool:
        """See `TokenSource`."""
        return looks_like_jwt(token)

    async def check_token(self, token: str) -> Identity | Verdict:
        """See `TokenSource`."""
        try:
            issuer = self._issuers.get(_issuer(token))
        except TokenRefused:
            return Verdict.UNKNOWN
        if issuer is None:
            return Verdict.UNKNOWN
        now = self._now()
        try:
            claims = await issuer.verifier.verify(token, now)
            return self._identity(issuer, claims, issuer.verifier.rules.check(claims, now))
        except TokenRefused as error:
            log.info("a token of {issuer} is refused: {why}", issuer=issuer.url, why=error.reason)
            return Verdict.REJECTED

    def is_current(self, identity: Identity) -> bool:
        """Whether the issuer is still one of ours."""
        return identity.via in self._by_via

    def narrows(self, identity: Identity) -> Cap | None:
        """See `Narrowing`."""
        return cap_of(identity.stamp)

    def widens(self, identity: Identity) -> Cap | None:
        """See `Widening`."""
        issuer = self._by_via.get(identity.via)
        return granted_by(identity.stamp) if issuer is not None and issuer.trust_access else None

    def _identity(self, issuer: Issuer, claims: Claims, expires: float) -> Identity:
        name, groups = issuer.mapper.principal(claims)
        if self._is_local(name):
            raise TokenRefused("the token's user has the name of one of this server's own")
        access = access_of(claims)
        granted = granted_by(access) if issuer.trust_access else None
        principal = Principal(name, groups, issuer.url, told(claims), granted=granted)
        return Identity(principal, issuer.via, access, cap_of(access), expires)


def _issuer(token: str) -> str:
    """What the token says of its issuer; not to be believed yet."""
    issuer = read_token(token).claims.get("iss")
    return issuer if isinstance(issuer, str) else ""
