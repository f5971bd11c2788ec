"""What is counted of requests, through the edge and into the text for Prometheus."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from pkgd.metrics import Metrics
from pkgd.web.requestmetrics import BUCKETS, RequestMetrics
from tests.web.fixtures import Edge


class RequestMetricsTests(SynchronousTestCase):
    """An edge that counts."""

    def setUp(self) -> None:
        """Count what the edge answers."""
        self.edge = Edge(self)
        self.requests = RequestMetrics(self.edge.clock.seconds)
        self.edge.site._count = self.requests.record
        self.metrics = Metrics()
        self.metrics.count_requests(self.requests.totals, BUCKETS)
        self.metrics.sampled(lambda: self.metrics.requests_in_flight(self.edge.site.in_flight()))

    def send(self, line: str, body: bytes = b"") -> None:
        """One request on a connection of its own."""
        client = self.edge.connect()
        client.send(f"{line} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def value(self, name: str, **labels: str) -> float | None:
        """One sample of the text, or None if it is not there."""
        self.metrics.sample()
        for family in text_string_to_metric_families(self.metrics.render()[0].decode("utf-8")):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return None

    def test_routes(self) -> None:
        """A request is counted by the name of its route, its method and its status."""
        self.send("GET /v2/a/manifests/one")
        self.send("GET /v2/b/manifests/two")
        self.send("HEAD /v2/b/blobs/sha256:" + "0" * 64)
        self.send("GET /health")
        count = "pkgd_http_requests_total"
        self.assertEqual(self.value(count, handler="v2_manifest", method="GET", code="404"), 2)
        self.assertEqual(self.value(count, handler="v2_blob", method="HEAD", code="404"), 1)
        self.assertEqual(self.value(count, handler="probe", method="GET", code="200"), 1)

    def test_invented(self) -> None:
        """Paths and methods that somebody invents add no series: a method that nobody knows is no request."""
        for name in ("a", "b", "c"):
            self.send(f"GET /{name}")
            self.send(f"BREW{name.upper()} /{name}")
        self.assertEqual({row[:2] for row in self.requests.totals()}, {("none", "GET")})

    def test_bytes(self) -> None:
        """Bytes of bodies are counted both ways."""
        self.send("POST /v2/a/blobs/uploads/")
        self.send("GET /health")
        self.send("PUT /v2/a/manifests/one", b"{}")
        self.assertEqual(self.value("pkgd_http_received_bytes_total", handler="v2_manifest"), 2)
        self.assertGreater(self.value("pkgd_http_sent_bytes_total", handler="probe") or 0, 10)

    def test_durations(self) -> None:
        """From the head to the end of the answer, in buckets that add up."""
        held = self.edge.hold()
        self.send("GET /slow")
        self.edge.clock.advance(0.2)
        self.assertEqual(self.value("pkgd_http_requests_in_flight", handler="none"), 1)
        held[0].send(200, b"", b"")
        held[0].finish()
        name, labels = "pkgd_http_request_duration_seconds", {"handler": "none", "method": "GET"}
        self.assertEqual(self.value(f"{name}_bucket", le="0.1", **labels), 0)
        self.assertEqual(self.value(f"{name}_bucket", le="0.25", **labels), 1)
        self.assertEqual(self.value(f"{name}_bucket", le="+Inf", **labels), 1)
        self.assertAlmostEqual(self.value(f"{name}_sum", **labels) or 0.0, 0.2, 5)
        self.assertIsNone(self.value("pkgd_http_requests_in_flight", handler="none"))
