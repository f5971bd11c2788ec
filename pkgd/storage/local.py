"""The object store on a local file system.

Atomic: an object appears whole under its key, by rename or link. Durable: when an await returns,
file and directory entries survive a power cut. A crash leaves behind files in the spool only.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import ParamSpec, TypeVar

from twisted.internet.defer import Deferred

from pkgd.blocking import Blocking
from pkgd.storage.fsops import DurableTree, storage_errors
from pkgd.storage.interfaces import Dated, DatedObjects, Entries, Entry, Staged
from pkgd.storage.reader import LocalReader
from pkgd.storage.spool import Spool

__all__ = ["LocalStore"]

P = ParamSpec("P")
T = TypeVar("T")


class LocalStore:
    """See the module. Implements `ObjectStore`, `Versioned`, `Dating` and `Pruning`."""

    def __init__(
        self,
        tree: DurableTree,
        blocking: Blocking,
        spool: Spool,
        took: Callable[[str, str, float], None] = lambda op, result, seconds: None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        """
        :param took: told of each operation: its name, ok or error, and how many seconds it took.
        :param now: a clock in seconds.
        """
        self._took = took
        self._now = now
        self._tree = tree
        self._blocking = blocking
        self._spool = spool
        # Keys whose object may be visible before it is durable, each with who waits for it.
        self._settling: dict[str, list[Deferred[None]]] = {}
        # Keys whose last write failed: what is visible there may not be durable.
        self._doubtful: set[str] = set()

    async def stat(self, key: str) -> int | None:
        """See `ObjectStore.stat`."""
        await self._settled(key)
        return await self._measured("stat", self._stat, key)

    async def open(self, key: str) -> LocalReader | None:
        """See `ObjectStore.open`."""
        await self._settled(key)
        return await self._measured("open", self._open, key)

    async def put(self, key: str, staged: Staged) -> None:
        """See `ObjectStore.put`."""
        await self._settled(key)
        async with self._writing(key):
            await self._measured("put", self._put, key, staged.path, staged.size)

    async def put_bytes(self, key: str, data: bytes) -> None:
        """See `ObjectStore.put_bytes`."""
        await self._settled(key)
        async with self._writing(key):
            await self._measured("put_bytes", self._put_bytes, key, data)

    async def link(self, source: str, target: str) -> bool:
        """See `ObjectStore.link`."""
        await self._settled(source)
        await self._settled(target)
        async with self._writing(target):
            return await self._measured("link", self._link, source, target)

    async def delete(self, key: str) -> bool:
        """See `ObjectStore.delete`. It may take the spool's reserve."""
        tried = False

        async def remove() -> bool:
            nonlocal tried
            again, tried = tried, True
            # It may have been only the directory's fsync that found no space.
            return (again and await self.stat(key) is None) or await self._remove(key)

        return await self._spool.reserve.freeing(self._blocking, remove)

    async def _remove(self, key: str) -> bool:
        await self._settled(key)
        async with self._writing(key):
            return await self._measured("delete", self._delete, key)

    async def list(self, prefix: str) -> list[Entry]:
        """See `ObjectStore.list`."""
        return await self._measured("list", self._list, prefix)

    async def dated(self, prefix: str) -> DatedObjects:
        """See `Dating.dated`."""
        return await self._measured("dated", self._dated, prefix)

    async def prune(self, prefix: str) -> None:
        """See `Pruning.prune`."""
        await self._blocking.disk(self._prune, prefix)

    def version(self, key: str) -> object | None:
        """See `Versioned.version`: one stat of a file that has just been read, so in memory."""
        if key in self._settling:
            return None
        try:
            found = os.stat(self._tree.path(key))
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    async def _measured(self, op: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call in a disk thread; to wait for one is a part of how long it takes."""
        began, result = self._now(), "error"
        try:
            found = await self._blocking.disk(call, *args, **kwargs)
            result = "ok"
            return found
        finally:
            self._took(op, result, self._now() - began)

    # -- one write at a time for a key --

    async def _settled(self, key: str) -> None:
        """Wait until no write to the key is under way."""
        while key in self._settling:
            waiting: Deferred[None] = Deferred()
            self._settling[key].append(waiting)
            await waiting

    @asynccontextmanager
    async def _writing(self, key: str) -> AsyncIterator[None]:
        """Mark a settled key as being written, and wake those who wait when it is not any more."""
        self._settling[key] = []
        try:
            yield
        except BaseException:
            self._doubtful.add(key)
            raise
        finally:
            for waiting in self._settling.pop(key):
                waiting.callback(None)

    # -- in a pool thread --

    def _settled_path(self, key: str) -> str:
        """The key's path, once what is visible there is durable."""
        path = self._tree.path(key)
        if key in self._doubtful:
            self._tree.settle(path)
            self._doubtful.discard(key)
        return path

    def _stat(self, key: str) -> int | None:
        with storage_errors():
            return self._tree.size_of(self._settled_path(key))

    def _open(self, key: str) -> LocalReader | None:
        with storage_errors():
            path = self._settled_path(key)
            if self._tree.size_of(path) is None:
                return None
            try:
                fd = self._tree.fs.open(path, os.O_RDONLY)
            except FileNotFoundError:
                return None
            try:
                # Of the file that is open: the name may have come to mean another.
                found = self._tree.fs.fstat(fd)
                return LocalReader(self._tree.fs, fd, found.st_size, max(0, int(found.st_mtime)))
            except OSError:
                self._tree.fs.close(fd)
                raise

    def _put(self, key: str, staged: str, size: int) -> None:
        with storage_errors():
            path = self._settled_path(key)
            if self._tree.size_of(path) == size:
                self._tree.fs.unlink(staged)
            else:
                self._tree.rename_into(staged, path)

    def _put_bytes(self, key: str, data: bytes) -> None:
        with storage_errors():
            self._publish(self._spool.write_temporary(data), self._tree.path(key))

    def _publish(self, staged: str, path: str) -> None:
        """Move a small object's file to its place; or nowhere, and nothing of it stays."""
        try:
            self._tree.rename_into(staged, path)
        except OSError:
            with suppress(OSError):
                self._tree.fs.unlink(staged)
            raise

    def _link(self, source: str, target: str) -> bool:
        with storage_errors():
            origin, path = self._settled_path(source), self._settled_path(target)
            size = self._tree.size_of(origin)
            if size is None:
                return False
            present = self._tree.size_of(path)
            if present == size:
                return True
            if present is not None:
                # It cannot be the same content, so it is damaged.
                self._tree.remove(path)
            return self._link_new(origin, path)

    def _link_new(self, origin: str, path: str) -> bool:
        try:
            if not self._tree.link_into(origin, path):
                self._publish(self._spool.copy_temporary(origin), path)
        except FileNotFoundError:
            if self._tree.size_of(origin) is None:
                return False
            raise
        return True

    def _delete(self, key: str) -> bool:
        with storage_errors():
            return self._tree.remove(self._settled_path(key))

    def _prune(self, prefix: str) -> None:
        with storage_errors():
            while prefix and self._tree.remove_directory(self._tree.path(prefix)):
                prefix = os.path.dirname(prefix)

    def _dated(self, prefix: str) -> DatedObjects:
        found = []
        with storage_errors():
            for entry in self._list(prefix):
                if not entry.is_prefix:
                    with suppress(FileNotFoundError):
                        stat = self._tree.fs.stat(self._tree.path(f"{prefix}/{entry.name}"))
                        found.append(Dated(entry.name, stat.st_size, stat.st_mtime, stat.st_ctime))
        return found

    def _list(self, prefix: str) -> Entries:
        with storage_errors():
            try:
                found = self._tree.fs.scandir(self._tree.path(prefix) if prefix else self._tree.root)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return [Entry(name, is_directory) for name, is_directory in found]
