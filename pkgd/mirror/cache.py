"""What upstreams have delivered, on disk: the same tree as a hosted repository's, below `__mirror__/<host>`.

Everything here has been verified before it came in. A digest is answered only from the repository
that it was delivered for, though equal bytes elsewhere share one file.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec
from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import FailedStorage, UnknownBlob, UnknownManifest
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, Reference, Tag
from pkgd.formats.oci import Manifest
from pkgd.registry.blobs import Blobs
from pkgd.registry.legacy import read_object
from pkgd.registry.stored import StoredManifest, StoredManifests, encode_pointer, write_manifest
from pkgd.sharing import KeyedLock
from pkgd.state import Cached, Ledger
from pkgd.storage.interfaces import ObjectStore, Reader
from pkgd.storage.layout import (
    directories,
    directory,
    fallback_key,
    manifest_key,
    private_key,
    referrers_key,
    tag_key,
)
from pkgd.storage.spool import StagedFile

__all__ = ["Listed", "MirrorCache"]

log = Logger()

# Repositories whose marks are remembered.
MAX_MARKS = 65536


@frozen
class Listed:
    """The referrers of a digest as an upstream listed them, each as JSON, and when."""

    entries: list[bytes]
    validated: float


class _ListedFile(msgspec.Struct):
    validated: float
    manifests: list[msgspec.Raw]


class MirrorCache:
    """Reading and writing; deciding what is fresh is for others."""

    def __init__(
        self,
        store: ObjectStore,
        stored: StoredManifests,
        blobs: Blobs,
        ledger: Ledger,
        locks: KeyedLock,
        blocking: Blocking,
        clock: IReactorTime,
    ) -> None:
        """
        :param locks: one lock for each repository's directory, shared with the eviction.
        """
        self._store = store
        self._stored = stored
        self._blobs = blobs
        self._ledger = ledger
        self._locks = locks
        self._blocking = blocking
        self._clock = clock
        self._marks: OrderedDict[str, bool] = OrderedDict()

    # -- manifests --

    def manifest_at_once(self, origin: Origin, reference: str) -> StoredManifest | None:
        """The manifest if it is in memory and current."""
        found = self._stored.cached(origin, reference)
        if found is not None:
            self._touch(origin, found.digest)
        return found

    async def manifest(self, origin: Origin, reference: Reference) -> StoredManifest | None:
        """The manifest that a tag or digest stands for, or None. A damaged one counts as absent."""
        try:
            found = await self._stored.get(origin, reference)
        except UnknownManifest:
            return None
        except FailedStorage as error:
            log.error("the cache of {origin}: {reason}", origin=origin, reason=error.operation)
            return None
        self._touch(origin, found.digest)
        return found

    async def keep_manifest(
        self, origin: Origin, digest: Digest, manifest: Manifest, data: bytes, private: bool
    ) -> None:
        """Store a verified manifest, durably.

        :param private: it was fetched with credentials.
        """
        place = directory(origin)
        async with self._locks.holding(place):
            await self._mark_private(origin, private)
            await write_manifest(self._store, self._blocking, origin, digest, manifest, data)
            cached = Cached(place, str(digest), True, len(data), self._clock.seconds())
            await self._ledger.add(cached, [str(one.digest) for one in (*manifest.blobs, *manifest.children)])
        log.info("cached the manifest {digest} of {origin}", digest=digest, origin=origin)

    async def point(self, origin: Origin, tag: Tag, digest: Digest) -> bool:
        """Note that the upstream has just confirmed what a tag stands for; False if that manifest isn't here."""
        place = directory(origin)
        async with self._locks.holding(place):
            if await self._store.stat(manifest_key(place, digest)) is None:
                return False
            await self._store.put_bytes(tag_key(place, tag), encode_pointer(digest, self._clock.seconds()))
        return True

    async def forget_tag(self, origin: Origin, tag: Tag) -> None:
        """Note that the upstream no longer has a tag."""
        async with self._locks.holding(directory(origin)):
            found = [await self._store.delete(tag_key(place, tag)) for place in directories(origin)]
        if any(found):
            log.info("{origin} no longer has the tag {tag}", origin=origin, tag=tag)

    # -- blobs --

    async def blob(self, origin: Origin, digest: Digest) -> Reader | None:
        """A reader of the blob, or None."""
        try:
            reader = await self._blobs.open(origin, digest)
        except UnknownBlob:
            return None
        self._touch(origin, digest)
        return reader

    async def blob_size(self, origin: Origin, digest: Digest) -> int | None:
        """The blob's size, or None if it isn't here."""
        try:
            size = await self._blobs.size(origin, digest)
        except UnknownBlob:
            return None
        self._touch(origin, digest)
        return size

    async def keep_blob(self, origin: Origin, digest: Digest, staged: StagedFile, private: bool) -> bool:
        """Store a verified blob, durably. Returns whether the staged file was consumed."""
        place, size = directory(origin), staged.size
        async with self._locks.holding(place):
            await self._mark_private(origin, private)
            consumed = await self._blobs.add(origin, digest, staged)
            await self._ledger.add(Cached(place, str(digest), False, size, self._clock.seconds()))
        log.info("cached the blob {digest} of {origin}, {size} bytes", digest=digest, origin=origin, size=size)
        return consumed

    # -- referrers --

    async def referrers(self, origin: Origin, subject: Digest) -> Listed | None:
        """The list as it was last seen, or None."""
        data = await read_object(self._store, self._blocking, referrers_key(directory(origin), subject))
        if data is None:
            return None
        try:
            found = msgspec.json.decode(data, type=_ListedFile)
        except ValueError:
            log.error("the referrers of {subject} in {origin} are damaged", subject=subject, origin=origin)
            return None
        return Listed([bytes(one) for one in found.manifests], found.validated)

    async def keep_referrers(self, origin: Origin, subject: Digest, entries: list[bytes]) -> None:
        """Store a list."""
        file = _ListedFile(self._clock.seconds(), [msgspec.Raw(one) for one in entries])
        place = directory(origin)
        async with self._locks.holding(place):
            await self._store.put_bytes(referrers_key(place, subject), msgspec.json.encode(file))

    # -- marks --

    async def is_private(self, origin: Origin) -> bool:
        """Whether the repository's content was fetched with credentials."""
        return await self._marked(private_key(directory(origin)))

    def private_at_once(self, origin: Origin) -> bool | None:
        """The same, or None if that takes waiting."""
        return self._marks.get(private_key(directory(origin)))

    async def is_fallback(self, origin: Origin) -> bool:
        """Whether pulls that named no upstream have been resolved to this repository."""
        return await self._marked(fallback_key(directory(origin)))

    async def mark_fallback(self, origin: Origin) -> None:
        """Resolve such pulls to this repository from now on."""
        await self._mark(fallback_key(directory(origin)))

    async def _mark_private(self, origin: Origin, private: bool) -> None:
        if private:
            await self._mark(private_key(directory(origin)))

    async def _marked(self, key: str) -> bool:
        found = self._marks.get(key)
        if found is None:
            found = await self._store.stat(key) is not None
            self._remember(key, found)
        return found

    async def _mark(self, key: str) -> None:
        if not await self._marked(key):
            await self._store.put_bytes(key, b"{}")
            self._remember(key, True)

    def _remember(self, key: str, marked: bool) -> None:
        self._marks[key] = marked
        while len(self._marks) > MAX_MARKS:
            self._marks.popitem(last=False)

    def _touch(self, origin: Origin, digest: Digest) -> None:
        self._ledger.touch(directory(origin), str(digest), self._clock.seconds())
