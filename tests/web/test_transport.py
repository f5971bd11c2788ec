"""The transport, on real sockets: write-through, receive-into, sendfile."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import Blocking, InlineBlocking
from pkgd.errors import ClientGone, FailedStorage
from tests.fixtures import HeldBlocking
from tests.web.wires import Wire

DATA = bytes(range(256)) * 4096


class Recorder(Protocol):
    """Notes what the transport tells it; also as producer, and as sink of a body."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.events: list[str] = []
        self.room: memoryview | None = None
        self.lost: Failure | None = None
        self.blocking: Blocking = InlineBlocking()

    def dataReceived(self, data: bytes) -> None:
        """Bytes outside of a body."""
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        """The end."""
        self.lost = reason

    def progressed(self) -> None:
        """The client took something."""
        self.events.append("progressed")

    def pauseProducing(self) -> None:
        """The queue is long."""
        self.events.append("pause")

    def resumeProducing(self) -> None:
        """The queue is empty."""
        self.events.append("resume")

    def stopProducing(self) -> None:
        """The connection ends."""

    def body_room(self) -> memoryview | None:
        """Where to receive."""
        return self.room

    def body_received(self, count: int) -> None:
        """So much stands there now."""
        assert self.room is not None
        self.events.append(bytes(self.room[:count]).decode())

    def send_in_thread(self, send: Callable[[], int]) -> Deferred[int]:
        """Send a part of a file."""
        return self.blocking.send(send)


class TransportCase(SynchronousTestCase):
    """A connection between a recorder and a client."""

    def setUp(self) -> None:
        """Connect them."""
        self.protocol = Recorder()
        self.client = Wire(self.protocol, Clock(), buffer=8192)
        self.transport = self.client.transport
        self.addCleanup(self.client.close)

    def file(self, data: bytes) -> int:
        """A descriptor of a file with these bytes."""
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(data)
        fd = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        return fd


class WriteTests(TransportCase):
    """`write`."""

    def test_through(self) -> None:
        """What the socket takes is with the client at once, and the reactor has nothing to do."""
        self.transport.write(b"hello")

        self.assertEqual(self.client.socket.recv(100), b"hello")
        self.assertEqual(self.client.reactor.writers, set())

    def test_order(self) -> None:
        """What the socket does not take is queued, and later writes stand behind it."""
        for part in (DATA, b"second", b"third"):
            self.transport.write(part)

        self.client.settle()

        self.assertEqual(bytes(self.client.taken), DATA + b"second" + b"third")

    def test_producer(self) -> None:
        """A long queue pauses the producer, an empty one resumes it."""
        producer: Any = self.protocol
        self.transport.registerProducer(producer, True)

        self.transport.write(DATA)
        paused = list(self.protocol.events)
        self.client.settle()

        self.assertEqual(paused, ["pause"])
        self.assertIn("resume", self.protocol.events)
        self.assertIn("progressed", self.protocol.events)

    def test_through_again(self) -> None:
        """Once the queue is empty, writes go through again."""
        self.transport.write(DATA)
        self.client.settle()

        self.transport.write(b"!")

        self.assertEqual(self.client.socket.recv(100), b"!")

    def test_gone(self) -> None:
        """A write to a client that has gone is reported as a lost connection, not raised."""
        self.client.socket.close()

        self.transport.write(b"hello")
        self.client.settle()

        self.assertIsNotNone(self.protocol.lost)

    def test_closing(self) -> None:
        """What was written before the connection is closed still arrives."""
        self.transport.write(DATA)
        self.transport.loseConnection()

        self.client.settle()

        self.assertEqual(bytes(self.client.taken), DATA)
        self.assertTrue(self.client.ended)


