"""The series of requests, made for Prometheus out of totals that the web room counts for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from attrs import frozen
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pkgd.metrics.families import buckets

__all__ = ["RequestCollector", "Total"]

K = TypeVar("K")


@frozen
class Total:
    """Requests of one route, method and status; there may be several of them, for a part each.

    Seconds are from the head of a request: `firsts` until its answer began, of those that had one, and `seconds` until
    the end. Of each there is how many took up to each bucket's bound; the last took longer.
    """

    route: str
    method: str
    status: str
    seconds: float
    firsts: float
    sent: float
    received: float
    counts: Sequence[float]
    first_counts: Sequence[float]


class RequestCollector(Collector):
    """Makes the series of requests out of totals that are counted elsewhere.

    :param bounds: of the buckets, in seconds.
    """

    def __init__(self, totals: Callable[[], Iterable[Total]], bounds: Sequence[float]) -> None:
        self._totals = totals
        self._bounds = bounds

    def collect(self) -> Iterator[Metric]:
        """The families, as of now."""
        requests = CounterMetricFamily(
            "pkgd_http_requests", "Requests that were answered.", labels=["handler", "method", "code"]
        )
        sent = CounterMetricFamily("pkgd_http_sent_bytes", "Bytes of bodies sent.", labels=["handler"])
        received = CounterMetricFamily("pkgd_http_received_bytes", "Bytes of bodies received.", labels=["handler"])
        answered: dict[tuple[str, str, str], list[float]] = {}
        taken: dict[tuple[str, str], list[float]] = {}
        first: dict[tuple[str, str], list[float]] = {}
        traffic: dict[str, list[float]] = {}
        for one in self._totals():
            _add(answered, (one.route, one.method, one.status), [sum(one.counts)])
            _add(taken, (one.route, one.method), [one.seconds, *one.counts])
            _add(first, (one.route, one.method), [one.firsts, *one.first_counts])
            _add(traffic, one.route, [one.sent, one.received])
        for series, (count,) in answered.items():
            requests.add_metric(series, count)
        for route, (out, into) in traffic.items():
            sent.add_metric([route], out)
            received.add_metric([route], into)
        yield from (requests, sent, received)
        yield self._histogram("duration", "From the head of a request to the end of its answer.", taken)
        yield self._histogram("first_byte", "From the head of a request to the beginning of its answer.", first)

    def _histogram(self, name: str, text: str, series: dict[tuple[str, str], list[float]]) -> Metric:
        family = HistogramMetricFamily(f"pkgd_http_request_{name}_seconds", text, labels=["handler", "method"])
        for labels, (seconds, *counts) in series.items():
            family.add_metric(labels, buckets(self._bounds, counts), seconds)
        return family


def _add(sums: dict[K, list[float]], key: K, more: list[float]) -> None:
    """Add to numbers, one by one."""
    before = sums.get(key)
    sums[key] = more if before is None else [a + b for a, b in zip(before, more, strict=True)]
