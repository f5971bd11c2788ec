"""The mirror's metrics: what is counted, and how few series anybody can cause."""

from __future__ import annotations

from pkgd.metrics import OTHER
from tests.metrics.fixtures import MetricsCase


class MirrorCase(MetricsCase):
    """One configured upstream."""

    def setUp(self) -> None:
        """Configure it."""
        super().setUp()
        self.mirror = self.metrics.mirror
        self.mirror.use(["docker.io"])

    def by_upstream(self, name: str) -> dict[str, float]:
        """The series of a metric that has one per upstream."""
        return {dict(labels)["upstream"]: value for labels, value in self.samples(name).items()}


class MirrorTests(MirrorCase):
    """Pulls, and what upstreams answer."""

    def test_requests(self) -> None:
        """Pulls are counted by upstream, kind and result."""
        for result in ("hit", "hit", "miss"):
            self.mirror.mirror_request("docker.io", "manifest", result)

        name = "pkgd_mirror_requests_total"
        self.assertEqual(self.value(name, upstream="docker.io", kind="manifest", result="hit"), 2)
        self.assertEqual(self.value(name, upstream="docker.io", kind="manifest", result="miss"), 1)

    def test_durations(self) -> None:
        """What upstreams answered and how fast, as a histogram; that none came is an answer too."""
        self.mirror.upstream_exchange("docker.io", "200", 0.2)
        self.mirror.upstream_exchange("docker.io", "200", 40.0)
        self.mirror.upstream_exchange("docker.io", "timeout", 5.0)
        self.mirror.upstream_exchange("docker.io", "error", 5.0)

        name, labels = "pkgd_mirror_upstream_duration_seconds", {"upstream": "docker.io", "code": "200"}
        self.assertEqual(self.value(f"{name}_bucket", le="0.25", **labels), 1)
        self.assertEqual(self.value(f"{name}_bucket", le="60.0", **labels), 2)
        self.assertEqual(self.value(f"{name}_sum", **labels), 40.2)
        codes = {dict(found)["code"] for found in self.samples(f"{name}_count")}
        self.assertEqual(codes, {"200", "timeout", "error"})

    def test_codes(self) -> None:
        """An upstream that answers with every code causes a bounded number of series."""
        for code in range(100, 1000):
            self.mirror.upstream_exchange("docker.io", str(code), 0.1)

        found = self.samples("pkgd_mirror_upstream_duration_seconds_count")
        codes = {dict(labels)["code"]: value for labels, value in found.items()}
        self.assertLess(len(codes), 35)
        self.assertEqual((codes["429"], codes["4xx"]), (1, 92))

    def test_rate_limit(self) -> None:
        """What an upstream still allows is shown once it has said so, and the last word counts."""
        name = "pkgd_mirror_upstream_ratelimit_remaining"
        self.assertEqual(self.samples(name), {})

        self.mirror.ratelimit_remaining("docker.io", 99)
        self.mirror.ratelimit_remaining("docker.io", 98)

        self.assertEqual(self.value(name, upstream="docker.io"), 98)

    def test_circuit(self) -> None:
        """A configured upstream's circuit is closed from the start; it opens and closes."""
        seen = [self.value("pkgd_upstream_circuit_open", upstream="docker.io")]
        for is_open in (True, False):
            self.mirror.circuit_open("docker.io", is_open)
            seen.append(self.value("pkgd_upstream_circuit_open", upstream="docker.io"))

        self.assertEqual(seen, [0, 1, 0])

    def test_cached(self) -> None:
        """What is cached is as it was counted last; an upstream of which nothing is left has 0."""
        self.mirror.cached_bytes({"docker.io": 10, "ghcr.io": 5})
        self.mirror.cached_bytes({"docker.io": 7})

        self.assertEqual(self.value("pkgd_mirror_cached_bytes", upstream="docker.io"), 7)
        self.assertEqual(self.value("pkgd_mirror_cached_bytes", upstream="ghcr.io"), 0)

    def test_bytes(self) -> None:
        """Bytes that came and that were evicted add up, from 0 for configured upstreams."""
        received, evicted = "pkgd_mirror_upstream_received_bytes_total", "pkgd_mirror_evicted_bytes_total"
        self.assertEqual([self.value(name, upstream="docker.io") for name in (received, evicted)], [0, 0])

        for count in (1 << 40, 1):
            self.mirror.sent_from_upstream("docker.io", count)
        self.mirror.evicted("docker.io", 9)

        self.assertEqual(self.value(received, upstream="docker.io"), (1 << 40) + 1)
        self.assertEqual(self.value(evicted, upstream="docker.io"), 9)


