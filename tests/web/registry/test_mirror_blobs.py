"""Blobs of upstreams as clients see them: while they arrive, when they break off, and to whom they matter."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from pkgd.errors import UpstreamBusy, UpstreamCorrupt, UpstreamRefused, UpstreamTimeout
from pkgd.mirror.origins import OriginRules
from pkgd.web.site import HttpLimits
from tests.fixtures import HeldBlocking
from tests.mirror.scripted import HUB, Reply
from tests.web.memory import Client, settle
from tests.web.registry.mirror_fixtures import ALPINE, DATA, DIGEST, GONE, MirrorCase, MirrorEdge


class BlobCase(MirrorCase):
    """A test case with a blob that arrives piece by piece, if the test wants it."""

    target = f"{ALPINE}/blobs/{DIGEST}?ns=docker.io"

    def begin(self, size: int = 1000, target: str | None = None, **headers: str) -> Client:
        """A client whose blob has begun to arrive."""
        self.edge.hub.script = [Reply(DATA[:size], length=len(DATA), ends=False)]
        return self.join(target, **headers)

    def join(self, target: str | None = None, **headers: str) -> Client:
        """Another client."""
        client = self.edge.connect()
        client.request("GET", target or self.target, {name.replace("_", "-"): one for name, one in headers.items()})
        settle(self.edge.clock)
        return client

    def arrive(self, start: int, end: int | None = None) -> None:
        """More of it arrives; without an end, all of it."""
        sender = self.edge.hub.senders[0]
        sender.send(DATA[start:end])
        if end is None:
            sender.end()
        self.edge.pass_time(1)

    def body(self, client: Client) -> bytes:
        """What a client has got of the body so far."""
        return bytes(client.transport.taken).partition(b"\r\n\r\n")[2]


class BlobTests(BlobCase):
    """Blobs as clients see them."""

    def test_unreadable(self) -> None:
        """A cached blob that cannot be read is a suspect, under its place in the cache."""
        self.begin(len(DATA))
        self.arrive(len(DATA))
        self.edge.fs.bad_bytes = f"/{DIGEST.removeprefix('sha256:')}"

        self.assertTrue(self.join().transport.aborted)
        self.assertEqual(self.edge.suspects, [("__mirror__/docker.io/library/alpine", DIGEST)])

    def test_headers(self) -> None:
        """HEAD before, GET while it arrives, and GET from the cache have the same headers."""
        wanted = {
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": DIGEST,
            "ETag": f'"{DIGEST}"',
            "Content-Length": str(len(DATA)),
            "Accept-Ranges": "bytes",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "OCI-Namespace": HUB,
        }
        for answer in (self.edge.head(self.target), self.serves(self.target, DATA), self.edge.head(self.target)):
            self.assertEqual({name: answer.header(name) for name in wanted}, wanted)

        self.assertEqual(self.edge.asked(), {HUB: [f"HEAD blobs/{DIGEST}", f"GET blobs/{DIGEST}"]})

    def test_streams(self) -> None:
        """What has arrived goes out at once; the last byte waits for the digest."""
        client = self.begin()
        self.assertEqual(self.body(client), DATA[:1000])

        self.arrive(1000, len(DATA))
        self.assertEqual(self.body(client), DATA[:-1])
        self.edge.hub.senders[0].end()
        self.edge.pass_time(1)

        self.assertEqual(client.answer.body, DATA)

    def test_ranges(self) -> None:
        """A range of what is arriving is answered from the same fetch, as soon as its bytes are there."""
        first = self.begin()
        early, late, last = (self.join(Range=one) for one in ("bytes=10-19", "bytes=2000-2999", "bytes=-1"))
        several = self.join(Range="bytes=0-4,2000-2004")
        self.assertEqual((early.answer.status, early.answer.body), (206, DATA[10:20]))
        self.assertEqual(late.answers(), [])

        self.arrive(1000, 5000)

        self.assertEqual((late.answer.status, late.answer.body), (206, DATA[2000:3000]))
        self.assertEqual(late.answer.header("Content-Range"), f"bytes 2000-2999/{len(DATA)}")
        self.assertIn(DATA[2000:2005] + b"\r\n--", several.answer.body)
        self.assertEqual(last.answers(), [])
        self.arrive(5000)
        self.assertEqual((first.answer.body, last.answer.body), (DATA, DATA[-1:]))
        self.assertEqual(self.edge.asked(), {HUB: [f"GET blobs/{DIGEST}"]})

    def test_range_first(self) -> None:
        """A range on a miss has all of it fetched, and gets its part."""
        answer = self.edge.get(self.target, Range="bytes=5-9")

        self.assertEqual((answer.status, answer.body, answer.header("OCI-Namespace")), (206, DATA[5:10], HUB))
        self.edge.pass_time(1)
        self.serves(self.target, DATA)
        self.assertEqual([one.headers for one in self.edge.hub.asked], [{}])

    def test_unsatisfiable(self) -> None:
        """A range behind the end does not exist, of what is arriving neither."""
        answer = self.edge.get(self.target, Range=f"bytes={len(DATA)}-")

        self.assertEqual((answer.status, answer.header("Content-Range")), (416, f"bytes */{len(DATA)}"))
        self.edge.pass_time(1)

    def test_not_modified(self) -> None:
        """A present copy saves the transfer, for HEAD as well."""
        for answer in (
            self.edge.head(self.target, If_None_Match=f'"{DIGEST}"'),
            self.edge.get(self.target, If_None_Match=f'"{DIGEST}"'),
        ):
            self.assertEqual((answer.status, answer.header("OCI-Namespace")), (304, HUB))
        self.edge.pass_time(1)

    def test_errors_before(self) -> None:
        """Before the first byte, a failure has its status."""
        for error, status, code in (
            (None, 404, "BLOB_UNKNOWN"),
            (UpstreamRefused(HUB, "denies access"), 403, "DENIED"),
            (UpstreamBusy(HUB, "wants a pause", 2.0), 429, "TOOMANYREQUESTS"),
            (GONE, 502, "UNAVAILABLE"),
            (UpstreamTimeout(HUB, "is slow"), 504, "UNAVAILABLE"),
            (Reply(b""), 502, "UNAVAILABLE"),
            (Reply(b"other", length=None), 502, "UNAVAILABLE"),
        ):
            self.use()
            self.edge.hub.script = [error]
            self.refuses(self.target, status, code)

    def test_errors_within(self) -> None:
        """After it, the connections of all who follow are dropped: never a short answer that looks whole."""
        for error in (UpstreamRefused(HUB, "denies access"), UpstreamCorrupt(HUB, "sends a malformed body")):
            self.use()
            clients = [self.begin(), self.join(), self.join(Range="bytes=0-4999")]

            self.edge.hub.senders[0].fail(error)
            self.edge.pass_time(1)

            for client, start in zip(clients, (200, 200, 206), strict=True):
                self.assertIn(b"HTTP/1.1 %d " % start, bytes(client.transport.taken))
                self.assertEqual((self.body(client), client.transport.aborted), (DATA[:1000], True))

    def test_wrong_digest(self) -> None:
        """Wrong bytes end without their last one, by a drop; nothing is kept, and the next pull heals."""
        client = self.begin()
        self.edge.hub.senders[0].send(DATA[1000:-1] + b"!")
        self.edge.hub.senders[0].end()
        self.edge.pass_time(1)
        self.assertEqual((self.body(client), client.transport.aborted), (DATA[:-1], True))

        self.serves(self.target, DATA)

    def test_resumed(self) -> None:
        """A cut that can be mended is no client's business."""
        client = self.begin()
        self.edge.hub.senders[0].fail(GONE)
        self.edge.pass_time(1)

        self.assertEqual(client.answer.body, DATA)
        self.assertEqual(self.edge.hub.asked[-1].headers, {"Range": "bytes=1000-"})

    def test_no_room(self) -> None:
        """A blob that cannot be kept is passed on: a pull never gets 507."""
        self.use(mirror={"max_size": 1000})

        self.serves(self.target, DATA)
        self.assertEqual(self.edge.get(self.target, Range="bytes=500-999").body, DATA[500:1000])

        self.assertEqual(len(self.edge.asked()[HUB]), 4)

    def test_full_disk(self) -> None:
        """So it is on a full and on a read-only disk."""
        for trouble in ("full", "read-only"):
            self.use(mirror={"min_free": 1 << 20})
            self.edge.fs.free_bytes = 0 if trouble == "full" else None
            self.edge.fs.read_only = trouble == "read-only"

            self.serves(self.target, DATA)
            self.serves(f"{ALPINE}/manifests/latest?ns=docker.io")

            self.edge.fs.read_only = False

    def test_malformed(self) -> None:
        """A malformed digest is refused before anybody is asked."""
        for method in ("GET", "HEAD"):
            self.refuses(f"{ALPINE}/blobs/sha256:x?ns=docker.io", 400, "DIGEST_INVALID", method)

        self.assertEqual(self.edge.asked(), {})


