"""Requests that come before everything is prepared."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.web.site import Handler
from pkgd.web.starting import PATIENCE, Starting
from tests.web.fixtures import Edge
from tests.web.memory import Client


class StartingTests(SynchronousTestCase):
    """`Starting`."""

    def setUp(self) -> None:
        """An edge that starts."""
        self.edge = Edge(self)
        route = self.edge.route
        self.starting = Starting(self.edge.clock, self.edge.site)

        def instead(request: object) -> Handler:
            return self.starting.instead_of(route(request))  # type: ignore[arg-type]

        self.edge.route = instead
        self.starting.begin()

    def begin(self, target: str = "/v2/") -> Client:
        """A connection with a request."""
        client = self.edge.connect()
        client.request("GET", target)
        return client

    def test_waits(self) -> None:
        """They are answered when everything is; from then on nothing waits any more."""
        early = self.begin()
        self.assertEqual(early.answers(), [])

        self.starting.end()
        self.edge.run()

        self.assertEqual((early.answer.status, self.begin().answer.status), (200, 200))

    def test_probes(self) -> None:
        """Probes are answered at once."""
        self.assertEqual([self.begin(target).answer.status for target in ("/health", "/ready")], [200, 503])

    def test_long(self) -> None:
        """Nobody waits for long: they are to come again, and so are those who come later."""
        early = self.begin()

        self.edge.pass_time(PATIENCE)

        answers = [early.answer, self.begin().answer]
        self.assertEqual([(one.status, one.header("Retry-After")) for one in answers], [(503, "5")] * 2)

    def test_stop(self) -> None:
        """A stop that comes first refuses them."""
        early = self.begin()

        self.starting.give_up()
        self.edge.run()

        self.assertEqual(early.answer.status, 503)

    def test_left(self) -> None:
        """Nothing is done for who has left meanwhile."""
        self.begin().lose()

        self.starting.end()
        self.edge.run()

        (line,) = self.edge.log_lines()
        self.assertIn(" 499 ", line)
