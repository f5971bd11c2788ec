"""One blob on its way from an upstream: written to the spool, and followed there by any number of readers.

    asked -> flowing -> verified -> kept
       \\________\\________\\___ failed: every reader's connection is dropped, nothing is kept

The one fetch belongs to nobody: a reader that leaves changes nothing. Readers see what has been
written, and the last byte only once the digest is right. A cut is mended by a Range request to the
same endpoint, then the next one goes on from there.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from pkgd.blocking import Blocking
from pkgd.errors import FailedStorage, UpstreamCorrupt, UpstreamUnavailable
from pkgd.formats.digest import Digest
from pkgd.mirror.upstream import Stream
from pkgd.storage.reader import LocalReader
from pkgd.storage.spool import Spool
from pkgd.storage.staged import StagedFile
from pkgd.storage.staging import store_piece

__all__ = ["Fill", "FillReader", "total_size"]

# Readers that wait are woken at once while little has come, and then at most so often, in seconds.
WAKE_SECONDS = 0.02
PROMPT_BYTES = 1 << 20
# So often what has arrived is sent to the disk, so that keeping it takes no time at the end.
FLUSH_BYTES = 64 << 20
# Room is made for so much at a time, where the upstream does not tell how much it will be.
STEP_BYTES = 8 << 20

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


def total_size(stream: Stream, host: str, start: int) -> tuple[int | None, int]:
    """The whole blob's size as an answer states it, and at which byte the answer begins.

    :param start: the byte that was asked for.
    :raises UpstreamCorrupt: if the answer is another part than that, or than all.
    """
    answer = stream.answer
    if answer.status == 200:
        return answer.length, 0
    match = _CONTENT_RANGE.fullmatch((answer.header("content-range") or "").strip())
    if not start or match is None or int(match[1]) != start or int(match[2]) + 1 != int(match[3]):
        raise UpstreamCorrupt(host, "answers with another part than was asked for")
    return int(match[3]), start


class Fill:
    """See the module. `pour` is called for one endpoint's answer after the other, then `verify`, then `close`."""

    def __init__(
        self,
        digest: Digest,
        spool: Spool,
        blocking: Blocking,
        clock: IReactorTime,
        make_room: Callable[[int], Awaitable[None]],
    ) -> None:
        """
        :param make_room: makes room for so many bytes, or raises `NoSpace`.
        """
        self.digest = digest
        self.size: int | None = None
        self.file: StagedFile | None = None
        self.failure: Exception | None = None
        self._spool = spool
        self._blocking = blocking
        self._clock = clock
        self._make_room = make_room
        self._room = 0
        self._verified = False
        self._reader: LocalReader | None = None
        self._readers = 0
        self._closed = False
        self._waiting: list[Deferred[None]] = []
        self._waking = False
        self._stream: Stream | None = None
        self._flush_at = FLUSH_BYTES
        self._flushing: Deferred[None] | None = None

    @property
    def received(self) -> int:
        """How many bytes have been written."""
        return 0 if self.file is None else self.file.size

    # -- the fetch's side --

    async def pour(self, stream: Stream, host: str) -> None:
        """Take one answer's body; what is there already is skipped.

        :raises UpstreamUnavailable: if it is cut; what has come is kept.
        :raises UpstreamCorrupt: if it is too long, or of another size than before.
        :raises Storage: if it cannot be written.
        """
        total, position = total_size(stream, host, self.received)
        await self._expect(total, host)
        self._stream = stream
        try:
            self._check()
            while piece := await stream.answer.body.read():
                self._check()
                skipped = min(max(self.received - position, 0), len(piece))
                position += len(piece)
                if self.size is not None and position > self.size:
                    raise UpstreamCorrupt(host, "sends more than it announced")
                if skipped < len(piece):
                    await self._take(piece[skipped:])
        finally:
            self._stream = None
        if self.size is not None and self.received < self.size:
            raise UpstreamUnavailable(host, "closed the connection early")

    async def _expect(self, total: int | None, host: str) -> None:
        """Note the size that an answer states, if it does; with the first answer, begin."""
        if total == 0 and self.digest != Digest.of(b"", self.digest.algorithm):
            raise UpstreamCorrupt(host, f"sends nothing for {self.digest}")
        if self.file is None:
            await self._begin(total)
        elif total is None or total == self.size:
            pass
        elif self.size is None and total >= self.received:
            self.size = total
            self._wake()
        else:
            raise UpstreamCorrupt(host, "states another size than before")

    async def _begin(self, size: int | None) -> None:
        """The upstream has answered: make the file, and let readers begin.

        :raises Storage: if there can be no file.
        """
        await self._grow(STEP_BYTES if size is None else size)
        self.file = await self._blocking.disk(self._spool.create_fill, self.digest.algorithm)
        self._reader = await self._blocking.disk(self._spool.read_fill, self.file, size or 0)
        self.size = size
        self._wake()

    async def _grow(self, size: int) -> None:
        await self._make_room(size)
        self._room += size

    async def _take(self, piece: memoryview) -> None:
        assert self.file is not None
        if self.received + len(piece) > self._room:
            await self._grow(STEP_BYTES)
        await store_piece(self._blocking, self.file, piece)
        if self.received <= PROMPT_BYTES:
            self._wake()
        elif not self._waking:
            self._waking = True
            self._clock.callLater(WAKE_SECONDS, self._wake_waiting)
        if self.received >= self._flush_at and self._flushing is None:
            self._flush_at = self.received + FLUSH_BYTES
            self._flushing = self._blocking.disk(self.file.flush)
            self._flushing.addBoth(lambda _: setattr(self, "_flushing", None))

    async def _flushed(self) -> None:
        """Wait for a flush under way: the file must not be closed beneath it."""
        if self._flushing is not None:
            flushed: Deferred[None] = Deferred()
            self._flushing.addBoth(lambda _: flushed.callback(None))
            await flushed

    async def verify(self, host: str) -> StagedFile:
        """All has come: if it is what it should be, let readers have the last byte.

        :raises UpstreamCorrupt: if it has another digest.
        """
        assert self.file is not None
        actual = await self._blocking.work(self.file.digest, self.digest.algorithm)
        if actual != self.digest:
            raise UpstreamCorrupt(host, f"sends other bytes than those of {self.digest}")
        self._check()
        self.size = self.received
        self._verified = True
        self._wake()
        await self._flushed()
        return self.file

    def fail(self, error: Exception) -> None:
        """Nothing more will come."""
        if self.failure is None and not self._verified:
            self.failure = error
            if self._stream is not None:
                self._stream.answer.body.fail(error)
            self._wake()

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def close(self) -> None:
        """The fetch is over. What is left in the spool goes; readers keep what they have.

        :raises Storage: if something is left all the same.
        """
        await self._flushed()
        self._closed = True
        self._release()
        if self.file is not None:
            await self._blocking.disk(self._spool.remove_fill, self.file)

    # -- the readers' side --

    async def reader(self) -> FillReader:
        """A reader, as soon as the size is known.

        :raises PkgdError: if the upstream does not deliver.
        """
        while self.failure is None and self.size is None:
            await self._changed()
        self._check()
        assert self.size is not None
        if self._reader is None:
            raise FailedStorage("read of a closed file")
        self._readers += 1
        return FillReader(self, self._reader, self.size)

    async def until(self, offset: int) -> int:
        """Where the bytes that may be read end, as soon as that is behind `offset`.

        :raises PkgdError: if the fetch fails before.
        """
        while self._readable() <= offset:
            self._check()
            await self._changed()
        return self._readable()

    def left(self) -> None:
        """A reader has left."""
        self._readers -= 1
        self._release()

    def _readable(self) -> int:
        if self._verified or self.size is None:
            return self.received
        return min(self.received, self.size - 1)

    def _release(self) -> None:
        """Close the descriptor once nobody needs it; in a thread, for the last close of a large file takes time."""
        if self._closed and not self._readers and self._reader is not None:
            reader, self._reader = self._reader, None
            self._blocking.disk(reader.close)

    async def _changed(self) -> None:
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        await waiting

    def _wake_waiting(self) -> None:
        self._waking = False
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)


class FillReader:
    """Implements `Reader` for a blob that is still arriving. All readers of a fill share one descriptor."""

    def __init__(self, fill: Fill, file: LocalReader, size: int) -> None:
        self.size = size
        self._fill: Fill | None = fill
        self._file = file

    def fileno(self) -> int | None:
        """See `Reader.fileno`."""
        return self._file.fileno()

    async def available(self, offset: int) -> int:
        """See `Reader.available`."""
        if self._fill is None:
            raise FailedStorage("read of a closed file")
        return await self._fill.until(offset)

    def read_at(self, offset: int, size: int) -> bytes:
        """See `Reader.read_at`."""
        return self._file.read_at(offset, size)

    def close(self) -> None:
        """See `Reader.close`."""
        if self._fill is not None:
            fill, self._fill = self._fill, None
            fill.left()
