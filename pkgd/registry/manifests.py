"""Manifests and tags of hosted repositories (distribution-spec, "Pulling manifests", "Pushing manifests").

A manifest is stored byte for byte and named by the digest it was pushed under. A tag is a pointer
to such a digest. Order of every push: blobs durable, then the manifest, then its tags, then the
answer. A repository's pushes and deletes follow one another; reads need no lock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec
from attrs import field, frozen
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import DigestMismatch, FailedStorage, InvalidDigest, InvalidManifest, MissingBlob, UnknownManifest
from pkgd.formats.digest import Digest
from pkgd.formats.globs import Globs
from pkgd.formats.names import Reference, RepositoryName, Tag
from pkgd.formats.oci import Manifest, detect_media_type, parse_manifest
from pkgd.registry.blobs import Blobs
from pkgd.registry.contents import ContentsReader, referrer_of
from pkgd.registry.legacy import LegacyManifests, read_object
from pkgd.sharing import KeyedLock
from pkgd.state import Index
from pkgd.storage.interfaces import ObjectStore, Versioned
from pkgd.storage.layout import directories, directory, manifest_key, media_type_key, tag_key
from pkgd.storage.space import FreeSpace

__all__ = ["Manifests", "Pushed", "StoredManifest", "TagChange"]

log = Logger()

# Manifests kept in memory: their bytes, in all.
CACHE_BYTES = 16 << 20
# How many of an index's manifests are looked for, to warn about absent ones.
MAX_CHECKED = 100
# Larger documents are parsed in a thread.
PARSE_INLINE = 16 * 1024


_Check = tuple[str, object | None]


@frozen
class StoredManifest:
    """A manifest as it is served.

    `checks` are the objects it was read from, each with its version then: it is current as long as
    none has changed.
    """

    digest: Digest
    media_type: str
    data: bytes = field(repr=False)
    checks: tuple[_Check, ...] = field(repr=False, default=())


@frozen
class Pushed:
    """What a push did: the digest it is stored under, the subject it names, and what the user should know."""

    digest: Digest
    subject: Digest | None
    warning: str | None


@frozen
class TagChange:
    """A tag that a push would set: new, or moved from another manifest."""

    tag: Tag
    moves: bool


class _Pointer(msgspec.Struct):
    """A tag's file; more keys may follow."""

    digest: str


class _Meta(msgspec.Struct):
    """A manifest's media type, where its bytes don't say it."""

    media_type: str = msgspec.field(name="mediaType")