class CardinalityTests(MirrorCase):
    """Clients name upstreams, and no client can fill the memory with them."""

    def test_others(self) -> None:
        """The first few upstreams that are not configured keep their names, the rest are one."""
        for host in ("a.test", "b.test", "c.test", "d.test", "a.test", "docker.io"):
            self.mirror.mirror_request(host, "blob", "miss")

        self.assertEqual(
            self.by_upstream("pkgd_mirror_requests_total"), {"a.test": 2, "b.test": 1, OTHER: 2, "docker.io": 1}
        )

    def test_bounded(self) -> None:
        """However many upstreams are named, by whatever call, there are as many labels as there is room for."""
        for number in range(1000):
            host = f"h{number}.test"
            self.mirror.mirror_request(host, "blob", "error")
            self.mirror.upstream_exchange(host, "404", 0.1)
            self.mirror.sent_from_upstream(host, 1)
            self.mirror.evicted(host, 1)
            self.mirror.cached_bytes({host: 1})
            self.mirror.ratelimit_remaining(host, 1)
            self.mirror.circuit_open(host, True)

        allowed = {"docker.io", "h0.test", "h1.test", OTHER}
        for name in (
            "mirror_requests_total",
            "mirror_upstream_duration_seconds_count",
            "mirror_upstream_received_bytes_total",
            "mirror_evicted_bytes_total",
            "mirror_cached_bytes",
        ):
            self.assertEqual(set(self.by_upstream(f"pkgd_{name}")) | {"docker.io"}, allowed, name)
        self.assertLess(len(self.mirror._others), 3)

    def test_shared_gauges(self) -> None:
        """Of upstreams that share a label, no rate limit or circuit is shown: it would be anybody's."""
        for host in ("a.test", "b.test", "c.test"):
            self.mirror.ratelimit_remaining(host, 1)
            self.mirror.circuit_open(host, True)

        self.assertEqual(set(self.by_upstream("pkgd_mirror_upstream_ratelimit_remaining")), {"a.test", "b.test"})
        self.assertEqual(set(self.by_upstream("pkgd_upstream_circuit_open")), {"docker.io", "a.test", "b.test"})

    def test_cached_together(self) -> None:
        """Where labels run out the largest caches have them, and the rest is summed."""
        self.mirror.cached_bytes({"a.test": 1, "b.test": 30, "c.test": 2, "d.test": 40, "docker.io": 5})

        found = self.by_upstream("pkgd_mirror_cached_bytes")
        self.assertEqual(found, {"docker.io": 5, "d.test": 40, "b.test": 30, OTHER: 3})


class ReloadTests(MirrorCase):
    """Another configuration."""

    def tell_everything(self, host: str) -> None:
        """Let an upstream have a series of everything."""
        self.mirror.mirror_request(host, "blob", "miss")
        self.mirror.upstream_exchange(host, "404", 0.1)
        self.mirror.sent_from_upstream(host, 1)
        self.mirror.evicted(host, 1)
        self.mirror.cached_bytes({host: 1})
        self.mirror.ratelimit_remaining(host, 1)
        self.mirror.circuit_open(host, True)

    def test_gone(self) -> None:
        """Of an upstream that is not configured any more there is nothing; the others stay as they are."""
        self.mirror.use(["docker.io", "old.test"])
        self.tell_everything("old.test")
        self.tell_everything("docker.io")
        self.mirror.use(["docker.io"])

        text = self.metrics.render()[0]
        self.assertNotIn(b"old.test", text)
        self.assertEqual(self.by_upstream("pkgd_mirror_requests_total"), {"docker.io": 1})

    def test_new(self) -> None:
        """One that is new has its series at once, and has a label however many others clients have named."""
        for host in ("a.test", "b.test", "c.test"):
            self.tell_everything(host)
        self.mirror.use(["docker.io", "new.test"])

        self.assertEqual(self.by_upstream("pkgd_upstream_circuit_open")["new.test"], 0)
        self.assertEqual(self.by_upstream("pkgd_mirror_upstream_received_bytes_total")["new.test"], 0)
        self.mirror.mirror_request("new.test", "blob", "hit")
        self.assertEqual(self.by_upstream("pkgd_mirror_requests_total")["new.test"], 1)

    def test_known_before(self) -> None:
        """One that clients had named before goes on with its numbers, and leaves its place to another."""
        for host in ("a.test", "b.test"):
            self.tell_everything(host)
        self.mirror.use(["docker.io", "a.test"])
        self.mirror.mirror_request("c.test", "blob", "hit")

        self.assertEqual(self.by_upstream("pkgd_mirror_requests_total"), {"a.test": 1, "b.test": 1, "c.test": 1})

    def test_circuits(self) -> None:
        """Where upstreams are made anew, no circuit stays open that nobody would ever close."""
        for host in ("docker.io", "a.test"):
            self.mirror.circuit_open(host, True)
        self.mirror.use(["docker.io"])
        self.assertEqual(self.by_upstream("pkgd_upstream_circuit_open"), {"docker.io": 1, "a.test": 1})
        self.mirror.forget_circuits()

        self.assertEqual(self.by_upstream("pkgd_upstream_circuit_open"), {"docker.io": 0, "a.test": 0})

    def test_asked_again(self) -> None:
        """One that is not configured any more may be named by clients as any other."""
        self.mirror.use([])
        self.mirror.mirror_request("docker.io", "blob", "hit")

        self.assertEqual(self.by_upstream("pkgd_mirror_requests_total"), {"docker.io": 1})
