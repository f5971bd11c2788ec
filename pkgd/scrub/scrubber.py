"""A pass over everything whose hash is known: blobs and manifests, hosted or of the mirror's cache, and packages.

In the order of their names, so that a pass can go on where another one was stopped. What cannot be read is no less
reported than what is damaged, but left where it is: another try may succeed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar

from attrs import define, field, frozen
from twisted.logger import Logger

from pkgd.backup.packages import Repository, repositories
from pkgd.backup.places import OBJECTS, Places, repository_places
from pkgd.blocking import Blocking
from pkgd.errors import FailedStorage, Storage
from pkgd.formats.digest import Digest
from pkgd.packages.poolfiles import PoolFiles
from pkgd.packages.salvage import read_records
from pkgd.packages.shelf import Shelf
from pkgd.progress import Progress
from pkgd.scrub.cursor import Position
from pkgd.scrub.hashing import Hashed, Hasher, Interrupted, Store
from pkgd.scrub.quarantine import Quarantine
from pkgd.storage.layout import MIRROR, blobs_prefix, digest_of_file, manifests_prefix

__all__ = ["Damage", "Findings", "Scrubber", "Stores"]

log = Logger()


@frozen
class Damage:
    """Something that is not what it was: where, why, and what was done: "set aside", "deleted" or "left"."""

    name: str
    reason: str
    done: str


@define
class Findings:
    """What a pass has found. Not `is_complete` if it was interrupted."""

    objects: int = 0
    damage: list[Damage] = field(factory=list)
    is_complete: bool = False


@frozen
class Stores:
    """Where everything is: the files' places, the store of images, and that of packages."""

    places: Places
    images: Store
    packages: Store


@frozen
class _File:
    """A file to be looked at: its key, and what it should be."""

    key: str
    algorithm: str
    encoded: str
    take: Callable[[Hashed], Awaitable[tuple[list[str], str]]] = field(repr=False)


class Scrubber:
    """One pass after another."""

    def __init__(
        self, stores: Stores, quarantine: Quarantine, hasher: Callable[[], Hasher], blocking: Blocking
    ) -> None:
        """
        :param hasher: makes one for each pass.
        """
        self._stores = stores
        self._quarantine = quarantine
        self._hasher = hasher
        self._blocking = blocking

    async def run(
        self, progress: Progress, after: Position | None, note: Callable[[Position], Awaitable[None]]
    ) -> Findings:
        """One pass, or the rest of one.

        :param after: what was looked at last; None to begin.
        :param note: told, file by file, what has been looked at.
        :raises Storage: if the tree's top cannot be listed.
        """
        found = Findings()
        hasher = self._hasher()
        progress.begin("scrub", 0)
        try:
            async for unit, store, files in self._units(found, after):
                for file in sorted(files, key=lambda one: one.key):
                    position = unit, file.key
                    if after is None or position > after:
                        await self._look(hasher, store, file, found, progress)
                        await note(position)
        except Interrupted:
            return found
        found.is_complete = True
        return found

    async def _look(self, hasher: Hasher, store: Store, file: _File, found: Findings, progress: Progress) -> None:
        try:
            hashed = await hasher.hash(store, file.key, file.algorithm, progress)
            if hashed is None:
                return  # deleted meanwhile
            found.objects += 1
            if hashed.encoded != file.encoded:
                keys, done = await file.take(hashed)
                for key in keys:
                    self._report(found, Damage(key, "its bytes have another hash", done))
        except Storage as error:
            self._report(found, Damage(file.key, error.message, "left"))

    def _report(self, found: Findings, damage: Damage) -> None:
        found.damage.append(damage)
        log.error("{name} is damaged: {reason}; {done}", name=damage.name, reason=damage.reason, done=damage.done)

    # -- what there is --

    async def _units(
        self, found: Findings, after: Position | None
    ) -> AsyncIterator[tuple[tuple[str, ...], Store, list[_File]]]:
        """Every unit that may have something behind a position, in order, with its files."""
        stores = self._stores
        for place in await self._blocking.disk(_listed, repository_places, stores.places):
            unit = tuple(place.split("/"))
            if after is None or unit >= after[0]:
                yield unit, stores.images, await self._images(place.removeprefix(f"{OBJECTS}/"))
        for repository in await self._blocking.disk(_listed, repositories, stores.places):
            for base in repository.bases:
                unit = ("packages", *base.split("/"))
                if after is None or unit >= after[0]:
                    yield unit, stores.packages, await self._packages(repository, base, found)

    async def _images(self, place: str) -> list[_File]:
        done = "deleted" if place.startswith(f"{MIRROR}/") else "set aside"
        found = []
        for prefix, take in (
            (blobs_prefix(place), self._quarantine.take_blob),
            (manifests_prefix(place), self._quarantine.take_manifest),
        ):
            for entry in await self._stores.images.list(prefix):
                digest = digest_of_file(entry.name)
                if digest is not None and not entry.is_prefix:

                    async def act(hashed: Hashed, digest: Digest = digest, take: _Take = take) -> tuple[list[str], str]:
                        return await take(place, digest, hashed), done

                    found.append(_File(f"{prefix}/{entry.name}", digest.algorithm, digest.encoded, act))
        return found

    async def _packages(self, repository: Repository, base: str, found: Findings) -> list[_File]:
        store, files = self._stores.packages, list[_File]()
        try:
            records = await read_records(Shelf(base, store, self._blocking), repository.vocabulary)
        except FailedStorage as error:
            self._report(found, Damage(base, error.message, "left"))
            return files
        for name in records.damage:
            self._report(found, Damage(name, "it is missing or damaged", "left"))
        pool = PoolFiles(repository.directory, store, self._blocking)
        for package in records.packages.values():
            if package.sha256:

                async def act(hashed: Hashed, path: str = package.path) -> tuple[list[str], str]:
                    if await self._blocking.disk(store.version, pool.key(path)) != hashed.version:
                        return [], ""
                    await pool.set_aside(path)
                    return [pool.key(path)], "set aside"

                files.append(_File(pool.key(package.path), "sha256", package.sha256, act))
        return files


_T = TypeVar("_T")
_Take = Callable[[str, Digest, Hashed], Awaitable[list[str]]]


def _listed(call: Callable[[Places], Iterator[_T]], places: Places) -> list[_T]:
    return list(call(places))
