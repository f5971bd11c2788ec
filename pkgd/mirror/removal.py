"""How a group leaves the cache: tags, then manifests, then blobs.

Wherever this ends half-way, by a kill or a fault, no tag stands on a manifest that is gone, and no
manifest that is left lacks a blob that it had. What is left behind is needed by nothing, and goes the next time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from pkgd.blocking import Blocking
from pkgd.formats.digest import Digest
from pkgd.state import Cached, Group, Ledger
from pkgd.storage.interfaces import ObjectStore, Versioned
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
from pkgd.storage.whole import read_object

__all__ = ["Removal"]

# Tags whose targets are remembered, so that not all of a place's are read for each group that goes.
MAX_TARGETS = 32768


class _Store(ObjectStore, Versioned, Protocol):
    """A store that tells versions, too."""


class _Pointer(msgspec.Struct):
    """A tag's file, as far as it matters here."""

    digest: str


class Removal:
    """Deletes from the tree, and tells the ledger. Whoever calls holds the place's lock."""

    def __init__(self, store: _Store, ledger: Ledger, blocking: Blocking, max_targets: int = MAX_TARGETS) -> None:
        self._store = store
        self._ledger = ledger
        self._targets = _Targets(store, blocking, max_targets)

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
        for key, target in (await self._targets.of(place)).items() if digests else ():
            if target in digests:
                await self._store.delete(key)

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


class _Targets:
    """What the tags of a place point at; each is read once for each version of its file."""

    def __init__(self, store: _Store, blocking: Blocking, limit: int) -> None:
        self._store = store
        self._blocking = blocking
        self._limit = limit
        self._known: OrderedDict[str, dict[str, tuple[object, str | None]]] = OrderedDict()
        self._count = 0

    async def of(self, place: str) -> dict[str, str | None]:
        """The keys of all tags, each with its target; a damaged one has none."""
        keys = [f"{tags_prefix(place)}/{entry.name}" for entry in await self._store.list(tags_prefix(place))]
        versions = await self._blocking.disk(self._versions, keys)
        known = self._known.pop(place, {})
        found: dict[str, tuple[object, str | None]] = {}
        for key, version in zip(keys, versions, strict=True):
            before = known.get(key)
            if version is not None and before is not None and before[0] == version:
                found[key] = before
            else:
                found[key] = version, await self._read(key)
        self._remember(place, found, len(known))
        return {key: target for key, (_, target) in found.items()}

    def _versions(self, keys: Sequence[str]) -> list[object | None]:
        return [self._store.version(key) for key in keys]

    async def _read(self, key: str) -> str | None:
        data = await read_object(self._store, self._blocking, key)
        try:
            return None if data is None else msgspec.json.decode(data, type=_Pointer).digest
        except ValueError:
            return None

    def _remember(self, place: str, found: dict[str, tuple[object, str | None]], before: int) -> None:
        self._known[place] = found
        self._count += len(found) - before
        while self._count > self._limit:
            _, dropped = self._known.popitem(last=False)
            self._count -= len(dropped)
