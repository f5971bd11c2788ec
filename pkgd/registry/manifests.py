"""Pushing and deleting manifests and tags (distribution-spec, "Pushing manifests", "Deleting").

A manifest is stored byte for byte and named by the digest it was pushed under. A tag is a pointer
to such a digest. Order of every push: blobs durable, then the manifest, then its tags, then the
answer. A repository's pushes and deletes follow one another; reads (`pkgd.registry.stored`) need no lock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from attrs import frozen
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import DigestMismatch, FailedStorage, ImmutableTag, MissingBlob, UnknownManifest
from pkgd.formats.digest import Digest
from pkgd.formats.globs import Globs
from pkgd.formats.names import Reference, RepositoryName, Tag
from pkgd.formats.oci import Manifest, parse_manifest
from pkgd.registry.blobs import Blobs
from pkgd.registry.contents import ContentsReader, referrer_of
from pkgd.registry.immutable import ImmutableTags
from pkgd.registry.legacy import LegacyManifests
from pkgd.registry.stored import StoredManifests, encode_pointer, write_manifest
from pkgd.sharing import KeyedLock
from pkgd.state import Index
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.layout import directories, directory, manifest_key, media_type_key, tag_key
from pkgd.storage.reserve import Reserve
from pkgd.storage.space import FreeSpace

__all__ = ["Manifests", "Pushed", "TagChange"]

log = Logger()

# How many of an index's manifests are looked for, to warn about absent ones.
MAX_CHECKED = 100
# Larger documents are parsed in a thread.
PARSE_INLINE = 16 * 1024


@frozen
class TagChange:
    """A tag that a push would set: new, or moved from another manifest."""

    tag: Tag
    moves: bool


@frozen
class Pushed:
    """What a push did: the digest it is stored under, the tags that it changed, the subject that it names, and what the
    user should know."""

    digest: Digest
    changes: tuple[TagChange, ...]
    subject: Digest | None
    warning: str | None


class Manifests:
    """Changes to the manifests and tags of all hosted repositories."""

    def __init__(
        self,
        store: ObjectStore,
        index: Index,
        blobs: Blobs,
        stored: StoredManifests,
        legacy: LegacyManifests,
        contents: ContentsReader,
        space: FreeSpace,
        reserve: Reserve,
        blocking: Blocking,
        locks: KeyedLock,
        sparse: Globs,
        immutable: ImmutableTags,
    ) -> None:
        """
        :param locks: one lock for each repository, shared with the blobs.
        :param sparse: repositories whose manifests may name absent blobs.
        """
        self._store = store
        self._index = index
        self._blobs = blobs
        self._stored = stored
        self._legacy = legacy
        self._contents = contents
        self._space = space
        self._reserve = reserve
        self._blocking = blocking
        self._locks = locks
        self._sparse = sparse
        self._immutable = immutable

    def touch(self, name: RepositoryName, digest: Digest) -> None:
        """A client is about to be told whether the manifest is here: it stays for a while."""
        self._blobs.leases.touch(directory(name), digest)

    def is_immutable(self, name: RepositoryName, tag: str) -> bool:
        """Whether the tag, once it is set, stays."""
        return self._immutable.covers(name, tag)

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
        :raises ImmutableTag: if it would move a tag that is to stay.
        """
        await self._space.require(len(data))
        manifest = await self._parse(data, content_type)
        algorithm = reference.algorithm if isinstance(reference, Digest) else "sha256"
        digest = Digest.of(data, algorithm)
        if isinstance(reference, Digest) and digest != reference:
            raise DigestMismatch(str(reference), str(digest))
        wanted = list(tags) if isinstance(reference, Digest) else [reference, *tags]
        async with self._locks.holding(name):
            subject = [manifest.subject] if manifest.subject else []
            for one in (digest, *(it.digest for it in (*manifest.blobs, *manifest.children, *subject))):
                self.touch(name, one)
            await self._require_blobs(name, manifest)
            changes = await self._changes(name, wanted, digest)
            for change in changes:
                permit(change)
                if change.moves and self._immutable.covers(name, change.tag):
                    raise ImmutableTag(name, change.tag)
            await write_manifest(self._store, self._blocking, name, digest, manifest, data)
            # Also those that do not change: a tag is as old as its last push.
            for tag in dict.fromkeys(wanted):
                await self._point(name, tag, digest)
            referrer = referrer_of(digest, len(data), manifest)
            await self._index.add_manifest(name, str(digest), wanted, referrer)
            warning = await self._absences(name, manifest)
        return Pushed(digest, tuple(changes), manifest.subject.digest if manifest.subject else None, warning)

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
            current = await self._stored.target(name, tag)
            if current != digest:
                changes.append(TagChange(tag, moves=current is not None))
            if current is not None:
                self.touch(name, current)
        return changes

    async def _point(self, name: RepositoryName, tag: Tag, digest: Digest) -> None:
        await self._store.put_bytes(tag_key(directory(name), tag), encode_pointer(digest))

    # -- deleting --

    async def delete(
        self, name: RepositoryName, reference: Reference, check: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Remove a tag; or a manifest, and every tag on it. Durably.

        :param check: asked while nothing else changes the repository; raises to refuse.
        :raises UnknownManifest: if there is none.
        :raises ImmutableTag: if it would take away a tag that is to stay, or what that leads to.
        """
        is_known = not isinstance(reference, Digest) or await self._is_known(name)
        async with self._locks.holding(name):
            if check is not None:
                await check()
            if isinstance(reference, Digest):
                await self._delete_manifest(name, reference, is_known)
            else:
                await self._delete_tag(name, reference)

    async def _delete_tag(self, name: RepositoryName, tag: Tag) -> None:
        target = await self._stored.target(name, tag)
        if target is not None:
            if self._immutable.covers(name, tag):
                raise ImmutableTag(name, tag)
            self.touch(name, target)
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
            found, target = True, manifest_key(directory(name), Digest.of(legacy.data))
            await self._reserve.freeing(self._blocking, partial(self._store.link, legacy.key, target))
            await self._legacy.remove(legacy)
        return found

    async def _is_known(self, name: RepositoryName) -> bool:
        """Whether the index knows the repository now. On a full disk it may not learn of it, and deletes go on."""
        try:
            await self._contents.ensure_known(name, self._locks)
        except FailedStorage as error:
            log.warn("{name} is read without the index: {reason}", name=name, reason=error.operation)
            return False
        return True

    async def _tags_of(self, name: RepositoryName, digest: Digest, is_known: bool) -> list[str]:
        if is_known:
            return await self._index.tags_of(name, str(digest))
        return [tag for tag, found in await self._contents.pointers(name) if found == str(digest)]

    async def _delete_manifest(self, name: RepositoryName, digest: Digest, is_known: bool) -> None:
        await self._immutable.check(name, digest)
        for tag in await self._tags_of(name, digest, is_known):
            if await self._stored.target(name, Tag(tag)) == digest:
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
