"""The metrics of the daemon: one registry, those of its parts, and the text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from pkgd.built import built
from pkgd.metrics.authentication import AuthMetrics
from pkgd.metrics.families import Counter, Durations, Gauge
from pkgd.metrics.mirroring import MirrorMetrics
from pkgd.metrics.publishing import PublishMetrics
from pkgd.metrics.requests import RequestCollector, Total
from pkgd.metrics.storing import StorageMetrics

__all__ = ["Metrics"]

# From a reactor that has nothing to do to one that is stuck.
_LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The daemon's metrics, in a registry of their own.

    All methods but `render` are for the reactor thread.

    :param others: how many upstreams that are not configured have a label of their own.
    :param now: the wall clock, asked once for the time of the start.
    """

    def __init__(self, others: int = 50, now: Callable[[], float] = time.time) -> None:
        registry = self._registry = CollectorRegistry()
        started = now()
        self._describe_process(started)
        self.mirror = MirrorMetrics(registry, others)
        self.auth = AuthMetrics(registry)
        self.publishing = PublishMetrics(registry)
        self.storage = StorageMetrics(registry)
        self._key_expiry = Gauge(
            *(
                registry,
                "signing_key_expiry_timestamp_seconds",
                "When a signing key expires; those that never do are not here.",
            ),
            ["key", "fingerprint"],
        )
        self._gc_bytes = Counter(registry, "gc_deleted_bytes", "Bytes of blobs that no manifest named.")
        self._gc_objects = Counter(registry, "gc_deleted_objects", "Blobs that no manifest named.")
        self._gc_last = Gauge(registry, "gc_last_run_timestamp_seconds", "When such blobs were last looked for.")
        self._corrupt = Counter(registry, "scrub_corrupt_objects", "Damaged objects that the scrub has found.")
        self._retained = Counter(registry, "retention_removed", "What rules of retention have removed.", ["kind"])
        self._samples: list[Callable[[], None]] = []
        self._in_flight = Gauge(registry, "http_requests_in_flight", "Requests that are being answered.", ["handler"])
        self._queue = Gauge(registry, "threadpool_queue", "Calls that wait for a thread.", ["pool"])
        self._expired = Counter(registry, "uploads_expired", "Uploads that were given up by their clients.")
        self._active = Gauge(registry, "uploads_active", "Uploads that have begun and not ended.")
        self._tls_expiry: Gauge | None = None
        self._lag = Durations(
            *(registry, "reactor_lag_seconds", "How late a timer of a tenth of a second is."), bounds=_LAG_SECONDS
        )
        self._reload = Gauge(
            registry, "config_last_reload_successful", "0 if the last reading of the configuration failed."
        )
        self._reload_time = Gauge(
            *(registry, "config_last_reload_success_timestamp_seconds"),
            "When the configuration was last read with success.",
        )
        self.reloaded(True, started)

    def _describe_process(self, started: float) -> None:
        registry = self._registry
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        PlatformCollector(registry=registry)
        facts = built()
        build = Gauge(registry, "build_info", "What runs.", ["version", "python", "twisted"])
        build.set(1, facts.version, facts.python, facts.twisted)
        Gauge(registry, "process_start_time_seconds", "When pkgd was started.").set(started)

    # -- the configuration --

    def reloaded(self, is_successful: bool, now: float) -> None:
        """The configuration has been read anew, or could not be."""
        self._reload.set(is_successful)
        if is_successful:
            self._reload_time.set(now)

    # -- upkeep --

    def corrupt(self, objects: int) -> None:
        """The scrub has found so many damaged objects."""
        self._corrupt.add(objects)

    def collected(self, objects: int, size: int, now: float) -> None:
        """Garbage was collected: so many blobs, so many bytes, at that time in seconds since the epoch."""
        self._gc_objects.add(objects)
        self._gc_bytes.add(size)
        self._gc_last.set(now)

    def removed_by_rule(self, kind: str) -> None:
        """A tag, a manifest or a package was removed by a rule of retention.

        :param kind: which of these three words.
        """
        self._retained.add(1, kind)

    def uploads(self, active: int, expired: int) -> None:
        """Uploads have been looked through: so many are there, and so many were given up."""
        self._active.set(active)
        self._expired.add(expired)

    def keys_expire(self, expiries: Mapping[tuple[str, str], float]) -> None:
        """These signing keys, by name in the configuration and fingerprint, expire, in seconds since the epoch."""
        self._key_expiry.drop(lambda labels: labels not in expiries)
        for (name, fingerprint), seconds in expiries.items():
            self._key_expiry.set(seconds, name, fingerprint)

    # -- the server --

    def reactor_late(self, seconds: float) -> None:
        """A timer has fired that much after it was due."""
        self._lag.observe(seconds)

    def count_requests(self, totals: Callable[[], Iterable[Total]], bounds: Sequence[float]) -> None:
        """Requests are counted there.

        :param totals: asked in a thread, whenever the text is made.
        :param bounds: of the buckets, in seconds.
        """
        self._registry.register(RequestCollector(totals, bounds))

    def requests_in_flight(self, by_route: Mapping[str, int]) -> None:
        """How many requests each route is answering; one that is not named, none."""
        self._in_flight.drop(lambda labels: labels[0] not in by_route)
        for route, count in by_route.items():
            self._in_flight.set(count, route)

    def waiting_calls(self, by_pool: Mapping[str, int]) -> None:
        """How many calls wait for a thread of each pool."""
        for pool, count in by_pool.items():
            self._queue.set(count, pool)

    def certificate_expiry(self, seconds: float) -> None:
        """The server's certificate expires at that time, in seconds since the epoch; without TLS there is no such."""
        if self._tls_expiry is None:
            name = "tls_certificate_expiry_timestamp_seconds"
            self._tls_expiry = Gauge(self._registry, name, "When the server's certificate expires.")
        self._tls_expiry.set(seconds)

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
