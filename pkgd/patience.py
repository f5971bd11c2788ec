"""How long the stop waits for others: until they are done, or their time is up, or nobody wants to wait any more."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

__all__ = ["Patience"]


class Patience:
    """See the module."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._is_over = False
        self._waits: list[Deferred[None]] = []

    def end(self) -> None:
        """End what is waited for, and whatever would be from now on."""
        self._is_over = True
        waits, self._waits = self._waits, []
        for one in waits:
            one.callback(None)

    async def wait(self, seconds: float, event: Deferred[None] | None = None) -> None:
        """Wait for an event, but no longer than `seconds`."""
        if self._is_over or not seconds or (event is not None and event.called):
            return
        done: Deferred[None] = Deferred()
        self._waits.append(done)

        def finish(_: object = None) -> None:
            if done in self._waits:
                self._waits.remove(done)
                done.callback(None)

        if event is not None:
            event.addBoth(finish)
        timer = self._clock.callLater(seconds, finish)
        await done
        if timer.active():
            timer.cancel()
