"""The list of repositories, walked in the tree's own order: a page costs about its own length."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pkgd.formats.names import RepositoryName
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.layout import (
    blobs_prefix,
    digest_of_file,
    directories,
    legacy_prefix,
    manifests_prefix,
    name_of,
    tag_of_legacy,
)

__all__ = ["Catalog", "hosted_repositories"]

# Repositories that are remembered to exist.
MAX_EXISTING = 65536

_TREE = frozenset(["blobs", "manifests"])


class Catalog:
    """Repositories that hold a manifest, in byte order of their names."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._existing: set[RepositoryName] = set()

    async def page(self, after: str, count: int) -> tuple[list[str], bool]:
        """Up to `count` names that sort behind `after`, and whether there are more."""
        found: list[str] = []
        async for name in self._walk("", after):
            if len(found) == count:
                return found, True
            found.append(name)
        return found, False

    async def exists(self, name: RepositoryName) -> bool:
        """Whether anything has been pushed to the repository.

        What has been seen once counts from then on: a name that was hosted must not come to mean an
        upstream's because its last tag is deleted.
        """
        if name in self._existing:
            return True
        for place in directories(name):
            if await self._store.list(legacy_prefix(place)) or await self._store.list(blobs_prefix(place)):
                if len(self._existing) >= MAX_EXISTING:
                    self._existing.clear()
                self._existing.add(name)
                return True
        return False

    async def _walk(self, prefix: str, after: str) -> AsyncIterator[str]:
        """Names below a prefix, in byte order.

        A directory stands for two things that need not be neighbours: the name itself, and
        (sorted as if it ended in a slash) the names below it. `a`, `a-b`, `a/c` is the order.
        """
        steps: list[tuple[str, str]] = []
        for entry in await self._store.list(prefix):
            path = f"{prefix}/{entry.name}" if prefix else entry.name
            name = name_of(path)
            if entry.is_prefix and name is not None and entry.name not in _TREE:
                steps += [(str(name), path), (f"{name}/", path)]
        for step, path in sorted(steps):
            if not step.endswith("/"):
                if step > after and await self._holds_manifest(path):
                    yield step
            elif step >= after or after.startswith(step):
                async for below in self._walk(path, after):
                    yield below

    async def _holds_manifest(self, path: str) -> bool:
        """Whether a repository's prefix holds a manifest: a legacy file, or one by digest."""
        if any(digest_of_file(entry.name) for entry in await self._store.list(manifests_prefix(path))):
            return True
        return any(tag_of_legacy(entry.name) for entry in await self._store.list(legacy_prefix(path)))


async def hosted_repositories(store: ObjectStore, prefix: str = "") -> AsyncIterator[RepositoryName]:
    """Every hosted repository that has a directory, whether or not there is a manifest in it."""
    below = [entry.name for entry in await store.list(prefix) if entry.is_prefix]
    name = name_of(prefix) if prefix else None
    if name is not None and not _TREE.isdisjoint(below):
        yield name
    for one in sorted(below):
        path = f"{prefix}/{one}" if prefix else one
        if one not in _TREE and name_of(path) is not None:
            async for found in hosted_repositories(store, path):
                yield found