class SendFileTests(TransportCase):
    """`send_file`."""

    def test_order(self) -> None:
        """A file follows what was written before it, and goes before what is written behind it."""
        self.transport.write(DATA)
        sent = self.transport.send_file(self.file(b"ab" + DATA + b"yz"), 2, len(DATA))
        sent.addCallback(lambda _: self.transport.write(b"end"))

        self.client.settle()

        self.successResultOf(sent)
        self.assertEqual(bytes(self.client.taken), DATA + DATA + b"end")

    def test_waits(self) -> None:
        """The Deferred waits as long as the client does not take the file."""
        self.client.reading = False
        sent = self.transport.send_file(self.file(DATA), 0, len(DATA))

        self.client.settle()
        self.assertNoResult(sent)
        self.client.reading = True
        self.client.settle()

        self.successResultOf(sent)
        self.assertEqual(bytes(self.client.taken), DATA)

    def test_progress(self) -> None:
        """Every part that the client takes is progress."""
        self.transport.send_file(self.file(DATA), 0, len(DATA))

        self.client.settle()

        self.assertIn("progressed", self.protocol.events)

    def test_two_files(self) -> None:
        """One file may follow another."""
        sent = self.transport.send_file(self.file(b"one"), 0, 3)
        self.client.settle()
        sent = self.transport.send_file(self.file(b"two"), 0, 3)
        self.client.settle()

        self.successResultOf(sent)
        self.assertEqual(bytes(self.client.taken), b"onetwo")

    def test_short(self) -> None:
        """A file that is shorter than promised is a failure of the storage, after what there was."""
        sent = self.transport.send_file(self.file(b"short"), 0, 6)

        self.client.settle()

        self.failureResultOf(sent, FailedStorage)
        self.assertEqual(bytes(self.client.taken), b"short")
        self.assertEqual(self.client.reactor.writers, set())

    def test_unreadable(self) -> None:
        """A file that cannot be sent at all drops the connection: it is never taken for sent."""
        sent = self.transport.send_file(os.open(".", os.O_RDONLY | os.O_DIRECTORY), 0, 6)

        self.client.settle()

        self.failureResultOf(sent, ClientGone, FailedStorage)
        self.assertTrue(self.client.ended)

    def test_lost(self) -> None:
        """A client that leaves in the middle ends the sending; the descriptor is the caller's to close."""
        fd = self.file(DATA)
        self.client.reading = False
        sent = self.transport.send_file(fd, 0, len(DATA))
        self.client.settle()

        self.client.lose()

        self.failureResultOf(sent, ClientGone)
        self.assertEqual(os.pread(fd, 2, 0), DATA[:2])

    def test_aborted(self) -> None:
        """So does an abort from our side."""
        self.client.reading = False
        sent = self.transport.send_file(self.file(DATA), 0, len(DATA))
        self.client.settle()

        self.transport.abortConnection()
        self.client.settle()

        self.failureResultOf(sent, ClientGone)

    def test_after_the_end(self) -> None:
        """On a connection that is closed, or about to be, nothing is sent."""
        self.transport.loseConnection()
        closing = self.transport.send_file(self.file(DATA), 0, 1)
        self.client.settle()
        closed = self.transport.send_file(self.file(DATA), 0, 1)

        self.failureResultOf(closing, ClientGone)
        self.failureResultOf(closed, ClientGone)

    def hold(self) -> HeldBlocking:
        """From now on threads wait for the test."""
        self.protocol.blocking = held = HeldBlocking()
        return held

    def test_thread(self) -> None:
        """While a thread sends, the reactor watches the socket for nothing."""
        held = self.hold()

        sent = self.transport.send_file(self.file(DATA), 0, len(DATA))
        self.client.settle()

        self.assertEqual((len(held), self.client.reactor.writers), (1, set()))
        held.release()
        self.client.settle()
        held.release_all()
        self.client.settle()
        self.assertEqual(self.client.taken[:10], DATA[:10])
        self.assertFalse(self.client.ended)
        self.assertNoResult(sent)

    def test_lost_while_sending(self) -> None:
        """A client that leaves while a thread sends: the thread's descriptor is its own, and closed behind it."""
        held = self.hold()
        sent = self.transport.send_file(self.file(DATA), 0, len(DATA))
        self.client.settle()
        before = open_descriptors()

        self.client.lose()
        self.assertNoResult(sent)
        held.release()

        self.failureResultOf(sent, ClientGone)
        self.assertEqual(open_descriptors(), before - 3)

    def test_no_descriptor_left(self) -> None:
        """However a sending ends, its descriptor is closed."""
        files = [self.file(DATA), self.file(b"short")]
        before = open_descriptors()

        for fd in files:
            sent = self.transport.send_file(fd, 0, len(DATA))
            sent.addErrback(lambda failure: failure.trap(FailedStorage))
            self.client.settle()

        self.assertEqual(open_descriptors(), before)


def open_descriptors() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


class ReceiveTests(TransportCase):
    """Reading, with a sink and without."""

    def setUp(self) -> None:
        """A sink with room for eight bytes."""
        super().setUp()
        self.protocol.room = memoryview(bytearray(8))

    def test_no_sink(self) -> None:
        """Without a sink bytes go to the protocol."""
        self.client.send(b"hello")

        self.assertEqual(self.protocol.received, b"hello")

    def test_sink(self) -> None:
        """With a sink they go into its room, never more than fits, and not to the protocol."""
        self.transport.sink = self.protocol

        self.client.send(b"hello, world")

        self.assertEqual(self.protocol.events, ["hello, w", "orld"])
        self.assertEqual(self.protocol.received, b"")

    def test_no_room(self) -> None:
        """Without room nothing is read, and nothing lost."""
        self.transport.sink = self.protocol
        room, self.protocol.room = self.protocol.room, None
        self.client.socket.send(b"hello")
        self.assertIsNone(self.transport.doRead())

        self.protocol.room = room
        self.client.settle()

        self.assertEqual(self.protocol.events, ["hello"])

    def test_nothing_there(self) -> None:
        """A read of an empty socket is no end."""
        self.transport.sink = self.protocol

        self.assertIsNone(self.transport.doRead())

    def test_end(self) -> None:
        """The end of the stream ends the connection, and the sink with it."""
        self.transport.sink = self.protocol

        self.client.lose()

        self.assertIsNotNone(self.protocol.lost)
        self.assertIsNone(self.transport.sink)

    def test_paused(self) -> None:
        """While reading is paused, bytes stay in the socket."""
        self.transport.sink = self.protocol
        self.transport.pauseProducing()
        self.client.send(b"hello")
        self.assertEqual(self.protocol.events, [])

        self.transport.resumeProducing()
        self.client.settle()

        self.assertEqual(self.protocol.events, ["hello"])
