"""What pkgd counts: the names and labels that operators query, and how few series anybody can cause."""

from __future__ import annotations

import gc
import platform

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

import twisted
from pkgd import __version__
from pkgd.metrics import OTHER, Metrics

Series = dict[frozenset[tuple[str, str]], float]


class MetricsCase(SynchronousTestCase):
    """Reads the exposition text as Prometheus does."""

    def setUp(self) -> None:
        """One configured upstream, and room for two more."""
        self.metrics = Metrics(["docker.io"], others=2, now=lambda: 1_750_000_000.5)

    def samples(self, name: str) -> Series:
        """Every series of that name: labels -> value."""
        text = self.metrics.render()[0].decode("utf-8")
        return {
            frozenset(sample.labels.items()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        }

    def value(self, name: str, **labels: str) -> float | None:
        """One series, or None if it is not there."""
        return self.samples(name).get(frozenset(labels.items()))

    def by_upstream(self, name: str) -> dict[str, float]:
        """The series of a metric that has one per upstream."""
        return {dict(labels)["upstream"]: value for labels, value in self.samples(name).items()}


class ServerTests(MetricsCase):
    """What the server says of itself."""

    def test_gauges(self) -> None:
        """Free space, uploads, waiting calls and the certificate's end."""
        self.metrics.storage_free(7)
        self.metrics.uploads(3, 2)
        self.metrics.uploads(1, 2)
        self.metrics.waiting_calls({"disk": 4})
        self.assertIsNone(self.value("pkgd_tls_certificate_expiry_timestamp_seconds"))
        self.metrics.certificate_expiry(8.0)
        self.metrics.certificate_expiry(9.0)
        self.assertEqual(self.value("pkgd_storage_free_bytes"), 7)
        self.assertEqual(self.value("pkgd_uploads_active"), 1)
        self.assertEqual(self.value("pkgd_uploads_expired_total"), 4)
        self.assertEqual(self.value("pkgd_threadpool_queue", pool="disk"), 4)
        self.assertEqual(self.value("pkgd_tls_certificate_expiry_timestamp_seconds"), 9)

    def test_lag(self) -> None:
        """Lateness of the reactor goes into buckets."""
        self.metrics.reactor_late(0.3)
        self.assertEqual(self.value("pkgd_reactor_lag_seconds_bucket", le="0.25"), 0)
        self.assertEqual(self.value("pkgd_reactor_lag_seconds_bucket", le="0.5"), 1)

    def test_sampled(self) -> None:
        """What is sampled is asked before every text."""
        sizes = iter([1, 2])
        self.metrics.sampled(lambda: self.metrics.storage_free(next(sizes)))
        self.metrics.sample()
        self.metrics.sample()
        self.assertEqual(self.value("pkgd_storage_free_bytes"), 2)


class AuthenticationTests(MetricsCase):
    """Passwords, and the file that they are compared with."""

    def test_logins(self) -> None:
        """What becomes of passwords is counted by its result."""
        for result in ("right", "wrong", "wrong"):
            self.metrics.login(result)

        self.assertEqual(self.value("pkgd_auth_logins_total", result="wrong"), 2.0)
        self.assertEqual(self.value("pkgd_auth_logins_total", result="right"), 1.0)

    def test_users(self) -> None:
        """A broken file of users shows."""
        values = [self.value("pkgd_auth_users_stale")]
        for is_stale in (True, False):
            self.metrics.users_stale(is_stale)
            values.append(self.value("pkgd_auth_users_stale"))

        self.assertEqual(values, [0.0, 1.0, 0.0])


class TextTests(MetricsCase):
    """The text as a whole."""

    def test_content_type(self) -> None:
        """The text says which version of the format it is."""
        self.assertEqual(self.metrics.render()[1], "text/plain; version=0.0.4; charset=utf-8")

    def test_build(self) -> None:
        """What runs stands there as labels."""
        build = {"version": __version__, "python": platform.python_version(), "twisted": twisted.__version__}

        self.assertEqual(self.value("pkgd_build_info", **build), 1.0)

    def test_key_expiry(self) -> None:
        """Of each signing key that expires: when."""
        self.metrics.key_expiry("release", "ab12", 1_800_000_000)

        labels = {"key": "release", "fingerprint": "ab12"}
        self.assertEqual(self.value("pkgd_signing_key_expiry_timestamp_seconds", **labels), 1_800_000_000)

    def test_start(self) -> None:
        """The start is a time of the wall clock."""
        self.assertEqual(self.value("pkgd_process_start_time_seconds"), 1_750_000_000.5)

    def test_process(self) -> None:
        """The process, its collector and its interpreter are described as everywhere."""
        gc.collect()

        self.assertGreater(self.value("process_open_fds") or 0, 2)
        self.assertGreater(self.value("process_resident_memory_bytes") or 0, 1 << 20)
        self.assertGreater(self.value("python_gc_collections_total", generation="2") or 0, 0)
        self.assertEqual(len(self.samples("python_info")), 1)

    def test_only_ours(self) -> None:
        """Two daemons in one process do not count together, and nothing says when a counter began."""
        self.metrics.mirror_request("docker.io", "blob", "hit")

        self.assertNotIn(b"_created", self.metrics.render()[0])
        self.metrics = Metrics(["docker.io"])
        self.assertEqual(self.samples("pkgd_mirror_requests_total"), {})


class MirrorTests(MetricsCase):
    """The mirror's metrics."""

    def test_requests(self) -> None:
        """Pulls are counted by upstream, kind and result."""
        for result in ("hit", "hit", "miss"):
            self.metrics.mirror_request("docker.io", "manifest", result)

        name = "pkgd_mirror_requests_total"
        self.assertEqual(self.value(name, upstream="docker.io", kind="manifest", result="hit"), 2)
        self.assertEqual(self.value(name, upstream="docker.io", kind="manifest", result="miss"), 1)

    def test_durations(self) -> None:
        """What upstreams answered and how fast, as a histogram; that none came is an answer too."""
        self.metrics.upstream_exchange("docker.io", "200", 0.2)
        self.metrics.upstream_exchange("docker.io", "200", 40.0)
        self.metrics.upstream_exchange("docker.io", "timeout", 5.0)
        self.metrics.upstream_exchange("docker.io", "error", 5.0)

        name, labels = "pkgd_mirror_upstream_duration_seconds", {"upstream": "docker.io", "code": "200"}
        self.assertEqual(self.value(f"{name}_bucket", le="0.25", **labels), 1)
        self.assertEqual(self.value(f"{name}_bucket", le="60.0", **labels), 2)
        self.assertEqual(self.value(f"{name}_sum", **labels), 40.2)
        codes = {dict(found)["code"] for found in self.samples(f"{name}_count")}
        self.assertEqual(codes, {"200", "timeout", "error"})

    def test_codes(self) -> None:
        """An upstream that answers with every code causes a bounded number of series."""
        for code in range(100, 1000):
            self.metrics.upstream_exchange("docker.io", str(code), 0.1)

        found = self.samples("pkgd_mirror_upstream_duration_seconds_count")
        codes = {dict(labels)["code"]: value for labels, value in found.items()}
        self.assertLess(len(codes), 35)
        self.assertEqual((codes["429"], codes["4xx"]), (1, 92))

    def test_rate_limit(self) -> None:
        """What an upstream still allows is shown once it has said so, and the last word counts."""
        name = "pkgd_mirror_upstream_ratelimit_remaining"
        self.assertEqual(self.samples(name), {})

        self.metrics.ratelimit_remaining("docker.io", 99)
        self.metrics.ratelimit_remaining("docker.io", 98)

        self.assertEqual(self.value(name, upstream="docker.io"), 98)

    def test_circuit(self) -> None:
        """A configured upstream's circuit is closed from the start; it opens and closes."""
        seen = [self.value("pkgd_upstream_circuit_open", upstream="docker.io")]
        for is_open in (True, False):
            self.metrics.circuit_open("docker.io", is_open)
            seen.append(self.value("pkgd_upstream_circuit_open", upstream="docker.io"))

        self.assertEqual(seen, [0, 1, 0])

    def test_cached(self) -> None:
        """What is cached is as it was counted last; an upstream of which nothing is left has 0."""
        self.metrics.cached_bytes({"docker.io": 10, "ghcr.io": 5})
        self.metrics.cached_bytes({"docker.io": 7})

        self.assertEqual(self.value("pkgd_mirror_cached_bytes", upstream="docker.io"), 7)
        self.assertEqual(self.value("pkgd_mirror_cached_bytes", upstream="ghcr.io"), 0)

    def test_bytes(self) -> None:
        """Bytes that came and that were evicted add up, from 0 for configured upstreams."""
        received, evicted = "pkgd_mirror_upstream_received_bytes_total", "pkgd_mirror_evicted_bytes_total"
        self.assertEqual([self.value(name, upstream="docker.io") for name in (received, evicted)], [0, 0])

        for count in (1 << 40, 1):
            self.metrics.sent_from_upstream("docker.io", count)
        self.metrics.evicted("docker.io", 9)

        self.assertEqual(self.value(received, upstream="docker.io"), (1 << 40) + 1)
        self.assertEqual(self.value(evicted, upstream="docker.io"), 9)


class CardinalityTests(MetricsCase):
    """Clients name upstreams, and no client can fill the memory with them."""

    def test_others(self) -> None:
        """The first few upstreams that are not configured keep their names, the rest are one."""
        for host in ("a.test", "b.test", "c.test", "d.test", "a.test", "docker.io"):
            self.metrics.mirror_request(host, "blob", "miss")

        self.assertEqual(
            self.by_upstream("pkgd_mirror_requests_total"), {"a.test": 2, "b.test": 1, OTHER: 2, "docker.io": 1}
        )

    def test_bounded(self) -> None:
        """However many upstreams are named, by whatever call, there are as many labels as there is room for."""
        for number in range(1000):
            host = f"h{number}.test"
            self.metrics.mirror_request(host, "blob", "error")
            self.metrics.upstream_exchange(host, "404", 0.1)
            self.metrics.sent_from_upstream(host, 1)
            self.metrics.evicted(host, 1)
            self.metrics.cached_bytes({host: 1})
            self.metrics.ratelimit_remaining(host, 1)
            self.metrics.circuit_open(host, True)

        allowed = {"docker.io", "h0.test", "h1.test", OTHER}
        for name in (
            "mirror_requests_total",
            "mirror_upstream_duration_seconds_count",
            "mirror_upstream_received_bytes_total",
            "mirror_evicted_bytes_total",
            "mirror_cached_bytes",
        ):
            self.assertEqual(set(self.by_upstream(f"pkgd_{name}")) | {"docker.io"}, allowed, name)
        self.assertLess(len(self.metrics._labels), 4)

    def test_shared_gauges(self) -> None:
        """Of upstreams that share a label, no rate limit or circuit is shown: it would be anybody's."""
        for host in ("a.test", "b.test", "c.test"):
            self.metrics.ratelimit_remaining(host, 1)
            self.metrics.circuit_open(host, True)

        self.assertEqual(set(self.by_upstream("pkgd_mirror_upstream_ratelimit_remaining")), {"a.test", "b.test"})
        self.assertEqual(set(self.by_upstream("pkgd_upstream_circuit_open")), {"docker.io", "a.test", "b.test"})

    def test_cached_together(self) -> None:
        """Where labels run out the largest caches have them, and the rest is summed."""
        self.metrics.cached_bytes({"a.test": 1, "b.test": 30, "c.test": 2, "d.test": 40, "docker.io": 5})

        found = self.by_upstream("pkgd_mirror_cached_bytes")
        self.assertEqual(found, {"docker.io": 5, "d.test": 40, "b.test": 30, OTHER: 3})
