"""When an upstream is left alone, and when it is tried again."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import UpstreamBusy, UpstreamUnavailable
from pkgd.outbound.breaker import (
    BUSY_SECONDS,
    FAILURES,
    MAX_BUSY_SECONDS,
    OPEN_SECONDS,
    Breaker,
    parse_retry_after,
)
from tests.properties import ANY_TEXT, bounded

NOW = 1_750_000_000.0


@contextmanager
def living_in(zone: str) -> Iterator[None]:
    """For a while, in another time zone."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        yield
    finally:
        del os.environ["TZ"]
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


class RetryAfterTests(SynchronousTestCase):
    """`parse_retry_after` (RFC 9110, 10.2.3)."""

    def assert_read(self, expected: float, *values: str | None) -> None:
        """Each of the values asks for that many seconds."""
        self.assertEqual([parse_retry_after(value, NOW) for value in values], [expected] * len(values))

    def test_seconds(self) -> None:
        """A number is seconds."""
        self.assert_read(120.0, "120", " 120 ", "0120")

    def test_date(self) -> None:
        """A date is when to come again, in each of the three formats (RFC 9110, 5.6.7), wherever we are."""
        dates = [
            formatdate(NOW + 90, usegmt=True),
            "Sunday, 15-Jun-25 15:08:10 GMT",
            "Sun Jun 15 15:08:10 2025",
            "Sun, 15 Jun 2025 17:08:10 +0200",
        ]
        with living_in("Asia/Tokyo"):
            self.assert_read(90.0, *dates)

    def test_nothing_said(self) -> None:
        """Without the header, or with one that says nothing, the pause is the default."""
        self.assert_read(BUSY_SECONDS, None, "", " ", "soon", "-5", "1.5", "1e3", "٣", "Sun, 99 Foo 2025 99:99:99 GMT")

    def test_bounds(self) -> None:
        """Nobody is left alone for ever, nor asked again at once."""
        self.assert_read(1.0, "0", formatdate(NOW - 90, usegmt=True), "Thu, 01 Jan 1970 00:00:00 GMT")
        self.assert_read(MAX_BUSY_SECONDS, "86400", "9" * 5000, formatdate(NOW + 1e6), "Fri, 31 Dec 9999 23:59:59 GMT")

    @bounded
    @given(ANY_TEXT | st.text("0123456789 :,-+GMTSunJa", max_size=40))
    def test_any_text(self, value: str) -> None:
        """Whatever an upstream sends, it is a pause within the bounds."""
        self.assertTrue(1.0 <= parse_retry_after(value, NOW) <= MAX_BUSY_SECONDS)


