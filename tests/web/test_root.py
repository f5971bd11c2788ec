"""The tree of everything: who answers which path, and what Klein may not do."""

from __future__ import annotations

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.web.gate import declares
from pkgd.web.request import Request
from pkgd.web.respond import send_body, send_json
from pkgd.web.root import KleinTree
from tests.web.fixtures import Edge
from tests.web.messages import Row, each


@each(
    [
        Row("What is not there is unknown", "GET", "/nowhere", 404, code="NAME_UNKNOWN"),
        Row("The root itself is not there", "GET", "/", 404, code="NAME_UNKNOWN"),
        Row("A path that only begins like the API is not", "GET", "/v2x/", 404, code="NAME_UNKNOWN"),
        Row("The API is found by its exact name", "GET", "/V2/", 404, code="NAME_UNKNOWN"),
        Row("Metrics are there only if they are wanted", "GET", "/metrics", 404, code="NAME_UNKNOWN"),
        Row("A probe is found by its exact name", "GET", "/%68ealth", 404, code="NAME_UNKNOWN"),
        Row("A name that only begins like a probe's is none", "GET", "/healthy", 404, code="NAME_UNKNOWN"),
        Row("An unknown path may be written to as little", "PUT", "/nowhere", 404, body=b"x"),
        Row("A path with an empty segment is refused", "GET", "//health", 400),
        Row("A path with dots is refused", "GET", "/health/../ready", 400),
        Row("A path with encoded dots is refused", "GET", "/%2e%2e/health", 400),
        Row("A path with an encoded slash is refused", "GET", "/a%2Fhealth", 400),
        Row(
            "Where packages will be, errors are plain text",
            "GET",
            "/apt/x",
            404,
            headers={"Content-Type": "text/plain; charset=utf-8"},
        ),
    ]
)
class PathTests(SynchronousTestCase):
    """One request each."""

    def setUp(self) -> None:
        """An edge."""
        self.edge = Edge(self)


class Room:
    """A room's front door."""

    app = Klein()

    def __init__(self) -> None:
        self.waiting: Deferred[None] = Deferred()
        self.done: list[bytes] = []

    @app.route("/plain")
    @declares(None)
    def plain(self, request: Request) -> None:
        """Answer at once."""
        send_json(request, 200, {})

    @app.route("/waits", methods=["PUT"])
    @declares(None)
    async def waits(self, request: Request) -> None:
        """Answer with the body."""
        send_body(request, 200, b"text/plain", await request.body.read_all(100))

    @app.route("/commits", methods=["PUT"])
    @declares(None)
    async def commits(self, request: Request) -> None:
        """Do something that takes a while, and must be done whole."""
        data = await request.body.read_all(100)
        self.waiting = Deferred()
        await self.waiting
        self.done.append(data)
        send_json(request, 201, {})

    @app.route("/broken")
    @declares(None)
    async def broken(self, request: Request) -> None:
        """Fail."""
        raise ZeroDivisionError("a secret")

    @app.route("/late")
    @declares(None)
    async def late(self, request: Request) -> None:
        """Fail in the middle of the answer."""
        request.send(200, b"", b"begun", length=100)
        raise ZeroDivisionError


class KleinTreeTests(SynchronousTestCase):
    """A Klein app as a handler."""

    def setUp(self) -> None:
        """Put the room in place of ours."""
        self.edge = Edge(self)
        self.room = Room()
        tree = KleinTree(self.room.app, "room")
        self.edge.route = lambda request: tree

    def test_undeclared(self) -> None:
        """A route that declares no access stops the start."""
        app = Klein()
        app.route("/open")(lambda request: None)

        self.assertRaises(LookupError, KleinTree, app, "room")

    def test_answers(self) -> None:
        """Handlers answer as everywhere, at once or later, and the connection goes on."""
        client = self.edge.connect()
        client.request("GET", "/plain")
        client.request("PUT", "/waits", {}, b"body")

        self.assertEqual([answer.body for answer in client.answers()], [b"{}", b"body"])
        self.assertTrue(client.open)
        self.assertEqual(len(self.edge.log_lines()), 2)

    def test_error(self) -> None:
        """An expected error is answered from the table."""
        answer = self.edge.call("PUT", "/waits", {}, b"x" * 101)

        self.assertEqual((answer.status, answer.code), (413, "SIZE_INVALID"))

    def test_bug(self) -> None:
        """A bug is a 500 with an id, and no page of Klein's or Twisted's."""
        answer = self.edge.call("GET", "/broken")

        self.assertEqual((answer.status, answer.code), (500, "UNKNOWN"))
        self.assertNotIn(b"secret", answer.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_late_bug(self) -> None:
        """A bug in the middle of an answer drops the connection: nothing is appended to it."""
        client = self.edge.connect()

        client.request("GET", "/late")

        self.assertTrue(client.transport.aborted)
        self.assertTrue(bytes(client.transport.taken).endswith(b"\r\n\r\nbegun"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_host(self) -> None:
        """No Host makes a redirect, or a failure of the router."""
        for host in ("a" * 63 + ".test", "[::1]:8080", "a_b", "1.2.3.4:1"):
            self.assertEqual(self.edge.call("GET", "/plain", {"Host": host}).status, 200, host)
            self.assertIn(self.edge.call("GET", "/plain/", {"Host": host}).status, (200, 404))

    def test_lost(self) -> None:
        """A client that leaves while a handler waits is no failure."""
        client = self.edge.connect()
        client.request("PUT", "/waits", {"Content-Length": "10"}, b"begun")

        client.lose()

        self.assertIn(" 499 ", self.edge.log_lines()[0])
        self.assertEqual(self.edge.lent_buffers, 0)

    def test_lost_in_a_commit(self) -> None:
        """A handler is never cancelled: what it has begun it ends, whether or not anybody waits for it."""
        client = self.edge.connect()
        client.request("PUT", "/commits", {}, b"body")

        client.lose()
        self.room.waiting.callback(None)

        self.assertEqual(self.room.done, [b"body"])
        self.assertEqual(len(self.edge.log_lines()), 1)
