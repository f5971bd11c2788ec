"""How a group leaves the cache: tags, then manifests, then blobs.

Wherever this ends half-way, by a kill or a fault, no tag stands on a manifest that is gone, and no
manifest that is left lacks a blob that it had. What is left behind is needed by nothing, and goes the next time.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from pkgd.blocking import Blocking
from pkgd.formats.digest import Digest
from pkgd.registry.legacy import read_object
from pkgd.state import Cached, Group, Ledger
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.layout import (
    blob_key,
    digest_of_file,
    manifest_key,
    manifests_prefix,
    media_type_key,
    referrers_key,
    referrers_prefix,
    tags_prefix,
)

__all__ = ["Removal"]


class _Pointer(msgspec.Struct):
    """A tag's file, as far as it matters here."""

    digest: str


class Removal:
    """Deletes from the tree, and tells the ledger. Whoever calls holds the place's lock."""

    def __init__(self, store: ObjectStore, ledger: Ledger, blocking: Blocking) -> None:
        self._store = store
        self._ledger = ledger
        self._blocking = blocking

    async def remove(self, group: Group) -> list[Cached]:
        """Remove what only this group needs. Returns what that was.

        :raises Storage: if something cannot be deleted; the ledger knows what has been.
        """
        place, gone = group.root.place, list[Cached]()
        try:
            await self._remove_tags(place, [one.digest for one in group.manifests])
            for one in group.manifests:
                await self._remove_manifest(place, Digest.parse(one.digest))
                gone.append(one)
            for one in group.blobs:
                await self._store.delete(blob_key(place, Digest.parse(one.digest)))
                gone.append(one)
        finally:
            await self._ledger.remove_all(gone)
        if await self._ledger.is_empty(place):
            await self._clear(place)
        return gone

    async def _remove_tags(self, place: str, digests: Collection[str]) -> None:
        """Remove the tags that point at any of these."""
        prefix = tags_prefix(place)
        for entry in await self._store.list(prefix) if digests else []:
            key = f"{prefix}/{entry.name}"
            if await self._target(key) in digests:
                await self._store.delete(key)

    async def _target(self, key: str) -> str | None:
        """What a tag's file points at; a damaged one points at nothing."""
        data = await read_object(self._store, self._blocking, key)
        try:
            return None if data is None else msgspec.json.decode(data, type=_Pointer).digest
        except ValueError:
            return None

    async def _remove_manifest(self, place: str, digest: Digest) -> None:
        """Remove a manifest, and what is kept beside it; itself first, for without them it would be another."""
        for key in (manifest_key, media_type_key, referrers_key):
            await self._store.delete(key(place, digest))

    async def _clear(self, place: str) -> None:
        """Remove what is left of a place without content; not its marks, which are decisions about its name."""
        files = [entry.name for entry in await self._store.list(manifests_prefix(place))]
        if any(digest_of_file(name) for name in files):
            return  # the ledger doesn't know everything
        leftovers = [f"{manifests_prefix(place)}/{name}" for name in files]
        for prefix in (tags_prefix(place), referrers_prefix(place)):
            leftovers += [f"{prefix}/{entry.name}" for entry in await self._store.list(prefix)]
        for key in leftovers:
            await self._store.delete(key)
