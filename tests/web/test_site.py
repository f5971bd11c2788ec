"""The site: what connections share, and how they end together."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import NotReady
from pkgd.web.channel import GRACE_SECONDS
from pkgd.web.request import Request
from pkgd.web.respond import send_empty
from pkgd.web.site import STOP_TICK, Handler, HttpLimits
from tests.web.fixtures import Edge
from tests.web.memory import Client
from tests.web.messages import request_bytes
from tests.web.wires import wire


class ConnectionTests(SynchronousTestCase):
    """How many, and for how long."""

    def test_limit(self) -> None:
        """Beyond the limit a connection is closed unheard; one that ends makes room."""
        edge = Edge(self, limits=HttpLimits(connections=2))
        first, _ = edge.connect(), edge.connect()
        refused = edge.site.buildProtocol(None)

        first.lose()

        self.assertIsNone(refused)
        self.assertIsNotNone(edge.site.buildProtocol(None))

    def test_deadlines_go_on(self) -> None:
        """A failure at one connection's deadline does not keep others from theirs."""
        edge = Edge(self, limits=HttpLimits(idle=5))
        client = edge.connect()
        broken: Any = Broken()
        edge.site.opened(broken)

        self.assertRaises(ZeroDivisionError, edge.pass_time, 6)
        edge.pass_time(6)

        self.assertFalse(client.open)
        edge.site.closed(broken)

    def test_halt(self) -> None:
        """Halted, the site wants nothing of the clock any more."""
        edge = Edge(self)

        edge.site.halt()

        self.assertEqual(edge.clock.getDelayedCalls(), [])


class Broken:
    """A channel with a bug."""

    deadline: float | None = 0.0

    def timed_out(self) -> None:
        """Fail, once."""
        self.deadline = None
        raise ZeroDivisionError

    def abort(self) -> None:
        """There is nothing to drop."""


class HeaderTests(SynchronousTestCase):
    """The headers of every answer."""

    def test_date(self) -> None:
        """The date is the present one, to the second."""
        edge = Edge(self)
        dates = [edge.call("GET", "/v2/").header("Date")]

        edge.clock.advance(0.9)
        dates.append(edge.call("GET", "/v2/").header("Date"))
        edge.clock.advance(0.2)
        dates.append(edge.call("GET", "/v2/").header("Date"))

        now = "Sun, 15 Jun 2025 15:06:4"
        self.assertEqual(dates, [f"{now}0 GMT", f"{now}0 GMT", f"{now}1 GMT"])

    def test_everywhere(self) -> None:
        """Errors, refusals and bare statuses have them too, and no word of what we are made of."""
        edge = Edge(self)
        for data in (request_bytes("GET", "/nowhere"), request_bytes("GET", "/v2/a/manifests/b"), b"junk\r\n\r\n"):
            client = edge.connect()
            client.send(data)
            self.assertEqual(client.answer.header("X-Content-Type-Options"), "nosniff")
            self.assertEqual(client.answer.header("Server"), "pkgd")


class DispatchTests(SynchronousTestCase):
    """Finding who answers."""

    def setUp(self) -> None:
        """An edge."""
        self.edge = Edge(self)

    def test_refused(self) -> None:
        """A route may refuse."""

        def starting(request: Request) -> Handler:
            """Refuse."""
            raise NotReady()

        self.edge.route = starting

        answer = self.edge.call("GET", "/v2/")

        self.assertEqual((answer.status, answer.header("Retry-After"), answer.code), (503, "5", "UNAVAILABLE"))

    def test_bug(self) -> None:
        """A bug is answered with 500 and an id that stands in the log, and the connection goes on."""

        def broken(request: Request) -> Handler:
            """Fail."""
            raise ZeroDivisionError("a secret")

        self.edge.route = broken
        client = self.edge.connect()
        client.request("GET", "/v2/")
        client.request("GET", "/v2/")

        self.assertEqual([answer.status for answer in client.answers()], [500, 500])
        self.assertNotIn(b"secret", client.transport.taken)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)


