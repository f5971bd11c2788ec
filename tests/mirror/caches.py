"""A mirror's cache in memory, with everything that keeps it within its limits, and a disk of a given size."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import InlineBlocking
from pkgd.formats.digest import Digest
from pkgd.formats.names import Tag
from pkgd.mirror.eviction import EvictionLimits, Evictor
from pkgd.mirror.removal import Removal
from pkgd.mirror.survey import Survey
from pkgd.sharing import KeyedLock
from pkgd.state import Cached, Index, Ledger
from pkgd.storage.fsops import DurableTree, FileSystem
from pkgd.storage.layout import blob_key, digest_of_file, manifest_key, tag_key
from pkgd.storage.memory import MemoryStore
from pkgd.storage.space import FreeSpace
from tests.cached import Thing, World
from tests.fixtures import inline_database

__all__ = ["Cache", "CacheCase", "Killed"]

T = TypeVar("T")


class Killed(Exception):
    """The process ends here."""


class _Store(MemoryStore):
    """Counts deletes, and can fail at one."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted: list[str] = []
        self.before_delete: Callable[[str], None] = lambda key: None

    async def delete(self, key: str) -> bool:
        """See `ObjectStore.delete`."""
        self.before_delete(key)
        found = await super().delete(key)
        if found:
            self.deleted.append(key)
        return found


class _Disk(FileSystem):
    """A disk of `size` bytes on which the store lies, linked objects once."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.size = 1 << 40

    def free(self, path: str) -> int:
        """See `FileSystem.free`."""
        return self.size - sum({id(data): len(data) for data in self._store.objects.values()}.values())


class Cache:
    """The cache of one mirror; `restart` makes it the next process's."""

    def __init__(self, root: str) -> None:
        self._root, self._runs = root, 0
        self.store = _Store()
        self.disk = _Disk(self.store)
        self.blocking = InlineBlocking()
        self.now = 100.0
        self.flying: set[tuple[str, str]] = set()
        self.evicted: list[tuple[str, int]] = []
        self._begin(None)

    def _begin(self, file: str | None) -> None:
        self._runs += 1
        self._path = f"{self._root}/{self._runs}.sqlite"
        self.database = inline_database(self._path)
        if file is not None:
            shutil.copyfile(file, self._path)
        self.index = Index(self.database)
        self.ledger = Ledger(self.database)
        self.locks = KeyedLock()

    def save(self) -> str:
        """Keep the database as it is now."""
        path = f"{self._path}.saved"
        self.database._pool.close()
        shutil.copyfile(self._path, path)
        return path

    def restart(self, file: str | None) -> None:
        """Go on as the next process, after a kill: with an empty database, or one that was saved."""
        self.database._pool.close()
        self._begin(file)
        self.database.open()
        self.store.before_delete = lambda key: None

    def close(self) -> None:
        """Close the database."""
        self.database._pool.close()

    def evictor(self, max_size: int = 0, unused_for: float = 0, floor: int = 0) -> Evictor:
        """One with these limits, on this disk with this floor of free space."""
        space = FreeSpace(DurableTree("/nowhere", self.disk), self.blocking, Clock(), floor)
        return Evictor(
            Removal(self.store, self.ledger, self.blocking),
            self.ledger,
            self.locks,
            space,
            EvictionLimits(max_size, unused_for),
            lambda place, digest: (place, digest) in self.flying,
            lambda: self.now,
            lambda host, count: self.evicted.append((host, count)),
        )

    def survey(self) -> Survey:
        """A survey of the tree."""
        return Survey(self.store, self.ledger, self.index, self.locks, self.blocking, lambda: self.now)

    # -- what is in it --

    def write(self, place: str, thing: Thing, tag: str = "") -> None:
        """Put a thing into the tree, and a tag on it."""
        digest = Digest.parse(thing.digest)
        key = manifest_key(place, digest) if thing.is_manifest else blob_key(place, digest)
        # Equal things are one object, as links are.
        equal = [one for one in self.store.objects.values() if one == thing.data]
        self.store.objects[key] = equal[0] if equal else thing.data
        if tag:
            pointer = {"digest": thing.digest, "validated": self.now}
            self.store.objects[tag_key(place, Tag(tag))] = json.dumps(pointer).encode()

    def keep(self, place: str, thing: Thing, used: float, tag: str = "") -> None:
        """Put a thing into the tree, and into the ledger."""
        self.write(place, thing, tag)
        self.ledger.add(Cached(place, thing.digest, thing.is_manifest, thing.size, used), thing.needs)

    def keep_world(self, world: World) -> None:
        """Put all that is cached in a world into the tree, and into the ledger."""
        for (place, digest), used in world.cached.items():
            self.keep(place, world.things[digest], used)

    def found(self) -> set[tuple[str, str]]:
        """Place and digest of every manifest and blob in the tree."""
        return {(place, digest) for place, kind, digest in self._keys() if kind != "by-tag"}

    def tags(self) -> dict[tuple[str, str], str]:
        """Place and name of every tag in the tree, with what it points at."""
        pointers = {key: data for key, data in self.store.objects.items() if "/by-tag/" in key}
        return {
            (key.partition("/manifests/")[0], os.path.basename(key)): json.loads(data)["digest"]
            for key, data in pointers.items()
        }

    def _keys(self) -> list[tuple[str, str, str]]:
        keys = []
        for key in self.store.objects:
            above, _, name = key.rpartition("/")
            place, _, kind = above.removesuffix("/by-digest").rpartition("/")
            digest = digest_of_file(name)
            if digest is not None and kind in ("blobs", "manifests") and "/referrers" not in above:
                keys.append((place, kind, str(digest)))
        return keys


class CacheCase(SynchronousTestCase):
    """A test case with a cache whose ledger is complete."""

    def setUp(self) -> None:
        """An empty cache."""
        self.cache = Cache(self.mktemp())
        self.addCleanup(lambda: self.cache.close())
        self.cache.ledger.complete()

    def do(self, call: Coroutine[Deferred[Any], Any, T]) -> T:
        """The result of a call that has come to its end."""
        result: T = self.successResultOf(Deferred.fromCoroutine(call))
        return result

    def get(self, answer: Deferred[T]) -> T:
        """What the database has answered."""
        result: T = self.successResultOf(answer)
        return result
