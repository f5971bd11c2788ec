"""Garbage collection, online: blobs of hosted repositories that no manifest of theirs names.

A repository at a time, and nobody waits for it. A blob goes if all of this is so:

- its file is older than the grace, by the wall clock;
- this process has seen, a grace ago by the monotonic clock, that nothing names it; so a clock that is set, or a
  restart, removes nothing;
- within the grace nobody was told that it is here, and no upload was begun before in its repository that is still open;
- nothing has named it since the manifests were read: accepting a manifest touches what it names, under the lock under
  which the blob is removed.

What a manifest names is every digest in its text, whatever it stands for: more than its config, layers, children and
subject is kept rather than less. Where a manifest cannot be read, is not what its name says, or was set aside by the
scrub, nothing of its repository is removed. Manifests stay, tagged or not: which go is for retention. Nothing is
written, so it works on a full disk. Of a repository in which nothing is left the directories go, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import define, field, frozen
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import Storage
from pkgd.formats.digest import Digest
from pkgd.formats.names import RepositoryName
from pkgd.progress import Progress
from pkgd.registry.catalog import hosted_repositories
from pkgd.registry.leases import Leases
from pkgd.registry.naming import UnreadableManifest, namings
from pkgd.sharing import KeyedLock
from pkgd.state import Index
from pkgd.storage.interfaces import Dated, Dating, ObjectStore, Pruning
from pkgd.storage.layout import (
    blob_key,
    blobs_prefix,
    digest_of_file,
    directories,
    directory,
    legacy_prefix,
    manifests_prefix,
    tags_prefix,
)

__all__ = ["Collector", "Found", "Policy"]

log = Logger()


def _never(name: RepositoryName) -> bool:
    return False


@frozen
class Policy:
    """What a pass is to do.

    :param grace: how long garbage has to have been garbage, in seconds.
    :param apply: remove it; else only say what would be removed.
    :param alone: no daemon runs, so nobody is pushing: what files' own times say is enough.
    :param is_forgettable: whether a repository may leave no trace. Of a name that, once nobody hosts it, would mean an
        upstream's the empty directories stay.
    """

    grace: float
    apply: bool
    alone: bool = False
    is_forgettable: Callable[[RepositoryName], bool] = _never


@define
class Found:
    """What a pass has found in one repository: objects and bytes that went, or would; and those that are too young.

    `problem` is why nothing was removed there.
    """

    repository: str
    objects: int = 0
    bytes: int = 0
    waiting_objects: int = 0
    waiting_bytes: int = 0
    problem: str = ""


@define
class _Blob:
    """A file of a blob that nothing names."""

    place: str
    digest: Digest
    file: Dated = field(repr=False)


class _Store(ObjectStore, Dating, Pruning, Protocol):
    """A store that dates its objects, too, and does away with empty prefixes."""


class Collector:
    """One pass after another; it remembers what has been garbage since when."""

    def __init__(
        self,
        store: _Store,
        index: Index,
        locks: KeyedLock,
        leases: Leases,
        blocking: Blocking,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        """
        :param locks: shared with the blobs and manifests: one for each repository, and for each digest.
        """
        self._store = store
        self._index = index
        self._locks = locks
        self._leases = leases
        self._blocking = blocking
        self._monotonic = monotonic
        self._wall = wall
        self._since: dict[tuple[str, str], float] = {}

    async def run(self, policy: Policy, progress: Progress) -> list[Found]:
        """One pass over all repositories; those without garbage are not in the result.

        :raises Storage: if the tree's top cannot be listed.
        """
        began, found = self._monotonic(), list[Found]()
        names = [name async for name in hosted_repositories(self._store)]
        progress.begin("repositories", len(names))
        seen: dict[tuple[str, str], float] = {}
        for name in names:
            if progress.is_over():
                self._since |= seen  # of the rest, what was known stays known
                return found
            one = await self._collect(name, policy, seen)
            progress.advance()
            if one.objects or one.waiting_objects or one.problem:
                found.append(one)
        self._since = seen
        self._leases.prune(began - policy.grace)
        return found

    async def _collect(self, name: RepositoryName, policy: Policy, seen: dict[tuple[str, str], float]) -> Found:
        found = Found(str(name))
        try:
            # Before the manifests are read: what comes in afterwards is no candidate.
            began, blobs = self._monotonic(), await self._blobs(name)
            named = await self._named(name) if blobs else set[str]()
            garbage = [one for one in blobs if str(one.digest) not in named]
            for one in garbage:
                key = one.place, str(one.digest)
                seen[key] = self._since.get(key, began)
                await self._judge(name, one, policy, found, seen, began)
            if policy.apply and found.objects == len(blobs) and policy.is_forgettable(name):
                await self._prune(name)
        except (Storage, UnreadableManifest) as error:
            found.problem = error.message if isinstance(error, Storage) else str(error)
            log.warn("no garbage of {name} was removed: {reason}", name=name, reason=found.problem)
        return found

    async def _judge(
        self,
        name: RepositoryName,
        one: _Blob,
        policy: Policy,
        found: Found,
        seen: dict[tuple[str, str], float],
        began: float,
    ) -> None:
        key = one.place, str(one.digest)
        if not self._is_ripe(name, one, policy, seen[key], began):
            found.waiting_objects += 1
            found.waiting_bytes += one.file.size
        elif not policy.apply or await self._remove(name, one, policy, seen[key], began):
            found.objects += 1
            found.bytes += one.file.size
            if policy.apply:
                del seen[key]

    def _is_ripe(self, name: RepositoryName, one: _Blob, policy: Policy, since: float, began: float) -> bool:
        changed = max(one.file.modified, one.file.changed) if policy.alone else one.file.modified
        if self._wall() - changed < policy.grace:
            return False
        if policy.alone:
            return True
        place = directory(name)
        touched, limit = self._leases.last_touch(place, one.digest), self._leases.horizon(place) - policy.grace
        return since <= limit and touched <= limit and touched < began

    async def _remove(self, name: RepositoryName, one: _Blob, policy: Policy, since: float, began: float) -> bool:
        """Remove a blob, unless it has come to be of use. False if it has, or is gone already."""
        async with self._locks.holding(name), self._locks.holding(str(one.digest)):
            if not self._is_ripe(name, one, policy, since, began):
                return False
            gone = await self._store.delete(blob_key(one.place, one.digest))
            await self._index.remove_blob(one.place, str(one.digest))
            return gone

    async def _prune(self, name: RepositoryName) -> None:
        """Remove what directories of the repository are empty; no manifest is pushed meanwhile."""
        async with self._locks.holding(name):
            for place in directories(name):
                for prefix in (tags_prefix, manifests_prefix, legacy_prefix, blobs_prefix):
                    await self._store.prune(prefix(place))

    # -- reading --

    async def _blobs(self, name: RepositoryName) -> list[_Blob]:
        found = []
        for place in directories(name):
            for file in await self._store.dated(blobs_prefix(place)):
                digest = digest_of_file(file.name)
                if digest is not None:
                    found.append(_Blob(place, digest, file))
        return found

    async def _named(self, name: RepositoryName) -> set[str]:
        """Every digest that any manifest of the repository has in its text.

        :raises UnreadableManifest: if one of them is damaged.
        """
        named = set[str]()
        async for one in namings(self._store, self._blocking, name):
            named |= one.names
        return named
