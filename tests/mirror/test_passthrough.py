"""A blob on its way to one client, that cannot be kept: in one piece after the other, verified at the end."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import InlineBlocking
from pkgd.errors import FailedStorage, UpstreamCorrupt, UpstreamUnavailable
from pkgd.formats.digest import Digest
from pkgd.mirror.passthrough import Passthrough
from tests.mirror.fill_fixtures import APP, Follower
from tests.mirror.scripted import HUB, Reply, ScriptedUpstream, Sender

DATA = bytes(range(256)) * 40
DIGEST = Digest.of(DATA)
GONE = UpstreamUnavailable(HUB, "is gone")


class PassthroughTests(SynchronousTestCase):
    """`Passthrough`."""

    def setUp(self) -> None:
        """An upstream."""
        self.upstream = ScriptedUpstream(HUB)

    def open(self, data: bytes = b"", size: int = len(DATA), digest: Digest = DIGEST) -> Passthrough:
        """A reader of an answer that has begun with these bytes."""
        self.upstream.script = [Reply(data, length=None, ends=False)]
        stream = self.successResultOf(Deferred.fromCoroutine(self.upstream.stream(APP, "blobs/x", "", {})))
        assert stream is not None
        return Passthrough(stream, HUB, digest, size, InlineBlocking())

    @property
    def sender(self) -> Sender:
        """The other end."""
        return self.upstream.senders[-1]

    def available(self, reader: Passthrough, offset: int) -> Deferred[int]:
        """How far can be read."""
        return Deferred.fromCoroutine(reader.available(offset))

    def test_as_it_comes(self) -> None:
        """What has come is passed on, but for the last byte: it may be the very last."""
        client = Follower(self.open(DATA[:100]))
        self.assertEqual(client.data, DATA[:99])

        self.sender.send(DATA[100:200])

        self.assertEqual(client.data, DATA[:199])
        self.sender.fail(GONE)

    def test_whole(self) -> None:
        """The last byte comes once the digest is right; the stream is closed then."""
        client = Follower(self.open(DATA[:100]))
        self.sender.send(DATA[100:])
        self.assertEqual(client.data, DATA[:-1])

        self.sender.end()

        self.assertEqual((client.data, client.done), (DATA, True))
        self.assertEqual((self.upstream.streams[0].closed, self.upstream.lent_buffers), (1, 0))

    def test_bytes_one_by_one(self) -> None:
        """However small the pieces are."""
        client = Follower(self.open())
        for number in range(len(DATA)):
            self.sender.send(DATA[number : number + 1])
        self.sender.end()

        self.assertEqual((client.data, client.done), (DATA, True))

    def test_strong_digest(self) -> None:
        """A sha512 is verified as one."""
        client = Follower(self.open(DATA, digest=Digest.of(DATA, "sha512")))
        self.sender.end()

        self.assertTrue(client.done)

    def test_empty(self) -> None:
        """Of no bytes nothing has to be read."""
        client = Follower(self.open(size=0, digest=Digest.of(b"")))

        self.assertEqual((client.data, client.done, self.sender.wanted), (b"", True, False))

    def test_slow_client(self) -> None:
        """At the client's pace: no more than one piece is held."""
        client = Follower(self.open(DATA[:100]), window=10)
        self.sender.send(DATA[100:])
        self.sender.end()
        self.assertEqual(client.data, DATA[:10])
        received = client.reader._received  # type: ignore[attr-defined]

        client.take(50)
        self.assertEqual(client.reader._received, received)  # type: ignore[attr-defined]
        client.take(len(DATA))

        self.assertEqual(client.data, DATA)

    def test_wrong(self) -> None:
        """Wrong bytes never show their last one."""
        for data in (b"!" + DATA[1:], DATA[:-1] + b"!"):
            client = Follower(self.open(data))
            self.sender.end()

            self.assertEqual((client.data, type(client.error)), (data[:-1], UpstreamCorrupt))

    def test_short(self) -> None:
        """A body that ends early is cut, not over."""
        client = Follower(self.open(DATA[:-1]))
        self.sender.end()

        self.assertEqual((client.data, type(client.error)), (DATA[:-2], UpstreamUnavailable))

    def test_long(self) -> None:
        """A byte more than announced makes it wrong, before the last one is shown."""
        client = Follower(self.open(DATA))
        self.sender.send(b"!")

        self.assertEqual((client.data, type(client.error)), (DATA[:-1], UpstreamCorrupt))

    def test_cut(self) -> None:
        """A cut reaches the client as it is."""
        client = Follower(self.open(DATA[:100]))
        self.sender.fail(GONE)

        self.assertEqual((client.data, client.error), (DATA[:99], GONE))
        self.assertEqual(self.upstream.lent_buffers, 0)

    def test_range(self) -> None:
        """Of a part, what is before it is dropped; what is behind it is not waited for."""
        client = Follower(self.open(DATA[:5000]), start=1000, end=2000)
        later = Follower(self.open(DATA[:50]), start=70, end=100)
        self.sender.send(DATA[50:5000])

        self.assertEqual((client.data, client.done), (DATA[1000:2000], True))
        self.assertEqual((later.data, later.done), (DATA[70:100], True))

    def test_last_range(self) -> None:
        """A part with the last byte is verified."""
        client = Follower(self.open(DATA), start=len(DATA) - 1)
        self.assertEqual(client.data, b"")
        self.sender.end()
        wrong = Follower(self.open(b"!" + DATA[1:]), start=len(DATA) - 1)
        self.sender.end()

        self.assertEqual((client.data, type(wrong.error)), (DATA[-1:], UpstreamCorrupt))

    def test_backwards(self) -> None:
        """What has passed cannot be read again."""
        reader = self.open(DATA[:100])
        self.successResultOf(self.available(reader, 0))
        self.sender.send(DATA[100:200])
        self.successResultOf(self.available(reader, 150))

        self.assertRaises(FailedStorage, reader.read_at, 0, 10)
        reader.close()

    def test_behind_the_end(self) -> None:
        """There is nothing behind the end."""
        reader = self.open(DATA)
        self.sender.end()

        self.failureResultOf(self.available(reader, len(DATA)), FailedStorage)
        reader.close()

    def test_no_descriptor(self) -> None:
        """There is nothing for sendfile."""
        reader: Any = self.open()

        self.assertIsNone(reader.fileno())
        reader.close()
        reader.close()
        self.assertEqual(self.upstream.streams[0].closed, 1)
