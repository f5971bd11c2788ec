"""Manifests as the original server kept them: whole, in `manifests/<tag>.json`. Read, never written.

Such a tree is served in place. A tag there points at the bytes themselves; a digest is found by
hashing the repository's files, once per version of each file.
"""

from __future__ import annotations

from attrs import frozen

from pkgd.blocking import Blocking
from pkgd.formats.digest import Digest
from pkgd.formats.names import Repository, Tag
from pkgd.storage.interfaces import ObjectStore, Versioned
from pkgd.storage.layout import directories, legacy_key, legacy_prefix, tag_of_legacy
from pkgd.storage.whole import read_object

__all__ = ["LegacyManifest", "LegacyManifests"]

# Digests of legacy files that are remembered.
MAX_KNOWN = 65536


@frozen
class LegacyManifest:
    """A legacy file: its key, the tag that it is, its bytes, and its version before they were read."""

    key: str
    tag: Tag
    data: bytes
    version: object | None


class LegacyManifests:
    """The legacy files of all repositories."""

    def __init__(self, store: ObjectStore, versions: Versioned, blocking: Blocking) -> None:
        self._store = store
        self._versions = versions
        self._blocking = blocking
        self._digests: dict[tuple[str, str], tuple[object, str]] = {}

    async def by_tag(self, name: Repository, tag: Tag) -> LegacyManifest | None:
        """The tag's manifest, or None."""
        for place in directories(name):
            found = await self._read(legacy_key(place, tag), tag)
            if found is not None:
                return found
        return None

    async def with_digest(self, name: Repository, digest: Digest) -> list[LegacyManifest]:
        """Every legacy file whose bytes have the digest."""
        found = []
        for key, tag in await self._keys(name):
            if await self._digest(key, digest.algorithm) == digest.encoded:
                one = await self._read(key, tag)
                if one is not None and Digest.of(one.data, digest.algorithm) == digest:
                    found.append(one)
        return found

    async def tags(self, name: Repository) -> list[Tag]:
        """The tags that have a legacy file."""
        return [tag for _, tag in await self._keys(name)]

    async def remove(self, manifest: LegacyManifest) -> None:
        """Delete a legacy file: its tag has been deleted."""
        await self._store.delete(manifest.key)

    async def _read(self, key: str, tag: Tag) -> LegacyManifest | None:
        version = self._versions.version(key)
        data = await read_object(self._store, self._blocking, key)
        return None if data is None else LegacyManifest(key, tag, data, version)

    async def _keys(self, name: Repository) -> list[tuple[str, Tag]]:
        found: dict[Tag, str] = {}
        for place in directories(name):
            for entry in await self._store.list(legacy_prefix(place)):
                tag = None if entry.is_prefix else tag_of_legacy(entry.name)
                if tag is not None:
                    found.setdefault(tag, legacy_key(place, tag))
        return [(key, tag) for tag, key in found.items()]

    async def _digest(self, key: str, algorithm: str) -> str | None:
        version = self._versions.version(key)
        known = self._digests.get((key, algorithm))
        if known is not None and version is not None and known[0] == version:
            return known[1]
        data = await read_object(self._store, self._blocking, key)
        if data is None:
            return None
        digest = Digest.of(data, algorithm).encoded
        if len(self._digests) >= MAX_KNOWN:
            self._digests.clear()
        self._digests[key, algorithm] = (version, digest)
        return digest
