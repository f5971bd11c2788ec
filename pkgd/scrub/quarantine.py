"""What is done with damaged objects: hosted ones are set aside, those of the mirror's cache are deleted.

What is set aside lies below the spool, under the key that it had, where no request leads. Until somebody has dealt
with it (`pkgd` never deletes it), `/ready` says so, and garbage collection leaves a repository alone of which a
manifest is there: nobody knows what that named.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from pkgd.blocking import Blocking
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin
from pkgd.scrub.hashing import Hashed, Store
from pkgd.sharing import KeyedLock
from pkgd.state import Index, Ledger
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.layout import QUARANTINE, blob_key, directories, manifest_key, quarantine_key, repository_of

__all__ = ["Quarantine"]


class Quarantine:
    """Takes damaged objects out of the tree of images."""

    def __init__(
        self, store: Store, index: Index, ledger: Ledger, locks: KeyedLock, cached: KeyedLock, blocking: Blocking
    ) -> None:
        """
        :param locks: shared with the blobs: one for each digest.
        :param cached: shared with the mirror's cache: one for each place.
        """
        self._store = store
        self._index = index
        self._ledger = ledger
        self._locks = locks
        self._cached = cached
        self._blocking = blocking

    async def take_blob(self, place: str, digest: Digest, hashed: Hashed) -> list[str]:
        """Take a damaged blob out, under every name of its file that is known; returns the keys."""
        gone = []
        async with self._locks.holding(str(digest)):
            # Under the lock nobody links to it meanwhile.
            for holder in dict.fromkeys([place, *await self._index.holders(str(digest))]):
                repository = repository_of(holder)
                for one in (holder,) if repository is None else directories(repository):
                    if await self._take(one, blob_key(one, digest), hashed):
                        await self._index.remove_blob(holder, str(digest))
                        gone.append(blob_key(one, digest))
        for key in gone:
            await self._forget(key.removesuffix(blob_key("", digest)), digest, key)
        return gone

    async def take_manifest(self, place: str, digest: Digest, hashed: Hashed) -> list[str]:
        """Take a damaged manifest out; returns its key."""
        repository, key = repository_of(place), manifest_key(place, digest)
        cached = isinstance(repository, Origin)
        async with (self._cached if cached else self._locks).holding(place if cached else str(repository or place)):
            if not await self._take(place, key, hashed):
                return []
        await self._forget(place, digest, key)
        return [key]

    async def _take(self, place: str, key: str, hashed: Hashed) -> bool:
        """Take out what has been hashed, unless it is something else by now."""
        version = await self._blocking.disk(self._store.version, key)
        if version is None or version != hashed.version:
            return False
        if not isinstance(repository_of(place), Origin):
            await self._store.link(key, quarantine_key(key))
        return await self._store.delete(key)

    async def _forget(self, place: str, digest: Digest, key: str) -> None:
        """The mirror's ledger says no longer that it is there, unless it has come again."""
        if not isinstance(repository_of(place), Origin):
            return
        async with self._cached.holding(place):
            if await self._store.stat(key) is None:
                await self._ledger.remove(place, [str(digest)])

    async def count(self) -> int:
        """How many objects are set aside."""
        return len([key async for key in _objects_below(self._store, QUARANTINE)])


async def _objects_below(store: ObjectStore, prefix: str) -> AsyncIterator[str]:
    """The keys of all objects below a prefix."""
    for entry in await store.list(prefix):
        key = f"{prefix}/{entry.name}"
        if not entry.is_prefix:
            yield key
            continue
        async for below in _objects_below(store, key):
            yield below
