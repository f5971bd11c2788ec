"""One connection: heads in, one request at a time, each with its body as an `Inflow`.

    idle --head complete--> the request runs; its body, if any, arrives meanwhile
         <--answered------- (body read to its end)
         --answered early-> linger: half-close, discard what still comes, then drop

Routing, the gate and limits act as soon as the head is complete, before a body byte is read;
`100 Continue` is sent when the handler first reads. Handlers are never cancelled: a lost client
shows as `ClientGone` from the next read or send, so that no commit is cut in half.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IPushProducer, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from pkgd.errors import ClientGone, MalformedHttp, SlowClient
from pkgd.flow import Inflow
from pkgd.web.head import Head, find_head, parse_head
from pkgd.web.incoming import Incoming
from pkgd.web.request import Request
from pkgd.web.transport import Transport

if TYPE_CHECKING:
    from pkgd.web.site import Site

__all__ = ["Channel"]

# What a client may send ahead while its request is being answered.
EAGER = 64 * 1024
# How long, and how much, is discarded after an answer that came before the end of the body.
LINGER_SECONDS = 5.0
LINGER_BYTES = 64 << 20
# How long a client may take to read the last answer before the connection is dropped.
CLOSE_SECONDS = 15.0
# How long an idle connection is kept while the daemon stops: who has been told that it stays, or has just connected,
# may have sent a request.
GRACE_SECONDS = 1.0


@implementer(IPushProducer)
class Channel(Protocol):
    """See the module. `site` gives limits, the clock, the buffer pool and the dispatch."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.deadline: float | None = None
        self.secure = False
        self.peer = "-"
        self._received = bytearray()
        self._request: Request | None = None
        self._incoming: Incoming | None = None
        self._parsing = False
        self._congested = False
        self._drained: list[Deferred[None]] = []
        self._lingering = 0
        self._closed = False
        self._reading = True
        self._refused = False
        self._head_deadline: float | None = None
        self._idle_since = 0.0

    # -- the connection --

    def connectionMade(self) -> None:
        """A client has connected."""
        transport: Any = self.transport
        self._plain = transport if isinstance(transport, Transport) else None
        self.secure = ISSLTransport.providedBy(transport)
        self.peer = getattr(transport.getPeer(), "host", None) or "-"
        if isinstance(transport.getPeer(), IPv4Address | IPv6Address) and hasattr(transport, "setTcpNoDelay"):
            transport.setTcpNoDelay(True)
        transport.registerProducer(self, True)
        self.site.opened(self)
        self._idle_since = self.site.now()
        self.deadline = self._idle_since + self.site.limits.idle

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone; whoever waits on it learns so."""
        self._closed = True
        self.deadline = None
        self.site.closed(self)
        request = self._request
        if request is not None:
            request.lost()
            request.body.fail(ClientGone())
        waiting, self._drained = self._drained, []
        for one in waiting:
            one.errback(ClientGone())

    @property
    def closed(self) -> bool:
        """Whether the connection is closing or gone."""
        return self._closed

    def let_go(self) -> None:
        """The daemon stops: close, unless a request is here, or arriving, or may be on its way."""
        if self._request is None and not self._received and not self._closed and not self._lingering:
            self.deadline = self._idle_since + GRACE_SECONDS
            if self.deadline <= self.site.now():
                self.close()

    def close(self) -> None:
        """Close once everything written has gone, or soon if the client does not take it."""
        self._closed = True
        self.deadline = self.site.now() + CLOSE_SECONDS
        self._detach_body()
        transport: Any = self.transport
        transport.unregisterProducer()
        transport.loseConnection()

    def abort(self) -> None:
        """Drop the connection now: what was promised cannot be kept."""
        self._closed = True
        transport: Any = self.transport
        transport.abortConnection()

    def progressed(self) -> None:
        """The client took bytes: it is not stalled."""
        if self.deadline is not None and not self._lingering:
            self.deadline = self.site.now() + self.site.limits.body_timeout

    def await_client(self) -> None:
        """From now on it is the client's turn to take bytes."""
        if not self._closed:
            self.deadline = self.site.now() + self.site.limits.body_timeout

    def send_in_thread(self, send: Callable[[], int]) -> Deferred[int]:
        """Run the transport's sending in a thread."""
        return self.site.blocking.send(send)

    def timed_out(self) -> None:
        """The deadline passed: a slow head, an idle connection, a stalled sender or receiver."""
        self.deadline = None
        request = self._request
        if self._lingering or self._closed:
            self.abort()
        elif request is None and not self._received:
            self.close()
        elif request is None:
            self._refuse(MalformedHttp(408, "the request's head did not arrive in time"))
        elif request.started:
            self.abort()
        else:
            request.body.fail(SlowClient())

    # -- reading --

    def dataReceived(self, data: bytes) -> None:
        """Bytes of a head, of a body, or ahead of their time."""
        if self._lingering:
            self._discard(len(data))
        elif self._closed:
            pass
        elif self._incoming is not None:
            self._incoming.receive(data)
        else:
            self._received += data
            if self._request is None:
                self._parse()
            if len(self._received) > EAGER and (self._request is not None or self._congested):
                self.pause_reading()

    def _parse(self) -> None:
        """Start the requests that have arrived, one after the other."""
        if self._parsing:
            return
        self._parsing = True
        try:
            while self._request is None and self._received and not self._congested and not self._closed:
                if not self._start_next():
                    break
        except MalformedHttp as error:
            self._refuse(error)
        finally:
            self._parsing = False

    def _start_next(self) -> bool:
        """Start one request; False if its head is not complete."""
        if self._received.startswith(b"\r\n"):
            del self._received[:2]  # RFC 9112, 2.2: one empty line before a request is ignored
        end = find_head(self._received, self.site.limits.header_size)
        if end < 0:
            if self._received and len(self._received) < self.site.limits.header_size:
                self._expect_head()
            return False
        head = parse_head(bytes(self._received[:end]))
        del self._received[:end]
        self._head_deadline = None
        self._begin(head)
        return True

    def _expect_head(self) -> None:
        """A head has begun: it must be complete soon, however slowly its bytes trickle."""
        if self._head_deadline is None:
            self._head_deadline = self.site.now() + self.site.limits.head_timeout
        self.deadline = self._head_deadline

    def _begin(self, head: Head) -> None:
        """Run the request of a complete head."""
        incoming = Incoming(self, self.site, head) if head.length != 0 else None
        body = incoming.body if incoming is not None else Inflow(self.site.buffers, None, 0)
        request = self._request = Request(self, head, body)
        self.deadline = None
        if incoming is not None:
            self._await_body(incoming)
        self.site.dispatch(request)

    def _await_body(self, incoming: Incoming) -> None:
        """Take what has come of the body; nothing more is read before the handler asks: refusing it costs nothing."""
        self._incoming = incoming
        if self._received:
            ahead, self._received = bytes(self._received), bytearray()
            incoming.receive(ahead)
        if not incoming.ended:
            if self._plain is not None:
                self._plain.sink = incoming
            self.pause_reading()

    # -- the end of a body, told by Incoming --

    def body_ended(self, rest: bytes) -> None:
        """The body is whole; `rest` came behind it."""
        self._received += rest
        self.deadline = None
        self._detach_body()
        self.resume_reading()

    def body_broken(self) -> None:
        """The body's framing is broken: nothing behind it can be understood."""
        if self._request is not None:
            self._request.persistent = False
        self._detach_body()
        self.pause_reading()

    def _detach_body(self) -> None:
        if self._incoming is not None:
            self._incoming.abandon()
            self._incoming = None
        if self._plain is not None:
            self._plain.sink = None

    # -- the transport's reading --

    def pause_reading(self) -> None:
        """Take nothing more from the client for now."""
        if self._reading:
            self._reading = False
            transport: Any = self.transport
            transport.pauseProducing()

    def resume_reading(self) -> None:
        """Go on taking what the client sends."""
        if not self._reading and not self._closed:
            self._reading = True
            transport: Any = self.transport
            transport.resumeProducing()

    @property
    def route(self) -> str | None:
        """What answers the present request, if there is one."""
        return None if self._request is None else self._request.route

    # -- writing, and the transport's back-pressure --

    def _write(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(data)

    def write(self, data: bytes) -> None:
        """Send bytes of the present request's answer."""
        if not self._closed:
            self.deadline = self.site.now() + self.site.limits.body_timeout
            self._write(data)

    def send_file(self, fd: int, offset: int, count: int) -> Deferred[None] | None:
        """Send a part of a file inside the kernel, or None where that is not possible."""
        if self._plain is None:
            return None
        self.deadline = self.site.now() + self.site.limits.body_timeout
        return self._plain.send_file(fd, offset, count)

    def drained(self) -> Deferred[None]:
        """Wait until the client has taken enough of what was written."""
        if not self._congested:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._drained.append(waiting)
        return waiting

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        self._congested = True

    def resumeProducing(self) -> None:
        """The transport's buffer is empty."""
        self._congested = False
        self.progressed()
        waiting, self._drained = self._drained, []
        for one in waiting:
            one.callback(None)
        if self._request is None:
            self.resume_reading()
            self._parse()

    def stopProducing(self) -> None:
        """The connection is ending; `connectionLost` follows."""

    # -- the end of a request --

    def answered(self, request: Request) -> None:
        """The answer has been written whole: take the next request, or end the connection."""
        request.body.close()
        self._request = None
        if self._closed:
            return
        if self._incoming is not None or not request.persistent:
            self._end(unread=self._refused or not request.body.complete)
            return
        self._idle_since = self.site.now()
        self.deadline = self._idle_since + (GRACE_SECONDS if self.site.stopping else self.site.limits.idle)
        self.resume_reading()
        if self._received:
            self._parse()

    def _refuse(self, error: MalformedHttp) -> None:
        """Answer what is no request, and end the connection."""
        line = bytes(self._received[:256]).split(b"\r\n")[0]
        head = Head(b"GET", b"/", b"HTTP/1.1", {}, 0, False, line)
        request = self._request = Request(self, head, Inflow(self.site.buffers, None, 0))
        request.persistent = False
        self._refused = True
        self._received.clear()
        self.site.refuse(request, error)

    def _end(self, unread: bool) -> None:
        """Close; but with bytes unread, a close would reset the connection and lose the answer."""
        self._received.clear()
        self._detach_body()
        if not unread:
            self.close()
            return
        self._lingering = LINGER_BYTES
        self.deadline = self.site.now() + LINGER_SECONDS
        self.resume_reading()
        transport: Any = self.transport
        if self._plain is not None:
            transport.loseWriteConnection()

    def _discard(self, count: int) -> None:
        self._lingering -= count
        if self._lingering <= 0:
            self.abort()
