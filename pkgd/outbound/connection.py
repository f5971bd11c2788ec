"""One connection to an upstream: what guards the client protocol on it.

It stands between the transport and Twisted's client protocol, as the transport of the one and the
protocol of the other. It knows when the TLS handshake is done, holds each head back until it is whole
and checked, and loses patience when none comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IHandshakeListener, IProtocolFactory, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from pkgd.errors import PkgdError, UpstreamCorrupt, UpstreamTimeout
from pkgd.outbound.head import ResponseHead
from pkgd.outbound.settings import Limits

__all__ = ["LINGER", "Connection", "Connections"]

# How long an upstream may take to agree that a connection is closed (TLS waits for that), in seconds.
LINGER = 1.0
# What one read of the socket may bring: with Twisted's 64 KiB a blob takes a tenth more CPU to arrive.
READ_BYTES = 256 * 1024


class Connections(WrappingFactory[Any]):
    """Makes the connections to one address of a host.

    :param factory: makes the client protocol.
    :param open_ones: where connections are noted as long as they are open.
    :param admit: called with the peer's address when the connection stands, before a byte is sent; raises to refuse.
    """

    noisy = False

    def __init__(
        self,
        factory: IProtocolFactory,
        host: str,
        limits: Limits,
        clock: IReactorTime,
        open_ones: set[Connection],
        admit: Callable[[IAddress | None], None],
    ) -> None:
        super().__init__(factory)  # type: ignore[no-untyped-call]
        self.host = host
        self.limits = limits
        self.clock = clock
        self._open = open_ones
        self._admit = admit

    def registerProtocol(self, p: Connection) -> None:
        """Called by a connection that is made."""
        self._open.add(p)

    def unregisterProtocol(self, p: Connection) -> None:
        """Called by a connection that is lost."""
        self._open.discard(p)

    def doStart(self) -> None:
        """Twisted would call the wrapped factory's, which only logs."""

    def doStop(self) -> None:
        """See `doStart`."""

    def buildProtocol(self, addr: IAddress | None) -> Connection:
        """Called by the transport with its peer's address.

        :raises AddressRefused: if this is not the address that was meant; then the connection is dropped.
        """
        self._admit(addr)
        return Connection(self, self.wrappedFactory.buildProtocol(addr))


@implementer(IHandshakeListener)
class Connection(ProtocolWrapper):
    """See the module. `client` is the client protocol on it."""

    factory: Connections

    def __init__(self, factory: Connections, protocol: Any) -> None:
        super().__init__(factory, protocol)
        self.client: Any = protocol
        self._head: ResponseHead | None = None
        self._timer: IDelayedCall | None = None
        self._over = False  # the client protocol has been told
        self._lost = False
        self._handshake: Deferred[None] | None = None
        self._closed: Deferred[None] | None = None

    # -- setting up, and the end --

    def makeConnection(self, transport: Any) -> None:
        """Called when the connection stands, before anything arrives."""
        socket: Any = getattr(transport, "transport", transport)  # beneath TLS, if there is TLS
        socket.bufferSize = READ_BYTES
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def secured(self) -> Deferred[None]:
        """Fires when the TLS handshake, just begun, is done; fails with what ends the connection before.

        Cancelling it drops the connection.
        """
        self._handshake = Deferred(lambda _: self._give_up())
        return self._handshake

    def _give_up(self) -> None:
        """Nobody waits for the handshake any more."""
        self._handshake = None
        self.abort()

    def handshakeCompleted(self) -> None:
        """Called by TLS."""
        waiting, self._handshake = self._handshake, None
        if waiting is not None:
            waiting.callback(None)

    def closed(self) -> Deferred[None]:
        """Fires when the connection, open as yet, is lost."""
        if self._closed is None:
            self._closed = Deferred()
        return self._closed

    def abort(self) -> None:
        """Drop the connection, whatever is under way. May be called at any time."""
        self._disarm()
        if not self._lost:
            self._channel().abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Called by the transport."""
        self._disarm()
        self._lost = True
        self.factory.unregisterProtocol(self)
        if not self._over:
            self._over = True
            self.client.connectionLost(reason)
        waiting, self._handshake = self._handshake, None
        if waiting is not None:
            waiting.errback(reason)
        if self._closed is not None:
            self._closed.callback(None)

    # -- what the client protocol does to its transport --

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """The head of a request is sent; a body is small and follows at once: its answer is due."""
        self._head = ResponseHead(self.factory.host, self.factory.limits.head)
        self._timer = self.factory.clock.callLater(self.factory.limits.first_byte, self._late)
        self._channel().writeSequence(data)

    def loseConnection(self) -> None:
        """In good order if nothing is under way, though without much patience for the other side; else at once."""
        if self.client.state != "QUIESCENT":
            self.abort()
        elif not self._lost and self._timer is None:
            self._timer = self.factory.clock.callLater(LINGER, self.abort)
            self._channel().loseConnection()

    def abortConnection(self) -> None:
        """The exchange is cancelled."""
        self.abort()

    def stopProducing(self) -> None:
        """Nobody wants the rest of the body."""
        self.abort()

    # -- what comes from the upstream --

    def dataReceived(self, data: bytes) -> None:
        """Bytes of a head are held back until it is whole."""
        if self._over:
            return
        if self._head is None:
            # Of a body; what nobody has asked for makes the client protocol close the connection.
            self.client.dataReceived(data)
        else:
            self._receive_head(self._head, data)

    def _receive_head(self, head: ResponseHead, data: bytes) -> None:
        try:
            whole = head.feed(data)
        except UpstreamCorrupt as error:
            self._fail(error)
            return
        if whole is not None:
            self._head = None
            self._disarm()
            self.client.dataReceived(whole)

    def _late(self) -> None:
        self._timer = None
        self._fail(UpstreamTimeout(self.factory.host, "does not answer in time"))

    def _fail(self, error: PkgdError) -> None:
        """End the exchange with an error, and the connection."""
        self._over = True
        # The client protocol may try again what has had no answer at all; so this is one that has begun.
        self.client.dataReceived(b"?")
        self.client.connectionLost(Failure(error))
        self.abort()

    def _disarm(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _channel(self) -> Any:
        """The transport; what is asked of it goes beyond one interface."""
        return self.transport
