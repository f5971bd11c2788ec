"""How long the stop waits."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.patience import Patience


class PatienceTests(SynchronousTestCase):
    """`Patience`."""

    def setUp(self) -> None:
        """Plenty of it."""
        self.clock = Clock()
        self.patience = Patience(self.clock)

    def wait(self, seconds: float, event: Deferred[None] | None = None) -> Deferred[None]:
        """Begin to wait."""
        return Deferred.fromCoroutine(self.patience.wait(seconds, event))

    def test_time(self) -> None:
        """It ends with the time, whether there is an event or not."""
        for event in (None, Deferred()):
            waiting = self.wait(10, event)
            self.clock.advance(9)
            self.assertNoResult(waiting)

            self.clock.advance(1)

            self.successResultOf(waiting)

    def test_event(self) -> None:
        """It ends with the event, and leaves no timer."""
        event: Deferred[None] = Deferred()
        waiting = self.wait(10, event)

        event.callback(None)

        self.successResultOf(waiting)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_at_once(self) -> None:
        """Nobody waits for what has been, or for no time at all."""
        event: Deferred[None] = Deferred()
        event.callback(None)

        self.successResultOf(self.wait(10, event))
        self.successResultOf(self.wait(0))

    def test_end(self) -> None:
        """When it is at an end, so is what is waited for, and what would be; a late event does no harm."""
        event: Deferred[None] = Deferred()
        waiting = self.wait(10, event)

        self.patience.end()
        event.callback(None)

        self.successResultOf(waiting)
        self.successResultOf(self.wait(10, Deferred()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
