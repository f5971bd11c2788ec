"""One connection out of several addresses, as RFC 8305 has it.

The addresses are tried in turn. The next one is begun when one has failed, or has not answered for a
moment, and nobody is cut short: whoever answers first is taken, and the others are given up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

__all__ = ["STAGGER", "first_of"]

T = TypeVar("T")

# How long an address is waited for before the next one is tried beside it, in seconds.
STAGGER = 0.3


def first_of(clock: IReactorTime, attempts: Sequence[Callable[[], Deferred[T]]]) -> Deferred[T]:
    """The result of the first attempt that succeeds, or the failure of the last one that fails.

    Cancelling it cancels all attempts.
    """
    return _Attempts(clock, attempts).won


class _Attempts(Generic[T]):
    """See `first_of`."""

    def __init__(self, clock: IReactorTime, attempts: Sequence[Callable[[], Deferred[T]]]) -> None:
        assert attempts, "nothing to try"
        self.won: Deferred[T] = Deferred(lambda _: self._stop())
        self._clock = clock
        self._left = list(attempts)
        self._running: list[Deferred[T]] = []
        self._timer: IDelayedCall | None = None
        self._over = False
        self._begin()

    def _begin(self) -> None:
        """Begin the next one."""
        self._disarm()
        attempt = self._left.pop(0)()
        self._running.append(attempt)
        if self._left:
            self._timer = self._clock.callLater(STAGGER, self._begin)
        attempt.addCallbacks(self._succeeded, self._failed, callbackArgs=(attempt,), errbackArgs=(attempt,))

    def _succeeded(self, result: T, attempt: Deferred[T]) -> None:
        self._running.remove(attempt)
        self._stop()
        self.won.callback(result)

    def _failed(self, failure: Failure, attempt: Deferred[T]) -> None:
        self._running.remove(attempt)
        if self._over:
            return
        if self._left:
            self._begin()
        elif not self._running:
            self._stop()
            self.won.errback(failure)

    def _stop(self) -> None:
        """Begin no more, and give up what runs."""
        self._over = True
        self._disarm()
        running: list[Deferred[Any]] = list(self._running)
        for attempt in running:
            attempt.cancel()

    def _disarm(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
