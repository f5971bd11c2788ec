"""A package on its way in: from the request's body into the spool, hashed by all algorithms meanwhile.

A piece of the body is written by one thread and hashed by two others, a small one by one thread alone; the next is
read when all are done, which is the back-pressure. What has arrived is an `Arrival`, for a repository to take.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import Storage
from pkgd.flow import Inflow
from pkgd.formats.filehashes import FileHashes
from pkgd.formats.rpmdigests import PayloadHasher
from pkgd.packages.records import Arrival
from pkgd.storage.space import FreeSpace
from pkgd.storage.spool import Spool
from pkgd.storage.staged import StagedFile
from pkgd.storage.staging import PARALLEL_BYTES

__all__ = ["Receiver"]

log = Logger()

# So often what has arrived is sent to the disk, and the free space looked at again.
FLUSH_BYTES = 64 << 20


class _Hashes:
    """The running hashes of a file but its SHA-256, which the spool keeps; two halves that may run side by side."""

    def __init__(self, file: StagedFile, is_rpm: bool) -> None:
        self._file = file
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._sha512 = hashlib.sha512()
        self.payload = PayloadHasher() if is_rpm else None

    def write(self, piece: memoryview) -> None:
        """All that is to be done with a piece."""
        self._file.write(piece)
        self.first(piece)
        self.second(piece)

    def first(self, piece: memoryview) -> None:
        self._file.hash(piece)
        self._md5.update(piece)

    def second(self, piece: memoryview) -> None:
        self._sha1.update(piece)
        self._sha512.update(piece)
        if self.payload is not None:
            self.payload.update(piece)

    def finish(self) -> FileHashes:
        """Make the file durable and close it."""
        sha256 = self._file.seal("sha256").encoded
        sha1, sha512 = self._sha1.hexdigest(), self._sha512.hexdigest()
        return FileHashes(self._file.size, self._md5.hexdigest(), sha1, sha256, sha512)


class Receiver:
    """Takes bodies into the spool of the package repositories."""

    def __init__(self, spool: Spool, space: FreeSpace, blocking: Blocking, max_size: int = 0) -> None:
        """
        :param max_size: the largest file, 0 for no limit.
        """
        self._spool = spool
        self._space = space
        self._blocking = blocking
        self._max_size = max_size

    @asynccontextmanager
    async def receiving(self, body: Inflow, file_name: str) -> AsyncIterator[Arrival]:
        """The file that a body is, for the length of an `async with` block: nothing of it stays in the spool.

        :raises TooLarge: if it exceeds the limit.
        :raises Storage: if it cannot be written.
        :raises ClientGone: if the client leaves before its end.
        """
        arrival = await self.receive(body, file_name)
        try:
            yield arrival
        finally:
            await self.discard(arrival)

    async def receive(self, body: Inflow, file_name: str) -> Arrival:
        """As `receiving`, but to be discarded by the caller."""
        if self._max_size:
            body.set_limit(self._max_size)
        await self._space.require(body.length or 0)
        is_rpm = file_name.endswith(".rpm")
        piece = await body.read()
        if len(piece) == body.length and len(piece) < PARALLEL_BYTES:
            arrival = await self._blocking.disk(self._take_at_once, piece, file_name, is_rpm)
            # Its buffer is not kept from others while it waits for its publish.
            body.close()
            return arrival
        file = await self._blocking.disk(self._spool.create_fill, "sha256")
        try:
            hashes = _Hashes(file, is_rpm)
            await self._take(piece, body, file, hashes)
            found = await self._blocking.disk(hashes.finish)
        except BaseException:
            await self._remove(file)
            raise
        return _arrival(file_name, file, found, hashes)

    async def discard(self, arrival: Arrival) -> None:
        """Remove what is left of it in the spool."""
        await self._remove(arrival.staged)

    def _take_at_once(self, piece: memoryview, file_name: str, is_rpm: bool) -> Arrival:
        """A small file that is here already, in one hop."""
        file = self._spool.create_fill("sha256")
        try:
            hashes = _Hashes(file, is_rpm)
            hashes.write(piece)
            return _arrival(file_name, file, hashes.finish(), hashes)
        except BaseException:
            with suppress(Storage):  # the start sweeps it
                self._spool.remove_fill(file)
            raise

    async def _take(self, piece: memoryview, body: Inflow, file: StagedFile, hashes: _Hashes) -> None:
        flushed = 0
        flushing: Deferred[None] | None = None
        try:
            while piece:
                await self._store(file, piece, hashes)
                piece = await body.read()
                if file.size - flushed >= FLUSH_BYTES:
                    # The disk keeps pace with the network, in a thread of its own.
                    flushed = file.size
                    await self._space.require()
                    if flushing is not None:
                        await flushing
                    flushing = self._blocking.disk(file.flush)
        finally:
            if flushing is not None:
                await flushing

    async def _store(self, file: StagedFile, piece: memoryview, hashes: _Hashes) -> None:
        """Write and hash a piece; its buffer is lent until all is done, whatever fails."""
        if len(piece) < PARALLEL_BYTES:
            await self._blocking.disk(hashes.write, piece)
            return
        running: list[Deferred[Any]] = [
            self._blocking.work(hashes.first, piece),
            self._blocking.work(hashes.second, piece),
        ]
        try:
            await self._blocking.disk(file.write, piece)
        finally:
            for one in running:
                await one

    async def _remove(self, file: StagedFile) -> None:
        try:
            await self._blocking.disk(self._spool.remove_fill, file)
        except Storage as error:
            # The start sweeps it.
            log.error("a file of the spool cannot be removed: {reason}", reason=error.operation)


def _arrival(file_name: str, file: StagedFile, found: FileHashes, hashes: _Hashes) -> Arrival:
    return Arrival(file_name, file, found, None if hashes.payload is None else hashes.payload.hashes())
