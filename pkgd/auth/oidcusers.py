"""Who has logged in by the provider: a user's name and groups out of the claims, and whether he is let in."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen
from twisted.logger import Logger

from pkgd.auth.apikeys import ApiKeys
from pkgd.auth.claims import groups_of, user_of
from pkgd.auth.counting import Counting, Uncounted
from pkgd.auth.jwtverify import Claims
from pkgd.auth.keymaking import ROBOT
from pkgd.auth.model import Identity, Principal
from pkgd.auth.sessions import Sessions
from pkgd.auth.sources import Verdict
from pkgd.errors import Denied, TokenRefused

__all__ = ["ClaimNames", "OidcUsers"]

log = Logger()


@frozen
class ClaimNames:
    """Which claims say what; `allowed_groups`, if there are any, are those of whom one is needed."""

    username: str
    groups: str
    allowed_groups: frozenset[str] = frozenset()


class OidcUsers:
    """The source `oidc`. Nobody shows it credentials: it vouches for those that have logged in by a browser."""

    name = "oidc"

    def __init__(
        self,
        names: ClaimNames,
        keys: ApiKeys,
        sessions: Sessions,
        is_local: Callable[[str], bool] = lambda _: False,
        counting: Counting | None = None,
    ) -> None:
        """
        :param is_local: whether a name is that of a user of this server's own.
        :param counting: told what becomes of each login.
        """
        self._names = names
        self._keys = keys
        self._sessions = sessions
        self._is_local = is_local
        self._counting = counting or Uncounted()
        # Who has been turned away since the start: what he had got before is worth nothing, either.
        self._refused: set[str] = set()

    async def log_in(self, claims: Claims) -> Identity:
        """Whom claims stand for, that have been verified. His API keys learn of his groups.

        :raises Denied: if he is not let in; from then on his keys and sessions open nothing, either.
        :raises TokenRefused: if the claims name nobody who could be a user.
        """
        try:
            identity = await self._let_in(claims)
        except (Denied, TokenRefused):
            self._counting.request(self.name, "rejected")
            raise
        self._counting.request(self.name, "ok")
        return identity

    async def _let_in(self, claims: Claims) -> Identity:
        name = user_of(claims, self._names.username)
        if name is None:
            raise TokenRefused(f"the claim {self._names.username} is not there")
        if name.startswith(ROBOT) or self._is_local(name):
            raise TokenRefused("the user has the name of one of this server's own")
        if name in self._sessions.disabled:
            log.info("{user} has been disabled", user=name)
            raise Denied(f"{name} has been disabled")
        groups = groups_of(claims, self._names.groups)
        if not self._is_allowed(groups):
            log.info("{user} is in none of the allowed groups", user=name)
            self._refused.add(name)
            await self._keys.learn(name, (), suspended=True)
            await self._sessions.forget_user(name)
            raise Denied(f"{name} is in none of the groups that may use this server")
        self._refused.discard(name)
        await self._keys.learn(name, sorted(groups), suspended=False)
        return Identity(Principal(name, groups), self.name)

    def name_of(self, claims: Claims) -> str | None:
        """As whom these log in; None if they name nobody who could be a user."""
        try:
            return user_of(claims, self._names.username)
        except TokenRefused:
            return None

    def recognises(self, token: str) -> bool:
        """See `TokenSource`: no token is."""
        return False

    async def check_token(self, token: str) -> Identity | Verdict:
        """See `TokenSource`."""
        return Verdict.UNKNOWN

    def is_current(self, identity: Identity) -> bool:
        """See `TokenSource`: whether he would be let in as he was, and has not been turned away since."""
        return identity.principal.name not in self._refused and not self._is_local(identity.principal.name or "")

    def _is_allowed(self, groups: frozenset[str]) -> bool:
        return not self._names.allowed_groups or not self._names.allowed_groups.isdisjoint(groups)
