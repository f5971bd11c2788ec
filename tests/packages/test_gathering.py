"""Who is about to have something published is waited for, a moment."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.packages.gathering import PATIENCE, Gathering


class GatheringTests(SynchronousTestCase):
    """A publish that is about to begin."""

    def setUp(self) -> None:
        """Nobody is on the way."""
        self.clock = Clock()
        self.gathering = Gathering(self.clock)

    def begin(self) -> Deferred[None]:
        """The publish begins; fires when it goes on."""
        return Deferred.fromCoroutine(self.gathering.complete())

    def test_alone(self) -> None:
        """Who is alone waits for nothing."""
        self.assertTrue(self.begin().called)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_all_arrive(self) -> None:
        """It goes on when the last one is here, and keeps no timer."""
        with self.gathering.expecting() as first, self.gathering.expecting() as second:
            waiting = self.begin()
            first()
            self.assertFalse(waiting.called)
            second()
            self.assertTrue(waiting.called)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_refused(self) -> None:
        """Who gives up on the way is not waited for any longer."""
        with self.gathering.expecting():
            waiting = self.begin()
        self.assertTrue(waiting.called)

    def test_patience(self) -> None:
        """Who takes long is in the next one, and is waited for there no longer either."""
        with self.gathering.expecting():
            for _ in range(2):
                waiting = self.begin()
                self.clock.advance(PATIENCE - 0.001)
                self.assertFalse(waiting.called)
                self.clock.advance(0.001)
                self.assertTrue(waiting.called)
