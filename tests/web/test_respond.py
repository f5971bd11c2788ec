"""Answers with stored content: at the client's pace, in large pieces, and never a short one taken for whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import InlineBlocking
from pkgd.errors import FailedStorage, UpstreamCorrupt
from pkgd.storage.interfaces import Reader
from pkgd.web.request import Request
from pkgd.web.respond import (
    PIECE,
    header_block,
    not_modified,
    send_blob_head,
    send_json,
    send_reader,
    send_stored,
)
from tests.web.content import digest_of, push_blob
from tests.web.fixtures import Edge
from tests.web.handlers import Running
from tests.web.memory import Client, settle
from tests.web.messages import request_bytes
from tests.web.recorder import recorded
from tests.web.wires import wire

DATA = bytes(range(256)) * 4096
ETAG = f'"{digest_of(DATA)}"'


class NotingReader:
    """A reader in memory that notes what is read, and may fail or end early."""

    size = len(DATA)

    def __init__(self, fails_at: int | None = None, ends_at: int = len(DATA)) -> None:
        self.reads: list[int] = []
        self.closed = 0
        self._fails_at = fails_at
        self._data = DATA[:ends_at]

    async def available(self, offset: int) -> int:
        """All of it."""
        return self.size

    def fileno(self) -> int | None:
        """There is none."""
        return None

    def read_at(self, offset: int, size: int) -> bytes:
        """Read, or fail."""
        self.reads.append(offset)
        if self._fails_at is not None and offset >= self._fails_at:
            raise FailedStorage("Input/output error")
        return self._data[offset : offset + size]

    def close(self) -> None:
        """Count."""
        self.closed += 1


class ReaderCase(SynchronousTestCase):
    """An edge that answers every request from a reader."""

    def setUp(self) -> None:
        """Make it."""
        self.edge = Edge(self)
        self.reader: Any = NotingReader()
        self.edge.route = lambda request: Running(self.send)

    async def send(self, request: Request) -> None:
        """Answer."""
        reader: Reader = self.reader
        await send_reader(request, self.edge.blocking, reader, "application/x", digest_of(DATA))

    def ask(self, method: str = "GET", window: int | None = None, **headers: str) -> Client:
        """Make a request; the client takes `window` bytes, or all."""
        client = self.edge.connect()
        client.transport.window = window
        client.request(method, "/", {name.replace("_", "-"): value for name, value in headers.items()})
        return client


class PieceTests(ReaderCase):
    """Where sendfile is not to be had, as under TLS."""

    def test_whole(self) -> None:
        """The content comes in large pieces, one after the other."""
        client = self.ask()

        self.assertEqual(client.answer.body, DATA)
        self.assertEqual(self.reader.reads, list(range(0, len(DATA), PIECE)))
        self.assertEqual(self.reader.closed, 1)

    def test_pace(self) -> None:
        """The next piece is read when the client has taken the one before."""
        client = self.ask(window=1000)
        self.assertEqual((len(self.reader.reads), self.reader.closed), (1, 0))

        client.take(PIECE - 2000)
        held = len(self.reader.reads)
        client.take(3000)

        self.assertEqual((held, len(self.reader.reads)), (1, 2))
        self.assertLess(len(client.transport.unsent), 2 * PIECE)
        client.take(len(DATA))
        self.assertEqual(client.answer.body, DATA)

    def test_range(self) -> None:
        """Of a part no more is read than it has."""
        client = self.ask(Range=f"bytes=7-{PIECE + 7}")

        self.assertEqual(client.answer.body, DATA[7 : PIECE + 8])
        self.assertEqual(self.reader.reads, [7, PIECE + 7])

    def test_lost(self) -> None:
        """A client that leaves ends the reading."""
        client = self.ask(window=1000)

        client.lose()

        self.assertEqual((len(self.reader.reads), self.reader.closed), (1, 1))


class NothingToSendTests(ReaderCase):
    """Answers without content read nothing, and close the reader."""

    def assertUnread(self, client: Client, status: int, method: str = "GET") -> None:
        """Nothing was read."""
        (answer,) = client.answers(method)
        self.assertEqual((answer.status, self.reader.reads, self.reader.closed), (status, [], 1))

    def test_head(self) -> None:
        """HEAD."""
        client = self.ask("HEAD")

        self.assertUnread(client, 200, "HEAD")

    def test_not_modified(self) -> None:
        """A copy that is the present one."""
        self.assertUnread(self.ask(If_None_Match=ETAG), 304)

    def test_unsatisfiable(self) -> None:
        """A range that does not exist."""
        self.assertUnread(self.ask(Range=f"bytes={len(DATA)}-"), 416)


class ShortTests(ReaderCase):
    """What was promised cannot be kept: the connection is dropped, so that nobody takes a part for the whole."""

    def assertDropped(self, client: Client, sent: int) -> None:
        """So much of the body was sent, and then the end came without any other word."""
        _, _, body = bytes(client.transport.taken).partition(b"\r\n\r\n")
        self.assertEqual((body, client.transport.aborted), (DATA[:sent], True))
        self.assertEqual(self.reader.closed, 1)
        self.assertEqual(len(self.edge.log_lines()), 1)

    def test_failure(self) -> None:
        """The disk fails in the middle; the operator learns of it."""
        self.reader = NotingReader(fails_at=PIECE)

        with capturedLogs() as events:
            client = self.ask()

        self.assertDropped(client, PIECE)
        errors = [event for event in events if event["log_level"] is LogLevel.error]
        self.assertEqual([event["operation"] for event in errors], ["Input/output error"])

    def test_failure_at_once(self) -> None:
        """The disk fails at the first byte, after the head."""
        self.reader = NotingReader(fails_at=0)

        self.assertDropped(self.ask(), 0)

    def test_truncated(self) -> None:
        """The file has become shorter."""
        self.reader = NotingReader(ends_at=PIECE + 10)

        self.assertDropped(self.ask(), PIECE + 10)

    def test_several_ranges(self) -> None:
        """One of several ranges fails."""
        self.reader = NotingReader(fails_at=500_000)

        client = self.ask(Range="bytes=0-1,600000-600001")

        self.assertTrue(client.transport.aborted)
        self.assertFalse(bytes(client.transport.taken).endswith(b"--\r\n"))

    def test_failure_after_loss(self) -> None:
        """A failure for a client that has left is nobody's but the operator's."""
        self.reader = NotingReader(fails_at=PIECE)
        client = self.ask(window=1000)

        client.lose()

        self.assertEqual(self.reader.closed, 1)


class GrowingReader(NotingReader):
    """A reader of content that is still arriving: the test says how far it has come."""

    def __init__(self) -> None:
        super().__init__()
        self.come = 0
        self.asked: list[int] = []
        self._waiting: list[Deferred[None]] = []
        self._failure: Exception | None = None

    async def available(self, offset: int) -> int:
        """How far it has come, once that is behind `offset`."""
        self.asked.append(offset)
        while self.come <= offset:
            if self._failure is not None:
                raise self._failure
            self._waiting.append(waiting := Deferred[None]())
            await waiting
        return self.come

    def grow(self, size: int) -> None:
        """So much has come."""
        self.come = size
        self._wake()

    def break_off(self, error: Exception) -> None:
        """Nothing more will come."""
        self._failure = error
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)


class GrowingCase(ReaderCase):
    """An edge that answers from content that is still arriving."""

    def setUp(self) -> None:
        """Nothing of it has come."""
        super().setUp()
        self.reader = GrowingReader()

    def body(self, client: Client) -> bytes:
        """What a client has got of the body so far."""
        return bytes(client.transport.taken).partition(b"\r\n\r\n")[2]


class GrowingTests(GrowingCase):
    """It goes out as it comes."""

    def test_head_at_once(self) -> None:
        """The client gets the head before the first byte has come, with the whole length in it."""
        client = self.ask()

        self.assertIn(b"\r\nContent-Length: %d\r\n" % len(DATA), bytes(client.transport.taken))
        self.assertEqual(self.body(client), b"")
        self.reader.grow(len(DATA))
        self.assertEqual(client.answer.body, DATA)

    def test_as_it_comes(self) -> None:
        """It gets what there is, and then waits for more."""
        client = self.ask()
        for size in (1, 1000, PIECE, PIECE + 1, len(DATA) - 1):
            self.reader.grow(size)
            self.assertEqual(self.body(client), DATA[:size])

        self.reader.grow(len(DATA))

        self.assertEqual((client.answer.body, self.reader.closed), (DATA, 1))

    def test_range(self) -> None:
        """A part waits for its own bytes, and not for what is behind it."""
        client = self.ask(Range="bytes=1000-1999")
        self.reader.grow(900)
        self.reader.grow(1500)
        self.assertEqual(self.body(client), DATA[1000:1500])

        self.reader.grow(2000)

        self.assertEqual((client.answer.status, client.answer.body), (206, DATA[1000:2000]))
        self.assertEqual(client.answer.header("Content-Range"), f"bytes 1000-1999/{len(DATA)}")

    def test_several_ranges(self) -> None:
        """Several parts wait for theirs, one after the other."""
        client = self.ask(Range="bytes=0-4,2000-2004")
        self.reader.grow(1000)
        self.assertTrue(self.body(client).endswith(b"Content-Range: bytes 2000-2004/%d\r\n\r\n" % len(DATA)))

        self.reader.grow(2005)

        self.assertIn(DATA[:5] + b"\r\n--", client.answer.body)
        self.assertIn(DATA[2000:2005] + b"\r\n--", client.answer.body)

    def test_nothing_is_waited_for(self) -> None:
        """HEAD, and a copy that is the present one, need no byte of it."""
        for client, method in ((self.ask("HEAD"), "HEAD"), (self.ask(If_None_Match=ETAG), "GET")):
            self.assertEqual(len(client.answers(method)), 1)
        self.assertEqual((self.reader.asked, self.reader.closed), ([], 2))

    def test_breaks_off(self) -> None:
        """What will never come drops the connection: no part is taken for the whole."""
        client = self.ask()
        self.reader.grow(1000)

        self.reader.break_off(UpstreamCorrupt("docker.io", "sends other bytes"))
        settle(self.edge.clock)

        self.assertEqual((self.body(client), client.transport.aborted), (DATA[:1000], True))
        self.assertEqual((self.reader.closed, len(self.edge.log_lines())), (1, 1))

    def test_client_leaves(self) -> None:
        """A client that leaves while it waits is noticed when more comes; its reader is closed then."""
        client = self.ask()
        client.lose()
        self.assertEqual(self.reader.closed, 0)

        self.reader.grow(1000)

        self.assertEqual((self.reader.closed, self.reader.reads), (1, []))

    def test_over_sockets(self) -> None:
        """So it goes where the kernel sends the file."""
        directory = self.mktemp()
        os.makedirs(directory)
        with open(os.path.join(directory, "growing"), "w+b", buffering=0) as file:
            self.reader.fileno = file.fileno
            client = wire(self, self.edge)
            client.request("GET", "/")
            for size in (10, PIECE, len(DATA)):
                file.write(DATA[self.reader.come : size])
                self.reader.grow(size)
                client.settle()
                self.assertEqual(bytes(client.taken).partition(b"\r\n\r\n")[2], DATA[:size])

        self.assertEqual(client.answer.body, DATA)


class PatienceTests(GrowingCase):
    """Whoever is waited for has to hurry: us for what has not come, the client for what it was sent."""

    def setUp(self) -> None:
        """Clients have a minute to take something."""
        super().setUp()
        self.limit = int(self.edge.site.limits.body_timeout)

    def test_slow_source(self) -> None:
        """A client that has taken everything waits with us, for hours if it has to be."""
        client = self.ask()
        for size in (1000, 2000):
            self.reader.grow(size)
            self.edge.pass_time(10 * self.limit)
            self.assertTrue(client.open)

        self.reader.grow(len(DATA))

        self.assertEqual(client.answer.body, DATA)

    def test_stalled_client(self) -> None:
        """A client that does not take what has come is dropped."""
        client = self.ask(window=1000)
        self.reader.grow(PIECE)
        self.edge.pass_time(10 * self.limit)
        self.assertTrue(client.open)  # nothing is there for it

        self.reader.grow(len(DATA))
        self.edge.pass_time(self.limit - 1)
        self.assertTrue(client.open)
        self.edge.pass_time(2)

        self.assertFalse(client.open)
        self.assertEqual(self.reader.closed, 1)

    def test_stalled_between_parts(self) -> None:
        """So is one that stops between two parts of what is all there."""
        self.reader.grow(len(DATA))
        client = self.ask(window=1000, Range=f"bytes=0-{PIECE - 1},{2 * PIECE}-")

        self.edge.pass_time(self.limit + 1)

        self.assertFalse(client.open)
        self.assertEqual(self.reader.closed, 1)

    def test_slow_client(self) -> None:
        """One that takes a little again and again is not."""
        self.reader.grow(len(DATA))
        client = self.ask(window=1000)
        for _ in range(len(DATA) // PIECE):
            self.edge.pass_time(self.limit - 1)
            self.assertTrue(client.open)
            client.take(PIECE)

        client.take(len(DATA))

        self.assertEqual(client.answer.body, DATA)


class CountingBlocking(InlineBlocking):
    """Counts what is sent by threads."""

    def __init__(self) -> None:
        self.sent = 0

    def send(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        """Count, and run."""
        self.sent += 1
        return self.disk(call, *args, **kwargs)


class SocketTests(SynchronousTestCase):
    """Over sockets files are sent by the kernel."""

    def setUp(self) -> None:
        """Push a blob."""
        self.blocking = CountingBlocking()
        self.edge = Edge(self, self.blocking)
        self.target = f"/v2/app/blobs/{push_blob(self.edge, 'app', DATA)}"
        self.client = wire(self, self.edge)

    def test_large(self) -> None:
        """A large part is sent by sendfile, behind its head, and the connection goes on."""
        self.client.send(request_bytes("GET", self.target) + request_bytes("GET", self.target, {"Range": "bytes=1-"}))

        first, second = self.client.answers()
        self.assertEqual((first.body, second.body), (DATA, DATA[1:]))
        self.assertGreaterEqual(self.blocking.sent, 2)

    def test_small(self) -> None:
        """A small part costs no such hop."""
        self.client.request("GET", self.target, {"Range": "bytes=5-9"})

        self.assertEqual((self.client.answer.body, self.blocking.sent), (DATA[5:10], 0))

    def test_several(self) -> None:
        """Large and small parts may be mixed."""
        self.client.request("GET", self.target, {"Range": "bytes=0-4,100-900000,-3"})

        body = self.client.answer.body
        self.assertEqual(body.count(b"Content-Range"), 3)
        self.assertIn(DATA[100:900_001], body)

    def test_truncated(self) -> None:
        """A file that is shorter than it was drops the connection, after what there is."""
        path = self.edge.tree.path(f"app/blobs/{digest_of(DATA).partition(':')[2]}")
        self.edge.route = lambda request: Running(self.truncating(path))

        self.client.request("GET", "/")

        _, _, body = bytes(self.client.taken).partition(b"\r\n\r\n")
        self.assertEqual((len(body), self.client.ended), (300_000, True))

    def truncating(self, path: str) -> Any:
        """A handler that opens the blob, and then cuts it."""

        async def send(request: Request) -> None:
            reader = await self.edge.store.open(path.removeprefix(self.edge.tree.root + "/"))
            assert reader is not None
            os.truncate(path, 300_000)
            await send_reader(request, self.blocking, reader, "application/x", digest_of(DATA))

        return send


class StoredTests(SynchronousTestCase):
    """Documents that are in memory."""

    def setUp(self) -> None:
        """An edge that answers with a large one."""
        self.edge = Edge(self)
        self.edge.route = lambda request: Running(lambda request: send_stored(request, b"X: y\r\n", DATA))

    def test_pace(self) -> None:
        """A large one goes at the client's pace."""
        client = self.edge.connect()
        client.transport.window = 1000
        client.request("GET", "/")
        self.assertLessEqual(len(client.transport.unsent), PIECE)

        client.take(len(DATA) + 1000)

        self.assertEqual((client.answer.body, client.answer.header("X")), (DATA, "y"))

    def test_head(self) -> None:
        """HEAD has its length."""
        answer = self.edge.call("HEAD", "/")

        self.assertEqual(answer.header("Content-Length"), str(len(DATA)))

    def test_lost(self) -> None:
        """A client that leaves in the middle is no failure."""
        client = self.edge.connect()
        client.transport.window = 1000
        client.request("GET", "/")

        client.lose()

        self.assertIn(" 200 ", self.edge.log_lines()[0])


