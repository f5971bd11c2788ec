"""A network in memory: names that resolve to what the test says, and connections whose other end is the test.

The transport keeps what a real one keeps: what arrives while reading is paused waits, what is aborted
is lost a moment later, and nothing is delivered after that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IHostnameResolver, IPushProducer, IResolutionReceiver, ITransport
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["PUBLIC", "Names", "Network", "Wire", "address"]

# An address that may be connected to.
PUBLIC = "93.184.215.14"


def address(host: str, port: int) -> IPv4Address | IPv6Address:
    """An address as Twisted has it."""
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)


@implementer(IHostnameResolver)
class Names:
    """A resolver. Each look-up of a name gets the next of its answers, the last one again and again.

    `asked` are the names that were looked up; a name in `slow` is answered when the test calls `answer`.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self.slow: set[str] = set()
        self._waiting: list[tuple[IResolutionReceiver, str, int]] = []

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        """Called by the code under test."""
        self.asked.append(hostName)
        resolutionReceiver.resolutionBegan(None)  # type: ignore[arg-type]
        if hostName in self.slow:
            self._waiting.append((resolutionReceiver, hostName, portNumber))
        else:
            self._answer(resolutionReceiver, hostName, portNumber)

    def answer(self) -> None:
        """Answer the first look-up that waits."""
        self._answer(*self._waiting.pop(0))

    def _answer(self, receiver: IResolutionReceiver, name: str, port: int) -> None:
        for found in self.addresses(name):
            receiver.addressResolved(address(found, port))
        receiver.resolutionComplete()

    def addresses(self, name: str) -> Sequence[str]:
        """The next answer."""
        answers = self.answers.get(name, [[]])
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Network(MemoryReactorClock):
    """A reactor whose connections the test accepts, refuses, or leaves unanswered."""

    def __init__(self) -> None:
        super().__init__()
        self.names = Names()
        self.nameResolver = self.names

    @property
    def called(self) -> list[tuple[str, int]]:
        """Where connections were attempted, in order."""
        return [(host, port) for host, port, *_ in self.tcpClients]

    @property
    def given_up(self) -> list[bool]:
        """Whether each attempt was given up."""
        return [connector.stoppedConnecting for connector in self.connectors]

    def accept(self, number: int = -1, peer: str | None = None) -> Wire:
        """An attempt succeeds.

        :param peer: whom it has reached, if not whom it called.
        """
        host, port, factory, *_ = self.tcpClients[number]
        reached = address(peer or host, port)
        return Wire(self, reached, factory.buildProtocol(reached))

    def refuse(self, number: int = -1, reason: Exception | None = None) -> None:
        """An attempt fails."""
        factory: Any = self.tcpClients[number][2]
        factory.clientConnectionFailed(self.connectors[number], Failure(reason or ConnectionRefusedError()))


@implementer(ITransport, IPushProducer)
class Wire:
    """The transport of a connection, and what the test does at the other end.

    `protocol` is None if the code under test wanted no connection; `sent` is what it has sent.
    """

    def __init__(self, network: Network, peer: IPv4Address | IPv6Address, protocol: Any) -> None:
        self.protocol = protocol
        self.sent = b""
        self.paused = False
        self.closing = False
        self.aborted = False
        self.lost = False
        self._network = network
        self._peer = peer
        self._inbox = b""
        if protocol is not None:
            protocol.makeConnection(self)

    # -- what the test does --

    def deliver(self, data: bytes) -> None:
        """Bytes arrive, as soon as they are read."""
        self._inbox += data
        self._pump()

    def take(self) -> bytes:
        """What was sent since the last time."""
        taken, self.sent = self.sent, b""
        return taken

    def end(self, reason: Exception | None = None) -> None:
        """The other end closes, or something cuts the connection."""
        self._lose(reason or ConnectionDone())

    def cut(self) -> None:
        """Something cuts the connection."""
        self._lose(ConnectionLost())

    @property
    def waiting(self) -> int:
        """How many bytes were not read yet."""
        return len(self._inbox)

    # -- what the code under test does --

    def write(self, data: bytes) -> None:
        """Send."""
        if not self.closing:
            self.sent += data

    def writeSequence(self, data: Any) -> None:
        """Send."""
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Somebody writes piece by piece; here, there is always room."""

    def unregisterProducer(self) -> None:
        """No more pieces."""

    def getPeer(self) -> IPv4Address | IPv6Address:
        """Who is at the other end."""
        return self._peer

    def getHost(self) -> IPv4Address:
        """Who is at this end."""
        return IPv4Address("TCP", "192.0.2.1", 40000)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """What is written here is sent at once anyway."""

    def loseConnection(self) -> None:
        """Close."""
        self._close(ConnectionDone())

    def abortConnection(self) -> None:
        """Close at once; under TLS, there must be something left to close."""
        assert not self.lost, "aborted after it was lost"
        self.aborted = True
        self._close(ConnectionAborted())

    def pauseProducing(self) -> None:
        """Read no more."""
        self.paused = True

    def resumeProducing(self) -> None:
        """Read on, soon."""
        if self.paused and not self.closing:
            self.paused = False
            self._network.callLater(0, self._pump)

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    def _close(self, reason: Exception) -> None:
        if not self.closing:
            self.closing = True
            self._network.callLater(0, self._lose, reason)

    def _lose(self, reason: Exception) -> None:
        if not self.lost:
            self.lost = self.closing = True
            self.protocol.connectionLost(Failure(reason))

    def _pump(self) -> None:
        while self._inbox and not (self.paused or self.closing):
            piece, self._inbox = self._inbox[:65536], self._inbox[65536:]
            self.protocol.dataReceived(piece)
