"""Several attempts, one result: in turn, staggered, and nothing left running."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectError, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.outbound.attempts import STAGGER, first_of


class FirstOfTests(SynchronousTestCase):
    """`first_of`: attempts are begun in turn."""

    def setUp(self) -> None:
        """Attempts that the test decides; `begun` are those that have begun."""
        self.clock = Clock()
        self.begun: list[Deferred[str]] = []
        self.cancelled: list[int] = []

    def attempts(self, count: int) -> list[Callable[[], Deferred[str]]]:
        """Undecided attempts."""

        def begin() -> Deferred[str]:
            number = len(self.begun)
            self.begun.append(Deferred(lambda _: self.cancelled.append(number)))
            return self.begun[-1]

        return [begin] * count

    def start(self, count: int) -> Deferred[str]:
        """Begin with so many attempts."""
        return first_of(self.clock, self.attempts(count))

    def assert_quiet(self) -> None:
        """No timer is left."""
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_first_succeeds(self) -> None:
        """The first success is the result, and nobody else is tried."""
        won = self.start(3)
        self.begun[0].callback("a")

        self.assertEqual(self.successResultOf(won), "a")
        self.assertEqual((len(self.begun), self.cancelled), (1, []))
        self.assert_quiet()

    def test_next_after_failure(self) -> None:
        """A failure begins the next attempt at once."""
        won = self.start(2)
        self.begun[0].errback(ConnectionRefusedError())
        self.begun[1].callback("b")

        self.assertEqual(self.successResultOf(won), "b")
        self.assert_quiet()

    def test_next_after_a_while(self) -> None:
        """An attempt that has no answer gets company, and goes on."""
        won = self.start(2)
        self.clock.advance(STAGGER - 0.01)
        self.assertEqual(len(self.begun), 1)
        self.clock.advance(0.02)
        self.assertEqual((len(self.begun), self.cancelled), (2, []))
        self.begun[0].callback("a")

        self.assertEqual(self.successResultOf(won), "a")
        self.assertEqual(self.cancelled, [1])
        self.assert_quiet()

    def test_failure_of_company(self) -> None:
        """When a later one fails, the earlier one is still waited for."""
        won = self.start(2)
        self.clock.advance(STAGGER)
        self.begun[1].errback(ConnectError())
        self.assertNoResult(won)
        self.begun[0].callback("a")

        self.assertEqual(self.successResultOf(won), "a")

    def test_all_fail(self) -> None:
        """When all have failed, the last failure is the result."""
        won = self.start(2)
        self.begun[0].errback(ConnectError())
        self.assertNoResult(won)
        self.begun[1].errback(ConnectionRefusedError())

        self.failureResultOf(won, ConnectionRefusedError)
        self.assert_quiet()

    def test_at_once(self) -> None:
        """Attempts that are decided when they begin are taken as they come."""
        decided: list[Any] = [lambda: fail(ConnectError()), lambda: succeed("b"), *self.attempts(1)]

        self.assertEqual(self.successResultOf(first_of(self.clock, decided)), "b")
        self.assertEqual(self.begun, [])
        self.assert_quiet()

    def test_cancel(self) -> None:
        """Cancelling gives up whatever runs, and begins nothing more."""
        won = self.start(3)
        self.clock.advance(STAGGER)
        won.cancel()
        self.clock.advance(STAGGER)

        self.failureResultOf(won, CancelledError)
        self.assertEqual((len(self.begun), self.cancelled), (2, [0, 1]))
        self.assert_quiet()
