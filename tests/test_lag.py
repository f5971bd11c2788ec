"""How late the reactor is."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.lag import INTERVAL, ReactorLag


class ReactorLagTests(SynchronousTestCase):
    """A clock that a test moves, in one step where the reactor would have been held up."""

    def setUp(self) -> None:
        """Begin to look."""
        self.clock = Clock()
        self.seen: list[float] = []
        self.lag = ReactorLag(self.clock, self.seen.append)
        self.lag.start()

    def test_on_time(self) -> None:
        """A reactor that has nothing to do is not late."""
        self.clock.pump([INTERVAL] * 3)
        self.assertEqual(len(self.seen), 3)
        self.assertLess(max(self.seen), 1e-6)

    def test_late(self) -> None:
        """What holds the reactor up is seen once, by how long it did."""
        self.clock.advance(INTERVAL + 2.0)
        self.assertEqual([round(one, 6) for one in self.seen], [2.0])
        self.clock.advance(INTERVAL)
        self.assertEqual([round(one, 6) for one in self.seen], [2.0, 0.0])

    def test_clock_set_back(self) -> None:
        """A timer that fires before it was due, by a clock that was set back, was not late."""
        (call,) = self.clock.getDelayedCalls()
        self.clock.rightNow -= 10
        call.func()
        self.assertEqual(self.seen, [0.0])
        call.cancel()

    def test_stop(self) -> None:
        """After the stop nothing is left to fire; a second one does nothing."""
        self.lag.stop()
        self.lag.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
