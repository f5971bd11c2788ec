"""`/metrics`: who may ask, what it says, and what it costs."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.policy import AllowAll
from pkgd.metrics import Metrics
from pkgd.web.gate import Gate
from pkgd.web.health import HealthApi
from pkgd.web.metrics import MetricsApi
from pkgd.web.registry.api import RegistryApi
from pkgd.web.root import Root
from tests.fixtures import HeldBlocking
from tests.web.fixtures import Edge
from tests.web.memory import settle
from tests.web.messages import Row, each

OPEN = {"Cache-Control": "no-store", "Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
READ = {"Allow": "GET, HEAD"}


class CountedMetrics(Metrics):
    """Counts how often the text is made; may fail to make it."""

    renderings = 0
    broken = False

    def render(self) -> tuple[bytes, str]:
        """Count."""
        self.renderings += 1
        if self.broken:
            raise ZeroDivisionError
        return super().render()


class MetricsCase(SynchronousTestCase):
    """An edge with `/metrics`."""

    def mount(self, edge: Edge) -> None:
        """Put a tree that has the metrics in place of the edge's own."""
        self.edge = edge
        self.metrics = CountedMetrics()
        health = HealthApi(edge.readiness, edge.clock)
        edge.route = Root(RegistryApi(Gate(AllowAll()), []), health, MetricsApi(self.metrics, edge.blocking)).route


@each(
    [
        Row("Metrics are read by anybody", "GET", "/metrics", 200, headers=OPEN),
        Row("HEAD of metrics", "HEAD", "/metrics", 200, headers=OPEN),
        Row("A query changes nothing", "GET", "/metrics?name=x", 200, headers=OPEN),
        Row("Metrics are not posted to", "POST", "/metrics", 405, body=b"x", headers=READ, code="UNSUPPORTED"),
        Row("Nor deleted", "DELETE", "/metrics", 405, headers=READ, code="UNSUPPORTED"),
        Row("There is nothing below metrics", "GET", "/metrics/deep", 404, code="NAME_UNKNOWN"),
        Row("The probes are where they were", "GET", "/health", 200),
    ]
)
class MetricsTests(MetricsCase):
    """One request each, and what it counts."""

    def setUp(self) -> None:
        """An edge that does at once what it does in threads."""
        self.mount(Edge(self))

    def test_text(self) -> None:
        """The text is the metrics' own, as they stand."""
        self.metrics.mirror.mirror_request("docker.io", "blob", "hit")

        body = self.edge.call("GET", "/metrics").body

        self.assertIn(b'pkgd_mirror_requests_total{kind="blob",result="hit",upstream="docker.io"} 1.0\n', body)

    def test_broken(self) -> None:
        """A bug in the rendering is answered, and the next scrape is a new attempt."""
        self.metrics.broken = True
        first = self.edge.call("GET", "/metrics")
        self.metrics.broken = False

        second = self.edge.call("GET", "/metrics")

        self.assertEqual((first.status, second.status), (500, 200))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ThreadTests(MetricsCase):
    """The text is made in a thread, which takes a while."""

    def setUp(self) -> None:
        """An edge whose threads wait for the test."""
        self.blocking = HeldBlocking()
        self.mount(Edge(self, blocking=self.blocking))

    def test_together(self) -> None:
        """Who asks while the text is being made gets that text: scrapes without end cost one thread."""
        clients = [self.edge.connect() for _ in range(5)]
        for client in clients:
            client.request("GET", "/metrics")
        settle(self.edge.clock)
        self.assertEqual([client.answers() for client in clients], [[]] * 5)

        self.edge.run()

        self.assertEqual([answer.status for client in clients for answer in client.answers()], [200] * 5)
        self.assertEqual(self.metrics.renderings, 1)

    def test_next(self) -> None:
        """A scrape after that gets a text of its own."""
        self.edge.call("GET", "/metrics")
        self.metrics.mirror.evicted("docker.io", 3)

        answer = self.edge.call("GET", "/metrics")

        self.assertIn(b'pkgd_mirror_evicted_bytes_total{upstream="docker.io"} 3.0\n', answer.body)

    def test_lost(self) -> None:
        """A client that leaves meanwhile takes nothing from the others."""
        gone, other = self.edge.connect(), self.edge.connect()
        gone.request("GET", "/metrics")
        other.request("GET", "/metrics")
        gone.lose()

        self.edge.run()

        self.assertEqual([answer.status for answer in other.answers()], [200])
