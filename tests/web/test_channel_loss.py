"""The client leaves: at every step of an upload, of a push and of a download."""

from __future__ import annotations

import os
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from pkgd.flow import BufferPool
from tests.fixtures import HeldBlocking
from tests.web.content import BLOB, CONFIG, PLAIN, digest_of, push_blob, push_manifest, start
from tests.web.fixtures import Edge
from tests.web.memory import Client
from tests.web.messages import chunked, request_bytes
from tests.web.wires import Wire, wire

NAME = "team/app"
LARGE = bytes(range(256)) * 4096
CHUNKED = {"Transfer-Encoding": "chunked"}


class LossCase(SynchronousTestCase):
    """Runs a request step by step, a thread hop or a piece from the client each, and breaks it after each.

    Whatever the step: no error in the log, one line or none in the access log, every file closed
    and every buffer returned (which the edge makes sure of), and the server goes on.
    """

    def setUp(self) -> None:
        """What the steps are made on."""
        self.blocking = HeldBlocking()
        self.edge = Edge(self, self.blocking, buffers=BufferPool(512, 4))

    def connect(self) -> Client | Wire:
        """A new connection."""
        return self.edge.connect()

    def broken(self, *pieces: bytes) -> Iterator[tuple[int, int, list[str]]]:
        """Send the pieces, and break the connection a step later each time, until it is too late to.

        Yields how many pieces were sent, how many hops were made before, and what was logged of it.
        """
        hops = 0
        while True:
            sent, done = self.run_steps(hops, pieces)
            yield sent, hops, self.logged()
            if done:
                return
            hops += 1

    def run_steps(self, hops: int, pieces: tuple[bytes, ...]) -> tuple[int, bool]:
        """Take so many steps, then break the connection and let the rest go on."""
        before = len(self.edge.log_lines())
        client = self.connect()
        left = list(pieces)
        for _ in range(hops + 1):
            if left:
                client.send(left.pop(0))
            else:
                self.blocking.release()
                client.send(b"")
        done = not left and not self.blocking and bool(client.answers())
        client.lose()
        self.edge.run()
        client.send(b"")
        while self.blocking:
            self.edge.run()
            client.send(b"")
        self.lines = self.edge.log_lines()[before:]
        return len(pieces) - len(left), done

    def logged(self) -> list[str]:
        """The statuses in the access log since the connection."""
        return [line.split('" ')[1].partition(" ")[0] for line in self.lines]


class UploadTests(LossCase):
    """Bytes that are on their way."""

    # Whether all that the client has sent arrives although it leaves: not where the server reads no more.
    all_arrives = False

    def assertResumable(self, location: str, body: bytes, sent: int) -> None:
        """The session stands where the bytes ended, and the upload can go on from there; or it has ended well."""
        target = f"{location}?digest={digest_of(body)}"
        status = self.edge.call("GET", location)
        there = int((status.header("Range") or "0-0").partition("-")[2])
        offset = there + 1 if there else 0
        if status.status == 204:
            self.assertLessEqual(offset, sent)
            if self.all_arrives:
                self.assertEqual(offset, sent)
        rest = self.edge.call("PUT", target, {}, body[offset:] if status.status == 204 else b"")
        self.assertEqual(rest.status, 201)
        self.assertEqual(self.edge.call("GET", rest.header("Location") or "").body, body)

    def test_chunk(self) -> None:
        """A chunk that breaks off counts as far as it came, and the upload can go on."""
        for place in range(0, len(BLOB), 256):
            location = start(self.edge, NAME)
            head = request_bytes("PATCH", location, {"Content-Length": str(len(BLOB))})
            self.run_steps(1 + place % 5, (head, BLOB[:place]))
            self.assertEqual(self.logged(), ["499"])
            self.assertResumable(location, BLOB, place)

    def test_stream(self) -> None:
        """So does a stream of unknown length."""
        framing = len(b"800\r\n")
        for place in (3, 5, 7, 300, 1000, framing + len(BLOB)):
            location = start(self.edge, NAME)
            self.run_steps(2, (request_bytes("PATCH", location, CHUNKED), chunked(BLOB)[:place]))
            self.assertEqual(self.logged(), ["499"])
            self.assertResumable(location, BLOB, max(place - framing, 0))

    def test_every_step_of_a_chunk(self) -> None:
        """Lost anywhere, a chunk is there as far as it came; it is logged once."""
        for hops in range(30):
            location = start(self.edge, NAME)
            head = request_bytes("PATCH", location, {"Content-Length": str(len(BLOB))})
            sent, done = self.run_steps(hops, (head, BLOB[:1000], BLOB[1000:]))
            self.assertIn(self.logged(), (["499"], ["202"]))
            self.assertResumable(location, BLOB, [0, 1000, 2048][sent - 1])
        self.assertTrue(done)

    def test_every_step_of_a_commit(self) -> None:
        """A PUT whose client leaves has ended the session, or can be repeated."""
        for hops in range(30):
            body = BLOB + b"%d" % hops
            location = start(self.edge, NAME)
            data = request_bytes("PUT", f"{location}?digest={digest_of(body)}", {}, body)
            _, done = self.run_steps(hops, (data,))
            self.assertIn(self.logged(), (["499"], ["201"]))
            self.assertResumable(location, body, len(body))
        self.assertTrue(done)

    def test_every_step_of_a_whole_blob(self) -> None:
        """A single POST whose client leaves has stored the blob or nothing, and leaves no session."""
        for hops in range(30):
            body = BLOB + b"%d" % hops
            data = request_bytes("POST", f"/v2/{NAME}/blobs/uploads/?digest={digest_of(body)}", {}, body)
            _, done = self.run_steps(hops, (data[:-1000], data[-1000:]))
            self.assertIn(self.logged(), (["499"], ["201"]))
            found = self.edge.call("GET", f"/v2/{NAME}/blobs/{digest_of(body)}")
            self.assertIn((found.status, found.body == body), [(200, True), (404, False)])
            self.assertEqual(os.listdir(self.edge.tree.path("__spool__/uploads")), [])
        self.assertEqual((done, found.status), (True, 200))