class BlobHeadTests(SynchronousTestCase):
    """HEAD of content that is not at hand."""

    def test_like_get(self) -> None:
        """It has the headers that GET has, and those that are added."""
        request, recorder = recorded("HEAD / HTTP/1.1")
        send_blob_head(request, "application/x", digest_of(DATA), len(DATA), b"X: y\r\n")
        edge = Edge(self)
        edge.route = lambda request: Running(
            lambda request: send_reader(
                request, edge.blocking, NotingReader(), "application/x", digest_of(DATA), b"X: y\r\n"
            )
        )

        got = edge.call("GET", "/")

        answer = recorder.answer("HEAD")
        self.assertEqual((answer.status, answer.body, answer.header("Content-Length")), (200, b"", str(len(DATA))))
        common = [one for one in got.fields if one[0] not in ("Date", "Server", "X-Content-Type-Options")]
        self.assertEqual(sorted(answer.fields), sorted(common))

    def test_not_modified(self) -> None:
        """A copy that is the present one saves even that."""
        request, recorder = recorded("HEAD / HTTP/1.1", {"If-None-Match": ETAG})

        send_blob_head(request, "application/x", digest_of(DATA), len(DATA))

        answer = recorder.answer("HEAD")
        self.assertEqual((answer.status, answer.header("ETag")), (304, ETAG))


