"""The clock that ages are counted by."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.retention.outcomes import Times


class TimesTests(SynchronousTestCase):
    """What time it is."""

    def test_now(self) -> None:
        """The wall clock, unless that has come further since the start than time has."""
        self.monotonic, self.wall = 10.0, 1000.0
        times = Times(lambda: self.monotonic, lambda: self.wall)
        found = []
        for self.monotonic, self.wall in ((20.0, 1010.0), (30.0, 5000.0), (40.0, 500.0)):
            found.append(times.now())

        self.assertEqual(found, [1010.0, 1020.0, 500.0])
