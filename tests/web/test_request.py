"""One request: what each way to answer it writes, counts and logs."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import ClientGone
from pkgd.web.errors import TABLE, answer
from pkgd.web.request import Request
from pkgd.web.respond import send_empty
from tests.web.fixtures import Edge
from tests.web.messages import request_bytes
from tests.web.recorder import recorded

MALFORMED = {400, 405, 408, 413, 414, 431}


class SendTests(SynchronousTestCase):
    """`send`."""

    def test_whole(self) -> None:
        """Status line, headers and length stand before the body."""
        request, recorder = recorded()

        request.send(200, b"X: y\r\n", b"hello")

        self.assertEqual(recorder.written, b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\nhello")

    def test_named(self) -> None:
        """Where requests have names, each answer says its own, and keeps to it."""
        request, recorder = recorded()
        names = iter(["first", "second"])
        site: Any = recorder
        site.names_requests, site.name_of = True, lambda _: next(names)

        request.send(200, b"", b"hello")

        self.assertEqual(recorder.written, b"HTTP/1.1 200 OK\r\nX-Request-Id: first\r\nContent-Length: 5\r\n\r\nhello")
        self.assertEqual(request.id, "first")

    def test_head(self) -> None:
        """HEAD gets the length, and no body."""
        request, recorder = recorded("HEAD / HTTP/1.1")

        request.send(200, b"", b"hello")

        self.assertEqual(recorder.written, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        self.assertEqual(request.sent, 0)

    def test_announced(self) -> None:
        """The length may be that of a body to come."""
        request, recorder = recorded()

        request.send(200, b"", b"he", length=5)
        request.write_body(b"llo")

        self.assertEqual(recorder.written, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        self.assertEqual(request.sent, 5)

    def test_bodiless(self) -> None:
        """204 and 304 have neither body nor length (RFC 9110, 8.6)."""
        for status in (204, 304):
            request, recorder = recorded()
            request.send(status, b"", b"never sent")
            self.assertTrue(recorder.written.endswith(b"\r\n\r\n"))
            self.assertNotIn(b"Content-Length", recorder.written)

    def test_once(self) -> None:
        """An answer that has begun cannot be begun again."""
        request, recorder = recorded()
        request.send(404, b"")
        before = recorder.written

        request.send(200, b"", b"more")

        self.assertEqual((recorder.written, request.status), (before, 404))

    def test_gone(self) -> None:
        """Nothing is written to a client that has left."""
        request, recorder = recorded()
        request.lost()

        request.send(200, b"", b"hello")

        self.assertEqual(recorder.written, b"")

    def test_reasons(self) -> None:
        """Every status that is in use has its reason."""
        for status in {200, 201, 202, 204, 206, 304} | {status for status, _ in TABLE.values()} | MALFORMED:
            request, recorder = recorded()
            request.send(status, b"")
            self.assertNotIn(b"Unknown", recorder.written, status)

    def test_persistent(self) -> None:
        """The connection is said to end where it does: asked for, or stopping."""
        for line, stopping in (("GET / HTTP/1.0", False), ("GET / HTTP/1.1", True)):
            request, recorder = recorded(line)
            recorder.stopping = stopping
            request.send(200, b"")
            self.assertIn(b"Connection: close\r\n", recorder.written)
            self.assertFalse(request.persistent)


class EndTests(SynchronousTestCase):
    """How a request ends: once."""

    def test_finish(self) -> None:
        """A finished request is logged once, however often it is finished, or lost later."""
        request, recorder = recorded()
        request.send(200, b"")

        request.finish()
        request.finish()
        request.lost()

        self.assertEqual((recorder.logged, recorder.was_answered), ([200], True))

    def test_lost_before(self) -> None:
        """A request whose client leaves before the answer is logged as 499, and its answer goes nowhere."""
        request, recorder = recorded()

        request.lost()
        request.send(200, b"")
        request.finish()

        self.assertEqual((recorder.logged, recorder.was_answered), ([499], False))

    def test_lost_meanwhile(self) -> None:
        """One whose client leaves in the middle of the answer is logged with its status."""
        request, recorder = recorded()
        request.send(206, b"", b"", length=100)

        request.lost()

        self.assertEqual(recorder.logged, [206])

    def test_abort(self) -> None:
        """An abort drops the connection; not after the end, when the next request may be on it."""
        aborted, recorder = recorded()
        aborted.abort()
        finished, other = recorded()
        finished.send(200, b"")
        finished.finish()
        finished.abort()

        self.assertEqual((recorder.aborted, other.aborted), (True, False))

    def test_gone(self) -> None:
        """Whoever waits to send to a client that has left learns so."""
        request, _ = recorded()
        request.lost()

        self.failureResultOf(Deferred.fromCoroutine(request.drained()), ClientGone)
        self.failureResultOf(Deferred.fromCoroutine(request.send_file(0, 0, 1)), ClientGone)

    def test_header(self) -> None:
        """A request's header is found by its lower-case name, whatever its bytes."""
        request, _ = recorded(headers={"X-Name": "a\xe9"})

        self.assertEqual((request.header(b"x-name"), request.header(b"x-other")), ("aé", None))


