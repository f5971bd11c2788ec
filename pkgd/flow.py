"""How the bytes of a request's body travel: from the socket, through one bounded pool of buffers.

An `Inflow` holds at most two buffers: the one its reader works on and the one that is being filled.
A connection that can get no buffer stops reading from its socket. That is the whole back-pressure,
and what makes memory independent of the size and the number of uploads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred

from pkgd.errors import TooLarge

__all__ = ["BufferPool", "Inflow", "Source"]


class BufferPool:
    """Buffers of one size, made on first use, at most `count` of them, lent in order of asking."""

    def __init__(self, size: int = 1 << 20, count: int = 48) -> None:
        self.size = size
        self._free: list[memoryview] = []
        self._count = count
        self._unmade = count
        self._waiting: dict[Callable[[], None], None] = {}

    def take(self) -> memoryview | None:
        """Borrow a buffer, or None if all are lent."""
        if self._free:
            return self._free.pop()
        if self._unmade:
            self._unmade -= 1
            return memoryview(bytearray(self.size))
        return None

    def when_free(self, call: Callable[[], None]) -> None:
        """Call once, as soon as a buffer has come back."""
        self._waiting[call] = None

    def forget(self, call: Callable[[], None]) -> None:
        """Do not call after all."""
        self._waiting.pop(call, None)

    def give(self, buffer: memoryview) -> None:
        """Return a buffer."""
        self._free.append(buffer)
        idle = len(self._free) + self._unmade == self._count
        # One that is woken may find that its client has gone and take nothing, so as many are
        # woken as there are free buffers, and all once none is lent: nobody waits for ever.
        for call in list(self._waiting) if idle else list(self._waiting)[: len(self._free)]:
            self.forget(call)
            call()


class Source(Protocol):
    """What an Inflow's bytes come from: a channel, or a test."""

    def pause_body(self) -> None:
        """Stop delivering: there is no room."""

    def resume_body(self) -> None:
        """There is room again."""

    def body_wanted(self) -> None:
        """The reader asks for bytes for the first time."""


class Inflow:
    """The decoded body of one request, as a stream.

    The reader's side is `read` and `read_all`. The channel's side is `room`, `filled`, `end` and
    `fail`: ask for room, put bytes at its start, say how many.

    :param source: where the bytes come from; None for a request without a body.
    :param length: what Content-Length says, or None for a chunked body.
    """

    def __init__(self, pool: BufferPool, source: Source | None, length: int | None) -> None:
        self.length = length
        self.received = 0
        self.limit: int | None = None
        self.complete = length == 0
        self._pool = pool
        self._source = source
        self._filling: memoryview | None = None
        self._fill = 0
        self._lent: memoryview | None = None
        self._waiting: Deferred[None] | None = None
        self._failure: Exception | None = None
        self._wanted = False
        self._paused = False

    # -- the reader's side --

    async def read(self) -> memoryview:
        """Wait for bytes and return what has arrived; empty at the end of the body.

        The view is valid until the next call of `read` or `close`.

        :raises ClientGone: if the connection is lost before the end.
        :raises SlowClient: if nothing arrives for too long.
        :raises TooLarge: if the body exceeds `limit`.
        """
        self._return_lent()
        if not self._wanted:
            self._wanted = True
            if not self.complete:
                self._origin().body_wanted()
        if not self._fill and not self.complete and self._failure is None:
            self._waiting = Deferred()
            await self._waiting
        if self._fill:
            return self._lend()
        if self._failure is not None:
            raise self._failure
        return memoryview(b"")

    async def read_all(self, limit: int) -> bytes:
        """Read the whole body into memory.

        :raises TooLarge: if it has more than `limit` bytes; nothing beyond that is kept.
        """
        self.set_limit(limit)
        parts: list[bytes] = []
        while piece := await self.read():
            parts.append(bytes(piece))
        return b"".join(parts)

    def set_limit(self, limit: int) -> None:
        """Refuse a body of more than `limit` bytes.

        :raises TooLarge: at once, if Content-Length or what has arrived already exceeds it.
        """
        self.limit = limit
        if max(self.length or 0, self.received) > limit:
            raise TooLarge(limit)

    def close(self) -> None:
        """Give the buffers back; the reader is done, whether or not the body is."""
        self._return_lent()
        self._pool.forget(self._resume)
        if self._filling is not None:
            self._pool.give(self._filling)
            self._filling, self._fill = None, 0

    def _lend(self) -> memoryview:
        """Hand the filled buffer to the reader, and let the channel fill another."""
        assert self._filling is not None
        self._lent, size = self._filling, self._fill
        self._filling, self._fill = None, 0
        self._resume()
        return self._lent[:size]

    def _return_lent(self) -> None:
        """Give back what the reader has worked on."""
        if self._lent is not None:
            lent, self._lent = self._lent, None
            self._pool.give(lent)

    # -- the channel's side --

    def room(self) -> memoryview | None:
        """Where the next bytes may be put, or None: then `Source.resume_body` comes later."""
        if self._filling is None:
            self._filling = self._pool.take()
            if self._filling is None:
                self._pause()
                self._pool.when_free(self._resume)
                return None
        if self._fill == len(self._filling):
            self._pause()
            return None
        return self._filling[self._fill :]

    def filled(self, count: int) -> None:
        """`count` payload bytes now stand at the start of the last `room`."""
        self._fill += count
        self.received += count
        if self.limit is not None and self.received > self.limit:
            self._fill = 0
            self.fail(TooLarge(self.limit))
            return
        if not self._fill and self._filling is not None:
            self._pool.give(self._filling)
            self._filling = None
        if self._fill:
            self._wake()

    def end(self) -> None:
        """The body is complete."""
        self.complete = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """No more will come: the connection is lost, or the body breaks a rule.

        What has arrived before is still delivered, so that an upload's offset is exact.
        """
        if self.complete or self._failure is not None:
            return
        self._failure = error
        self._wake()

    def _origin(self) -> Source:
        assert self._source is not None, "a request without a body has no source"
        return self._source

    def _wake(self) -> None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._origin().pause_body()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._origin().resume_body()
