"""One request: its head, its body as an Inflow, and the few ways to answer it.

It is a `twisted.web.server.Request`, so that Klein can serve it, but cheap to make: what only Klein
needs comes to be in `for_klein`. The answer is written by `pkgd.web.respond` alone, through `send`,
`write_body` and `finish`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.web import server
from twisted.web.http import RESPONSES
from twisted.web.http_headers import Headers

from pkgd.errors import ClientGone
from pkgd.flow import Inflow
from pkgd.web.head import Head

if TYPE_CHECKING:
    from pkgd.web.channel import Channel

__all__ = ["CLIENT_GONE", "Request"]

# Status 499 is nginx's word for "the client closed the connection before the answer".
CLIENT_GONE = 499

_REASONS = {
    **RESPONSES,
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    508: b"Loop Detected",
}
_STATUS_LINES = {status: b"HTTP/1.1 %d %b\r\n" % (status, reason) for status, reason in _REASONS.items()}
_BODILESS = frozenset([204, 304])


class Request(server.Request):
    """See the module.

    `head` is what arrived, `body` the Inflow; `status` and `sent` (bytes of body) say what went out;
    `persistent` whether the connection may live on; `user_name` who has sent it, once the gate knows;
    `route` what answers, in a word that no client chooses; `began` when the head was there, and
    `answered` when an answer in parts began, 0 if it has not, or comes whole.
    """

    # Klein and twisted.web read these; ours are set in __init__ or for_klein.
    defaultContentType = None

    def __init__(self, channel: Channel, head: Head, body: Inflow) -> None:  # pylint: disable=super-init-not-called
        self.channel: Any = channel
        self.site: Any = channel.site
        self.head = head
        self.body = body
        self.method = head.method
        self.uri = head.target
        self.path = head.target.partition(b"?")[0]
        self.clientproto = head.version
        self.persistent = head.persistent
        self.user_name: str | None = None
        self.route = "none"
        self.began: float = channel.site.now()
        self.status = 0
        self.sent = 0
        self.started = False
        self.answered = 0.0
        self.gone = False
        self.notifications = []
        self._id: str | None = None
        self._done = False

    def header(self, name: bytes) -> str | None:
        """A request header by its lower-case name, decoded as Latin-1, or None."""
        value = self.head.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def id(self) -> str:
        """What it is called, in the access log and in its answer."""
        if self._id is None:
            self._id = self.site.name_of(self)
        return self._id

    # -- the answer --

    def send(self, status: int, headers: bytes, body: bytes = b"", length: int | None = None) -> None:
        """Write the status line, `headers` (each line ended by CRLF) and what there is of the body.

        :param length: the whole body's length where `body` is not all of it; HEAD gives it too.
        """
        if self.gone or self.started:
            return
        self.started = True
        if length is not None:
            self.answered = self.site.now()
        self.status = status
        parts = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status, self.site.common_headers(), headers]
        if self.site.names_requests:
            parts.append(b"X-Request-Id: %b\r\n" % self.id.encode("ascii"))
        if status not in _BODILESS:
            parts.append(b"Content-Length: %d\r\n" % (len(body) if length is None else length))
        if not self.persistent or not self.body.complete or self.site.stopping:
            # Also when the body has not been read: what is left of it must not pass for a request.
            self.persistent = False
            parts.append(b"Connection: close\r\n")
        parts.append(b"\r\n")
        if self.method != b"HEAD" and status not in _BODILESS:
            parts.append(body)
            self.sent += len(body)
        self.channel.write(b"".join(parts))

    def write_body(self, data: bytes) -> None:
        """Write more of the body announced by `send`."""
        self.sent += len(data)
        self.channel.write(data)

    async def send_file(self, fd: int, offset: int, count: int) -> bool:
        """Send a part of a file inside the kernel; False where the connection cannot.

        :raises ClientGone: if the client leaves before the end.
        """
        if self.gone:
            raise ClientGone()
        sending = self.channel.send_file(fd, offset, count)
        if sending is None:
            return False
        await sending
        self.sent += count
        return True

    def suspend_deadline(self) -> None:
        """What comes next is waited for by us: the client is not to be cut for being idle meanwhile."""
        self.channel.deadline = None

    def resume_deadline(self) -> None:
        """There is something to be sent: from here on the client must take it."""
        self.channel.await_client()

    async def drained(self) -> None:
        """Wait until the client has taken enough of what was written.

        :raises ClientGone: if it leaves instead.
        """
        if self.gone:
            raise ClientGone()
        await self.channel.drained()

    def finish(self) -> None:
        """The answer is complete. May be called again, then does nothing."""
        if self._done:
            self.body.close()  # the client had left; now its body is done with, too
            return
        self._done = True
        self.site.log_access(self)
        channel = self.channel
        waiting, self.notifications = self.notifications, []
        for one in waiting:
            one.callback(None)
        channel.answered(self)

    def abort(self) -> None:
        """Drop the connection: the client must not take what it has for the whole answer.

        The body is done with, too, also where the client has left before.
        """
        self.body.close()
        if not self._done:
            self.channel.abort()

    def lost(self) -> None:
        """The connection is gone."""
        self.gone = True
        if self._done:
            return
        self._done = True
        self.status = self.status or CLIENT_GONE
        self.site.log_access(self)

    # -- what Klein needs --

    def for_klein(self) -> Request:
        """Set what only Klein's routing reads, and return self."""
        transport: Any = self.channel.transport
        self.client = transport.getPeer()
        self.host = transport.getHost()
        self.transport = transport
        self.requestHeaders = Headers({name: [value] for name, value in self.head.headers.items()})
        self.responseHeaders = Headers()
        self.cookies = []
        self.received_cookies = {}
        self.args = {}
        self.prepath = []
        self.postpath = self.path[1:].split(b"/")
        self._adapterCache = {}
        return self

    def isSecure(self) -> bool:
        """Whether the request came through TLS."""
        return bool(self.channel.secure)

    def notifyFinish(self) -> Deferred[None]:
        """A Deferred for the end of the answer.

        It does not fire for a client that leaves, for Klein would then cancel the handler, be it in
        the middle of a commit; the handler learns of it from its next read or send.
        """
        waiting: Deferred[None] = Deferred()
        self.notifications.append(waiting)
        return waiting
