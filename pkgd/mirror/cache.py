"""What upstreams have delivered, on disk: the same tree as a hosted repository's, below `__mirror__/<host>`.

Everything here has been verified before it came in. A digest is answered only from the repository
that it was delivered for, though equal bytes elsewhere share one file.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import msgspec
from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import Storage, UnknownBlob, UnknownManifest
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, Reference, Tag
from pkgd.formats.oci import Manifest
from pkgd.registry.blobs import Blobs
from pkgd.registry.referrers import parse_entries
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
from pkgd.storage.staged import StagedFile
from pkgd.storage.whole import read_object

__all__ = ["Listed", "MirrorCache"]

log = Logger()

# Repositories whose marks are remembered.
MAX_MARKS = 65536
# Lists of referrers of what is not cached, which are kept in memory: how many bytes they may have in all.
MAX_LISTED = 4 << 20


@frozen
class Listed:
    """The referrers of a digest as an upstream listed them, each as JSON, and when."""

    entries: list[bytes]
    validated: float

    @property
    def size(self) -> int:
        """Its bytes; an empty one costs something, too."""
        return sum(map(len, self.entries)) + 256


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
        has_credentials: Callable[[str], bool] = lambda host: False,
    ) -> None:
        """
        :param locks: one lock for each repository's directory, shared with the eviction.
        :param has_credentials: whether a host's content may be fetched with credentials.
        """
        self._store = store
        self._stored = stored
        self._blobs = blobs
        self._ledger = ledger
        self._locks = locks
        self._blocking = blocking
        self._clock = clock
        self.has_credentials = has_credentials
        self._marks: OrderedDict[str, bool] = OrderedDict()
        self._listed: OrderedDict[tuple[Origin, Digest], Listed] = OrderedDict()
        self._listed_bytes = 0

    # -- manifests --

    def manifest_at_once(self, origin: Origin, reference: str) -> StoredManifest | None:
        """The manifest if it is in memory and current."""
        found = self._stored.cached(origin, reference)
        if found is not None:
            self._touch(origin, found.digest)
        return found

    async def manifest(self, origin: Origin, reference: Reference) -> StoredManifest | None:
        """The manifest that a tag or digest stands for, or None. What cannot be read counts as absent."""
        try:
            found = await self._stored.get(origin, reference)
        except UnknownManifest:
            return None
        except Storage as error:
            self._unreadable(origin, error)
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

    async def point(self, origin: Origin, tag: Tag, digest: Digest, told_at: float) -> bool:
        """Note when the upstream has told what a tag stands for; False if that manifest isn't here."""
        place = directory(origin)
        async with self._locks.holding(place):
            if await self._store.stat(manifest_key(place, digest)) is None:
                return False
            await self._store.put_bytes(tag_key(place, tag), encode_pointer(digest, told_at))
        return True

    async def forget_tag(self, origin: Origin, tag: Tag) -> None:
        """Note that the upstream no longer has a tag."""
        async with self._locks.holding(directory(origin)):
            found = [await self._store.delete(tag_key(place, tag)) for place in directories(origin)]
        if any(found):
            log.info("{origin} no longer has the tag {tag}", origin=origin, tag=tag)

    # -- blobs --

    async def blob(self, origin: Origin, digest: Digest) -> Reader | None:
        """A reader of the blob, or None. What cannot be read counts as absent."""
        try:
            reader = await self._blobs.open(origin, digest)
        except UnknownBlob:
            return None
        except Storage as error:
            self._unreadable(origin, error)
            return None
        self._touch(origin, digest)
        return reader

    async def blob_size(self, origin: Origin, digest: Digest) -> int | None:
        """The blob's size, or None if it isn't here. What cannot be read counts as absent."""
        try:
            size = await self._blobs.size(origin, digest)
        except UnknownBlob:
            return None
        except Storage as error:
            self._unreadable(origin, error)
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
        """The list as it was last seen, or None. What cannot be read counts as absent."""
        listed = self._listed.get((origin, subject))
        if listed is not None:
            return listed
        try:
            data = await read_object(self._store, self._blocking, referrers_key(directory(origin), subject))
            return None if data is None else await self._blocking.work(_read_listed, data)
        except Storage as error:
            self._unreadable(origin, error)
        except ValueError:
            log.error("the referrers of {subject} in {origin} are damaged", subject=subject, origin=origin)
        return None

    async def keep_referrers(self, origin: Origin, subject: Digest, entries: list[bytes]) -> None:
        """Store a list beside its subject. Anybody may ask for the referrers of anything: of what is not here, the
        list is only remembered for a while.
        """
        listed, place = Listed(entries, self._clock.seconds()), directory(origin)
        async with self._locks.holding(place):
            if await self._store.stat(manifest_key(place, subject)) is None:
                self._remember_listed((origin, subject), listed)
                return
            await self._store.put_bytes(referrers_key(place, subject), await self._blocking.work(_listed_file, listed))
        self._forget_listed((origin, subject))

    def _remember_listed(self, key: tuple[Origin, Digest], listed: Listed) -> None:
        self._forget_listed(key)
        if listed.size > MAX_LISTED:
            return
        self._listed[key] = listed
        self._listed_bytes += listed.size
        while self._listed_bytes > MAX_LISTED:
            self._forget_listed(next(iter(self._listed)))

    def _forget_listed(self, key: tuple[Origin, Digest]) -> None:
        dropped = self._listed.pop(key, None)
        if dropped is not None:
            self._listed_bytes -= dropped.size

    # -- marks --

    async def is_private(self, origin: Origin) -> bool:
        """Whether the repository's content was fetched with credentials, or would be now."""
        return self.has_credentials(origin.host) or await self._marked(private_key(directory(origin)))

    def private_at_once(self, origin: Origin) -> bool | None:
        """The same, or None if that takes waiting."""
        return self.has_credentials(origin.host) or self._marks.get(private_key(directory(origin)))

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
            # It may have been marked meanwhile.
            found = found or self._marks.get(key, False)
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

    def _unreadable(self, origin: Origin, error: Storage) -> None:
        log.error("the cache of {origin}: {reason} ({why})", origin=origin, reason=error.message, why=error.operation)


def _read_listed(data: bytes) -> Listed:
    """
    :raises ValueError: if it is damaged.
    """
    return Listed(parse_entries(data), msgspec.json.decode(data, type=_ListedFile).validated)


def _listed_file(listed: Listed) -> bytes:
    return msgspec.json.encode(_ListedFile(listed.validated, [msgspec.Raw(one) for one in listed.entries]))
