"""The channel: requests one after the other over a connection, their framing, and what is none.

Everything here holds on both kinds of transport: in memory, where bytes are pushed as TLS pushes
them, and on sockets, where they are received into the body's buffer.
"""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from pkgd.flow import BufferPool
from pkgd.web.channel import LINGER_SECONDS
from pkgd.web.respond import send_empty
from pkgd.web.site import HttpLimits
from tests.web.fixtures import Edge
from tests.web.memory import Client
from tests.web.messages import chunked, request_bytes
from tests.web.wires import Wire, wire

CHUNKED = {"Transfer-Encoding": "chunked"}


class ChannelCase(SynchronousTestCase):
    """An edge that echoes; connections in memory."""

    limits: HttpLimits | None = None
    buffers: BufferPool | None = None

    def setUp(self) -> None:
        """Make the edge."""
        self.edge = Edge(self, limits=self.limits, buffers=self.buffers)
        self.edge.echo()

    def connect(self) -> Client | Wire:
        """A new connection."""
        return self.edge.connect()

    def bodies(self, client: Client | Wire) -> list[bytes]:
        """The bodies of the answers so far."""
        return [answer.body for answer in client.answers()]

    def closed(self, client: Client | Wire) -> bool:
        """Whether the client sees the end of the connection."""
        return client.ended if isinstance(client, Wire) else not client.open


class WireCase(ChannelCase):
    """The same over sockets."""

    def connect(self) -> Wire:
        """A new connection."""
        return wire(self, self.edge)


class PersistenceTests(ChannelCase):
    """Which request follows which answer (RFC 9112, 9)."""

    def test_keep_alive(self) -> None:
        """A connection carries one request after the other."""
        client = self.connect()

        for number in range(3):
            client.request("PUT", f"/{number}", {}, b"body %d" % number)

        self.assertEqual(self.bodies(client), [b"body 0", b"body 1", b"body 2"])
        self.assertEqual([one.header("Connection") for one in client.answers()], [None] * 3)
        self.assertFalse(self.closed(client))

    def test_pipelined(self) -> None:
        """Requests that come at once are answered in their order."""
        client = self.connect()

        client.send(b"".join(request_bytes("PUT", f"/{number}", {}, b"%d" % number) for number in range(20)))

        self.assertEqual(self.bodies(client), [b"%d" % number for number in range(20)])

    def test_pipelined_kinds(self) -> None:
        """Bodies of every kind of framing may follow one another."""
        client = self.connect()

        client.send(
            request_bytes("PUT", "/", CHUNKED, chunked(b"one", b"two"))
            + request_bytes("GET", "/")
            + request_bytes("PUT", "/", {}, b"three")
            + request_bytes("PUT", "/", CHUNKED, chunked())
            + request_bytes("DELETE", "/")
        )

        self.assertEqual(self.bodies(client), [b"onetwo", b"", b"three", b"", b""])

    def test_one_at_a_time(self) -> None:
        """A request is not even begun before the one ahead of it has been answered."""
        requests = self.edge.hold()
        client = self.connect()
        client.send(request_bytes("GET", "/first") + request_bytes("GET", "/second"))
        begun = [request.uri for request in requests]

        send_empty(requests[0], 204)
        client.send(b"")

        self.assertEqual(begun, [b"/first"])
        self.assertEqual([request.uri for request in requests], [b"/first", b"/second"])
        self.assertEqual(len(client.answers()), 1)

    def test_close_asked(self) -> None:
        """`Connection: close` is honoured, in whatever company and case it comes."""
        for value in ("close", "Close", "keep-alive, CLOSE"):
            client = self.connect()
            client.send(request_bytes("GET", "/", {"Connection": value}) + request_bytes("GET", "/more"))
            self.assertEqual(client.answer.header("Connection"), "close")
            self.assertTrue(self.closed(client))

    def test_http_1_0(self) -> None:
        """HTTP/1.0 gets one answer, needs no Host, and no chunks."""
        client = self.connect()

        client.send(b"GET /old HTTP/1.0\r\n\r\n")

        self.assertEqual((client.answer.status, client.answer.header("Connection")), (200, "close"))
        self.assertTrue(self.closed(client))

    def test_empty_line_between(self) -> None:
        """An empty line before a request is ignored."""
        client = self.connect()

        client.send(b"\r\n" + request_bytes("GET", "/") + b"\r\n" + request_bytes("GET", "/"))

        self.assertEqual(len(client.answers()), 2)

    def test_unread_small_body(self) -> None:
        """A body that has arrived although nobody read it costs nobody the connection."""
        requests = self.edge.hold()
        client = self.connect()
        client.send(request_bytes("PUT", "/", {}, b"ignored"))

        send_empty(requests[0], 204)
        client.request("GET", "/next")

        self.assertEqual(client.answers()[0].header("Connection"), None)
        self.assertEqual(requests[1].uri, b"/next")


