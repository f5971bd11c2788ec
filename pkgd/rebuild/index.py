"""index.sqlite, filled anew from the tree: repositories, who refers to what, and what the mirror has cached."""

from __future__ import annotations

from collections.abc import Callable

from pkgd.blocking import Blocking
from pkgd.mirror.survey import Survey
from pkgd.progress import Progress
from pkgd.registry.catalog import hosted_repositories
from pkgd.registry.contents import ContentsReader
from pkgd.registry.legacy import LegacyManifests
from pkgd.sharing import KeyedLock
from pkgd.state import Index, InlineDatabase, Ledger
from pkgd.storage.local import LocalStore

__all__ = ["rebuild_index"]


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
        names = [name async for name in hosted_repositories(store)]
        progress.begin("oci", len(names))
        for name in names:
            await contents.ensure_known(name, locks)
            progress.advance()
        await Survey(store, ledger, index, locks, blocking, clock).run()
    finally:
        database.close()
    return len(names)
