"""One upload session: a body into its file, at the place where the client says that it belongs.

Its offset is the file's size, so that what a broken connection left is counted.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from pkgd.blocking import Blocking
from pkgd.errors import InvalidSize, OffsetMismatch, TooLarge
from pkgd.flow import Inflow
from pkgd.formats.byterange import ByteRange
from pkgd.formats.names import RepositoryName, UploadId
from pkgd.storage.space import FreeSpace
from pkgd.storage.staged import StagedFile
from pkgd.storage.staging import store_piece

__all__ = ["FLUSH_BYTES", "UploadSession"]

# So often what has arrived is sent to the disk, and the free space looked at again.
FLUSH_BYTES = 64 << 20


class UploadSession:
    """One upload of one repository, by one user, if it was begun by one.

    `busy` is for `Uploads`, which lets one request at a time write.
    """

    def __init__(
        self,
        id: UploadId,
        repository: RepositoryName,
        file: StagedFile,
        space: FreeSpace,
        blocking: Blocking,
        owner: str | None = None,
    ) -> None:
        self.id = id
        self.repository = repository
        self.owner = owner
        self.file = file
        self.busy = False
        self.flushed = file.size
        self._space = space
        self._blocking = blocking
        self._flushing: Deferred[None] | None = None

    @property
    def offset(self) -> int:
        """How many bytes have arrived."""
        return self.file.size

    @property
    def location(self) -> str:
        """Its URL, path only."""
        return f"/v2/{self.repository}/blobs/uploads/{self.id}"

    async def receive(self, body: Inflow, at: ByteRange | None, max_size: int) -> None:
        """Write a body at the end. A flush may be under way afterwards: see `flush_ended`.

        :param at: where the client says that the body belongs, if it does.
        :param max_size: what the whole may have at the most, or 0.
        :raises OffsetMismatch: if that is not where the session stands; nothing is changed then.
        :raises InvalidSize: if the body is not as long as `at`; nothing is changed then.
        :raises TooLarge: if the whole has more than `max_size` bytes.
        """
        start = self.offset
        self._check_place(body, at, max_size)
        await self._space.require(body.length or 0)
        try:
            if at is not None:
                body.set_limit(at.size)
            while piece := await body.read():
                await store_piece(self._blocking, self.file, piece)
                await self._flush_behind()
        except TooLarge:
            if at is None:
                raise
        if at is not None and body.received != at.size:
            await self.flush_ended()
            await self._blocking.disk(self.file.rewind, start)
            raise InvalidSize(f"{at.start}-{at.end - 1}", f"{body.received} bytes were sent")

    def _check_place(self, body: Inflow, at: ByteRange | None, max_size: int) -> None:
        if at is not None:
            if at.start != self.offset:
                raise OffsetMismatch(self.location, self.offset)
            if body.length is not None and body.length != at.size:
                raise InvalidSize(f"{at.start}-{at.end - 1}", f"Content-Length is {body.length}")
            if max_size and at.end > max_size:
                raise TooLarge(max_size)
        elif max_size:
            if self.offset > max_size:
                raise TooLarge(max_size)
            body.set_limit(max_size - self.offset)

    async def _flush_behind(self) -> None:
        """Let the disk keep pace with the network, in a thread of its own."""
        if self.offset - self.flushed >= FLUSH_BYTES and self._flushing is None:
            self.flushed = self.offset
            await self._space.require()
            self._flushing = self._blocking.disk(self.file.flush)
            self._flushing.addBoth(lambda _: setattr(self, "_flushing", None))

    async def flush_ended(self) -> None:
        """Wait for a flush under way: the file must not be closed beneath it."""
        if self._flushing is not None:
            waiting: Deferred[None] = Deferred()
            self._flushing.addBoth(lambda _: waiting.callback(None))
            await waiting