class DrainTests(SynchronousTestCase):
    """The stop."""

    def setUp(self) -> None:
        """An edge whose requests wait."""
        self.edge = Edge(self)
        self.requests = self.edge.hold()

    def begin(self) -> Client:
        """A connection with a request."""
        client = self.edge.connect()
        client.request("GET", "/")
        return client

    def drain(self) -> Deferred[None]:
        """Begin to drain."""
        drained = self.edge.site.drain()
        self.edge.run()
        return drained

    def test_nobody(self) -> None:
        """Without connections it is done at once."""
        self.successResultOf(self.drain())

    def test_idle(self) -> None:
        """Idle connections are closed."""
        clients = [self.edge.connect() for _ in range(3)]
        self.edge.pass_time(GRACE_SECONDS)

        self.successResultOf(self.drain())

        self.assertEqual([client.transport.lost for client in clients], [True] * 3)

    def test_just_connected(self) -> None:
        """Who has just connected may have sent a request: it is answered, and silence is not waited for long."""
        clients = [self.edge.connect() for _ in range(2)]
        drained = self.drain()
        clients[0].request("GET", "/")
        self.edge.pass_time(GRACE_SECONDS + STOP_TICK)
        self.assertEqual([client.transport.lost for client in clients], [False, True])

        send_empty(self.requests[0], 200)
        self.edge.run()

        self.successResultOf(drained)
        self.assertEqual(clients[0].answer.header("Connection"), "close")

    def test_arriving(self) -> None:
        """A request whose head has come in part is waited for, as long as for any other."""
        client = self.edge.connect()
        client.send(b"GET / HTTP/1.1\r\n")
        self.edge.pass_time(GRACE_SECONDS)
        drained = self.drain()
        self.edge.pass_time(GRACE_SECONDS)

        client.send(b"Host: a\r\n\r\n")
        send_empty(self.requests[0], 200)
        self.edge.run()

        self.successResultOf(drained)
        self.assertEqual((client.answer.status, client.answer.header("Connection")), (200, "close"))

    def test_read_by_the_system(self) -> None:
        """What the system has received when the stop comes counts as received."""
        client = self.edge.connect()
        self.edge.pass_time(GRACE_SECONDS)
        client.transport.pauseProducing()
        client.transport.deliver(request_bytes("GET", "/"))

        drained = self.edge.site.drain()
        client.transport.resumeProducing()  # which is when the reactor comes to it
        self.edge.run()

        self.assertNoResult(drained)
        send_empty(self.requests[0], 200)
        self.edge.run()
        self.successResultOf(drained)

    def test_promised(self) -> None:
        """Who was told before the stop that the connection stays may have sent the next request: it is the last."""
        client = self.begin()
        self.requests[0].send(200, b"", b"", 2)
        drained = self.drain()
        self.requests[0].write_body(b"ok")
        self.requests[0].finish()
        self.edge.run()
        self.assertNoResult(drained)

        client.request("GET", "/next")
        send_empty(self.requests[1], 200)
        self.edge.run()

        self.successResultOf(drained)
        self.assertEqual([one.header("Connection") for one in client.answers()], [None, "close"])

    def test_leaving(self) -> None:
        """While load balancers are waited for, connections are accepted, and every answer is the last of its own."""
        self.edge.site.leave()
        client = self.begin()

        send_empty(self.requests[0], 200)
        self.edge.run()

        self.assertEqual(client.answer.header("Connection"), "close")
        self.assertTrue(client.transport.lost)

    def test_active(self) -> None:
        """A request that has begun is answered, and the client told that it was the last one."""
        client = self.begin()
        client.request("GET", "/next")
        drained = self.drain()
        self.assertNoResult(drained)

        send_empty(self.requests[0], 200)
        self.edge.run()

        self.successResultOf(drained)
        self.assertEqual((client.answer.status, client.answer.header("Connection")), (200, "close"))
        self.assertEqual(len(self.requests), 1)

    def test_large_answer(self) -> None:
        """What was written is sent before the connection ends."""
        client = wire(self, self.edge, buffer=8192)
        client.request("GET", "/")
        drained = self.drain()

        client.reading = False
        self.requests[0].send(200, b"", b"x" * 1_000_000)
        self.requests[0].finish()
        client.settle()
        self.assertNoResult(drained)
        client.reading = True
        client.settle()

        self.successResultOf(drained)
        self.assertEqual(len(client.answer.body), 1_000_000)

    def test_unread_answer(self) -> None:
        """A client that does not take its last answer is not waited for longer than for any other."""
        client = self.begin()
        client.transport.window = 0
        drained = self.drain()
        send_empty(self.requests[0], 200)

        self.edge.pass_time(20)

        self.successResultOf(drained)

    def test_abort(self) -> None:
        """Who is left in the end is dropped, and logged."""
        client = self.begin()
        drained = self.drain()

        dropped = self.edge.site.abort()
        self.edge.run()

        self.successResultOf(drained)
        self.assertEqual((dropped, client.transport.aborted), (1, True))
        self.assertIn(" 499 ", self.edge.log_lines()[0])
