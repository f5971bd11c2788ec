"""The keys of an issuer that publishes them, kept as long as it says, and asked for seldom, whatever tokens come.

Nobody can make us ask more than once in half a minute; all who wait share one question; an issuer that cannot be
reached is believed for a day by the keys that it had.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from attrs import frozen
from twisted.logger import Logger

from pkgd.auth.jwk import KeySet
from pkgd.errors import AuthUnavailable, Upstream
from pkgd.sharing import SingleFlight

__all__ = ["Published", "RemoteKeys", "StaticKeys"]

log = Logger()

# How long keys are used without asking again: what Cache-Control says, within these bounds, in seconds.
MIN_AGE = 300.0
MAX_AGE = 86400.0
# How long they are used after that, while the issuer cannot be asked.
MAX_STALE = 86400.0
# The least time between two questions.
PAUSE = 30.0
# Names of keys that the issuer has been found not to have.
MAX_ABSENT = 1000
ABSENT_SECONDS = 60.0


@frozen
class Published:
    """What an issuer has published: keys, or that there are none; and for how many seconds that is good."""

    keys: KeySet | None
    max_age: float | None = None


class StaticKeys:
    """Keys that are configured."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys

    async def keys(self) -> KeySet:
        """They never change."""
        return self._keys

    async def newer(self, than: KeySet, kid: str | None) -> None:
        """There are none."""


class RemoteKeys:
    """Keys that are asked for. See the module.

    :param name: the issuer, for the log.
    :param ask: asks; raises `Upstream` if there is no answer.
    :param now: seconds since the epoch.
    """

    def __init__(self, name: str, ask: Callable[[], Awaitable[Published]], now: Callable[[], float]) -> None:
        self._name = name
        self._ask = ask
        self._now = now
        self.failure = ""  # why the last question had no answer
        self._flights: SingleFlight[None] = SingleFlight()
        self._published: Published | None = None
        self._learnt = 0.0
        self._asked: float | None = None
        self._absent: OrderedDict[str, float] = OrderedDict()

    async def keys(self) -> KeySet | None:
        """See `KeySource`."""
        if self._published is None or not self._holds(self._age()):
            await self._refresh()
        if self._published is None or not self._holds(MAX_STALE):
            raise AuthUnavailable(f"the keys of {self._name} are not known")
        return self._published.keys

    async def newer(self, than: KeySet, kid: str | None) -> KeySet | None:
        """See `KeySource`."""
        known = self._published.keys if self._published else None
        if known is not than:
            return known
        if kid is not None and self._is_absent(kid):
            return None
        if not await self._refresh():
            return None
        found = self._published.keys if self._published else None
        if kid is not None and found is not None and not found.knows(kid):
            self._note_absent(kid)
        return found

    def expire(self) -> None:
        """Ask again as soon as they are needed; they stay known in case that nobody answers."""
        self._learnt = min(self._learnt, self._now() - MIN_AGE)
        self._asked = None
        self._absent.clear()
        if self._published is not None:
            self._published = Published(self._published.keys, MIN_AGE)

    # -- asking --

    async def _refresh(self) -> bool:
        """Ask, unless that was done a moment ago; returns whether there is an answer. Who comes meanwhile shares it."""
        since = None if self._asked is None else self._now() - self._asked
        if not self._flights.flying("keys") and since is not None and 0 <= since < PAUSE:
            return False
        try:
            await self._flights.join("keys", self._learn)
        except Upstream:
            return False
        return True

    async def _learn(self) -> None:
        self._asked = self._now()
        try:
            published = await self._ask()
        except Upstream as error:
            self.failure = error.message
            log.warn("the keys of {name} cannot be fetched: {why}", name=self._name, why=error.message)
            raise
        if published.keys is None and self._published is not None and self._published.keys is not None:
            # Who has had keys is not believed without.
            log.warn("{name} publishes no keys any more; those that it had are used", name=self._name)
            return
        self._published, self._learnt = published, self._now()

    # -- how long what is known is good --

    def _age(self) -> float:
        stated = self._published.max_age if self._published else None
        return min(max(stated or 0.0, MIN_AGE), MAX_AGE)

    def _holds(self, seconds: float) -> bool:
        """Whether it was learnt so lately; a clock that has been set back makes nothing younger."""
        return 0 <= self._now() - self._learnt < seconds

    def _is_absent(self, kid: str) -> bool:
        noted = self._absent.get(kid)
        return noted is not None and 0 <= self._now() - noted < ABSENT_SECONDS

    def _note_absent(self, kid: str) -> None:
        self._absent[kid] = self._now()
        self._absent.move_to_end(kid)
        if len(self._absent) > MAX_ABSENT:
            self._absent.popitem(last=False)