class Manifests:
    """See the module."""

    def __init__(
        self,
        store: ObjectStore,
        versions: Versioned,
        index: Index,
        blobs: Blobs,
        space: FreeSpace,
        blocking: Blocking,
        locks: KeyedLock,
        legacy: LegacyManifests,
        contents: ContentsReader,
        sparse: Globs,
    ) -> None:
        self._store = store
        self._versions = versions
        self._index = index
        self._blobs = blobs
        self._space = space
        self._blocking = blocking
        self._locks = locks
        self._sparse = sparse
        self._legacy = legacy
        self._contents = contents
        self._cache: OrderedDict[tuple[str, str], StoredManifest] = OrderedDict()
        self._cached_bytes = 0

    # -- reading --

    def cached(self, name: str, reference: str) -> StoredManifest | None:
        """The manifest if it is in memory and current: answered without a thread."""
        found = self._cache.get((name, reference))
        if found is None:
            return None
        for key, version in found.checks:
            if self._versions.version(key) != version:
                self._forget(name, reference)
                return None
        return found

    async def get(self, name: RepositoryName, reference: Reference) -> StoredManifest:
        """The manifest that a tag or a digest names.

        :raises UnknownManifest: if the repository has none.
        """
        found = self.cached(name, str(reference))
        if found is None:
            if isinstance(reference, Digest):
                found = await self._by_digest(name, reference)
            else:
                found = await self._by_tag(name, reference)
            if found is None:
                raise UnknownManifest(str(reference))
            self._remember(name, str(reference), found)
        return found

    async def tags(self, name: RepositoryName) -> list[str]:
        """The repository's tags, in byte order; None of them is a broken name."""
        return await self._contents.tags(name)

    async def _by_digest(self, name: RepositoryName, digest: Digest) -> StoredManifest | None:
        for place in directories(name):
            key = manifest_key(place, digest)
            version = self._versions.version(key)
            data = await read_object(self._store, self._blocking, key)
            if data is not None:
                if Digest.of(data, digest.algorithm) != digest:
                    raise FailedStorage(f"the manifest {digest} of {name} is damaged")
                media_type, checks = await self._type_of(place, digest, data)
                return StoredManifest(digest, media_type, data, (_check(key, version), *checks))
        for one in await self._legacy.with_digest(name, digest):
            return StoredManifest(digest, _shape_of(one.data), one.data, (_check(one.key, one.version),))
        return None

    async def _by_tag(self, name: RepositoryName, tag: Tag) -> StoredManifest | None:
        # Where it is not found counts as well: what comes to be there hides what is found further on.
        checks: list[_Check] = []
        for place in directories(name):
            key = tag_key(place, tag)
            version = self._versions.version(key)
            data = await read_object(self._store, self._blocking, key)
            if data is not None:
                digest = _pointed(key, data)
                found = None if digest is None else await self._by_digest(name, digest)
                if found is None:
                    return None
                checks += [_check(key, version), *found.checks]
                return StoredManifest(found.digest, found.media_type, found.data, tuple(checks))
            checks.append((key, None))
        legacy = await self._legacy.by_tag(name, tag)
        if legacy is None:
            return None
        checks.append(_check(legacy.key, legacy.version))
        return StoredManifest(Digest.of(legacy.data), _shape_of(legacy.data), legacy.data, tuple(checks))

    async def _target(self, name: RepositoryName, tag: Tag) -> Digest | None:
        """The digest that a tag stands for, whatever became of the manifest. None if it stands for none."""
        for place in directories(name):
            data = await read_object(self._store, self._blocking, tag_key(place, tag))
            if data is not None:
                return _pointed(tag_key(place, tag), data)
        legacy = await self._legacy.by_tag(name, tag)
        return None if legacy is None else Digest.of(legacy.data)

    async def _type_of(self, place: str, digest: Digest, data: bytes) -> tuple[str, tuple[_Check, ...]]:
        """The manifest's media type, and what else than its bytes that depends on."""
        key = media_type_key(place, digest)
        version = self._versions.version(key)
        meta = await read_object(self._store, self._blocking, key)
        if meta is not None:
            try:
                return msgspec.json.decode(meta, type=_Meta).media_type, ((key, version),)
            except ValueError:
                log.error("the media type of {digest} in {place} is damaged", digest=digest, place=place)
        media_type = _shape_of(data)
        # Bytes that don't say it may be pushed again as another type.
        return media_type, () if media_type.encode() in data else ((key, version),)

    # -- writing --

    async def put(
        self,
        name: RepositoryName,
        reference: Reference,
        data: bytes,
        content_type: str,
        tags: Sequence[Tag],
        permit: Callable[[TagChange], None],
    ) -> Pushed:
        """Store a manifest, and set its tags, durably.

        :param tags: further tags, beside a reference that is one.
        :param permit: asked about each tag that would change, before anything is written; raises to refuse.
        :raises InvalidManifest: if the document is malformed.
        :raises DigestMismatch: if the reference is a digest and not that of the bytes.
        :raises MissingBlob: if it names a blob that the repository doesn't have.
        """
        await self._space.require(len(data))
        manifest = await self._parse(data, content_type)
        algorithm = reference.algorithm if isinstance(reference, Digest) else "sha256"
        digest = Digest.of(data, algorithm)
        if isinstance(reference, Digest) and digest != reference:
            raise DigestMismatch(str(reference), str(digest))
        wanted = list(tags) if isinstance(reference, Digest) else [reference, *tags]
        async with self._locks.holding(name):
            await self._require_blobs(name, manifest)
            changes = await self._changes(name, wanted, digest)
            for change in changes:
                permit(change)
            await self._write(name, digest, manifest, data)
            for change in changes:
                await self._point(name, change.tag, digest)
            referrer = referrer_of(digest, len(data), manifest)
            await self._index.add_manifest(name, str(digest), wanted, referrer)
            warning = await self._absences(name, manifest)
        return Pushed(digest, manifest.subject.digest if manifest.subject else None, warning)

    async def _parse(self, data: bytes, content_type: str) -> Manifest:
        if len(data) <= PARSE_INLINE:
            return parse_manifest(data, content_type)
        return await self._blocking.work(parse_manifest, data, content_type)

    async def _require_blobs(self, name: RepositoryName, manifest: Manifest) -> None:
        if self._sparse.match(name):
            return
        for one in {blob.digest: blob for blob in manifest.blobs if not blob.is_foreign}:
            if not await self._blobs.has(name, one):
                raise MissingBlob(str(one))

    async def _absences(self, name: RepositoryName, manifest: Manifest) -> str | None:
        """A sentence about what an accepted manifest names and the repository does not have."""
        children = {one.digest for one in manifest.children[:MAX_CHECKED]}
        keys = [[manifest_key(place, one) for place in directories(name)] for one in children]
        absent = [one for one in keys if not any([await self._store.stat(key) is not None for key in one])]
        return f"{len(absent)} of the manifests in this index are not in the repository" if absent else None

    async def _changes(self, name: RepositoryName, tags: Sequence[Tag], digest: Digest) -> list[TagChange]:
        """Which of the tags do not point at the digest yet."""
        changes = []
        for tag in dict.fromkeys(tags):
            current = await self._target(name, tag)
            if current != digest:
                changes.append(TagChange(tag, moves=current is not None))
        return changes

    async def _write(self, name: RepositoryName, digest: Digest, manifest: Manifest, data: bytes) -> None:
        """The media type first, so that the manifest is never served with another."""
        place = directory(name)
        if not manifest.states_type:
            meta = msgspec.json.encode(_Meta(manifest.media_type))
            await self._store.put_bytes(media_type_key(place, digest), meta)
        # Compared byte for byte, so that a push heals a file that has been damaged.
        if await read_object(self._store, self._blocking, manifest_key(place, digest)) != data:
            await self._store.put_bytes(manifest_key(place, digest), data)

    async def _point(self, name: RepositoryName, tag: Tag, digest: Digest) -> None:
        await self._store.put_bytes(tag_key(directory(name), tag), msgspec.json.encode(_Pointer(str(digest))))

    # -- deleting --

    async def delete(self, name: RepositoryName, reference: Reference) -> None:
        """Remove a tag; or a manifest, and every tag on it. Durably.

        :raises UnknownManifest: if there is none.
        """
        if isinstance(reference, Digest):
            await self._contents.ensure_known(name, self._locks)
        async with self._locks.holding(name):
            if isinstance(reference, Digest):
                await self._delete_manifest(name, reference)
            else:
                await self._delete_tag(name, reference)

    async def _delete_tag(self, name: RepositoryName, tag: Tag) -> None:
        # Legacy files first: once the pointer that hides them is gone, they would be the tag again.
        found = await self._delete_legacy(name, tag)
        for place in directories(name):
            found |= await self._store.delete(tag_key(place, tag))
        if not found:
            raise UnknownManifest(tag)
        await self._index.remove_tag(name, tag)

    async def _delete_legacy(self, name: RepositoryName, tag: Tag) -> bool:
        """Remove a tag's legacy files; the manifests stay, where a digest finds them. False if there are none."""
        found = False
        while (legacy := await self._legacy.by_tag(name, tag)) is not None:
            found = True
            await self._store.link(legacy.key, manifest_key(directory(name), Digest.of(legacy.data)))
            await self._legacy.remove(legacy)
        return found

    async def _delete_manifest(self, name: RepositoryName, digest: Digest) -> None:
        for tag in await self._index.tags_of(name, str(digest)):
            if await self._target(name, Tag(tag)) == digest:
                await self._delete_tag(name, Tag(tag))
        found = [await self._store.delete(manifest_key(place, digest)) for place in directories(name)]
        for place in directories(name):
            await self._store.delete(media_type_key(place, digest))
        for legacy in await self._legacy.with_digest(name, digest):
            found.append(True)
            await self._legacy.remove(legacy)
        if not any(found):
            raise UnknownManifest(str(digest))
        await self._index.remove_manifest(name, str(digest))

    # -- what is in memory --

    def _remember(self, name: str, reference: str, manifest: StoredManifest) -> None:
        self._forget(name, reference)
        self._cache[name, reference] = manifest
        self._cached_bytes += len(manifest.data)
        while self._cached_bytes > CACHE_BYTES and len(self._cache) > 1:
            _, dropped = self._cache.popitem(last=False)
            self._cached_bytes -= len(dropped.data)

    def _forget(self, name: str, reference: str) -> None:
        dropped = self._cache.pop((name, reference), None)
        if dropped is not None:
            self._cached_bytes -= len(dropped.data)


def _check(key: str, version: object | None) -> _Check:
    """What to compare later, for an object that was read after its version.

    Without a version it came between the two; its absence must not pass for the same state then.
    """
    return key, object() if version is None else version


def _pointed(key: str, data: bytes) -> Digest | None:
    """The digest in a tag's file. A damaged file is reported, and points at nothing."""
    try:
        return Digest.parse(msgspec.json.decode(data, type=_Pointer).digest)
    except (ValueError, InvalidDigest):
        log.error("the tag file {key} is damaged", key=key)
        return None


def _shape_of(data: bytes) -> str:
    """The media type that the bytes state or show; a tree from before the check may hold anything."""
    try:
        return detect_media_type(data)
    except InvalidManifest:
        return "application/octet-stream"