class UnreadBodyTests(SynchronousTestCase):
    """A body that nobody has read to its end holds a buffer; every end of the request gives it back."""

    def setUp(self) -> None:
        """A request with a part of its body."""
        self.edge = Edge(self)
        requests = self.edge.hold()
        self.client = self.edge.connect()
        self.client.send(request_bytes("PUT", "/", {"Content-Length": "10"}) + b"part")
        (self.request,) = requests
        self.assertEqual(self.edge.lent_buffers, 1)

    def assertReturned(self) -> None:
        """The buffer is back."""
        self.edge.run()
        self.assertEqual(self.edge.lent_buffers, 0)

    def test_answered(self) -> None:
        """An answer."""
        send_empty(self.request, 404)

        self.assertReturned()

    def test_answered_too_late(self) -> None:
        """An answer to a client that has left."""
        self.client.lose()
        self.assertEqual(self.edge.lent_buffers, 1)

        send_empty(self.request, 404)

        self.assertReturned()

    def test_dropped(self) -> None:
        """An answer that breaks off."""
        self.request.send(200, b"", b"", length=10)

        self.request.abort()

        self.assertReturned()

    def test_failed_too_late(self) -> None:
        """A failure after the client has left."""
        self.client.lose()

        answer(self.request, Failure(ClientGone()))

        self.assertReturned()


class KleinTests(SynchronousTestCase):
    """What Klein reads of a request, and twisted.web's way to learn of its end."""

    def setUp(self) -> None:
        """A request that waits for its answer."""
        self.edge = Edge(self)
        requests = self.edge.hold()
        self.client = self.edge.connect()
        self.client.send(request_bytes("GET", "/a/b%20c/?q=1", {"X-Name": "value"}))
        self.request: Request = requests[0].for_klein()

    def test_routing(self) -> None:
        """Path, headers, addresses: as twisted.web has them."""
        host: Any = self.request.getHost()

        self.assertEqual(self.request.postpath, [b"a", b"b%20c", b""])
        self.assertEqual(self.request.getHeader(b"X-Name"), b"value")
        self.assertEqual((self.request.path, self.request.uri), (b"/a/b%20c/", b"/a/b%20c/?q=1"))
        self.assertEqual((host.port, self.request.isSecure()), (8080, False))

    def test_notified_of_the_end(self) -> None:
        """`notifyFinish` fires when the answer is complete."""
        end = self.request.notifyFinish()
        self.request.send(204, b"")
        self.assertNoResult(end)

        self.request.finish()

        self.successResultOf(end)

    def test_notified_of_the_loss(self) -> None:
        """It does not when the client leaves: Klein would cancel the handler."""
        end = self.request.notifyFinish()

        self.client.lose()

        self.assertNoResult(end)
