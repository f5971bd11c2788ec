"""The probes: who may ask, what they say, and when."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd import __version__
from pkgd.web.health import HealthApi, Phase
from pkgd.web.root import KleinTree
from tests.web.fixtures import Edge
from tests.web.messages import Row, each

OPEN = {"Cache-Control": "no-store", "Content-Type": "application/json"}


@each(
    [
        Row("Health is alive", "GET", "/health", 200, headers=OPEN, lists={"status": "ok", "version": __version__}),
        Row("HEAD of health", "HEAD", "/health", 200, headers=OPEN),
        Row("Ready says so", "GET", "/ready", 200, headers=OPEN, lists={"status": "ready", "degraded": []}),
        Row("HEAD of ready", "HEAD", "/ready", 200, headers=OPEN),
        Row("A query changes nothing", "GET", "/ready?full=1", 200),
        Row("Health is not posted to", "POST", "/health", 405, headers={"Allow": "GET, HEAD"}, code="UNSUPPORTED"),
        Row("Ready is not put", "PUT", "/ready", 405, body=b"x", headers={"Allow": "GET, HEAD"}, code="UNSUPPORTED"),
        Row("Nor deleted", "DELETE", "/ready", 405, headers={"Allow": "GET, HEAD"}),
        Row("A probe has nothing below it", "GET", "/health/deep", 404),
    ]
)
class ProbeTests(SynchronousTestCase):
    """A daemon that serves."""

    def setUp(self) -> None:
        """Probe the storage once, as the start does."""
        self.edge = Edge(self)
        self.probe()

    def probe(self) -> None:
        """Look at the storage, a little later."""
        self.edge.clock.advance(2)
        self.successResultOf(Deferred.fromCoroutine(self.edge.readiness.probe()))

    def assertNotReady(self, **checks: str) -> None:
        """`/ready` says no, and why; `/health` does not care."""
        answer = self.edge.call("GET", "/ready")
        self.assertEqual((answer.status, answer.json["status"]), (503, "not_ready"))
        self.assertEqual({name: answer.json["checks"][name] for name in checks}, checks)
        self.assertEqual(self.edge.call("GET", "/health").status, 200)

    def test_uptime(self) -> None:
        """The uptime is that of the daemon, in whole seconds."""
        self.edge.clock.advance(100)

        self.assertEqual(self.edge.call("GET", "/health").json["uptime"], 102)

    def test_phases(self) -> None:
        """Only a daemon that is neither starting nor stopping is ready."""
        for phase in (Phase.STARTING, Phase.DRAINING):
            self.edge.readiness.phase = phase
            self.assertNotReady(phase=phase.value)

    def test_not_probed(self) -> None:
        """Before the storage has been looked at, it is not ready."""
        self.edge = Edge(self)

        self.assertNotReady(storage="not read yet")

    def test_storage_fails(self) -> None:
        """A storage that cannot be read is not ready, until it can."""
        self.edge.fs.failing = True
        self.probe()
        self.assertNotReady(storage="the storage reported a failure")

        self.edge.fs.failing = False
        self.probe()

        self.assertEqual(self.edge.call("GET", "/ready").status, 200)

    def test_read_only(self) -> None:
        """A storage that cannot be written is degraded, and ready: pulls go on."""
        self.edge.fs.read_only = True
        self.probe()

        answer = self.edge.call("GET", "/ready")

        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json["degraded"], ["writes fail: the storage does not accept writes at present"])

    def test_full(self) -> None:
        """A full one too."""
        self.edge.fs.free_bytes = 0
        self.probe()

        answer = self.edge.call("GET", "/ready")

        self.assertEqual((answer.status, len(answer.json["degraded"])), (200, 1))
        self.assertIn("free space", answer.json["degraded"][0])

    def test_damaged(self) -> None:
        """Damaged objects that have been set aside are degraded, until somebody has dealt with them."""
        self.edge.damaged = 2
        self.probe()

        answer = self.edge.call("GET", "/ready")

        self.assertEqual((answer.status, answer.json["degraded"]), (200, ["2 damaged objects are in quarantine"]))

    def test_provider(self) -> None:
        """Where users log in by a provider, health says how it is with that, and stays well."""
        state = "degraded"
        self.edge.root._doors[b"health"] = KleinTree(
            HealthApi(self.edge.readiness, self.edge.clock, lambda: state).app, "probe"
        )
        answers = [self.edge.call("GET", "/health")]
        state = "ok"
        answers.append(self.edge.call("GET", "/health"))

        self.assertEqual([(one.status, one.json["oidc"]) for one in answers], [(200, "degraded"), (200, "ok")])
        self.assertEqual(self.edge.call("GET", "/ready").status, 200)

    def test_log(self) -> None:
        """Probes that succeed are not logged; those that fail are."""
        self.edge.call("GET", "/health")
        self.edge.call("GET", "/ready")
        self.edge.readiness.phase = Phase.DRAINING
        self.edge.call("GET", "/ready")

        (line,) = self.edge.log_lines()
        self.assertIn('"GET /ready HTTP/1.1" 503 ', line)
