"""Who is about to have something published: a publish that begins waits for them a moment, so that they share it.

Clients that wait for their answers send what is next all at the same time. Without this, the first of them would have
a publish to itself, and all others wait for the one after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from twisted.internet.defer import Deferred

from pkgd.packages.records import Timers

__all__ = ["Gathering"]

# How long a publish waits at most, in seconds; what takes longer to read or to write is in the next one.
PATIENCE = 0.2


class Gathering:
    """Those on their way to one publisher."""

    def __init__(self, clock: Timers) -> None:
        self._clock = clock
        self._coming: set[object] = set()
        self._all_here: Deferred[None] | None = None

    @contextmanager
    def expecting(self) -> Iterator[Callable[[], None]]:
        """Be waited for, for the length of a `with` block, or until what it is given is called."""
        ticket = object()
        self._coming.add(ticket)

        def arrived() -> None:
            self._coming.discard(ticket)
            if not self._coming:
                self._go_on()

        try:
            yield arrived
        finally:
            arrived()

    async def complete(self) -> None:
        """Wait until nobody is on the way, but not for long."""
        if not self._coming:
            return
        waiting = self._all_here = Deferred()
        timer = self._clock.callLater(PATIENCE, self._go_on)
        await waiting
        if timer.active():
            timer.cancel()

    def _go_on(self) -> None:
        waiting, self._all_here = self._all_here, None
        if waiting is not None:
            waiting.callback(None)
