"""The server side of a TCP connection, for moving large bodies with few system calls.

Three things that `twisted.internet.tcp.Server` does not do:

- *write through*: with nothing queued, `write` tries `send(2)` at once and saves a reactor round;
- *receive into*: while a request's body arrives, bytes go straight into the body's buffer;
- *sendfile*: a file goes to the socket inside the kernel, and in a thread: what is not in the page
  cache delays nobody else, and several clients are served by several cores.

Installed by setting `port.transport`, so it also serves sockets that systemd opened. Under TLS the
channel sees the TLS protocol instead, and uses none of these.
"""

from __future__ import annotations

import errno
import os
import select
import time
from typing import Any, Protocol

from twisted.internet import main, tcp
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from pkgd.errors import ClientGone, FailedStorage

__all__ = ["BodySink", "Transport"]

# What one thread hop sends at most, and how long it takes at most where the disk is slow: enough to be
# worth the hop, and little enough for others' turn.
WINDOW = 32 << 20
TURN_SECONDS = 0.1
# How long a thread waits for a client whose socket is full, in milliseconds.
PATIENCE_MS = 4


class BodySink(Protocol):
    """Where a body's bytes go while one arrives."""

    def body_room(self) -> memoryview | None:
        """Where to receive into, or None if the connection has just been paused."""

    def body_received(self, count: int) -> None:
        """`count` raw bytes now stand at the start of the room."""


class _FileSend:
    """A file on its way to the socket.

    Threads send on a duplicate of the socket's descriptor: when the connection is lost, its own
    number may be another connection's at once.
    """

    __slots__ = ("count", "done", "fd", "offset", "out", "sending")

    def __init__(self, out: int, fd: int, offset: int, count: int) -> None:
        self.out, self.fd, self.offset, self.count = os.dup(out), fd, offset, count
        self.sending = False
        self.done: Deferred[None] = Deferred()

    def send(self) -> int:
        """Send a window, or less if the client does not keep up; returns how many bytes went. Blocks on the disk.

        :raises OSError: if the connection is lost or the file cannot be read.
        :raises FailedStorage: if the file is shorter than it was.
        """
        left = window = min(self.count, WINDOW)
        end = time.monotonic() + TURN_SECONDS
        while left and time.monotonic() < end:
            try:
                sent = os.sendfile(self.out, self.fd, self.offset, left)
            except BlockingIOError:
                if not self._client_takes_more():
                    break
                continue
            if not sent:
                raise FailedStorage("read: the file is shorter than it was")
            self.offset += sent
            self.count -= sent
            left -= sent
        return window - left

    def _client_takes_more(self) -> bool:
        """Wait a moment: a fast client is worth keeping the thread, a slow one is left to the reactor."""
        poll = select.poll()
        poll.register(self.out, select.POLLOUT)
        return bool(poll.poll(PATIENCE_MS))


class Transport(tcp.Server):
    """See the module."""

    # Set by the channel while a body arrives.
    sink: BodySink | None = None
    _sending: _FileSend | None = None

    # -- reading --

    def doRead(self) -> Any:
        """Receive: into the body's buffer if there is one, else as usual."""
        sink = self.sink
        if sink is None:
            return super().doRead()
        room = sink.body_room()
        if room is None:
            return None
        try:
            count = self.socket.recv_into(room)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if not count:
            return main.CONNECTION_DONE
        sink.body_received(count)
        return None

    # -- writing --

    def write(self, data: bytes) -> None:
        """Send at once what the socket takes, and queue the rest."""
        if (
            self._tempDataBuffer
            or self.dataBuffer
            or self._sending is not None
            or not self.connected
            or self.disconnecting
            or self.TLS
        ):
            tcp.Server.write(self, data)
            return
        try:
            sent = self.socket.send(data)
        except OSError:
            sent = 0  # would block, or an error that the queued write will report
        if sent < len(data):
            tcp.Server.write(self, data[sent:] if sent else data)

    def send_file(self, fd: int, offset: int, count: int) -> Deferred[None]:
        """Send `count` bytes of a file, after everything written so far.

        The caller keeps `fd` open until the Deferred fires. It fails with `ClientGone` if the
        connection is lost, and with `FailedStorage` if the file ends early or cannot be read: then
        the connection must be dropped, so that the client sees a short body.
        """
        if not self.connected or self.disconnecting:
            return fail(ClientGone())
        sending = self._sending = _FileSend(self.fileno(), fd, offset, count)
        self.startWriting()
        return sending.done

    def doWrite(self) -> Any:
        """Send queued bytes first, then a window of the file."""
        if self._tempDataBuffer or self.dataBuffer or self._sending is None:
            result = tcp.Server.doWrite(self)
            if result is None:
                self._progressed()
                if self._sending is not None:
                    self.startWriting()
            return result
        self._send_window(self._sending)
        return None

    def _send_window(self, sending: _FileSend) -> None:
        """Let a thread send: a file that is not in the page cache would block the reactor."""
        self.stopWriting()
        channel: Any = self.protocol
        sending.sending = True
        channel.send_in_thread(sending.send).addBoth(self._sent_window, sending)

    def _sent_window(self, result: int | Failure, sending: _FileSend) -> None:
        sending.sending = False
        if self._sending is not sending:
            self._finish(sending, ClientGone())  # lost meanwhile
        elif isinstance(result, Failure):
            self._sending = None
            failed = result.check(FailedStorage) or getattr(result.value, "errno", None) == errno.EIO
            if not failed:
                self.abortConnection()
            self._finish(sending, FailedStorage("read") if failed else ClientGone())
        else:
            if result:
                self._progressed()
            if sending.count:
                self.startWriting()
            else:
                self._sending = None
                self._finish(sending, None)

    def _finish(self, sending: _FileSend, error: Exception | None) -> None:
        os.close(sending.out)
        if error is None:
            sending.done.callback(None)
        else:
            sending.done.errback(error)

    def _progressed(self) -> None:
        # Under TLS the channel stands behind the protocol that encrypts.
        channel = getattr(self.protocol, "wrappedProtocol", self.protocol)
        progressed = getattr(channel, "progressed", None)
        if progressed is not None:
            progressed()

    def connectionLost(self, reason: Any) -> None:
        """End a file on its way; if a thread is sending it, once that has returned."""
        self.sink = None
        sending, self._sending = self._sending, None
        super().connectionLost(reason)
        if sending is not None and not sending.sending:
            self._finish(sending, ClientGone())
