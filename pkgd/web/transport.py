"""The server side of a TCP connection, for moving large bodies with few system calls.

Three things that `twisted.internet.tcp.Server` does not do:

- *write through*: with nothing queued, `write` tries `send(2)` at once and saves a reactor round;
- *receive into*: while a request's body arrives, bytes go straight into the body's buffer;
- *sendfile*: a file goes to the socket inside the kernel.

Installed by setting `port.transport`, so it also serves sockets that systemd opened. Under TLS the
channel sees the TLS protocol instead, and uses none of these.
"""

from __future__ import annotations

import os
from typing import Any, Protocol

from twisted.internet import main, tcp
from twisted.internet.defer import Deferred

from pkgd.errors import ClientGone, FailedStorage

__all__ = ["BodySink", "Transport"]

# One call per writable event keeps many clients fair; larger windows gain nothing.
WINDOW = 1 << 20


class BodySink(Protocol):
    """Where a body's bytes go while one arrives."""

    def body_room(self) -> memoryview | None:
        """Where to receive into, or None if the connection has just been paused."""

    def body_received(self, count: int) -> None:
        """`count` raw bytes now stand at the start of the room."""


class _FileSend:
    """A file on its way to the socket."""

    __slots__ = ("count", "done", "fd", "offset")

    def __init__(self, fd: int, offset: int, count: int) -> None:
        self.fd, self.offset, self.count = fd, offset, count
        self.done: Deferred[None] = Deferred()


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
        connection is lost, and with `FailedStorage` if the file ends early: then the connection
        must be dropped, so that the client sees a short body.
        """
        sending = _FileSend(fd, offset, count)
        if not self.connected or self.disconnecting:
            sending.done.errback(ClientGone())
            return sending.done
        self._sending = sending
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
        return self._send_window(self._sending)

    def _send_window(self, sending: _FileSend) -> Any:
        count = min(sending.count, WINDOW)
        if not _in_page_cache(sending.fd, sending.offset, count):
            self._read_ahead(sending, count)
            return None
        try:
            sent = os.sendfile(self.socket.fileno(), sending.fd, sending.offset, count)
        except BlockingIOError:
            return None
        except OSError as error:
            return main.CONNECTION_LOST if error.errno != 5 else self._finish_file(FailedStorage("read"))
        if not sent:
            return self._finish_file(FailedStorage("read: the file is shorter than it was"))
        sending.offset += sent
        sending.count -= sent
        self._progressed()
        return None if sending.count else self._finish_file(None)

    def _read_ahead(self, sending: _FileSend, count: int) -> None:
        """Bring a cold window into the page cache in a thread: sendfile would block the reactor."""
        self.stopWriting()

        def go_on(_: object) -> None:
            if self._sending is sending and self.connected:
                self.startWriting()

        channel: Any = self.protocol
        channel.read_ahead(sending.fd, sending.offset, count).addBoth(go_on)

    def _finish_file(self, error: Exception | None) -> None:
        sending, self._sending = self._sending, None
        assert sending is not None
        self.stopWriting()
        if error is None:
            sending.done.callback(None)
        else:
            sending.done.errback(error)

    def _progressed(self) -> None:
        progressed = getattr(self.protocol, "progressed", None)
        if progressed is not None:
            progressed()

    def connectionLost(self, reason: Any) -> None:
        """End a file on its way, then as usual."""
        self.sink = None
        super().connectionLost(reason)
        if self._sending is not None:
            self._finish_lost()

    def _finish_lost(self) -> None:
        sending, self._sending = self._sending, None
        assert sending is not None
        sending.done.errback(ClientGone())


def _in_page_cache(fd: int, offset: int, count: int) -> bool:
    """Whether the first and the last page of a window can be read without waiting for the disk."""
    probe = [bytearray(1)]
    try:
        os.preadv(fd, probe, offset, os.RWF_NOWAIT)
        os.preadv(fd, probe, offset + count - 1, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True  # the file system cannot tell
    return True