class PatienceTests(BlobCase):
    """Time that passes while we wait for an upstream is not the client's."""

    def use(self, rules: OriginRules | None = None, **options: Any) -> MirrorEdge:
        """With short limits."""
        return super().use(rules, limits=HttpLimits(head_timeout=5, body_timeout=10, idle=10), **options)

    def test_slow_answer(self) -> None:
        """A client waits as long as the upstream takes to answer."""
        waiting: Deferred[Any] = Deferred()
        self.edge.hub.script = [waiting]
        client = self.join()
        self.edge.pass_time(100)
        self.assertTrue(client.open)

        waiting.callback(Reply(DATA))
        self.edge.pass_time(1)

        self.assertEqual(client.answer.body, DATA)

    def test_slow_body(self) -> None:
        """And as long as it takes to go on."""
        client = self.begin()
        for start in range(1000, 5000, 1000):
            self.edge.pass_time(100)
            self.arrive(start, start + 1000)
        self.assertTrue(client.open)

        self.arrive(5000)

        self.assertEqual(client.answer.body, DATA)

    def test_stalled_client(self) -> None:
        """A client that does not take what is there is dropped; the fetch goes on."""
        client = self.edge.connect()
        client.transport.window = 100
        self.edge.hub.script = [Reply(DATA[:1000], length=len(DATA), ends=False)]
        client.request("GET", self.target)
        settle(self.edge.clock)
        self.arrive(1000, len(DATA))

        self.edge.pass_time(12)

        self.assertFalse(client.open)
        self.arrive(len(DATA))
        self.serves(self.target, DATA)
        self.assertEqual(len(self.edge.hub.asked), 1)


