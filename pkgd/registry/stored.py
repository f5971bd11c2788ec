"""Stored manifests, found by tag or by digest, wherever they stand (distribution-spec, "Pulling manifests").

Looked for in this order: the tag's pointer and the manifest it names; the original server's files. What has
been read is remembered, with the versions of the files that it depends on, and served from memory as long as
none of them has changed.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec
from attrs import evolve, field, frozen
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import FailedStorage, InvalidDigest, InvalidManifest, UnknownManifest
from pkgd.formats.digest import Digest
from pkgd.formats.names import Reference, Repository, Tag
from pkgd.formats.oci import Manifest, detect_media_type
from pkgd.registry.legacy import LegacyManifests
from pkgd.storage.interfaces import ObjectStore, Versioned
from pkgd.storage.layout import directories, directory, manifest_key, media_type_key, tag_key
from pkgd.storage.whole import read_object

__all__ = ["StoredManifest", "StoredManifests", "encode_pointer", "write_manifest"]

log = Logger()

# Manifests kept in memory: their bytes, in all.
CACHE_BYTES = 16 << 20

_Check = tuple[str, object | None]


@frozen
class StoredManifest:
    """A manifest as it is served.

    `checks` are the objects it was read from, each with its version then: it is current as long as
    none has changed. `validated` is when an upstream last confirmed the tag that it was found by, in
    seconds since the epoch; 0 without an upstream.
    """

    digest: Digest
    media_type: str
    data: bytes = field(repr=False)
    checks: tuple[_Check, ...] = field(repr=False, default=())
    validated: float = 0.0


class _Pointer(msgspec.Struct, omit_defaults=True):
    """A tag's file; more keys may follow."""

    digest: str
    validated: float = 0.0


class _Meta(msgspec.Struct):
    """A manifest's media type, where its bytes don't say it."""

    media_type: str = msgspec.field(name="mediaType")


class StoredManifests:
    """The manifests of all repositories, hosted or of an upstream, for reading; no lock is needed."""

    def __init__(self, store: ObjectStore, versions: Versioned, blocking: Blocking, legacy: LegacyManifests) -> None:
        self._store = store
        self._versions = versions
        self._blocking = blocking
        self._legacy = legacy
        self._cache: OrderedDict[tuple[Repository, str], StoredManifest] = OrderedDict()
        self._cached_bytes = 0

    def cached(self, name: Repository, reference: str) -> StoredManifest | None:
        """The manifest if it is in memory and current: answered without a thread."""
        found = self._cache.get((name, reference))
        if found is None:
            return None
        for key, version in found.checks:
            if self._versions.version(key) != version:
                self._forget(name, reference)
                return None
        return found

    async def get(self, name: Repository, reference: Reference) -> StoredManifest:
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

    async def _by_digest(self, name: Repository, digest: Digest) -> StoredManifest | None:
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

    async def _by_tag(self, name: Repository, tag: Tag) -> StoredManifest | None:
        # Where it is not found counts as well: what comes to be there hides what is found further on.
        checks: list[_Check] = []
        for place in directories(name):
            key = tag_key(place, tag)
            version = self._versions.version(key)
            data = await read_object(self._store, self._blocking, key)
            if data is not None:
                digest, validated = _pointed(key, data)
                found = None if digest is None else await self._by_digest(name, digest)
                if found is None:
                    return None
                checks += [_check(key, version), *found.checks]
                return evolve(found, checks=tuple(checks), validated=validated)
            checks.append((key, None))
        legacy = await self._legacy.by_tag(name, tag)
        if legacy is None:
            return None
        checks.append(_check(legacy.key, legacy.version))
        return StoredManifest(Digest.of(legacy.data), _shape_of(legacy.data), legacy.data, tuple(checks))

    async def target(self, name: Repository, tag: Tag) -> Digest | None:
        """The digest that a tag stands for, whatever became of the manifest. None if it stands for none."""
        for place in directories(name):
            data = await read_object(self._store, self._blocking, tag_key(place, tag))
            if data is not None:
                return _pointed(tag_key(place, tag), data)[0]
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

    # -- what is in memory --

    def _remember(self, name: Repository, reference: str, manifest: StoredManifest) -> None:
        self._forget(name, reference)
        self._cache[name, reference] = manifest
        self._cached_bytes += len(manifest.data)
        while self._cached_bytes > CACHE_BYTES and len(self._cache) > 1:
            _, dropped = self._cache.popitem(last=False)
            self._cached_bytes -= len(dropped.data)

    def _forget(self, name: Repository, reference: str) -> None:
        dropped = self._cache.pop((name, reference), None)
        if dropped is not None:
            self._cached_bytes -= len(dropped.data)


def encode_pointer(digest: Digest, validated: float = 0.0) -> bytes:
    """A tag's file; `validated` is for tags of an upstream."""
    return msgspec.json.encode(_Pointer(str(digest), validated))


async def write_manifest(
    store: ObjectStore, blocking: Blocking, name: Repository, digest: Digest, manifest: Manifest, data: bytes
) -> None:
    """Make checked bytes a manifest of the repository, durably.

    The media type first, so that the manifest is never served with another.
    """
    place = directory(name)
    if not manifest.states_type:
        await store.put_bytes(media_type_key(place, digest), _encode_media_type(manifest.media_type))
    # Compared byte for byte, so that it heals a file that has been damaged.
    if await read_object(store, blocking, manifest_key(place, digest)) != data:
        await store.put_bytes(manifest_key(place, digest), data)


def _encode_media_type(media_type: str) -> bytes:
    """The file beside a manifest that doesn't say its media type."""
    return msgspec.json.encode(_Meta(media_type))


def _check(key: str, version: object | None) -> _Check:
    """What to compare later, for an object that was read after its version.

    Without a version it came between the two; its absence must not pass for the same state then.
    """
    return key, object() if version is None else version


def _pointed(key: str, data: bytes) -> tuple[Digest | None, float]:
    """The digest in a tag's file, and when it was validated. A damaged file is reported, and points at nothing."""
    try:
        pointer = msgspec.json.decode(data, type=_Pointer)
        return Digest.parse(pointer.digest), pointer.validated
    except (ValueError, InvalidDigest):
        log.error("the tag file {key} is damaged", key=key)
        return None, 0.0


def _shape_of(data: bytes) -> str:
    """The media type that the bytes state or show; a tree from before the check may hold anything."""
    try:
        return detect_media_type(data)
    except InvalidManifest:
        return "application/octet-stream"
