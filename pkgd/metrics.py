"""Everything that pkgd counts, under the names that operators query, and its text for Prometheus.

With `pkgd.requestseries` the only user of prometheus_client: callers say what has happened, in their own words.
Any client may name
an upstream, so only the configured ones and the first few others have a label of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from pkgd.built import built
from pkgd.requestseries import RequestCollector, Requests

__all__ = ["OTHER", "Metrics"]

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


# From a reactor that has nothing to do to one that is stuck.
_LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class _Registry(CollectorRegistry):
    """Without the time at which each counter began, which doubles the text and which nobody queries."""

    def collect(self) -> Iterator[Metric]:
        for metric in super().collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class _Children:
    """The series of one metric, each looked up in a dict: `labels()` takes four times as long as counting."""

    def __init__(self, metric: Any) -> None:
        self._metric = metric
        self.series: dict[tuple[str, ...], Any] = {}

    def __call__(self, *labels: str) -> Any:
        child = self.series.get(labels)
        if child is None:
            child = self.series[labels] = self._metric.labels(*labels)
        return child


class Metrics:
    """The daemon's metrics, in a registry of their own.

    All methods but `render` are for the reactor thread.

    :param known: upstreams that always have a label of their own: the configured ones.
    :param others: how many further upstreams have; what comes later is counted together, as "other".
    :param now: the wall clock, asked once for the time of the start.
    """

    def __init__(self, known: Iterable[str] = (), others: int = 50, now: Callable[[], float] = time.time) -> None:
        self._labels = {host: host for host in known}
        self._room = others
        self._registry = _Registry()
        started = now()
        self._describe_process(started)
        self._requests = self._counter("mirror_requests", "Pulls through the mirror.", "upstream", "kind", "result")
        self._durations = _Children(
            Histogram(
                "pkgd_mirror_upstream_duration_seconds",
                "From a request to an upstream to the head of its answer.",
                ["upstream", "code"],
                buckets=_SECONDS,
                registry=self._registry,
            )
        )
        self._remaining = self._gauge("mirror_upstream_ratelimit_remaining", "Pulls that the upstream still allows.")
        self._open = self._gauge("upstream_circuit_open", "1 while the upstream is not asked, having failed too often.")
        self._cached = self._gauge("mirror_cached_bytes", "What is kept of the upstream.")
        self._received = self._counter("mirror_upstream_received_bytes", "Bytes of bodies that upstreams have sent.")
        self._evicted = self._counter("mirror_evicted_bytes", "Cached bytes that were evicted.")
        self._key_expiry = Gauge(
            "pkgd_signing_key_expiry_timestamp_seconds",
            "When a signing key expires; keys that never do are not here.",
            ["key", "fingerprint"],
            registry=self._registry,
        )
        self._logins = self._counter("auth_logins", "Passwords that were shown.", "result")
        self._stale = Gauge(
            "pkgd_auth_users_stale",
            "1 while the file of users is broken and the one before is used.",
            registry=self._registry,
        )
        self._gc_bytes = self._plain(Counter, "gc_deleted_bytes", "Bytes of blobs that no manifest named.")
        self._gc_objects = self._plain(Counter, "gc_deleted_objects", "Blobs that no manifest named.")
        self._gc_last = self._plain(Gauge, "gc_last_run_timestamp_seconds", "When such blobs were last looked for.")
        self._corrupt = self._plain(Counter, "scrub_corrupt_objects", "Damaged objects that the scrub has found.")
        self._retained = self._counter("retention_removed", "What rules of retention have removed.", "kind")
        self._samples: list[Callable[[], None]] = []
        self._in_flight = Gauge(
            "pkgd_http_requests_in_flight", "Requests that are being answered.", ["handler"], registry=self._registry
        )
        self._queue = Gauge("pkgd_threadpool_queue", "Calls that wait for a thread.", ["pool"], registry=self._registry)
        self._free = self._plain(Gauge, "storage_free_bytes", "What is free where the storage is.")
        self._reserved = self._plain(
            Gauge, "storage_reserved", "1 while space is set aside for what deletes need on a full disk."
        )
        self._expired = self._plain(Counter, "uploads_expired", "Uploads that were given up by their clients.")
        self._active = self._plain(Gauge, "uploads_active", "Uploads that have begun and not ended.")
        self._tls_expiry: Any = None
        self._lag = Histogram(
            "pkgd_reactor_lag_seconds",
            "How late a timer of a tenth of a second is.",
            buckets=_LAG_SECONDS,
            registry=self._registry,
        )
        self._reload = Gauge(
            "pkgd_config_last_reload_successful",
            "0 if the last reading of the configuration failed.",
            registry=self._registry,
        )
        self._reload_time = Gauge(
            "pkgd_config_last_reload_success_timestamp_seconds",
            "When the configuration was last read with success.",
            registry=self._registry,
        )
        self.reloaded(True, started)
        for host in self._labels:
            for child in (self._open(host), self._cached(host)):
                child.set(0)
            for child in (self._received(host), self._evicted(host)):
                child.inc(0)

    def _describe_process(self, started: float) -> None:
        registry = self._registry
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        PlatformCollector(registry=registry)
        build = Gauge("pkgd_build_info", "What runs.", ["version", "python", "twisted"], registry=registry)
        facts = built()
        build.labels(facts.version, facts.python, facts.twisted).set(1)
        Gauge("pkgd_process_start_time_seconds", "When pkgd was started.", registry=registry).set(started)

    def _plain(self, kind: Any, name: str, text: str) -> Any:
        return kind(f"pkgd_{name}", text, registry=self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> _Children:
        return _Children(Counter(f"pkgd_{name}", text, labels or ["upstream"], registry=self._registry))

    def _gauge(self, name: str, text: str) -> _Children:
        return _Children(Gauge(f"pkgd_{name}", text, ["upstream"], registry=self._registry))

    # -- the configuration --

    def reloaded(self, is_successful: bool, now: float) -> None:
        """The configuration has been read anew, or could not be."""
        self._reload.set(is_successful)
        if is_successful:
            self._reload_time.set(now)

    # -- authentication --

    def login(self, result: str) -> None:
        """Somebody has shown a password.

        :param result: right, wrong, throttled or unavailable.
        """
        self._logins(result).inc()

    def users_stale(self, is_stale: bool) -> None:
        """The file of users cannot be used, or can be again."""
        self._stale.set(is_stale)

    # -- the mirror --

    def mirror_request(self, upstream: str, kind: str, result: str) -> None:
        """A client has asked for something of an upstream.

        :param kind: manifest, blob, referrers or tags.
        :param result: hit, miss, stale, coalesced, negative or error.
        """
        self._requests(self._label(upstream), kind, result).inc()

    def upstream_exchange(self, upstream: str, code: str, seconds: float) -> None:
        """An upstream has answered, or has not.

        :param code: the status, or "timeout", or "error".
        """
        if code not in _CODES:
            code = f"{code[:1]}xx"
        self._durations(self._label(upstream), code).observe(seconds)

    def ratelimit_remaining(self, upstream: str, value: float) -> None:
        """An upstream has said how much it still allows; of upstreams without a label this is not kept."""
        self._set(self._remaining, upstream, value)

    def circuit_open(self, upstream: str, is_open: bool) -> None:
        """An upstream is no longer asked, or again; of upstreams without a label this is not kept."""
        self._set(self._open, upstream, is_open)

    def cached_bytes(self, by_host: Mapping[str, int]) -> None:
        """What is kept of every upstream; of one that is not named, nothing."""
        totals = dict.fromkeys((labels[0] for labels in self._cached.series), 0)
        for host in sorted(by_host, key=by_host.__getitem__, reverse=True):
            label = self._label(host)
            totals[label] = totals.get(label, 0) + by_host[host]
        for label, total in totals.items():
            self._cached(label).set(total)

    def sent_from_upstream(self, upstream: str, count: int) -> None:
        """An upstream has sent that many bytes of a body."""
        self._received(self._label(upstream)).inc(count)

    def evicted(self, upstream: str, count: int) -> None:
        """That many cached bytes of an upstream were evicted."""
        self._evicted(self._label(upstream)).inc(count)

    # -- upkeep --

    def corrupt(self, objects: int) -> None:
        """The scrub has found so many damaged objects."""
        self._corrupt.inc(objects)

    def collected(self, objects: int, size: int, now: float) -> None:
        """Garbage was collected: so many blobs, so many bytes, at that time in seconds since the epoch."""
        self._gc_objects.inc(objects)
        self._gc_bytes.inc(size)
        self._gc_last.set(now)

    def removed_by_rule(self, kind: str) -> None:
        """A tag, a manifest or a package was removed by a rule of retention.

        :param kind: which of these three words.
        """
        self._retained(kind).inc()

    # -- the server --

    def reactor_late(self, seconds: float) -> None:
        """A timer has fired that much after it was due."""
        self._lag.observe(seconds)

    def count_requests(self, totals: Callable[[], Requests], bounds: Sequence[float]) -> None:
        """Requests are counted there.

        :param totals: asked in a thread, whenever the text is made.
        :param bounds: of the buckets, in seconds.
        """
        self._registry.register(RequestCollector(totals, bounds))

    def requests_in_flight(self, by_route: Mapping[str, int]) -> None:
        """How many requests each route is answering; one that is not named, none."""
        self._in_flight.clear()
        for route, count in by_route.items():
            self._in_flight.labels(route).set(count)

    def waiting_calls(self, by_pool: Mapping[str, int]) -> None:
        """How many calls wait for a thread of each pool."""
        for pool, count in by_pool.items():
            self._queue.labels(pool).set(count)

    def certificate_expiry(self, seconds: float) -> None:
        """The server's certificate expires at that time, in seconds since the epoch; without TLS there is no such."""
        if self._tls_expiry is None:
            name = "tls_certificate_expiry_timestamp_seconds"
            self._tls_expiry = self._plain(Gauge, name, "When the server's certificate expires.")
        self._tls_expiry.set(seconds)

    def storage_free(self, size: int) -> None:
        """So many bytes are free where the storage is."""
        self._free.set(size)

    def storage_reserved(self, held: bool) -> None:
        """Whether space is set aside for what deletes need."""
        self._reserved.set(held)

    def uploads(self, active: int, expired: int) -> None:
        """Uploads have been looked through: so many are there, and so many were given up."""
        self._active.set(active)
        self._expired.inc(expired)

    # -- signing keys --

    def key_expiry(self, name: str, fingerprint: str, seconds: int) -> None:
        """A signing key, by its name in the configuration, expires at that time, in seconds since the epoch."""
        self._key_expiry.labels(name, fingerprint).set(seconds)

    def _set(self, gauge: _Children, upstream: str, value: float) -> None:
        """Set a gauge that has no meaning for several upstreams together."""
        label = self._label(upstream)
        if label != OTHER:
            gauge(label).set(value)

    def _label(self, upstream: str) -> str:
        label = self._labels.get(upstream)
        if label is None:
            if self._room <= 0:
                return OTHER
            self._room -= 1
            label = self._labels[upstream] = upstream
        return label

    # -- the text --

    def sampled(self, sample: Callable[[], None]) -> None:
        """Have this called before the text is made: it sets gauges of what nobody tells of its own accord."""
        self._samples.append(sample)

    def sample(self) -> None:
        """Bring such gauges up to date, on the reactor thread."""
        for sample in self._samples:
            sample()

    def render(self) -> tuple[bytes, str]:
        """The exposition text and its Content-Type.

        It takes 4 ms with a few upstreams and 40 ms with all that can have a label: for a thread, in which it
        may run while the reactor counts on.
        """
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4