class LeavingTests(BlobCase):
    """Clients that leave change nothing for others, in whichever phase."""

    def test_before_the_answer(self) -> None:
        """Before the upstream has answered."""
        waiting: Deferred[Any] = Deferred()
        self.edge.hub.script = [waiting]
        gone, staying = self.join(), self.join()
        gone.lose()

        waiting.callback(Reply(DATA))
        self.edge.pass_time(1)

        self.assertEqual(staying.answer.body, DATA)

    def test_within(self) -> None:
        """While it arrives."""
        gone, staying = self.begin(), self.join()
        gone.lose()

        self.arrive(1000)

        self.assertEqual(staying.answer.body, DATA)

    def test_all_of_them(self) -> None:
        """All of them, the first of all included: what has begun is finished for the next one."""
        clients = [self.begin(), self.join(), self.join(Range="bytes=-1")]
        for one in clients:
            one.lose()

        self.arrive(1000)

        self.serves(self.target, DATA)
        self.assertEqual(len(self.edge.hub.asked), 1)

    def test_before_the_refusal(self) -> None:
        """Before a failure."""
        waiting: Deferred[Any] = Deferred()
        self.edge.hub.script = [waiting]
        client = self.join()
        client.lose()

        waiting.errback(GONE)
        self.edge.pass_time(1)

        self.assertIn(" 499 ", self.edge.log_lines()[-1])

    def test_passed_on(self) -> None:
        """One who is passed a blob gives its upstream's place free."""
        self.use(mirror={"max_size": 1000})
        self.edge.hub.script = [Reply(DATA), Reply(DATA[:1000], length=len(DATA), ends=False)]
        client = self.join()
        self.edge.pass_time(1)
        self.assertEqual(self.body(client), DATA[:999])
        client.lose()

        self.edge.hub.senders[-1].send(DATA[1000:2000])
        self.edge.pass_time(1)

        self.assertEqual([one.closed for one in self.edge.hub.streams], [1, 1])

    def test_every_hop(self) -> None:
        """In the middle of any blocking call."""
        hops = 0
        while True:
            held = HeldBlocking()
            self.use(blocking=held)
            client = self.join()
            over = False
            for _ in range(hops):
                over = not held.release()
                settle(self.edge.clock)

            client.lose()
            self.edge.run()

            self.serves(self.target, DATA)
            self.assertEqual(len(self.edge.hub.asked), 1)
            if over:
                break
            hops += 1
        self.assertGreater(hops, 8)
