"""The blobs of hosted repositories. A blob is in a repository or it is not; the same bytes elsewhere don't count."""

from __future__ import annotations

from pkgd.errors import UnknownBlob
from pkgd.formats.digest import Digest
from pkgd.formats.names import RepositoryName
from pkgd.sharing import KeyedLock
from pkgd.state import Index
from pkgd.storage.interfaces import ObjectStore, Reader
from pkgd.storage.layout import blob_key, directories, directory
from pkgd.storage.spool import StagedFile

__all__ = ["Blobs"]


class Blobs:
    """Reading, linking and deleting; new bytes come through `pkgd.registry.uploads`.

    `locks` has one lock per repository, shared with the manifests: a blob isn't deleted while a
    manifest that names it is being accepted.
    """

    def __init__(self, store: ObjectStore, index: Index, locks: KeyedLock) -> None:
        self._store = store
        self._index = index
        self._locks = locks

    async def size(self, name: RepositoryName, digest: Digest) -> int:
        """The blob's size.

        :raises UnknownBlob: if the repository does not have it.
        """
        for place in directories(name):
            size = await self._store.stat(blob_key(place, digest))
            if size is not None:
                return size
        raise UnknownBlob(str(digest))

    async def has(self, name: RepositoryName, digest: Digest) -> bool:
        """Whether the repository has the blob, durably."""
        try:
            await self.size(name, digest)
        except UnknownBlob:
            return False
        return True

    async def open(self, name: RepositoryName, digest: Digest) -> Reader:
        """A reader of the blob, which the caller closes.

        :raises UnknownBlob: if the repository does not have it.
        """
        for place in directories(name):
            reader = await self._store.open(blob_key(place, digest))
            if reader is not None:
                return reader
        raise UnknownBlob(str(digest))

    async def add(self, name: RepositoryName, digest: Digest, staged: StagedFile) -> bool:
        """Make verified bytes a blob of the repository, durably.

        Where another repository has them, its file is linked. Returns whether `staged` was
        consumed; else the caller removes it.
        """
        key = blob_key(directory(name), digest)
        for holder in await self._index.holders(str(digest)):
            if holder != name and await self._link_equal(holder, digest, key, staged.size):
                await self._index.add_blob(name, str(digest))
                return False
        await self._store.put(key, staged)
        await self._index.add_blob(name, str(digest))
        return True

    async def _link_equal(self, holder: str, digest: Digest, key: str, size: int) -> bool:
        """Link the holder's file if it is still there and whole."""
        source = blob_key(directory(RepositoryName(holder)), digest)
        return await self._store.stat(source) == size and await self._store.link(source, key)

    async def mount(self, name: RepositoryName, digest: Digest, source: RepositoryName) -> bool:
        """Give the repository the source's blob. False if the source does not have it."""
        for place in directories(source):
            if await self._store.link(blob_key(place, digest), blob_key(directory(name), digest)):
                await self._index.add_blob(name, str(digest))
                return True
        return False

    async def holders(self, digest: Digest) -> list[RepositoryName]:
        """Repositories that may have the blob, as far as the index knows."""
        return [RepositoryName(one) for one in await self._index.holders(str(digest))]

    async def delete(self, name: RepositoryName, digest: Digest) -> None:
        """Remove the blob from this repository.

        :raises UnknownBlob: if the repository does not have it.
        """
        async with self._locks.holding(name):
            found = [await self._store.delete(blob_key(place, digest)) for place in directories(name)]
        if not any(found):
            raise UnknownBlob(str(digest))
        await self._index.remove_blob(name, str(digest))
