"""What a repository's tree holds, listed: its tags, and all that the index keeps of it."""

from __future__ import annotations

from typing import Any

import msgspec

from pkgd.blocking import Blocking
from pkgd.errors import InvalidDigest, InvalidManifest, InvalidReference
from pkgd.formats.digest import Digest
from pkgd.formats.names import Repository, RepositoryName, Tag
from pkgd.formats.oci import Manifest, parse_manifest
from pkgd.registry.legacy import LegacyManifests
from pkgd.sharing import KeyedLock
from pkgd.state import Contents, Index, Referrer
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.layout import (
    blobs_prefix,
    digest_of_file,
    directories,
    directory,
    file_of,
    manifests_prefix,
    media_type_key,
    tags_prefix,
)
from pkgd.storage.whole import read_object

__all__ = ["ContentsReader", "referrer_of"]


def referrer_of(digest: Digest, size: int, manifest: Manifest) -> Referrer | None:
    """A manifest's entry in its subject's referrers list (distribution-spec, "Listing Referrers").

    None if it has no subject.
    """
    if manifest.subject is None:
        return None
    entry: dict[str, Any] = {"mediaType": manifest.media_type, "digest": str(digest), "size": size}
    if manifest.artifact_type:
        entry["artifactType"] = manifest.artifact_type
    if manifest.annotations:
        entry["annotations"] = manifest.annotations
    return Referrer(str(manifest.subject.digest), str(digest), msgspec.json.encode(entry))


class ContentsReader:
    """Lists repositories by their trees, and fills the index from them."""

    def __init__(self, store: ObjectStore, index: Index, legacy: LegacyManifests, blocking: Blocking) -> None:
        self._store = store
        self._index = index
        self._legacy = legacy
        self._blocking = blocking

    async def tags(self, name: Repository) -> list[str]:
        """The repository's tags, in byte order; a file whose name is no tag is not listed."""
        found = {str(tag) for tag in await self._legacy.tags(name)}
        for place in directories(name):
            found.update(entry.name for entry in await self._store.list(tags_prefix(place)) if _is_tag(entry.name))
        return sorted(found)

    async def ensure_known(self, name: RepositoryName, locks: KeyedLock) -> None:
        """Read the repository into the index, unless it has been. Holds its lock meanwhile."""
        if await self._index.knows(name):
            return
        async with locks.holding(name):
            if not await self._index.knows(name):
                await self._index.fill(name, directory(name), await self._read(name))

    async def referrers(self, name: RepositoryName, subject: Digest) -> list[bytes]:
        """The entries of manifests that name a subject, in the order of their digests: from the tree, all of it."""
        found = sorted((await self._read(name)).referrers, key=lambda one: one.digest)
        return [one.descriptor for one in found if one.subject == str(subject)]

    async def _read(self, name: RepositoryName) -> Contents:
        blobs, referrers = [], []
        for place in directories(name):
            blobs += [str(digest) for digest in await self._digests(blobs_prefix(place))]
            prefix = manifests_prefix(place)
            for digest in await self._digests(prefix):
                data = await read_object(self._store, self._blocking, f"{prefix}/{file_of(digest)}")
                if data is not None:
                    referrers.append(await self._referrer(digest, data, await self._media_type(place, digest)))
        for tag in await self._legacy.tags(name):
            legacy = await self._legacy.by_tag(name, tag)
            if legacy is not None:
                referrers.append(await self._referrer(Digest.of(legacy.data), legacy.data, ""))
        return Contents(blobs, await self.pointers(name), [one for one in referrers if one is not None])

    async def _referrer(self, digest: Digest, data: bytes, media_type: str) -> Referrer | None:
        try:
            return referrer_of(digest, len(data), await self._blocking.work(parse_manifest, data, media_type))
        except InvalidManifest:
            return None

    async def _media_type(self, place: str, digest: Digest) -> str:
        """What is kept beside a manifest that doesn't say it itself; else, or if that is damaged, nothing."""
        meta = await read_object(self._store, self._blocking, media_type_key(place, digest))
        try:
            return "" if meta is None else str(msgspec.json.decode(meta, type=dict).get("mediaType", ""))
        except ValueError:
            return ""

    async def pointers(self, name: RepositoryName) -> list[tuple[str, str]]:
        """Every tag with its digest, legacy ones included; a new pointer hides a legacy file."""
        found: dict[str, str] = {}
        for tag in await self._legacy.tags(name):
            legacy = await self._legacy.by_tag(name, tag)
            if legacy is not None:
                found[tag] = str(Digest.of(legacy.data))
        for place in reversed(directories(name)):
            for entry in await self._store.list(tags_prefix(place)):
                data = await read_object(self._store, self._blocking, f"{tags_prefix(place)}/{entry.name}")
                digest = _pointed(data) if data is not None and _is_tag(entry.name) else None
                if digest is not None:
                    found[entry.name] = digest
        return list(found.items())

    async def _digests(self, prefix: str) -> list[Digest]:
        entries = [digest_of_file(entry.name) for entry in await self._store.list(prefix)]
        return [digest for digest in entries if digest is not None]


def _pointed(data: bytes) -> str | None:
    try:
        return str(Digest.parse(str(msgspec.json.decode(data, type=dict).get("digest"))))
    except (ValueError, InvalidDigest):
        return None


def _is_tag(name: str) -> bool:
    try:
        Tag.parse(name)
    except InvalidReference:
        return False
    return True
