"""The edge's transport over a pair of real sockets, driven one round at a time by a reactor of its own."""

from __future__ import annotations

import select
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pkgd.web.channel import Channel
from pkgd.web.transport import Transport
from tests.web.fixtures import Edge
from tests.web.memory import settle
from tests.web.messages import Response, request_bytes, split_answers

__all__ = ["Wire", "WireReactor", "WireTransport", "wire"]


class WireReactor:
    """What a transport asks of a reactor; `turn` does one round of poll(2)."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()
        self.addReader, self.removeReader = self.readers.add, self.readers.discard
        self.addWriter, self.removeWriter = self.writers.add, self.writers.discard
        self.callLater, self.seconds = clock.callLater, clock.seconds

    def turn(self) -> bool:
        """Serve what is ready; False if nothing was."""
        poll = select.poll()
        known = {one.fileno(): one for one in self.readers | self.writers}
        for fd, one in known.items():
            poll.register(fd, (one in self.readers) * select.POLLIN | (one in self.writers) * select.POLLOUT)
        ready = poll.poll(0)
        for fd, events in ready:
            self._serve(known[fd], events)
        return bool(ready)

    def _serve(self, one: Any, events: int) -> None:
        why = None
        if events & select.POLLIN or (events & (select.POLLHUP | select.POLLERR) and one in self.readers):
            why = one.doRead()
        if why is None and events & select.POLLOUT and one in self.writers:
            why = one.doWrite()
        elif why is None and events & (select.POLLHUP | select.POLLERR) and one not in self.readers:
            why = ConnectionDone()
        if why is not None:
            self.removeReader(one)
            self.removeWriter(one)
            one.connectionLost(Failure(why))


class WireTransport(Transport):
    """The transport under test, on a Unix socket: what only TCP has is left out."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        """There is no such option."""

    def getHost(self) -> IPv4Address:
        """An address, as TCP has."""
        return IPv4Address("TCP", "192.0.2.1", 8080)


class Wire:
    """A client on the other socket; as `tests.web.fixtures.Client`, but everything is real but the time.

    `reading` may be set to False: then the client takes nothing.
    """

    def __init__(self, protocol: Any, clock: Clock, buffer: int = 0) -> None:
        self.reactor = WireReactor(clock)
        server, self.socket = socket.socketpair()
        if buffer:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        self.socket.setblocking(False)
        self.taken = bytearray()
        self.reading = True
        self.ended = False
        self._unsent = bytearray()
        loop: Any = self.reactor
        nobody: Any = None
        self.transport = WireTransport(server, protocol, ("192.0.2.7", 40000), nobody, 1, loop)
        self.transport.repstr = "<the server's end>"
        protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """Send bytes, and let both ends go on as far as they can."""
        self._unsent += data
        self.settle()

    def request(self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        """Send a whole request."""
        self.send(request_bytes(method, target, headers, body))

    def settle(self) -> None:
        """Go on until nothing moves."""
        moving = True
        while moving:
            moving = self._push()
            settle(self.reactor.clock)
            moving = self.reactor.turn() or moving
            moving = self._pull() or moving

    def lose(self) -> None:
        """Close the client's end."""
        self.socket.close()
        self.ended = True
        self.settle()

    def gulp(self) -> None:
        """Take what is on its way, once."""
        with suppress(BlockingIOError):
            while data := self.socket.recv(1 << 20):
                self.taken += data
        self.settle()

    def close(self) -> None:
        """Close both ends, also where the server has stopped reading."""
        self.lose()
        if self.transport.connected:
            self.transport.connectionLost(Failure(ConnectionDone()))

    def answers(self, *methods: str) -> list[Response]:
        """The whole answers so far."""
        return split_answers(bytes(self.taken), methods)[0]

    @property
    def answer(self) -> Response:
        """The one answer there must be."""
        (only,) = self.answers()
        return only

    @property
    def unsent(self) -> int:
        """How many bytes the server's socket has not accepted yet."""
        return len(self._unsent)

    def _push(self) -> bool:
        if not self._unsent or self.socket.fileno() < 0:
            return False
        try:
            count = self.socket.send(self._unsent)
        except BlockingIOError:
            return False
        except OSError:
            self._unsent.clear()
            return False
        del self._unsent[:count]
        return True

    def _pull(self) -> bool:
        if not self.reading or self.ended:
            return False
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        self.taken += data
        self.ended = not data
        return True


def wire(case: SynchronousTestCase, edge: Edge, buffer: int = 0) -> Wire:
    """A connection to the edge over sockets; it is gone when the test ends."""
    channel = edge.site.buildProtocol(None)
    assert isinstance(channel, Channel)
    client = Wire(channel, edge.clock, buffer)
    case.addCleanup(client.close)
    return client
