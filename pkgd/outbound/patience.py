"""How long a body may still take: a deadline that moves with every piece, and one delayed call to watch it."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from pkgd.outbound.settings import Limits

__all__ = ["Patience"]


class Patience:
    """Runs out when nothing has come for `limits.idle` seconds, or too little for too long (`limits.min_rate`).

    It begins paused. Time in which it is paused counts for nothing.

    :param out: called once when it has run out, with what the upstream does wrong.
    """

    def __init__(self, limits: Limits, clock: IReactorTime, out: Callable[[str], None]) -> None:
        self._limits = limits
        self._clock = clock
        self._out = out
        self._timer: IDelayedCall | None = None
        self._bytes = 0
        self._waited = 0.0  # until the last pause
        self._since = 0.0  # when it was resumed
        self._last = 0.0  # when something came, or it was resumed

    def received(self, count: int) -> None:
        """Something has come."""
        self._last = self._clock.seconds()
        self._bytes += count

    def resume(self) -> None:
        """More is expected."""
        if self._timer is None:
            self._since = self._last = self._clock.seconds()
            self._watch()

    def pause(self) -> None:
        """Nothing is expected, for now or ever."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._waited += self._clock.seconds() - self._since

    def _watch(self) -> None:
        self._timer = self._clock.callLater(max(0.0, self._deadline() - self._clock.seconds()), self._check)

    def _check(self) -> None:
        if self._clock.seconds() < self._deadline():
            self._watch()
            return
        self._timer = None
        self._out("sends too slowly" if self._deadline() == self._by_rate() else "has stopped sending")

    def _deadline(self) -> float:
        return min(self._last + self._limits.idle, self._by_rate())

    def _by_rate(self) -> float:
        """Until when so few bytes are enough."""
        return self._since - self._waited + self._limits.rate_grace + self._bytes / self._limits.min_rate
