"""How late the reactor is: the time by which a timer fires after it was due.

Whatever holds the reactor up, holds up every request; this is where it shows first.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["INTERVAL", "ReactorLag"]

# How often it is looked, in seconds.
INTERVAL = 0.1


class ReactorLag:
    """Sets a timer again and again.

    :param clock: what is watched.
    :param observe: told the lateness of every timer, in seconds.
    """

    def __init__(self, clock: IReactorTime, observe: Callable[[float], None]) -> None:
        self._clock = clock
        self._observe = observe
        self._due = 0.0
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to look."""
        self._due = self._clock.seconds() + INTERVAL
        self._timer = self._clock.callLater(INTERVAL, self._fired)

    def stop(self) -> None:
        """Look no more; may be called again, or before the start."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _fired(self) -> None:
        # A clock that was set back has made no timer early.
        self._observe(max(0.0, self._clock.seconds() - self._due))
        self.start()