class UploadOverSocketsTests(UploadTests):
    """The same over sockets, where the server reads what was sent before the end."""

    all_arrives = True

    def connect(self) -> Wire:
        """A new connection."""
        return wire(self, self.edge)


class HeadTests(LossCase):
    """Requests that are not there yet."""

    def test_no_request(self) -> None:
        """A client that leaves before its head is complete has made no request."""
        for data in (b"", b"G", b"GET /v2/ HTTP/1.1\r\nHost: a\r\n"):
            self.run_steps(0, (data,))
            self.assertEqual(self.logged(), [])

    def test_behind_an_answer(self) -> None:
        """So has one that leaves between two requests."""
        self.run_steps(2, (request_bytes("GET", "/v2/"), b"GET"))

        self.assertEqual(self.logged(), ["200"])

    def test_two_requests(self) -> None:
        """Of two requests at once, only the one that was begun is logged."""
        self.run_steps(0, (request_bytes("GET", "/v2/_catalog") * 2,))

        self.assertEqual(self.logged(), ["499"])


class PushTests(LossCase):
    """A manifest on its way."""

    def test_every_step(self) -> None:
        """A push whose client leaves is whole or not there; what is there can be pulled."""
        push_blob(self.edge, NAME, BLOB)
        push_blob(self.edge, NAME, CONFIG)
        data = request_bytes("PUT", f"/v2/{NAME}/manifests/latest", {}, PLAIN)
        for _, hops, logged in self.broken(data[:-300], data[-300:]):
            self.assertIn(logged, (["499"], ["201"]), hops)
            found = self.edge.call("GET", f"/v2/{NAME}/manifests/latest")
            self.assertEqual(found.status, 200 if hops else 404)
            self.edge.call("DELETE", f"/v2/{NAME}/manifests/{digest_of(PLAIN)}")


class DownloadTests(LossCase):
    """Bytes that the client does not wait for."""

    def targets(self) -> list[str]:
        """A large blob, parts of it, and a large manifest."""
        blob = f"/v2/{NAME}/blobs/{push_blob(self.edge, NAME, LARGE)}"
        large = PLAIN[:-1] + b', "annotations": {"a": "%b"}}' % (b"x" * 600_000)
        for data in (BLOB, CONFIG):
            push_blob(self.edge, NAME, data)
        push_manifest(self.edge, NAME, "large", large)
        return [blob, f"/v2/{NAME}/manifests/large"]

    def test_every_step(self) -> None:
        """A download that breaks off is logged once, with its status or 499; its file is closed."""
        for target in self.targets():
            for headers in ({}, {"Range": "bytes=1-900000"}, {"Range": "bytes=0-99,500-600000,-7"}):
                for _, hops, logged in self.broken(request_bytes("GET", target, headers)):
                    self.assertEqual(len(logged), 1)
                    self.assertIn(logged[0], ("499", "200", "206"), hops)
                    self.assertEqual(self.edge.fs.open_files, set())

    def test_not_reading(self) -> None:
        """So is one whose client takes nothing before it leaves."""
        for target in self.targets():
            for hops in range(6):
                client = self.connect()
                self.stop_reading(client)
                client.request("GET", target)
                for _ in range(hops):
                    self.blocking.release()
                    client.send(b"")
                client.lose()
                self.edge.run()
                self.assertEqual(self.edge.fs.open_files, set())

    def stop_reading(self, client: Client | Wire) -> None:
        """The client takes nothing."""
        assert isinstance(client, Client)
        client.transport.window = 0


class DownloadOverSocketsTests(DownloadTests):
    """The same over sockets."""

    def connect(self) -> Wire:
        """A new connection."""
        return wire(self, self.edge, buffer=8192)

    def stop_reading(self, client: Client | Wire) -> None:
        """The client takes nothing."""
        assert isinstance(client, Wire)
        client.reading = False
