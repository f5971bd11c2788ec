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

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IPushProducer, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from pkgd.errors import ClientGone, MalformedHttp, SlowClient
from pkgd.flow import Inflow
from pkgd.web.body import Decoder, decoder_for
from pkgd.web.head import Head, find_head, parse_head
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
# The slowest body that is waited for, in bytes a second, and for how long it may be slower.
MIN_RATE = 1024.0
RATE_GRACE = 60.0


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
        self._decoder: Decoder | None = None
        self._overflow: memoryview | None = None
        self._parsing = False
        self._congested = False
        self._drained: list[Deferred[None]] = []
        self._lingering = 0
        self._closed = False
        self._reading = True
        self._continue = False
        self._refused = False
        self._head_deadline: float | None = None
        self._rate_since = 0.0
        self._rate_bytes = 0

    # -- the connection --

    def connectionMade(self) -> None:
        """A client has connected."""
        transport: Any = self.transport
        self._plain = transport if isinstance(transport, Transport) else None
        self.secure = ISSLTransport.providedBy(transport)
        self.peer = getattr(transport.getPeer(), "host", None) or "-"
        if hasattr(transport, "setTcpNoDelay"):
            transport.setTcpNoDelay(True)
        transport.registerProducer(self, True)
        self.site.opened(self)
        self.deadline = self.site.now() + self.site.limits.idle

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
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return self._request is None

    def close(self) -> None:
        """Close once everything written has gone, or soon if the client does not take it."""
        self._closed = True
        self.deadline = self.site.now() + CLOSE_SECONDS
        self._detach_sink()
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
        elif self._overflow is not None:
            # TLS delivers what it has decrypted although reading is paused.
            self._overflow = memoryview(bytes(self._overflow) + data)
        elif self._decoder is not None:
            self._copy_body(memoryview(data))
        else:
            self._received += data
            if self._request is None:
                self._parse()
            if len(self._received) > EAGER and (self._request is not None or self._congested):
                self._pause_reading()

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
        body = Inflow(self.site.buffers, self, head.length)
        request = self._request = Request(self, head, body)
        self.deadline = None
        self._continue = head.expects_continue and head.length != 0
        if head.length != 0:
            self._decoder = decoder_for(head.length)
            if self._received:
                ahead, self._received = memoryview(bytes(self._received)), bytearray()
                self._copy_body(ahead)
            if self._decoder is not None and self._plain is not None:
                self._plain.sink = self
            if self._decoder is not None:
                # Nothing is read before the handler asks: a refused body costs nothing.
                self._pause_reading()
        self.site.dispatch(request)

    # -- the body, as the Inflow's source and the transport's sink --

    def body_room(self) -> memoryview | None:
        """Where the transport may receive into."""
        assert self._request is not None
        return self._request.body.room()

    def body_received(self, count: int) -> None:
        """The transport received raw bytes into the room."""
        assert self._request is not None
        room = self._request.body.room()
        assert room is not None
        self._decode(room[:count])

    def _copy_body(self, data: memoryview) -> bool:
        """Bytes that came with the head, or through TLS: copy them into the body's buffers.

        Returns whether more of the body can be taken: there was room, and it has not ended.
        """
        while data and self._decoder is not None and self._request is not None:
            room = self._request.body.room()
            if room is None:
                self._overflow = data
                return False
            count = min(len(room), len(data))
            room[:count] = data[:count]
            data = data[count:]
            if self._decode(room[:count], data):
                return False
        return self._decoder is not None

    def _decode(self, view: memoryview, behind: bytes | memoryview = b"") -> bool:
        """Decode raw bytes in place and pass the payload on; True at the end of the body.

        :param behind: what has arrived behind `view`.
        """
        decoder, request = self._decoder, self._request
        assert decoder is not None
        assert request is not None
        if self.deadline is not None:
            self._expect_body(len(view))
        try:
            payload = decoder.decode(view)
        except MalformedHttp as error:
            request.body.fail(error)
            self._decoder = None
            request.persistent = False
            self._detach_sink()
            self._pause_reading()
            return True
        request.body.filled(payload)
        if not decoder.done:
            return False
        self._decoder = None
        self._received += decoder.rest
        self._received += behind
        self.deadline = None
        self._detach_sink()
        self._resume_reading()
        # Last: this may run the handler to its answer, and the next request after it.
        request.body.end()
        return True

    def body_wanted(self) -> None:
        """The handler asks for the body: say so to a client that waits for `100 Continue`."""
        if self._closed or self._decoder is None:
            return
        if self._continue:
            self._continue = False
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.resume_body()

    def pause_body(self) -> None:
        """No room: stop reading, and stop the clock, for the delay is ours."""
        self.deadline = None
        self._pause_reading()

    def resume_body(self) -> None:
        """There is room: go on, with what was left over first."""
        if self._closed or self._decoder is None:
            return
        left, self._overflow = self._overflow, None
        if left is not None and not self._copy_body(left):
            return
        self._rate_since, self._rate_bytes = self.site.now(), 0
        self._expect_body(0)
        self._resume_reading()

    def _expect_body(self, count: int) -> None:
        """`count` bytes have come: more must come before the timeout, and not at a trickle for ever."""
        self._rate_bytes += count
        by_rate = self._rate_since + RATE_GRACE + self._rate_bytes / MIN_RATE
        self.deadline = min(self.site.now() + self.site.limits.body_timeout, by_rate)

    def _detach_sink(self) -> None:
        if self._plain is not None:
            self._plain.sink = None

    def _pause_reading(self) -> None:
        if self._reading:
            self._reading = False
            transport: Any = self.transport
            transport.pauseProducing()

    def _resume_reading(self) -> None:
        if not self._reading and not self._closed:
            self._reading = True
            transport: Any = self.transport
            transport.resumeProducing()

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
            self._resume_reading()
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
        if self._decoder is not None or not request.persistent or self.site.stopping:
            self._end(unread=self._refused or not request.body.complete)
            return
        self.deadline = self.site.now() + self.site.limits.idle
        self._resume_reading()
        if self._received:
            self._parse()

    def _refuse(self, error: MalformedHttp) -> None:
        """Answer what is no request, and end the connection."""
        line = bytes(self._received[:256]).split(b"\r\n")[0]
        head = Head(b"GET", b"/", b"HTTP/1.1", {}, 0, False, line)
        request = self._request = Request(self, head, Inflow(self.site.buffers, self, 0))
        request.persistent = False
        self._refused = True
        self._received.clear()
        self.site.refuse(request, error)

    def _end(self, unread: bool) -> None:
        """Close; but with bytes unread, a close would reset the connection and lose the answer."""
        self._received.clear()
        self._decoder = self._overflow = None
        self._detach_sink()
        if not unread:
            self.close()
            return
        self._lingering = LINGER_BYTES
        self.deadline = self.site.now() + LINGER_SECONDS
        self._resume_reading()
        transport: Any = self.transport
        if self._plain is not None:
            transport.loseWriteConnection()

    def _discard(self, count: int) -> None:
        self._lingering -= count
        if self._lingering <= 0:
            self.abort()
