"""A body on its way in, under back-pressure: what the disk does not keep up with stays with the client."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.flow import BufferPool
from pkgd.web.respond import send_empty
from tests.fixtures import HeldBlocking
from tests.web.content import digest_of, start
from tests.web.fixtures import Edge
from tests.web.memory import Client
from tests.web.messages import chunked, request_bytes
from tests.web.wires import Wire, wire

NAME = "team/app"
SIZE = 4096


class BodyCase(SynchronousTestCase):
    """An edge with two small buffers, where every thread hop waits; connections in memory."""

    count = 2

    def setUp(self) -> None:
        """Make it."""
        self.blocking = HeldBlocking()
        self.edge = Edge(self, self.blocking, buffers=BufferPool(SIZE, self.count))

    def connect(self) -> Client | Wire:
        """A new connection."""
        return self.edge.connect()

    def begin(self, data: bytes, name: str = NAME) -> Client | Wire:
        """Send a whole upload of some bytes, whose digest is given at once."""
        client = self.connect()
        client.request("POST", f"/v2/{name}/blobs/uploads/?digest={digest_of(data)}", {}, data)
        return client

    def run_all(self, *clients: Client | Wire) -> None:
        """Let everything go on that can."""
        moved = True
        while moved:
            moved = bool(self.blocking.release_all())
            for one in clients:
                one.send(b"")

    def lent(self) -> int:
        """How many buffers are out."""
        return self.edge.lent_buffers


class PressureTests(BodyCase):
    """One upload."""

    def test_before_the_read(self) -> None:
        """A body that nobody reads stays with the client, but for what came with the head."""
        self.edge.hold()
        client = self.connect()

        client.send(request_bytes("PUT", "/", {"Content-Length": "10000000"}))
        self.assertPaused(client, -1)
        client.send(b"x" * 10_000_000)

        self.assertPaused(client, 9_000_000)
        self.assertLessEqual(self.lent(), 1)

    def test_while_writing(self) -> None:
        """While the disk works on one buffer a second is filled, and no third."""
        data = bytes(range(256)) * 4000
        client = self.begin(data)
        for _ in range(6):
            self.blocking.release()
            client.send(b"")
            self.assertLessEqual(self.lent(), 2)
        self.assertPaused(client, 500_000)

        self.run_all(client)

        self.assertEqual(client.answer.status, 201)
        self.assertEqual(self.lent(), 0)
        self.assertEqual(self.edge.call("GET", client.answer.header("Location") or "").body, data)

    def assertPaused(self, client: Client | Wire, waiting: int) -> None:
        """Reading is paused, and so much at least is still with the client."""
        assert isinstance(client, Client)
        self.assertTrue(client.transport.paused)
        self.assertGreater(client.transport.waiting, waiting)


class PressureOverSocketsTests(PressureTests):
    """The same over sockets."""

    def connect(self) -> Wire:
        """A new connection."""
        return wire(self, self.edge)

    def assertPaused(self, client: Client | Wire, waiting: int) -> None:
        """Nothing is read from the socket, and the client cannot send on."""
        assert isinstance(client, Wire)
        self.assertEqual(client.reactor.readers, set())
        self.assertGreater(client.unsent, waiting)


class OneBufferTests(BodyCase):
    """Many uploads, and one buffer for all."""

    count = 1

    def test_all_end(self) -> None:
        """Nobody starves."""
        bodies = [bytes([number]) * (SIZE * 5 + number) for number in range(12)]
        clients = [self.begin(body, f"app{number}") for number, body in enumerate(bodies)]

        self.run_all(*clients)

        self.assertEqual([client.answer.status for client in clients], [201] * 12)
        for client, body in zip(clients, bodies, strict=True):
            self.assertEqual(self.edge.call("GET", client.answer.header("Location") or "").body, body)
        self.assertEqual(self.lent(), 0)

    def test_silent_client(self) -> None:
        """A client that stops in the middle of its body keeps the buffer from nobody."""
        silent = self.connect()
        silent.send(request_bytes("PATCH", self.location(), {"Content-Length": "100"}) + b"x" * 10)
        self.run_all(silent)

        other = self.begin(b"y" * SIZE * 3)
        self.run_all(silent, other)

        self.assertEqual((silent.answers(), other.answer.status), ([], 201))

    def test_unread_body(self) -> None:
        """A body whose handler takes its time keeps its first bytes' buffer no longer than the request."""
        requests = self.edge.hold()
        client = self.connect()
        client.send(request_bytes("PUT", "/", {"Content-Length": "100"}) + b"x" * 10)
        self.edge.route = self.edge.root.route
        other = self.begin(b"y" * SIZE * 3)
        self.run_all(client, other)
        self.assertEqual(other.answers(), [])

        send_empty(requests[0], 404)
        self.run_all(client, other)

        self.assertEqual(other.answer.status, 201)

    def test_lost_in_the_queue(self) -> None:
        """A client that leaves while it waits for the buffer does not take it along."""
        clients = [self.begin(bytes([number]) * SIZE * 3, f"app{number}") for number in range(6)]
        for _ in range(9):
            self.blocking.release()

        for client in clients[::2]:
            client.lose()
        self.run_all(*clients[1::2])

        self.assertEqual([client.answer.status for client in clients[1::2]], [201] * 3)
        self.assertEqual(self.lent(), 0)

    def test_lost_in_turn(self) -> None:
        """However many clients leave in the middle of their body, the next one is served."""
        location = self.location()
        for body in ({"Content-Length": "100"}, {"Transfer-Encoding": "chunked"}):
            for sent in (b"", b"5", chunked(b"hello")[:7], b"5\r\n", b"x" * 20):
                client = self.connect()
                client.send(request_bytes("PATCH", location, body) + sent)
                self.run_all(client)
                client.send(b"")
                client.lose()
                self.run_all()

        self.assertEqual(self.lent(), 0)

    def location(self) -> str:
        """The location of a new session."""
        return start(self.edge, NAME)


class OneBufferOverSocketsTests(OneBufferTests):
    """The same over sockets."""

    def connect(self) -> Wire:
        """A new connection."""
        return wire(self, self.edge)
