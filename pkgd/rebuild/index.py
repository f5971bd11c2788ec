"""index.sqlite, filled anew from the tree: repositories, who refers to what, and what the mirror has cached."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from pkgd.blocking import Blocking
from pkgd.formats.names import RepositoryName
from pkgd.mirror.survey import Survey
from pkgd.packages.rebuilding import Progress
from pkgd.registry.contents import ContentsReader
from pkgd.registry.legacy import LegacyManifests
from pkgd.sharing import KeyedLock
from pkgd.state import Index, InlineDatabase, Ledger
from pkgd.storage.layout import name_of
from pkgd.storage.local import LocalStore

__all__ = ["rebuild_index"]

_TREE = frozenset(["blobs", "manifests"])


async def rebuild_index(
    path: str, store: LocalStore, blocking: Blocking, clock: Callable[[], float], progress: Progress
) -> int:
    """Begin the file anew, and fill it; returns how many hosted repositories there are.

    :raises Storage: if tree or file refuse.
    """
    database = InlineDatabase(path)
    index, ledger, locks = Index(database), Ledger(database), KeyedLock()
    database.begin_anew()
    try:
        contents = ContentsReader(store, index, LegacyManifests(store, store, blocking), blocking)
        names = [name async for name in _hosted(store, "")]
        progress.begin("oci", len(names))
        for name in names:
            await contents.ensure_known(name, locks)
            progress.advance()
        await Survey(store, ledger, index, locks, blocking, clock).run()
    finally:
        database.close()
    return len(names)


async def _hosted(store: LocalStore, prefix: str) -> AsyncIterator[RepositoryName]:
    """Every hosted repository that has a directory, whether or not there is a manifest in it."""
    below = [entry.name for entry in await store.list(prefix) if entry.is_prefix]
    name = name_of(prefix) if prefix else None
    if name is not None and not _TREE.isdisjoint(below):
        yield name
    for one in sorted(below):
        path = f"{prefix}/{one}" if prefix else one
        if one not in _TREE and name_of(path) is not None:
            async for found in _hosted(store, path):
                yield found
