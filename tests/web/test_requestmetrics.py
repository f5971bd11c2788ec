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
        self.assertEqual({(row.route, row.method) for row in self.requests.totals()}, {("none", "GET")})

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

    def test_first_byte(self) -> None:
        """Until the answer begins, which is what a server takes; the rest is the client's line."""
        held = self.edge.hold()
        self.send("GET /slow")
        self.edge.clock.advance(0.2)
        held[0].send(200, b"", b"x", length=2)
        self.edge.clock.advance(20.0)
        held[0].write_body(b"y")
        held[0].finish()
        labels = {"handler": "none", "method": "GET"}
        name = "pkgd_http_request_first_byte_seconds"
        self.assertEqual(self.value(f"{name}_bucket", le="0.1", **labels), 0)
        self.assertEqual(self.value(f"{name}_bucket", le="0.25", **labels), 1)
        self.assertAlmostEqual(self.value(f"{name}_sum", **labels) or 0.0, 0.2, 5)
        name = "pkgd_http_request_duration_seconds"
        self.assertEqual(self.value(f"{name}_bucket", le="10.0", **labels), 0)
        self.assertEqual(self.value(f"{name}_bucket", le="30.0", **labels), 1)

    def test_both(self) -> None:
        """Answers in parts and whole ones of one route are counted together."""
        held = self.edge.hold()
        for parts in (1, 2):
            self.send("GET /slow")
            self.edge.clock.advance(0.2)
            request = held.pop()
            request.send(200, b"", b"x", length=parts if parts > 1 else None)
            if parts > 1:
                request.write_body(b"y")
            request.finish()
        self.assertEqual(self.value("pkgd_http_requests_total", handler="none", method="GET", code="200"), 2)
        self.assertEqual(self.value("pkgd_http_sent_bytes_total", handler="none"), 3)
        for name in ("duration", "first_byte"):
            name = f"pkgd_http_request_{name}_seconds"
            self.assertEqual(self.value(f"{name}_count", handler="none", method="GET"), 2)
            self.assertAlmostEqual(self.value(f"{name}_sum", handler="none", method="GET") or 0.0, 0.4, 5)

    def test_at_once(self) -> None:
        """What takes no time at all is in the first bucket of both."""
        self.send("GET /health")
        for name in ("duration", "first_byte"):
            name = f"pkgd_http_request_{name}_seconds_bucket"
            self.assertEqual(self.value(name, handler="probe", method="GET", le="0.001"), 1)

    def test_no_answer(self) -> None:
        """A client that leaves before there is an answer has waited, and for no first byte."""
        self.edge.hold()
        client = self.edge.connect()
        client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        self.edge.clock.advance(0.2)
        client.lose()
        labels = {"handler": "none", "method": "GET"}
        self.assertEqual(self.value("pkgd_http_requests_total", code="499", **labels), 1)
        self.assertEqual(self.value("pkgd_http_request_duration_seconds_count", **labels), 1)
        self.assertEqual(self.value("pkgd_http_request_first_byte_seconds_count", **labels), 0)

    def test_clock(self) -> None:
        """A clock that is set back makes no sum smaller."""
        held = self.edge.hold()
        self.send("GET /slow")
        self.edge.clock.rightNow -= 3600
        held[0].send(200, b"", b"")
        held[0].finish()
        self.edge.clock.advance(3600)
        self.send("GET /slow")
        self.edge.clock.rightNow -= 3600
        held[1].send(200, b"", b"x", length=2)
        held[1].finish()
        for name in ("duration", "first_byte"):
            self.assertEqual(self.value(f"pkgd_http_request_{name}_seconds_sum", handler="none", method="GET"), 0)
