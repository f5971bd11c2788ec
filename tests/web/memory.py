"""A connection in memory, both ends of it.

The transport keeps what a real one keeps: bytes that come while reading is paused wait, and what
the client does not take fills up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from pkgd.web.channel import Channel
from tests.web.messages import Response, request_bytes, split_answers

__all__ = ["Client", "MemoryTransport", "settle"]

# Where a TCP transport begins to tell its producer to pause.
HIGH_WATER = 64 * 1024


class MemoryTransport:
    """The server's side of a connection in memory: as TLS is to the channel, without the cipher."""

    def __init__(self, clock: Clock, protocol: Channel) -> None:
        self.taken = bytearray()
        self.unsent = bytearray()
        self.window: int | None = None
        self.paused = False
        self.closing = False
        self.aborted = False
        self.lost = False
        self._clock = clock
        self._protocol = protocol
        self._inbox = bytearray()
        self._producer: Any = None
        self._producer_paused = False

    # -- what the test does --

    def deliver(self, data: bytes) -> None:
        """The client's bytes arrive, as soon as the server reads."""
        self._inbox += data
        self._pump()

    def take(self, count: int) -> None:
        """The client takes so many bytes more."""
        assert self.window is not None
        self.window += count
        self._send()

    def end(self, reason: Exception) -> None:
        """The connection is gone."""
        if self.lost:
            return
        self.lost = True
        if self._producer is not None:
            self._producer.stopProducing()
        self._protocol.connectionLost(Failure(reason))

    @property
    def waiting(self) -> int:
        """How many bytes the server has not read yet."""
        return len(self._inbox)

    def _pump(self) -> None:
        while self._inbox and not (self.paused or self.closing or self.aborted or self.lost):
            piece = bytes(self._inbox[:65536])
            del self._inbox[:65536]
            self._protocol.dataReceived(piece)

    def _send(self) -> None:
        count = len(self.unsent) if self.window is None else min(len(self.unsent), self.window)
        self.taken += self.unsent[:count]
        del self.unsent[:count]
        if self.window is not None:
            self.window -= count
        if self.unsent:
            return
        if self._producer_paused:
            self._producer_paused = False
            self._producer.resumeProducing()
        if self.closing:
            self._clock.callLater(0, self.end, ConnectionDone())

    # -- what the channel does --

    def write(self, data: bytes) -> None:
        """Queue bytes, and pause the producer if the client does not take them."""
        if self.lost:
            return
        self.unsent += data
        self._send()
        if self._producer is not None and len(self.unsent) > HIGH_WATER:
            self._producer_paused = True
            self._producer.pauseProducing()

    def loseConnection(self) -> None:
        """Close as soon as everything has been taken."""
        if not self.closing:
            self.closing = True
            self._send()

    def abortConnection(self) -> None:
        """Drop the connection on the next turn."""
        if not self.aborted:
            self.aborted = True
            self._clock.callLater(0, self.end, ConnectionAborted())

    def pauseProducing(self) -> None:
        """Stop reading."""
        self.paused = True

    def resumeProducing(self) -> None:
        """Read on, from the next turn."""
        self.paused = False
        self._clock.callLater(0, self._pump)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Remember whom to pause."""
        assert streaming
        self._producer = producer

    def unregisterProducer(self) -> None:
        """Forget whom to pause."""
        self._producer, self._producer_paused = None, False

    def getPeer(self) -> IPv4Address:
        """The client's address."""
        return IPv4Address("TCP", "192.0.2.7", 40000)

    def getHost(self) -> IPv4Address:
        """The server's address."""
        return IPv4Address("TCP", "192.0.2.1", 8080)


class Client:
    """One connection to the edge."""

    def __init__(self, clock: Clock, channel: Channel) -> None:
        self.channel = channel
        self.transport = MemoryTransport(clock, channel)
        self._clock = clock
        channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """Send bytes, and let the server go on as far as it can."""
        self.transport.deliver(data)
        settle(self._clock)

    def request(self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        """Send a whole request."""
        self.send(request_bytes(method, target, headers, body))

    def lose(self) -> None:
        """Break the connection, as a network does."""
        self.transport.end(ConnectionLost())
        settle(self._clock)

    def take(self, count: int) -> None:
        """Take more of the answer; for a client whose `transport.window` is not None."""
        self.transport.take(count)
        settle(self._clock)

    def answers(self, *methods: str) -> list[Response]:
        """The whole answers so far, to requests with these methods (GET where none is given)."""
        return split_answers(bytes(self.transport.taken), methods)[0]

    @property
    def answer(self) -> Response:
        """The one answer there must be."""
        (only,) = self.answers()
        return only

    @property
    def open(self) -> bool:
        """Whether the connection is neither closed nor about to be."""
        return not (self.transport.lost or self.transport.closing or self.transport.aborted)


def settle(clock: Clock) -> None:
    """Run what is due now, until nothing is."""
    while any(call.getTime() <= clock.seconds() for call in clock.getDelayedCalls()):
        clock.advance(0)
