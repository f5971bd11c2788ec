"""The files of a pool as they lie there: listed, read, and compared with what they should be."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from pkgd.blocking import Blocking
from pkgd.formats.filehashes import FileHashes
from pkgd.storage.interfaces import ObjectStore, Reader

__all__ = ["DamagedFile", "MissingFile", "PoolFiles"]

T = TypeVar("T")
ReadAt = Callable[[int, int], bytes]

_PIECE = 1 << 20
_HASHES = ("md5", "sha1", "sha256", "sha512")


class MissingFile(Exception):
    """A file of a package is not there."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class DamagedFile(Exception):
    """A file of a package is not what it was."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason


class PoolFiles:
    """The files below `directory`, which is a repository's; paths are relative to it."""

    def __init__(self, directory: str, store: ObjectStore, blocking: Blocking) -> None:
        self._directory = directory
        self._store = store
        self._blocking = blocking

    def key(self, path: str) -> str:
        """Its key in the store."""
        return f"{self._directory}/{path}"

    async def walk(self, top: str) -> AsyncIterator[str]:
        """Every file below a folder, sorted."""
        for entry in sorted(await self._store.list(self.key(top)), key=lambda one: one.name):
            path = f"{top}/{entry.name}"
            if entry.is_prefix:
                async for below in self.walk(path):
                    yield below
            else:
                yield path

    async def read(self, path: str, parser: Callable[[ReadAt, FileHashes], T]) -> T:
        """What a parser makes of a file and its hashes.

        :raises MissingFile: if there is none.
        :raises PkgdError: whatever the parser raises.
        """
        reader = await self._store.open(self.key(path))
        if reader is None:
            raise MissingFile(path)
        try:
            return await self._blocking.work(_read, reader, parser)
        finally:
            reader.close()

    async def set_aside(self, path: str) -> None:
        """Take a damaged file out of the pool, so that its package can be uploaded again. It is kept beside it."""
        # No repository is called like that: no name has a `=`.
        await self._store.link(self.key(path), self.key(f"=damaged/{path}"))
        await self._store.delete(self.key(path))

    async def remove(self, path: str) -> None:
        """Remove a file."""
        await self._store.delete(self.key(path))


def _read(reader: Reader, parser: Callable[[ReadAt, FileHashes], T]) -> T:
    running = [hashlib.new(name, usedforsecurity=False) for name in _HASHES]
    at = 0
    while piece := reader.read_at(at, _PIECE):
        for one in running:
            one.update(piece)
        at += len(piece)
    return parser(reader.read_at, FileHashes(at, *(one.hexdigest() for one in running)))
