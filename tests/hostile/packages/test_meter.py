"""Tests for the meter."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from tests.hostile.packages.meter import INTERVAL, Meter


def _compute(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


class MeterTests(SynchronousTestCase):
    """What a turn costs, and how late a heartbeat is, is found again in the report."""

    def test_turns(self) -> None:
        """A turn that computes is the worst, by its CPU time; waiting before the first is none."""
        meter = Meter(lambda: 0.0)
        meter.end()
        for seconds in (0.0, 0.02, 0.0):
            meter.begin()
            _compute(seconds)
            meter.end()

        report = meter.report()

        self.assertEqual(report["turns"], 3)
        self.assertGreaterEqual(report["cpu"]["worst"], 0.02)
        self.assertGreaterEqual(report["clock"]["worst"], 0.02)

    def test_heartbeats(self) -> None:
        """One that comes late is, by what was computed meanwhile; not for what a processor was lacking."""
        waits = iter((0.0, 0.0, 100.0))
        meter = Meter(lambda: next(waits))
        meter.beat()
        _compute(INTERVAL + 0.02)
        meter.beat()
        self.assertGreaterEqual(meter.report()["late"]["worst"], 0.019)

        _compute(INTERVAL + 0.05)
        meter.beat()
        self.assertLess(meter.report()["latest"][1][0], 0.001)
