"""How long the channel waits, for what, and what it does then."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.flow import BufferPool
from pkgd.web.channel import CLOSE_SECONDS
from pkgd.web.incoming import MIN_RATE
from pkgd.web.site import HttpLimits
from tests.fixtures import HeldBlocking
from tests.web.content import push_blob, start
from tests.web.fixtures import Edge
from tests.web.memory import Client
from tests.web.messages import request_bytes
from tests.web.wires import wire

LIMITS = HttpLimits(head_timeout=10, body_timeout=60, idle=30)
NAME = "team/app"
LARGE = bytes(range(256)) * 4096


class DeadlineCase(SynchronousTestCase):
    """An edge with short limits."""

    def setUp(self) -> None:
        """Make it."""
        self.edge = Edge(self, limits=LIMITS)

    def wait(self, client: Client, seconds: float) -> bool:
        """Let time pass; returns whether the connection is still open."""
        self.edge.pass_time(seconds)
        return client.open


class IdleTests(DeadlineCase):
    """Nothing to do."""

    def test_silent(self) -> None:
        """A client that sends nothing is closed without a word."""
        client = self.edge.connect()

        self.assertTrue(self.wait(client, 29))
        self.assertFalse(self.wait(client, 2))
        self.assertEqual((client.answers(), self.edge.log_lines()), ([], []))

    def test_after_an_answer(self) -> None:
        """The time counts anew from each answer."""
        client = self.edge.connect()

        for _ in range(5):
            self.assertTrue(self.wait(client, 29))
            client.request("GET", "/v2/")

        self.assertFalse(self.wait(client, 31))
        self.assertEqual(len(client.answers()), 5)

    def test_handler(self) -> None:
        """While we are at work ourselves, the client is not idle."""
        requests = self.edge.hold()
        client = self.edge.connect()
        client.request("GET", "/")

        self.assertTrue(self.wait(client, 1000))
        self.assertEqual(len(requests), 1)


class HeadTests(DeadlineCase):
    """A head that has begun."""

    def assertTimedOut(self, client: Client) -> None:
        """The client was told, and the log."""
        self.assertEqual((client.answer.status, client.answer.header("Connection")), (408, "close"))
        self.assertIn(" 408 ", self.edge.log_lines()[-1])

    def test_stalled(self) -> None:
        """It must be complete in time."""
        client = self.edge.connect()
        client.send(b"GET / HT")

        self.assertTrue(self.wait(client, 9))
        self.assertEqual(client.answers(), [])
        self.wait(client, 2)

        self.assertTimedOut(client)

    def test_trickle(self) -> None:
        """More bytes of it do not extend the time."""
        client = self.edge.connect()

        for byte in b"GET / HTTP":
            client.send(bytes([byte]))
            self.wait(client, 2)

        self.assertTimedOut(client)

    def test_behind_a_request(self) -> None:
        """The time of a second head does not begin with the first."""
        client = self.edge.connect()
        for _ in range(3):
            client.send(b"GET /v2/ HTTP/1.1\r\n")
            self.wait(client, 8)
            client.send(b"Host: a\r\n\r\n")
            self.wait(client, 8)

        self.assertEqual([answer.status for answer in client.answers()], [200] * 3)


class BodyTests(DeadlineCase):
    """A body that does not come."""

    def begin(self, length: int) -> Client:
        """Begin a chunk; ten bytes have come."""
        self.location = start(self.edge, NAME)
        client = self.edge.connect()
        client.send(request_bytes("PATCH", self.location, {"Content-Length": str(length)}) + b"x" * 10)
        return client

    def test_stalled(self) -> None:
        """It is given up with 408; what had arrived is kept."""
        client = self.begin(100)

        self.wait(client, 59)
        self.assertEqual(client.answers(), [])
        self.wait(client, 2)

        self.assertEqual((client.answer.status, client.answer.code), (408, "BLOB_UPLOAD_INVALID"))
        self.assertEqual(self.edge.call("GET", self.location).header("Range"), "0-9")

    def test_never_begun(self) -> None:
        """So it is if the client never goes on after `100 Continue`."""
        client = self.edge.connect()
        client.send(request_bytes("PUT", f"/v2/{NAME}/manifests/x", {"Content-Length": "9", "Expect": "100-continue"}))

        self.wait(client, 61)

        self.assertEqual([answer.status for answer in client.answers()], [100, 408])

    def test_slow(self) -> None:
        """A client that is slow but steady is waited for."""
        client = self.begin(10 + 300 * 2048)

        for _ in range(300):
            self.assertTrue(self.wait(client, 1))
            client.send(b"x" * 2048)

        self.assertEqual(client.answer.status, 202)

    def test_trickle(self) -> None:
        """A client that sends a byte now and then is not: it only holds the connection."""
        client = self.begin(1 << 20)

        seconds = 0
        while not client.answers() and seconds < 300:
            self.wait(client, 5)
            client.send(b"x" * int(MIN_RATE / 2))
            seconds += 5

        self.assertEqual(client.answer.status, 408)

    def test_our_delay(self) -> None:
        """While it is our disk that is slow, the client is not given up."""
        held = HeldBlocking()
        self.edge = Edge(self, held, limits=LIMITS, buffers=BufferPool(16, 2))
        client = self.begin(100)
        held.release()
        client.send(b"x" * 90)

        self.assertTrue(self.wait(client, 1000))
        self.edge.run()

        self.assertEqual(client.answer.status, 202)


class ReaderTests(DeadlineCase):
    """A client that does not take its answer."""

    def setUp(self) -> None:
        """Push something that does not fit into any buffer."""
        super().setUp()
        self.target = f"/v2/{NAME}/blobs/{push_blob(self.edge, NAME, LARGE)}"

    def test_stalled(self) -> None:
        """Who takes nothing for the body's timeout is dropped."""
        client = self.edge.connect()
        client.transport.window = 1000
        client.request("GET", self.target)

        self.assertTrue(self.wait(client, 59))
        self.assertFalse(self.wait(client, 2))
        self.assertTrue(client.transport.aborted)

    def test_slow(self) -> None:
        """Who takes a little now and then gets it all."""
        client = wire(self, self.edge, buffer=8192)
        client.reading = False
        client.request("GET", self.target)

        for _ in range(20):
            self.edge.pass_time(50)
            client.gulp()
        client.reading = True
        client.settle()

        self.assertEqual(client.answer.body, LARGE)

    def test_slow_then_stalled(self) -> None:
        """Who stops taking is dropped, and the file closed."""
        client = wire(self, self.edge, buffer=8192)
        client.reading = False
        client.request("GET", self.target)

        for _ in range(3):
            self.edge.pass_time(50)
            client.gulp()
        self.edge.pass_time(62)
        client.settle()

        self.assertFalse(client.transport.connected)
        self.assertEqual(self.edge.fs.open_files, set())

    def test_last_answer(self) -> None:
        """Who does not take the last answer is dropped soon."""
        client = self.edge.connect()
        client.transport.window = 0
        client.request("GET", "/v2/", {"Connection": "close"})

        self.wait(client, CLOSE_SECONDS + 1)

        self.assertTrue(client.transport.aborted)

    def test_every_answer(self) -> None:
        """Who asks without ever taking an answer is dropped."""
        client = self.edge.connect()
        client.transport.window = 0
        client.send(request_bytes("GET", "/v2/") * 2000)

        self.wait(client, 100)

        self.assertTrue(client.transport.lost)
