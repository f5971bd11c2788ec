"""The files of packages: placed before they are published, removed when nothing names them any more.

A file's directory is locked from its placing until its publish has ended, and while it is removed, so that no
sweep takes what somebody is about to publish.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from pkgd.blocking import Blocking
from pkgd.errors import InvalidPackage, UnknownPackage
from pkgd.packages.generations import Gone
from pkgd.packages.pathlists import PathLists
from pkgd.packages.records import Arrival, Served
from pkgd.sharing import KeyedLock
from pkgd.storage.interfaces import ObjectStore

__all__ = ["Pool"]

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~^-]*")


class Pool:
    """The pool of one repository.

    :param is_named: whether anything that is published, or kept, names a file of a package.
    :param lists: what is kept of packages beside their files, and goes with them.
    """

    def __init__(
        self,
        directory: str,
        store: ObjectStore,
        blocking: Blocking,
        is_named: Callable[[Gone, str], Awaitable[bool]],
        lists: PathLists | None = None,
    ) -> None:
        self._lists = lists
        self._directory = directory
        self._store = store
        self._blocking = blocking
        self._is_named = is_named
        self._locks = KeyedLock()

    @asynccontextmanager
    async def holding(self, paths: Iterable[str]) -> AsyncIterator[None]:
        """Keep files from being removed for the length of an `async with` block."""
        async with AsyncExitStack() as stack:
            for directory in sorted({path.rpartition("/")[0] for path in paths}):
                await stack.enter_async_context(self._locks.holding(directory))
            yield

    async def fill(self, placed: Mapping[str, Arrival], linked: Mapping[str, str]) -> None:
        """Put files in their places, durably: new ones, and second names of those that are there. All have to be held.

        :raises InvalidPackage: if one that should be there isn't.
        :raises Storage: if the machine refuses.
        """
        for path, arrival in placed.items():
            await self._place(path, arrival)
        for path, source in linked.items():
            if not await self._store.link(self._key(source), self._key(path)):
                raise InvalidPackage(path.rpartition("/")[2], "a file that was here has been removed meanwhile")

    async def _place(self, path: str, arrival: Arrival) -> None:
        digest = arrival.staged.sealed
        if digest is None:
            digest = await self._blocking.disk(arrival.staged.seal, "sha256")
        if digest.encoded != arrival.hashes.sha256:
            raise InvalidPackage(arrival.file_name, "its bytes are not those that were hashed")
        await self._store.put(self._key(path), arrival.staged)

    async def discard_held(self, gone: Gone) -> None:
        """Remove files that nothing names. Their directories have to be held."""
        for path in gone.paths:
            if not await self._is_named(gone, path):
                await self.remove_held(path)

    async def remove_held(self, path: str) -> None:
        """Remove a file, and what is kept of it. Its directory has to be held."""
        if self._lists is not None:
            await self._lists.discard(path)
        await self._store.delete(self._key(path))

    async def discard(self, gone: Gone) -> None:
        """Remove files that nothing names."""
        async with self.holding(gone.paths):
            await self.discard_held(gone)

    async def open(self, path: str, media_type: str) -> Served:
        """A file of a package, for a client. Its path's directory names its content.

        :raises UnknownPackage: if there is none.
        """
        parts = path.split("/")
        if len(parts) < 3 or not all(_PART.fullmatch(part) for part in parts):
            raise UnknownPackage(path)
        reader = await self._store.open(self._key(path))
        if reader is None:
            raise UnknownPackage(path)
        return Served(reader, media_type, parts[-2], reader.modified, is_immutable=True)

    def _key(self, path: str) -> str:
        return f"{self._directory}/{path}"
