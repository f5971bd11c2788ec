"""A blob that cannot be kept, for want of space: from its upstream straight to one client, verified all the same."""

from __future__ import annotations

from pkgd.blocking import Blocking
from pkgd.errors import FailedStorage, UpstreamCorrupt, UpstreamUnavailable
from pkgd.formats.digest import Digest, hasher
from pkgd.mirror.upstream import Stream

__all__ = ["Passthrough"]


class Passthrough:
    """Implements `Reader` for one reading from front to back. Holds one piece; owns the stream."""

    def __init__(self, stream: Stream, host: str, digest: Digest, size: int, blocking: Blocking) -> None:
        self.size = size
        self._stream = stream
        self._host = host
        self._digest = digest
        self._blocking = blocking
        self._hash = hasher(digest.algorithm)
        self._received = 0
        # The piece that may be read, and where it starts; the last byte received is withheld.
        self._piece = b""
        self._start = 0
        self._withheld = b""

    def fileno(self) -> int | None:
        """There is none."""
        return None

    async def available(self, offset: int) -> int:
        """See `Reader.available`. What is before `offset` is dropped."""
        while self._start + len(self._piece) <= offset:
            await self._next()
        return self._start + len(self._piece)

    def read_at(self, offset: int, size: int) -> bytes:
        """See `Reader.read_at`; only what has just become available."""
        if offset < self._start:
            raise FailedStorage("read of what has passed already")
        return self._piece[offset - self._start : offset - self._start + size]

    def close(self) -> None:
        """See `Reader.close`."""
        self._stream.close()

    async def _next(self) -> None:
        """Let the next piece in.

        :raises Upstream: if there is none, or it makes the whole wrong.
        """
        piece = bytes(await self._stream.answer.body.read())
        self._received += len(piece)
        if self._received > self.size:
            raise UpstreamCorrupt(self._host, "sends more than it announced")
        self._start += len(self._piece)
        if piece:
            await self._blocking.work(self._hash.update, piece)
            arrived = self._withheld + piece
            self._piece, self._withheld = arrived[:-1], arrived[-1:]
            return
        if self._received < self.size:
            raise UpstreamUnavailable(self._host, "closed the connection early")
        if self._hash.hexdigest() != self._digest.encoded:
            raise UpstreamCorrupt(self._host, f"sends other bytes than those of {self._digest}")
        self._piece, self._withheld = self._withheld, b""
        if not self._piece:
            raise FailedStorage("read behind the end")