class BreakerTests(SynchronousTestCase):
    """Failures in a row open the circuit; one request at a time then finds out whether the trouble is over."""

    def setUp(self) -> None:
        """An upstream that nobody has asked yet, and what has been told of its circuit."""
        self.clock = Clock()
        self.clock.advance(NOW)
        self.told: list[bool] = []
        self.breaker = Breaker("quay.io", self.clock, self.told.append)

    def fail_often(self, times: int) -> None:
        """Requests that fail, one after the other."""
        for _ in range(times):
            self.breaker.check()
            self.breaker.failed()

    def assert_open(self) -> None:
        """Requests are refused."""
        error = self.assertRaises(UpstreamUnavailable, self.breaker.check)
        self.assertEqual(error.host, "quay.io")

    def test_figures(self) -> None:
        """Operators are told these: so many failures, so many seconds."""
        self.assertEqual((FAILURES, OPEN_SECONDS), (5, 15))

    def test_closed(self) -> None:
        """At first, and as long as it answers, an upstream is asked."""
        for _ in range(3 * FAILURES):
            self.breaker.check()
            self.breaker.succeeded()

        self.assertEqual(self.told, [])

    def test_opens(self) -> None:
        """After some failures in a row the upstream is left alone; this is told once."""
        self.fail_often(FAILURES - 1)
        self.breaker.check()
        self.assertEqual(self.told, [])

        self.breaker.failed()

        self.assert_open()
        self.assertEqual(self.told, [True])

    def test_in_a_row(self) -> None:
        """An answer in between begins the count anew."""
        self.fail_often(FAILURES - 1)
        self.breaker.succeeded()
        self.fail_often(FAILURES - 1)

        self.breaker.check()

        self.assertEqual(self.told, [])

    def test_half_open(self) -> None:
        """After a while one request is let through; the others are still refused, until it is known how it ends."""
        self.fail_often(FAILURES)
        self.clock.advance(OPEN_SECONDS - 0.1)
        self.assert_open()
        self.clock.advance(0.1)

        self.breaker.check()

        self.assert_open()
        self.assertEqual(self.told, [True])

    def test_recovers(self) -> None:
        """If that one is answered, everybody is let through, and the count begins anew; this is told."""
        self.fail_often(FAILURES)
        self.clock.advance(OPEN_SECONDS)
        self.breaker.check()

        self.breaker.succeeded()

        self.fail_often(FAILURES - 1)
        self.breaker.check()
        self.assertEqual(self.told, [True, False])

    def test_stays_open(self) -> None:
        """If that one fails, the upstream is left alone for as long again; it is not told again."""
        self.fail_often(FAILURES)
        self.clock.advance(OPEN_SECONDS)
        self.breaker.check()
        self.clock.advance(5)

        self.breaker.failed()

        self.clock.advance(OPEN_SECONDS - 0.1)
        self.assert_open()
        self.clock.advance(0.1)
        self.breaker.check()
        self.assertEqual(self.told, [True])

    def test_trial_that_never_ends(self) -> None:
        """If nobody says how the one that was let through has ended, another one is after a while."""
        self.fail_often(FAILURES)
        self.clock.advance(OPEN_SECONDS)
        self.breaker.check()
        self.clock.advance(OPEN_SECONDS)

        self.breaker.check()

        self.assert_open()

    def test_late_failures(self) -> None:
        """Requests that were under way when the circuit opened, and fail later, keep it open."""
        self.fail_often(FAILURES)
        self.clock.advance(OPEN_SECONDS - 1)
        self.breaker.failed()
        self.clock.advance(OPEN_SECONDS - 1)

        self.assert_open()
        self.assertEqual(self.told, [True])

    def test_late_answer(self) -> None:
        """A request that was under way when the circuit opened, and is answered, closes it."""
        self.fail_often(FAILURES)

        self.breaker.succeeded()

        self.breaker.check()
        self.assertEqual(self.told, [True, False])

    def test_busy(self) -> None:
        """An upstream that asks for a pause gets it; who asks meanwhile learns how long it still lasts."""
        self.breaker.busy(60)
        self.clock.advance(20)

        error = self.assertRaises(UpstreamBusy, self.breaker.check)

        self.assertEqual((error.host, error.retry_after), ("quay.io", 40.0))
        self.clock.advance(40)
        self.breaker.check()

    def test_busy_is_no_failure(self) -> None:
        """A pause opens no circuit, and an answer to a request that was under way does not end it."""
        self.breaker.busy(60)
        self.breaker.succeeded()

        self.assertRaises(UpstreamBusy, self.breaker.check)
        self.assertEqual(self.told, [])

    def test_longest_pause_counts(self) -> None:
        """Of requests that are refused together, the one with the shortest pause does not cut short the others'."""
        self.breaker.busy(60)
        self.breaker.busy(1)
        self.clock.advance(30)

        self.assertRaises(UpstreamBusy, self.breaker.check)

    def test_clock_set_back(self) -> None:
        """If the clock has been set back meanwhile, nobody is left alone until it is where it was."""
        self.fail_often(FAILURES)
        self.breaker.busy(MAX_BUSY_SECONDS)
        self.clock.rightNow -= 86400

        self.breaker.check()

        self.breaker.busy(60)
        self.assertEqual(self.assertRaises(UpstreamBusy, self.breaker.check).retry_after, 60.0)

    def test_longest_pause(self) -> None:
        """The longest pause that can be asked for is kept."""
        self.breaker.busy(MAX_BUSY_SECONDS)
        self.assertRaises(UpstreamBusy, self.breaker.check)
        self.clock.advance(MAX_BUSY_SECONDS - 0.1)

        self.assertRaises(UpstreamBusy, self.breaker.check)

    def test_busy_and_failing(self) -> None:
        """A pause that was asked for goes before an open circuit, and takes away no trial."""
        self.fail_often(FAILURES)
        self.breaker.busy(OPEN_SECONDS + 5)
        self.clock.advance(OPEN_SECONDS + 1)
        self.assertRaises(UpstreamBusy, self.breaker.check)
        self.clock.advance(4)

        self.breaker.check()

        self.assert_open()