class PersistenceOverSocketsTests(WireCase, PersistenceTests):
    """The same over sockets."""


class SplitTests(ChannelCase):
    """However bytes are cut on their way, the requests are the same."""

    def assertCuttable(self, data: bytes, expected: list[bytes]) -> None:
        """Cut in two anywhere, or into single bytes, the data is answered the same."""
        for pieces in self.cuts(data):
            client = self.connect()
            for piece in pieces:
                client.send(piece)
            self.assertEqual(self.bodies(client), expected, pieces)
            self.assertFalse(self.closed(client))
            client.lose()

    def cuts(self, data: bytes) -> Iterator[list[bytes]]:
        """The ways to cut."""
        yield [data]
        yield [data[place : place + 1] for place in range(len(data))]
        for place in range(1, len(data)):
            yield [data[:place], data[place:]]

    def test_length(self) -> None:
        """A body with Content-Length, and a request behind it."""
        data = request_bytes("PUT", "/", {}, b"hello, world, here is a body") + request_bytes("GET", "/x")

        self.assertCuttable(data, [b"hello, world, here is a body", b""])

    def test_chunked(self) -> None:
        """A chunked body with extensions and trailers, and a request behind it."""
        body = b"5;ext=1\r\nhello\r\n00D\r\n, world, and \r\n1\r\nx\r\n0\r\nTrailer: value\r\n\r\n"
        data = request_bytes("PUT", "/", CHUNKED, body) + request_bytes("PUT", "/", {}, b"more")

        self.assertCuttable(data, [b"hello, world, and x", b"more"])


class SplitOverSocketsTests(WireCase, SplitTests):
    """The same over sockets."""


class SplitIntoTinyBuffersTests(SplitTests):
    """The same with buffers of seven bytes: a body's end falls anywhere in one."""

    def setUp(self) -> None:
        """Make the buffers."""
        self.buffers = BufferPool(7, 2)
        super().setUp()


class SplitIntoTinyBuffersOverSocketsTests(WireCase, SplitIntoTinyBuffersTests):
    """The same over sockets."""


