"""The series of requests, made for Prometheus out of totals that the web room counts for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["RequestCollector", "Requests"]

# Route, method, status, seconds, bytes sent, bytes received, requests by bucket; the last has what is beyond.
Requests = Iterable[tuple[str, str, str, float, float, float, list[float]]]


class RequestCollector(Collector):
    """Makes the series of requests out of totals that are counted elsewhere."""

    def __init__(self, totals: Callable[[], Requests], bounds: Sequence[float]) -> None:
        self._totals = totals
        self._bounds = [*map(str, bounds), "+Inf"]

    def collect(self) -> Iterator[Metric]:
        """The families, as of now."""
        requests = CounterMetricFamily(
            "pkgd_http_requests", "Requests that were answered.", labels=["handler", "method", "code"]
        )
        durations = HistogramMetricFamily(
            "pkgd_http_request_duration_seconds",
            "From the head of a request to the end of its answer.",
            labels=["handler", "method"],
        )
        sent = CounterMetricFamily("pkgd_http_sent_bytes", "Bytes of bodies sent.", labels=["handler"])
        received = CounterMetricFamily("pkgd_http_received_bytes", "Bytes of bodies received.", labels=["handler"])
        taken: dict[tuple[str, str], list[float]] = {}
        traffic: dict[str, list[float]] = {}
        for route, method, code, seconds, out, into, buckets in self._totals():
            requests.add_metric([route, method, code], sum(buckets))
            both = taken.get((route, method), [0.0] * (len(buckets) + 1))
            taken[route, method] = [a + b for a, b in zip(both, [seconds, *buckets], strict=True)]
            before = traffic.get(route, [0.0, 0.0])
            traffic[route] = [before[0] + out, before[1] + into]
        for labels, (seconds, *buckets) in taken.items():
            durations.add_metric(labels, list(zip(self._bounds, accumulate(buckets), strict=True)), seconds)
        for route, (out, into) in traffic.items():
            sent.add_metric([route], out)
            received.add_metric([route], into)
        yield from (requests, durations, sent, received)
