"""The object store on a local file system.

Atomic: an object appears whole under its key, by rename or link. Durable: when an await returns,
file and directory entries survive a power cut. A crash leaves behind files in the spool only.
"""

from __future__ import annotations

import os
from contextlib import suppress

from twisted.internet.defer import Deferred

from pkgd.blocking import Blocking
from pkgd.errors import FailedStorage
from pkgd.storage.fsops import DurableTree, storage_errors
from pkgd.storage.interfaces import Entries, Entry, Staged
from pkgd.storage.spool import Spool

__all__ = ["LocalReader", "LocalStore"]


class LocalReader:
    """An open file of the store."""

    def __init__(self, tree: DurableTree, fd: int, size: int) -> None:
        self.size = size
        self._fs = tree.fs
        self._fd: int | None = fd

    def fileno(self) -> int | None:
        """See `Reader.fileno`."""
        return self._fd

    def read_at(self, offset: int, size: int) -> bytes:
        """See `Reader.read_at`."""
        if self._fd is None:
            raise FailedStorage("read of a closed file")
        with storage_errors():
            return self._fs.pread(self._fd, size, offset)

    def close(self) -> None:
        """See `Reader.close`."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            self._fs.close(fd)


class LocalStore:
    """See the module. Implements `ObjectStore` and `Versioned`."""

    def __init__(self, tree: DurableTree, blocking: Blocking, spool: Spool) -> None:
        self._tree = tree
        self._blocking = blocking
        self._spool = spool
        # Keys whose object may be visible before it is durable, each with who waits for it.
        self._settling: dict[str, list[Deferred[None]]] = {}

    async def stat(self, key: str) -> int | None:
        """See `ObjectStore.stat`."""
        await self._settled(key)
        return await self._blocking.disk(self._stat, key)

    async def open(self, key: str) -> LocalReader | None:
        """See `ObjectStore.open`."""
        await self._settled(key)
        return await self._blocking.disk(self._open, key)

    async def put(self, key: str, staged: Staged) -> None:
        """See `ObjectStore.put`."""
        await self._settled(key)
        async with _Settling(self._settling, key):
            await self._blocking.disk(self._put, key, staged.path, staged.size)

    async def put_bytes(self, key: str, data: bytes) -> None:
        """See `ObjectStore.put_bytes`."""
        await self._settled(key)
        async with _Settling(self._settling, key):
            await self._blocking.disk(self._put_bytes, key, data)

    async def link(self, source: str, target: str) -> bool:
        """See `ObjectStore.link`."""
        await self._settled(source)
        await self._settled(target)
        async with _Settling(self._settling, target):
            return await self._blocking.disk(self._link, source, target)

    async def delete(self, key: str) -> bool:
        """See `ObjectStore.delete`."""
        await self._settled(key)
        async with _Settling(self._settling, key):
            return await self._blocking.disk(self._delete, key)

    async def list(self, prefix: str) -> list[Entry]:
        """See `ObjectStore.list`."""
        return await self._blocking.disk(self._list, prefix)

    def version(self, key: str) -> object | None:
        """See `Versioned.version`: one stat of a file that has just been read, so in memory."""
        if key in self._settling:
            return None
        try:
            found = os.stat(self._tree.path(key))
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    # -- one write at a time for a key --

    async def _settled(self, key: str) -> None:
        """Wait until no write to the key is under way."""
        while key in self._settling:
            waiting: Deferred[None] = Deferred()
            self._settling[key].append(waiting)
            await waiting

    # -- in a pool thread --

    def _stat(self, key: str) -> int | None:
        with storage_errors():
            return self._tree.size_of(self._tree.path(key))

    def _open(self, key: str) -> LocalReader | None:
        path = self._tree.path(key)
        with storage_errors():
            size = self._tree.size_of(path)
            if size is None:
                return None
            try:
                return LocalReader(self._tree, self._tree.fs.open(path, os.O_RDONLY), size)
            except FileNotFoundError:
                return None

    def _put(self, key: str, staged: str, size: int) -> None:
        path = self._tree.path(key)
        with storage_errors():
            if self._tree.size_of(path) == size:
                self._tree.fs.unlink(staged)
            else:
                self._tree.rename_into(staged, path)

    def _put_bytes(self, key: str, data: bytes) -> None:
        with storage_errors():
            staged = self._spool.write_temporary(data)
            try:
                self._tree.rename_into(staged, self._tree.path(key))
            except OSError:
                with suppress(OSError):
                    self._tree.fs.unlink(staged)
                raise

    def _link(self, source: str, target: str) -> bool:
        origin, path = self._tree.path(source), self._tree.path(target)
        with storage_errors():
            size = self._tree.size_of(origin)
            if size is None:
                return False
            if self._tree.size_of(path) == size or self._tree.link_into(origin, path):
                return True
            staged = self._spool.copy_temporary(origin)
            self._tree.rename_into(staged, path)
            return True

    def _delete(self, key: str) -> bool:
        with storage_errors():
            return self._tree.remove(self._tree.path(key))

    def _list(self, prefix: str) -> Entries:
        with storage_errors():
            try:
                found = self._tree.fs.scandir(self._tree.path(prefix) if prefix else self._tree.root)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return [Entry(name, is_directory) for name, is_directory in found]


class _Settling:
    """Marks a key as being written, and wakes those who wait when it is not any more."""

    def __init__(self, settling: dict[str, list[Deferred[None]]], key: str) -> None:
        self._settling = settling
        self._key = key

    async def __aenter__(self) -> None:
        self._settling[self._key] = []

    async def __aexit__(self, *exc: object) -> None:
        for waiting in self._settling.pop(self._key):
            waiting.callback(None)
