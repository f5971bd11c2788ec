"""What the mirror does, and its upstreams."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry

from pkgd.metrics.families import Counter, Durations, Gauge

__all__ = ["OTHER", "MirrorMetrics"]

# The label that all upstreams share which have none of their own.
OTHER = "other"

# What registries answer with; of other codes only the class is kept, for an upstream may send any.
_CODES = frozenset(
    [str(code) for code in (200, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 410, 416, 429)]
    + [str(code) for code in (500, 502, 503, 504, 508)]
    + ["timeout", "error"]
)
# From a cache in the same building to the longest that is waited.
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class MirrorMetrics:
    """Configured upstreams have a label of their own, the first few others, and then all the rest together.

    :param others: how many others have one.
    """

    def __init__(self, registry: CollectorRegistry, others: int) -> None:
        self._known: frozenset[str] = frozenset()
        self._others: set[str] = set()
        self._most_others = others
        upstream = ["upstream"]
        self._requests = Counter(
            registry, "mirror_requests", "Pulls through the mirror.", ["upstream", "kind", "result"]
        )
        self._durations = Durations(
            *(registry, "mirror_upstream_duration_seconds", "From a request to an upstream to the head of its answer."),
            *(["upstream", "code"], _SECONDS),
        )
        self._remaining = Gauge(
            registry, "mirror_upstream_ratelimit_remaining", "Pulls that the upstream still allows.", upstream
        )
        self._open = Gauge(
            *(registry, "upstream_circuit_open", "1 while the upstream is not asked, having failed too often."),
            upstream,
        )
        self._cached = Gauge(registry, "mirror_cached_bytes", "What is kept of the upstream.", upstream)
        self._received = Counter(
            *(registry, "mirror_upstream_received_bytes", "Bytes of bodies that upstreams have sent."), upstream
        )
        self._evicted = Counter(registry, "mirror_evicted_bytes", "Cached bytes that were evicted.", upstream)

    def use(self, known: Iterable[str]) -> None:
        """These upstreams are configured; one that was and is not any more has no series until it is asked again."""
        before, self._known = self._known, frozenset(known)
        gone = before - self._known
        self._others -= self._known
        for family in (
            *(self._requests, self._durations, self._remaining),
            *(self._open, self._cached, self._received, self._evicted),
        ):
            family.drop(lambda labels: labels[0] in gone)
        for host in sorted(self._known - before):
            for gauge in (self._open, self._cached):
                gauge.values.setdefault((host,), 0.0)
            for counter in (self._received, self._evicted):
                counter.add(0, host)

    def forget_circuits(self) -> None:
        """All upstreams are asked from now on, also those that were left alone."""
        for labels in list(self._open.values):
            self._open.set(0, *labels)

    def mirror_request(self, upstream: str, kind: str, result: str) -> None:
        """A client has asked for something of an upstream.

        :param kind: manifest, blob, referrers or tags.
        :param result: hit, miss, stale, coalesced, negative or error.
        """
        self._requests.add(1, self._label(upstream), kind, result)

    def upstream_exchange(self, upstream: str, code: str, seconds: float) -> None:
        """An upstream has answered, or has not.

        :param code: the status, or "timeout", or "error".
        """
        if code not in _CODES:
            code = f"{code[:1]}xx"
        self._durations.observe(seconds, self._label(upstream), code)

    def ratelimit_remaining(self, upstream: str, value: float) -> None:
        """An upstream has said how much it still allows; of upstreams without a label this is not kept."""
        self._set(self._remaining, upstream, value)

    def circuit_open(self, upstream: str, is_open: bool) -> None:
        """An upstream is no longer asked, or again; of upstreams without a label this is not kept."""
        self._set(self._open, upstream, is_open)

    def cached_bytes(self, by_host: Mapping[str, int]) -> None:
        """What is kept of every upstream; of one that is not named, nothing."""
        totals = dict.fromkeys((labels[0] for labels in self._cached.values), 0)
        for host in sorted(by_host, key=by_host.__getitem__, reverse=True):
            label = self._label(host)
            totals[label] = totals.get(label, 0) + by_host[host]
        for label, total in totals.items():
            self._cached.set(total, label)

    def sent_from_upstream(self, upstream: str, count: int) -> None:
        """An upstream has sent that many bytes of a body."""
        self._received.add(count, self._label(upstream))

    def evicted(self, upstream: str, count: int) -> None:
        """That many cached bytes of an upstream were evicted."""
        self._evicted.add(count, self._label(upstream))

    def _set(self, gauge: Gauge, upstream: str, value: float) -> None:
        """Set a gauge that has no meaning for several upstreams together."""
        label = self._label(upstream)
        if label != OTHER:
            gauge.set(value, label)

    def _label(self, upstream: str) -> str:
        if upstream in self._known or upstream in self._others:
            return upstream
        if len(self._others) >= self._most_others:
            return OTHER
        self._others.add(upstream)
        return upstream
