"""Brings the ledger into agreement with the tree, where it may have missed something.

After an unclean stop, or without a ledger. It goes on in the background, one step at a time, and
holds one directory's names at the most.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from itertools import groupby

import msgspec
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import InvalidManifest, Storage
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin
from pkgd.formats.oci import parse_manifest
from pkgd.sharing import KeyedLock
from pkgd.state import Cached, Index, Ledger
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.layout import (
    MIRROR,
    blob_key,
    blobs_prefix,
    digest_of_file,
    manifest_key,
    manifests_prefix,
    media_type_key,
    repository_of,
)
from pkgd.storage.whole import read_object

__all__ = ["Survey"]

log = Logger()

# Objects that are looked up, or entered, at a time.
BATCH = 64


class _Stopped(Exception):
    """The survey is to end early."""


def _never() -> bool:
    return False


class Survey:
    """Reads the tree below `__mirror__`."""

    def __init__(
        self,
        store: ObjectStore,
        ledger: Ledger,
        index: Index,
        locks: KeyedLock,
        blocking: Blocking,
        clock: Callable[[], float],
    ) -> None:
        """
        :param index: told of blobs, too: by it equal bytes are found, which the ledger takes to be one file.
        :param locks: one for each place, shared with all who write there.
        :param clock: the wall clock. When an object was last used is unknown: it counts as used now.
        """
        self._store = store
        self._ledger = ledger
        self._index = index
        self._locks = locks
        self._blocking = blocking
        self._clock = clock
        self._failures = 0
        self._stopping: Callable[[], bool] = _never

    async def run(self, stopping: Callable[[], bool] = _never) -> None:
        """Take the survey, unless the ledger is complete. To be called now and again: what fails is done anew then.

        :param stopping: whether to end early; the next process begins anew.
        :raises Storage: if the ledger cannot be read, or the tree's top cannot be listed.
        """
        if await self._ledger.is_complete():
            return
        log.info("a survey of the mirror's cache has begun")
        self._failures, self._stopping = 0, stopping
        self._ledger.begin()
        try:
            dropped = await self._drop_vanished()
            added = await self._add_missing()
        except _Stopped:
            return
        if self._failures:
            log.error("the survey could not read {count} places; it will be taken again", count=self._failures)
            return
        await self._ledger.complete()
        log.info("the survey has added {added} objects and dropped {dropped}", added=added, dropped=dropped)

    def _go_on(self) -> None:
        if self._stopping():
            raise _Stopped

    # -- what is in the ledger only --

    async def _drop_vanished(self) -> int:
        """Drop what is no longer there, or not in that size: what is there is then added as it is."""
        count, last = 0, None
        while page := await self._page(last):
            last = page[-1]
            wrong = [one for one in page if await self._size_of(one) != one.size]
            for place, found in groupby(wrong, lambda one: one.place):
                async with self._locks.holding(place):
                    gone = [one for one in found if await self._size_of(one) != one.size]
                    await self._ledger.remove_all(gone)
                    count += len(gone)
        return count

    async def _page(self, last: Cached | None) -> list[Cached]:
        self._go_on()
        return await self._ledger.page(last, BATCH)

    async def _size_of(self, one: Cached) -> int | None:
        return await self._store.stat(_key(one.place, Digest.parse(one.digest), one.is_manifest))

    # -- what is in the tree only --

    async def _add_missing(self) -> int:
        count = 0
        async for place in self._places():
            try:
                count += await self._add(place, blobs_prefix(place), False)
                count += await self._add(place, manifests_prefix(place), True)
            except Storage as error:
                log.error("the survey cannot read {place}: {reason}", place=place, reason=error.message)
                self._failures += 1
        return count

    async def _places(self) -> AsyncIterator[str]:
        """The directories of all repositories; a repository may stand within another's."""
        pending = [MIRROR]
        while pending:
            prefix = pending.pop()
            below = [f"{prefix}/{entry.name}" for entry in await self._store.list(prefix) if entry.is_prefix]
            inner = [one for one in below if one not in (blobs_prefix(prefix), f"{prefix}/manifests")]
            pending += inner
            if len(inner) < len(below) and isinstance(repository_of(prefix), Origin):
                yield prefix

    async def _add(self, place: str, prefix: str, is_manifest: bool) -> int:
        """Enter what stands under a prefix, as far as it is not in the ledger."""
        count, names = 0, [entry.name for entry in await self._store.list(prefix) if not entry.is_prefix]
        for start in range(0, len(names), BATCH):
            self._go_on()
            digests = [str(one) for one in map(digest_of_file, names[start : start + BATCH]) if one is not None]
            unknown = await self._ledger.unknown(place, is_manifest, digests)
            if unknown:
                count += await self._enter(place, is_manifest, [Digest.parse(one) for one in unknown])
        return count

    async def _enter(self, place: str, is_manifest: bool, digests: Sequence[Digest]) -> int:
        async with self._locks.holding(place):
            found: list[tuple[Cached, list[str]]] = []
            for digest in digests:
                size = await self._store.stat(_key(place, digest, is_manifest))
                if size is not None:
                    if not is_manifest:
                        await self._index.add_blob(place, str(digest))
                    needs = await self._needs(place, digest) if is_manifest else []
                    found.append((Cached(place, str(digest), is_manifest, size, self._clock()), needs))
            await self._ledger.add_all(found)
        return len(found)

    async def _needs(self, place: str, digest: Digest) -> list[str]:
        """What a manifest needs. One that is damaged is served to nobody, so it needs nothing."""
        data = await read_object(self._store, self._blocking, manifest_key(place, digest))
        try:
            manifest = await self._blocking.work(parse_manifest, data or b"", await self._media_type(place, digest))
        except InvalidManifest:
            return []
        return [str(one.digest) for one in (*manifest.blobs, *manifest.children)]

    async def _media_type(self, place: str, digest: Digest) -> str:
        """What is kept beside a manifest that doesn't say it itself; else nothing."""
        meta = await read_object(self._store, self._blocking, media_type_key(place, digest))
        try:
            return "" if meta is None else str(msgspec.json.decode(meta, type=dict).get("mediaType", ""))
        except ValueError:
            return ""


def _key(place: str, digest: Digest, is_manifest: bool) -> str:
    return manifest_key(place, digest) if is_manifest else blob_key(place, digest)
