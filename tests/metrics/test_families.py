"""Metrics as plain dicts: the text that prometheus_client makes of them, and series that are dropped."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from twisted.trial.unittest import SynchronousTestCase

from pkgd.metrics.families import Counter, Durations, Gauge


class FamilyTests(SynchronousTestCase):
    """A registry with one family."""

    def setUp(self) -> None:
        """Nothing in it."""
        self.registry = CollectorRegistry()

    def lines(self) -> list[str]:
        """The samples of the text."""
        return [one for one in generate_latest(self.registry).decode().splitlines() if one[0] != "#"]

    def test_counter(self) -> None:
        """A counter adds up, under a name with `_total`."""
        counter = Counter(self.registry, "reads", "Reads.", ["by"])
        self.assertEqual(self.lines(), [])
        for count in (1, 2):
            counter.add(count, "alice")
        self.assertEqual(self.lines(), ['pkgd_reads_total{by="alice"} 3.0'])

    def test_gauge(self) -> None:
        """A gauge has what was set last."""
        gauge = Gauge(self.registry, "size", "Size.", ["of"])
        for size in (3, 2):
            gauge.set(size, "x")
        self.assertEqual(self.lines(), ['pkgd_size{of="x"} 2.0'])

    def test_without_labels(self) -> None:
        """What has no labels is there from the start: a series that comes into being with its first event hides it."""
        Counter(self.registry, "reads", "Reads.")
        Durations(self.registry, "wait_seconds", "Waits.", bounds=(1.0,))
        self.assertEqual(
            self.lines(),
            [
                "pkgd_reads_total 0.0",
                'pkgd_wait_seconds_bucket{le="1.0"} 0.0',
                'pkgd_wait_seconds_bucket{le="+Inf"} 0.0',
                "pkgd_wait_seconds_count 0.0",
                "pkgd_wait_seconds_sum 0.0",
            ],
        )

    def test_durations(self) -> None:
        """A bucket has what took up to its bound, the bound itself included, and so has every larger one."""
        waits = Durations(self.registry, "wait_seconds", "Waits.", ["of"], (1.0, 2.0))
        for seconds in (0.5, 1.0, 1.5, 9.0):
            waits.observe(seconds, "x")
        self.assertEqual(
            self.lines(),
            [
                'pkgd_wait_seconds_bucket{le="1.0",of="x"} 2.0',
                'pkgd_wait_seconds_bucket{le="2.0",of="x"} 3.0',
                'pkgd_wait_seconds_bucket{le="+Inf",of="x"} 4.0',
                'pkgd_wait_seconds_count{of="x"} 4.0',
                'pkgd_wait_seconds_sum{of="x"} 12.0',
            ],
        )

    def test_clock(self) -> None:
        """A clock that was set back takes nothing from the sum, which a counter must not lose."""
        waits = Durations(self.registry, "wait_seconds", "Waits.", bounds=(1.0,))
        waits.observe(-5.0)
        self.assertIn("pkgd_wait_seconds_sum 0.0", self.lines())
        self.assertIn('pkgd_wait_seconds_bucket{le="1.0"} 1.0', self.lines())

    def test_drop(self) -> None:
        """What is dropped is gone; what comes again begins anew."""
        counter = Counter(self.registry, "reads", "Reads.", ["by"])
        waits = Durations(self.registry, "wait_seconds", "Waits.", ["of"], ())
        for name in ("alice", "bob"):
            counter.add(1, name)
            waits.observe(1.0, name)
        for family in (counter, waits):
            family.drop(lambda labels: labels == ("alice",))
        self.assertNotIn("alice", "".join(self.lines()))
        counter.add(1, "alice")
        self.assertEqual(counter.values, {("bob",): 1.0, ("alice",): 1.0})

    def test_labels_are_escaped(self) -> None:
        """Whatever a label says, it stays one line."""
        Gauge(self.registry, "size", "Size.", ["of"]).set(1, 'a"b\n\\c')
        self.assertEqual(self.lines(), ['pkgd_size{of="a\\"b\\n\\\\c"} 1.0'])
