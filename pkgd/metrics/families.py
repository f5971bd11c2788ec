"""Metrics as plain dicts of numbers: to count costs an addition, and a series that is over can be dropped.

The classes of prometheus_client take a lock for each number, and look labels up by way of it. Here the reactor thread
alone counts; the text is made in another, of what is there at that moment.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["Counter", "Durations", "Gauge"]

Labels = tuple[str, ...]


class _Numbers(Collector):
    """One number for each combination of labels; without labels, one from the start.

    :param name: without `pkgd_`, and of a counter without `_total`.
    :param text: what it says, for the operator.
    """

    _kind: type[CounterMetricFamily | GaugeMetricFamily]

    def __init__(self, registry: CollectorRegistry, name: str, text: str, labels: Sequence[str] = ()) -> None:
        self._name, self._text, self._labels = f"pkgd_{name}", text, labels
        self.values: dict[Labels, float] = {} if labels else {(): 0.0}
        registry.register(self)

    def drop(self, is_over: Callable[[Labels], bool]) -> None:
        """Forget the series with such labels."""
        for labels in [one for one in self.values if is_over(one)]:
            del self.values[labels]

    def collect(self) -> Iterator[Metric]:
        """The family, as of now; in any thread."""
        family = self._kind(self._name, self._text, labels=self._labels)
        for labels, value in list(self.values.items()):
            family.add_metric(labels, value)
        yield family


class Counter(_Numbers):
    """What only grows."""

    _kind = CounterMetricFamily

    def add(self, count: float, *labels: str) -> None:
        """So much more."""
        self.values[labels] = self.values.get(labels, 0.0) + count


class Gauge(_Numbers):
    """What is as it is."""

    _kind = GaugeMetricFamily

    def set(self, value: float, *labels: str) -> None:
        """It is so much."""
        self.values[labels] = value


class Durations(Collector):
    """How long something took: a histogram.

    :param bounds: of the buckets, in seconds.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        bounds: Sequence[float] = (),
    ) -> None:
        self._name, self._text, self._labels, self._bounds = f"pkgd_{name}", text, labels, bounds
        # The sum, and how many took up to each bound; the last took longer.
        self._cells: dict[Labels, list[float]] = {}
        if not labels:
            self._cell(())
        registry.register(self)

    def observe(self, seconds: float, *labels: str) -> None:
        """It has taken so long; a clock that was set back has made nothing shorter than nothing."""
        cell = self._cells.get(labels) or self._cell(labels)
        cell[0] += max(0.0, seconds)
        cell[1 + bisect_left(self._bounds, seconds)] += 1

    def drop(self, is_over: Callable[[Labels], bool]) -> None:
        """Forget the series with such labels."""
        for labels in [one for one in self._cells if is_over(one)]:
            del self._cells[labels]

    def collect(self) -> Iterator[Metric]:
        """The family, as of now; in any thread."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for labels, cell in list(self._cells.items()):
            total, *counts = cell
            family.add_metric(labels, buckets(self._bounds, counts), total)
        yield family

    def _cell(self, labels: Labels) -> list[float]:
        cell = self._cells[labels] = [0.0] * (len(self._bounds) + 2)
        return cell


def buckets(bounds: Sequence[float], counts: Sequence[float]) -> list[tuple[str, float]]:
    """Prometheus's buckets, each of which has what is in those before, too."""
    return list(zip([*map(str, bounds), "+Inf"], accumulate(counts), strict=True))
