"""The blobs of repositories, hosted or of an upstream.

A blob is in a repository or it is not: the same bytes elsewhere answer no read. They are only linked
to when it comes in, so that equal bytes are one file.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pkgd.errors import UnknownBlob
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, Repository, RepositoryName
from pkgd.registry.leases import Leases
from pkgd.sharing import KeyedLock
from pkgd.state import Index
from pkgd.storage.interfaces import ObjectStore, Reader
from pkgd.storage.layout import blob_key, directories, directory, name_of, repository_of
from pkgd.storage.staged import StagedFile

__all__ = ["Blobs"]


class Blobs:
    """Reading, linking and deleting; new bytes come through `pkgd.registry.uploads`.

    `locks` has one lock per repository, shared with the manifests: a blob isn't deleted while a
    manifest that names it is being accepted. A repository of an upstream goes by its place there.
    It also has one per digest, always taken last.
    """

    def __init__(self, store: ObjectStore, index: Index, locks: KeyedLock, leases: Leases) -> None:
        """
        :param leases: touched for whoever is told that a blob is here, before anybody looks.
        """
        self.leases = leases
        self._store = store
        self._index = index
        self._locks = locks

    async def size(self, name: Repository, digest: Digest) -> int:
        """The blob's size.

        :raises UnknownBlob: if the repository does not have it.
        """
        self._touch(name, digest)
        for place in directories(name):
            size = await self._store.stat(blob_key(place, digest))
            if size is not None:
                return size
        raise UnknownBlob(str(digest))

    async def has(self, name: Repository, digest: Digest) -> bool:
        """Whether the repository has the blob, durably."""
        try:
            await self.size(name, digest)
        except UnknownBlob:
            return False
        return True

    async def open(self, name: Repository, digest: Digest) -> Reader:
        """A reader of the blob, which the caller closes.

        :raises UnknownBlob: if the repository does not have it.
        """
        self._touch(name, digest)
        for place in directories(name):
            reader = await self._store.open(blob_key(place, digest))
            if reader is not None:
                return reader
        raise UnknownBlob(str(digest))

    async def add(self, name: Repository, digest: Digest, staged: StagedFile) -> bool:
        """Make verified bytes a blob of the repository, durably.

        Where another repository has them, its file is linked. Returns whether `staged` was
        consumed; else the caller removes it.
        """
        place = directory(name)
        self._touch(name, digest)
        # Of two that come in at the same time, the second has to find the first one's file.
        async with self._locks.holding(str(digest)):
            for holder in await self._index.holders(str(digest)):
                if holder != place and await self._link_equal(holder, digest, blob_key(place, digest), staged.size):
                    await self._index.add_blob(place, str(digest))
                    self._touch(name, digest)
                    return False
            await self._store.put(blob_key(place, digest), staged)
            await self._index.add_blob(place, str(digest))
            self._touch(name, digest)
            return True

    def _touch(self, name: Repository, digest: Digest) -> None:
        if not isinstance(name, Origin):  # the mirror's cache has limits of its own
            self.leases.touch(directory(name), digest)

    async def _link_equal(self, holder: str, digest: Digest, key: str, size: int) -> bool:
        """Link the holder's file if it is still there and whole."""
        repository = repository_of(holder)
        sources = [] if repository is None else [blob_key(place, digest) for place in directories(repository)]
        for source in sources:
            if await self._store.stat(source) == size and await self._store.link(source, key):
                return True
        return False

    async def mount(self, name: RepositoryName, digest: Digest, source: RepositoryName) -> bool:
        """Give the repository the source's blob. False if the source does not have it."""
        target = directory(name)
        self._touch(name, digest)
        async with self._locks.holding(str(digest)):
            for place in directories(source):
                if await self._store.link(blob_key(place, digest), blob_key(target, digest)):
                    await self._index.add_blob(target, str(digest))
                    self._touch(name, digest)
                    return True
        return False

    async def holders(self, digest: Digest) -> list[RepositoryName]:
        """Hosted repositories that may have the blob, as far as the index knows."""
        names = [name_of(place) for place in await self._index.holders(str(digest))]
        return [name for name in names if name is not None]

    async def delete(
        self, name: Repository, digest: Digest, check: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Remove the blob from this repository.

        :param check: asked while nothing else changes the repository; raises to refuse.
        :raises UnknownBlob: if the repository does not have it.
        """
        place = directory(name)
        async with self._locks.holding(place if isinstance(name, Origin) else name):
            if check is not None:
                await check()
            found = [await self._store.delete(blob_key(one, digest)) for one in directories(name)]
        if not any(found):
            raise UnknownBlob(str(digest))
        await self._index.remove_blob(place, str(digest))
