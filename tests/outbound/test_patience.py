"""Patience with a body: gaps, trickles, and time that is ours."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.outbound.patience import Patience
from pkgd.outbound.settings import Limits


class PatienceTests(SynchronousTestCase):
    """30 seconds of silence, and 1024 bytes a second on average after a minute."""

    def setUp(self) -> None:
        """A clock, and what is said when the patience has run out."""
        self.clock = Clock()
        self.said: list[str] = []
        self.patience = Patience(Limits(), self.clock, self.said.append)

    def trickle(self, seconds: int, count: int, every: int = 10) -> None:
        """So many bytes come every few seconds, for so long."""
        for _ in range(seconds // every):
            self.clock.advance(every)
            self.patience.received(count)

    def test_begins_paused(self) -> None:
        """Before it is resumed, nothing is expected."""
        self.clock.advance(1000)

        self.assertEqual((self.said, self.clock.getDelayedCalls()), ([], []))

    def test_silence(self) -> None:
        """It runs out after the longest gap, counted from the last piece."""
        self.patience.resume()
        self.clock.advance(20)
        self.patience.received(1_000_000)
        self.clock.advance(29.9)
        self.assertEqual(self.said, [])
        self.clock.advance(0.2)

        self.assertEqual((self.said, self.clock.getDelayedCalls()), (["has stopped sending"], []))

    def test_trickle(self) -> None:
        """It runs out when too little has come for its time, although there is no gap."""
        self.patience.resume()
        self.trickle(60, 100)
        self.assertEqual(self.said, [])
        self.trickle(10, 100)

        self.assertEqual((self.said, self.clock.getDelayedCalls()), (["sends too slowly"], []))

    def test_average(self) -> None:
        """A good beginning buys time, at the lowest rate."""
        self.patience.resume()
        self.patience.received(1024 * 100)
        self.trickle(150, 1)
        self.assertEqual(self.said, [])
        self.trickle(20, 1)

        self.assertEqual(self.said, ["sends too slowly"])

    def test_fast_enough(self) -> None:
        """What comes at the lowest rate is waited for."""
        self.patience.resume()
        self.trickle(3600, 1024 * 10)

        self.assertEqual(self.said, [])

    def test_paused(self) -> None:
        """Time in which it is paused counts for nothing, and the gap begins anew."""
        self.patience.resume()
        self.clock.advance(20)
        self.patience.pause()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(10_000)
        self.patience.resume()
        self.clock.advance(29.9)
        self.assertEqual(self.said, [])
        self.clock.advance(0.2)

        self.assertEqual(self.said, ["has stopped sending"])

    def test_pauses_do_not_help_a_trickle(self) -> None:
        """The time between pauses adds up: whoever makes us pause often gains nothing."""
        self.patience.resume()
        for _ in range(5):
            self.trickle(10, 100)
            self.patience.pause()
            self.clock.advance(500)
            self.patience.resume()
        self.trickle(10, 100)
        self.assertEqual(self.said, [])
        self.trickle(10, 100)

        self.assertEqual(self.said, ["sends too slowly"])

    def test_resumed_twice(self) -> None:
        """Resuming what runs changes nothing, and pausing what is paused neither."""
        self.patience.resume()
        self.clock.advance(20)
        self.patience.resume()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(10.1)
        self.patience.pause()
        self.patience.pause()

        self.assertEqual((self.said, self.clock.getDelayedCalls()), (["has stopped sending"], []))

    def test_one_timer(self) -> None:
        """However many pieces come, there is one delayed call, and it is not touched by them."""
        self.patience.resume()
        (timer,) = self.clock.getDelayedCalls()
        for _ in range(100):
            self.patience.received(1024)

        self.assertEqual(self.clock.getDelayedCalls(), [timer])