class ContinueTests(ChannelCase):
    """`Expect: 100-continue` (RFC 9110, 10.1.1)."""

    expecting = {"Content-Length": "4", "Expect": "100-Continue"}

    def statuses(self, client: Client | Wire) -> list[int]:
        """The statuses so far, interim ones included."""
        return [answer.status for answer in client.answers()]

    def test_at_the_first_read(self) -> None:
        """The client is told to go on when the body is read, and not before."""
        requests = self.edge.hold()
        client = self.connect()
        client.send(request_bytes("PUT", "/", self.expecting))
        before = self.statuses(client)

        self.edge.echo()
        self.edge.route(requests[0]).handle(requests[0])
        client.send(b"")
        meanwhile = self.statuses(client)
        client.send(b"body")

        self.assertEqual((before, meanwhile, self.statuses(client)), ([], [100], [100, 200]))
        self.assertEqual(client.answers()[1].body, b"body")

    def test_refused(self) -> None:
        """A client that is refused is never told to go on, and may not send the body as a request."""
        requests = self.edge.hold()
        client = self.connect()
        client.send(request_bytes("PUT", "/", self.expecting))

        send_empty(requests[0], 403)
        client.send(request_bytes("GET", "/smuggled"))

        self.assertEqual(self.statuses(client), [403])
        self.assertEqual(client.answer.header("Connection"), "close")
        self.assertEqual(len(requests), 1)

    def test_impatient(self) -> None:
        """A client that has sent the whole body already is not told to go on."""
        client = self.connect()

        client.send(request_bytes("PUT", "/", self.expecting) + b"body")

        self.assertEqual(self.statuses(client), [200])

    def test_no_body(self) -> None:
        """Without a body there is nothing to go on with."""
        client = self.connect()

        client.send(request_bytes("GET", "/", {"Expect": "100-continue"}))

        self.assertEqual(self.statuses(client), [200])

    def test_old(self) -> None:
        """A client of HTTP/1.0 does not know interim answers."""
        client = self.connect()

        client.send(b"PUT / HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbo")
        client.send(b"dy")

        self.assertEqual(self.statuses(client), [200])

    def test_chunked(self) -> None:
        """A chunked body is waited for the same way."""
        client = self.connect()

        client.send(request_bytes("PUT", "/", {**CHUNKED, "Expect": "100-continue"}))
        client.send(chunked(b"body"))

        self.assertEqual(self.statuses(client), [100, 200])


class ContinueOverSocketsTests(WireCase, ContinueTests):
    """The same over sockets."""


class EarlyAnswerTests(ChannelCase):
    """An answer before the end of the body: the rest must neither pass for a request nor cost the answer."""

    def refuse(self, sent: bytes = b"") -> Client | Wire:
        """Refuse a request of a hundred bytes when some have come."""
        requests = self.edge.hold()
        client = self.connect()
        client.send(request_bytes("PUT", "/", {"Content-Length": "100"}) + sent)
        send_empty(requests[-1], 404)
        client.send(b"")
        return client

    def test_closes(self) -> None:
        """The client is told that this is the last answer."""
        for sent in (b"", b"x", b"x" * 99):
            client = self.refuse(sent)
            self.assertEqual((client.answer.status, client.answer.header("Connection")), (404, "close"))

    def test_rest(self) -> None:
        """What the client still sends is dropped, requests included."""
        client = self.refuse(b"x" * 50)

        client.send(b"x" * 50 + request_bytes("GET", "/smuggled"))

        self.assertEqual(client.answer.status, 404)
        self.assertEqual(len(self.edge.log_lines()), 1)

    def test_lingers(self) -> None:
        """For some seconds the connection is kept for the client to read the answer, and no longer."""
        self.refuse()

        self.edge.pass_time(LINGER_SECONDS - 1)
        meanwhile = len(self.edge.site._channels)
        self.edge.pass_time(2)

        self.assertEqual((meanwhile, len(self.edge.site._channels)), (1, 0))

    def test_end(self) -> None:
        """A client that has read the answer and leaves ends it at once."""
        client = self.refuse(b"x")

        client.lose()

        self.assertEqual(len(self.edge.site._channels), 0)
        self.assertEqual(len(self.edge.log_lines()), 1)


class EarlyAnswerOverSocketsTests(WireCase, EarlyAnswerTests):
    """The same over sockets, where the client sees the half-close."""

    def test_half_closed(self) -> None:
        """Behind the answer comes the end of the stream, while the client may still send."""
        client = self.refuse(b"x")

        self.assertTrue(self.closed(client))
        client.send(b"x" * 1000)
        self.assertEqual(len(self.edge.site._channels), 1)


