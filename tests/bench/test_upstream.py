"""Tests of the bench's upstream: its pace, and what it remembers of an answer."""

from twisted.trial.unittest import SynchronousTestCase

from tests.bench.upstream import Answered, Pace


class PaceTests(SynchronousTestCase):
    """When the next bytes may go out."""

    def test_everybody_shares_it(self) -> None:
        """What one connection has sent delays all others."""
        pace = Pace(100.0)

        self.assertEqual([round(pace.delay(50, 10.0), 6) for _ in range(2)], [0.0, 0.48])

    def test_nothing_is_saved_up(self) -> None:
        """After a silence the rate is the same as before."""
        pace = Pace(100.0)
        pace.delay(50, 10.0)

        self.assertEqual([round(pace.delay(50, 90.0), 6) for _ in range(2)], [0.0, 0.48])

    def test_no_limit(self) -> None:
        """Without a rate nothing waits."""
        self.assertEqual([Pace(None).delay(1 << 40, 1.0) for _ in range(2)], [0.0, 0.0])


class AnsweredTests(SynchronousTestCase):
    """When a byte left."""

    def test_reached(self) -> None:
        """A byte left with the part that holds it."""
        answered = Answered("GET", "/", 0, 0.0, sent=[(100, 1.0), (200, 2.0)])

        self.assertEqual([answered.reached(offset) for offset in (0, 99, 100, 199)], [1.0, 1.0, 2.0, 2.0])
