"""Failed attempts to log in, counted per address and per user; a success is never counted and never delayed.

Each counter is a bucket that fills again with time. Where a user has lately logged in from an address, the two have a
bucket of their own: nobody is locked out by what others try on his name, or from his network.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address

from attrs import frozen

from pkgd.errors import Throttled

__all__ = ["Rate", "Throttle"]

# Counters that are kept; the least lately used goes first, for whoever fails often is used often.
MAX_BUCKETS = 10_000


@frozen
class Rate:
    """So many failures at once, and as many again in `seconds`."""

    count: int
    seconds: float


class Throttle:
    """Knows who has failed too often of late."""

    def __init__(self, per_address: Rate, per_user: Rate, now: Callable[[], float], size: int = MAX_BUCKETS) -> None:
        """
        :param now: a clock in seconds.
        """
        self._per_address = per_address
        self._per_user = per_user
        self._now = now
        self._size = size
        # Key -> (failures that are not forgiven yet, when that was so).
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    @property
    def rates(self) -> tuple[Rate, Rate]:
        """How often one may fail: from one address, and as one user."""
        return self._per_address, self._per_user

    def check(self, user: str, address: str | None) -> None:
        """Make sure that one more attempt may be made.

        :raises Throttled: if not, with the time until it may.
        """
        for key, rate in self._keys(user, address):
            failures = self._failures(key, rate)
            if failures > rate.count - 1:
                raise Throttled((failures - rate.count + 1) * rate.seconds / rate.count)

    def failed(self, user: str, address: str | None) -> None:
        """Count a failure."""
        for key, rate in self._keys(user, address):
            self._buckets[key] = (self._failures(key, rate) + 1, self._now())
            self._buckets.move_to_end(key)
        while len(self._buckets) > self._size:
            self._buckets.popitem(last=False)

    def succeeded(self, user: str, address: str | None) -> None:
        """Remember that the user logs in from there."""
        key = (_network(address), user)
        self._known[key] = None
        self._known.move_to_end(key)
        if len(self._known) > self._size:
            self._known.popitem(last=False)

    def _keys(self, user: str, address: str | None) -> list[tuple[tuple[str, str], Rate]]:
        """The buckets that count for an attempt."""
        here = _network(address)
        if (here, user) in self._known:
            return [((here, user), self._per_user)]
        return [((here, ""), self._per_address), (("", user), self._per_user)]

    def _failures(self, key: tuple[str, str], rate: Rate) -> float:
        count, at = self._buckets.get(key, (0.0, 0.0))
        return max(0.0, count - (self._now() - at) * rate.count / rate.seconds)


def _network(address: str | None) -> str:
    """Where somebody is: of IPv6, everybody has a network of 64 bits to choose addresses from."""
    if address is None or ":" not in address:
        return address or ""
    try:
        return str(int(IPv6Address(address)) >> 64)
    except ValueError:
        return address