class HeaderTests(SynchronousTestCase):
    """Headers and small bodies."""

    def test_block(self) -> None:
        """Names are written with dashes, each line ended."""
        self.assertEqual(header_block(Content_Type="a/b", ETag='"x"'), b'Content-Type: a/b\r\nETag: "x"\r\n')

    def test_ascii(self) -> None:
        """What is not ASCII does not get into a header."""
        self.assertRaises(UnicodeEncodeError, header_block, Location="/ü")

    def test_json(self) -> None:
        """A document says that it is JSON."""
        request, recorder = recorded()

        send_json(request, 200, {"a": [1, "ü"]}, b"X: y\r\n")

        answer = recorder.answer()
        self.assertEqual((answer.header("Content-Type"), answer.header("X")), ("application/json", "y"))
        self.assertEqual(answer.json, {"a": [1, "ü"]})

    def test_not_modified(self) -> None:
        """If-None-Match is a list, compared weakly; a star is anything (RFC 9110, 13.1.2)."""
        for header, expected in (
            (None, False),
            ('"a"', True),
            ('W/"a"', True),
            ('"b" , "a"', True),
            ("*", True),
            ('"b"', False),
            ("a", False),
            ("", False),
        ):
            request, _ = recorded(headers={} if header is None else {"If-None-Match": header})
            self.assertIs(not_modified(request, '"a"'), expected, header)
