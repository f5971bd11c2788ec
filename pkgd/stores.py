"""The bytes at rest, made from the configuration, and what every domain room needs of them."""

from __future__ import annotations

import os
import time
from typing import Any

from attrs import frozen

from pkgd.blocking import ThreadedBlocking
from pkgd.config import Config
from pkgd.metrics import Metrics
from pkgd.packages.staging import state_reserve
from pkgd.registry.blobs import Blobs
from pkgd.registry.contents import ContentsReader
from pkgd.registry.leases import Leases
from pkgd.registry.legacy import LegacyManifests
from pkgd.registry.stored import StoredManifests
from pkgd.sharing import KeyedLock
from pkgd.state import Database, Index, Ledger
from pkgd.storage.fsops import DurableTree, FileSystem
from pkgd.storage.local import LocalStore
from pkgd.storage.space import FreeSpace
from pkgd.storage.spool import Spool

__all__ = ["Stores", "make_stores"]


@frozen
class Stores:
    """See the module."""

    blocking: ThreadedBlocking
    tree: DurableTree
    spool: Spool
    space: FreeSpace
    store: LocalStore
    database: Database
    index: Index
    ledger: Ledger
    locks: KeyedLock
    # One for each place of the mirror's cache.
    cached: KeyedLock
    blobs: Blobs
    legacy: LegacyManifests
    stored: StoredManifests
    contents: ContentsReader


def make_stores(reactor: Any, config: Config, fs: FileSystem, metrics: Metrics) -> Stores:
    """Make them. Nothing is opened yet."""
    files = config.storage.filesystem
    blocking = ThreadedBlocking(reactor, send_threads=(os.cpu_count() or 1) + 1)
    tree = DurableTree(files.root, fs, files.fsync)
    spool = Spool(tree)
    store = LocalStore(tree, blocking, spool, metrics.storage.operation)
    state = str(config.state_dir)
    database = Database(reactor, os.path.join(state, "index.sqlite"), state_reserve(state, fs).release)
    index, ledger = Index(database), Ledger(database)
    locks = KeyedLock()
    legacy = LegacyManifests(store, store, blocking)
    return Stores(
        blocking=blocking,
        tree=tree,
        spool=spool,
        space=FreeSpace(tree, blocking, reactor, int(files.min_free)),
        store=store,
        database=database,
        index=index,
        ledger=ledger,
        locks=locks,
        cached=KeyedLock(),
        blobs=Blobs(store, index, locks, Leases(time.monotonic)),
        legacy=legacy,
        stored=StoredManifests(store, store, blocking, legacy),
        contents=ContentsReader(store, index, legacy, blocking),
    )