MALFORMED = [
    (400, b"GET /\r\n\r\n"),
    (400, b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\r\nName : b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n"),
    (400, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello"),
    (400, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello"),
    (400, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    (400, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    (400, b"PUT / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (405, b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
    (414, b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    (431, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 100 + b"\r\n"),
]
ENDLESS = [
    (414, b"GET /" + b"a" * 9000),
    (431, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 65536),
    (400, b"GET / HTTP/1.1\nHost: a"),
]


class MalformedTests(ChannelCase):
    """Bytes that are no request (RFC 9112): one answer, then the end."""

    def test_refused(self) -> None:
        """Each gets its status, as JSON, and no request behind it is answered."""
        behind = [(status, data + request_bytes("GET", "/behind")) for status, data in MALFORMED]
        for status, data in [*behind, *ENDLESS]:
            client = self.connect()
            client.send(data)
            self.assertEqual(client.answer.status, status, data[:80])
            self.assertIn("code", client.answer.json["errors"][0])
            self.assertEqual(client.answer.header("Connection"), "close")

    def test_logged(self) -> None:
        """Each has its line in the access log, with what stood for a request line."""
        client = self.connect()

        client.send(b"GET /%22 HTTP/1.1\r\nHost: a b\r\n\r\n")

        (line,) = self.edge.log_lines()
        self.assertIn('"GET /%22 HTTP/1.1" 400 ', line)
        self.assertEqual(client.answer.status, 400)

    def test_behind_a_request(self) -> None:
        """What came before is answered first."""
        client = self.connect()

        client.send(request_bytes("PUT", "/", {}, b"good") + b"bad\r\n\r\n")

        self.assertEqual([answer.status for answer in client.answers()], [200, 400])

    def test_chunks(self) -> None:
        """A body whose chunks are broken is refused, and nothing behind it is a request."""
        for body in (b"x\r\n", b"-1\r\n", b"5\r\nhelloX\r\n", b"5\nhello", b"1" * 17 + b"\r\n", b"5;" + b"e" * 2000):
            client = self.connect()
            client.send(request_bytes("PUT", "/", CHUNKED, body) + request_bytes("GET", "/behind"))
            self.assertEqual(client.answer.status, 400, body[:80])
            self.assertEqual(client.answer.header("Connection"), "close")

    def test_chunks_later(self) -> None:
        """So is one that breaks while it is read."""
        client = self.connect()
        client.send(request_bytes("PUT", "/", CHUNKED, b"5\r\nhello\r\n"))

        client.send(b"zz\r\n")

        self.assertEqual(client.answer.status, 400)


class MalformedOverSocketsTests(WireCase, MalformedTests):
    """The same over sockets."""


class AheadTests(ChannelCase):
    """A client that sends more than it reads is held back, not stored."""

    def buffered(self, client: Client | Wire) -> int:
        """How many bytes the channel keeps for later."""
        (channel,) = self.edge.site._channels
        return len(channel._received)

    def test_while_answering(self) -> None:
        """While a request is being answered, little is read ahead; then all of it is answered."""
        requests = self.edge.hold()
        client = self.connect()
        client.send(request_bytes("GET", "/first"))

        client.send(request_bytes("GET", "/" + "x" * 1000) * 500)
        kept = self.buffered(client)
        self.edge.echo()
        send_empty(requests[0], 204)
        client.send(b"")

        self.assertLess(kept, 256 * 1024)
        self.assertEqual(len(client.answers()), 501)

    def test_unread_answers(self) -> None:
        """While a client takes no answers, no more of its requests are begun or read; later all are."""
        client = self.connect()
        self.stop_reading(client)

        client.send(request_bytes("PUT", "/", {}, b"x" * 8192) * 1000)
        kept = self.buffered(client)
        self.go_on_reading(client)

        self.assertLess(kept, 2 << 20)
        self.assertEqual(len(client.answers()), 1000)

    def stop_reading(self, client: Client | Wire) -> None:
        """The client takes nothing."""
        assert isinstance(client, Client)
        client.transport.window = 0

    def go_on_reading(self, client: Client | Wire) -> None:
        """The client takes all."""
        assert isinstance(client, Client)
        client.take(1 << 30)


class AheadOverSocketsTests(WireCase, AheadTests):
    """The same over sockets."""

    def stop_reading(self, client: Client | Wire) -> None:
        """The client takes nothing."""
        assert isinstance(client, Wire)
        client.reading = False

    def go_on_reading(self, client: Client | Wire) -> None:
        """The client takes all."""
        assert isinstance(client, Wire)
        client.reading = True
        client.settle()
