"""What stands behind commands such as `pkgd gc`: the daemon is asked if one runs, else it is done here."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Coroutine, Mapping
from contextlib import closing
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from pkgd.admin.client import ask
from pkgd.auth.audit import Audit
from pkgd.backup.places import Places
from pkgd.blocking import InlineBlocking
from pkgd.config import Config
from pkgd.errors import AlreadyRunning, CommandFailed, ConfigError
from pkgd.formats.globs import Globs
from pkgd.hosting import package_repositories
from pkgd.locking import lock_state
from pkgd.logfile import LogFile
from pkgd.metrics import Metrics
from pkgd.packages.layout import SPOOL
from pkgd.packages.staging import start_reserve, state_reserve
from pkgd.progress import Progress
from pkgd.registry.blobs import Blobs
from pkgd.registry.contents import ContentsReader
from pkgd.registry.garbage import Collector
from pkgd.registry.immutable import ImmutableTags
from pkgd.registry.leases import Leases
from pkgd.registry.legacy import LegacyManifests
from pkgd.registry.manifests import Manifests
from pkgd.registry.stored import StoredManifests
from pkgd.retention.packages import suites_of
from pkgd.retention.retention import Retention
from pkgd.scrub.cursor import CursorFile
from pkgd.scrub.hashing import Hasher
from pkgd.scrub.quarantine import Quarantine
from pkgd.scrub.scrubber import Scrubber, Stores
from pkgd.sharing import KeyedLock
from pkgd.state import Index, InlineDatabase, Ledger
from pkgd.storage.fsops import DurableTree, FileSystem, storage_errors
from pkgd.storage.local import LocalStore
from pkgd.storage.space import FreeSpace
from pkgd.storage.spool import Spool
from pkgd.terminal import bar_on
from pkgd.upkeep import Retaining, Scrubbing, Upkeep

__all__ = ["carry_out"]


def carry_out(config: Config, command: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Have a job done on the configuration's state; on a terminal a bar shows how far it is.

    :raises CommandFailed: if the daemon that runs cannot do it.
    :raises ConfigError: if there is no such state.
    """
    state = str(config.state_dir)
    if not os.path.isdir(state):
        raise ConfigError("state_dir", f"there is no {state}")
    with closing(bar_on(sys.stderr)) as bar:
        try:
            lock = lock_state(state)
        except AlreadyRunning:
            return ask(state, command, arguments, bar)
        except OSError as error:
            raise ConfigError("state_dir", f"{error.filename or state}: {error.strerror}") from error
        reserve = start_reserve(DurableTree(state, FileSystem()))
        try:
            with reserve.given_up():
                return _finish(_here(config, command, arguments, bar))
        finally:
            reserve.take_back()
            os.close(lock)


async def _here(config: Config, command: str, arguments: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
    files, blocking = config.storage.filesystem, InlineBlocking()
    tree = DurableTree(files.root, FileSystem(), files.fsync)
    store = LocalStore(tree, blocking, Spool(tree))
    state = str(config.state_dir)
    database = InlineDatabase(os.path.join(state, "index.sqlite"), state_reserve(state, FileSystem()).release)
    index, ledger = Index(database), Ledger(database)
    database.go_on()
    try:
        if not database.was_clean:
            _make_durable(tree)
            if command == "retention":  # which publishes
                _make_durable(DurableTree(str(config.state_dir), FileSystem(), config.storage.filesystem.fsync))
        leases = Leases(time.monotonic)
        if command == "gc":
            collector = Collector(store, index, KeyedLock(), leases, blocking, time.monotonic, time.time)
            return await Upkeep(config, collector, Metrics(), is_alone=True).collect(arguments, progress)
        if command == "scrub":
            return await _scrubbing(config, store, index, ledger, blocking).scrub(arguments, progress)
        return await _retain(config, tree, store, index, arguments, progress)
    finally:
        database.close()


def _scrubbing(config: Config, store: LocalStore, index: Index, ledger: Ledger, blocking: InlineBlocking) -> Scrubbing:
    """As the daemon has it, but as fast as it goes."""
    tree = DurableTree(str(config.state_dir), FileSystem(), config.storage.filesystem.fsync)
    packages = LocalStore(tree, blocking, Spool(tree, SPOOL))
    quarantine = Quarantine(store, index, ledger, KeyedLock(), KeyedLock(), blocking)
    stores = Stores(Places(str(config.state_dir), config.storage.filesystem.root), store, packages)
    scrubber = Scrubber(stores, quarantine, lambda: Hasher(blocking, None, 0), blocking)
    return Scrubbing(config, scrubber, CursorFile(packages, blocking), Metrics(), time.time)


async def _retain(
    config: Config,
    tree: DurableTree,
    store: LocalStore,
    index: Index,
    arguments: Mapping[str, Any],
    progress: Progress,
) -> Mapping[str, Any]:
    """Retention; what it removes stands in the audit log, unless that is a stream of the daemon's."""
    blocking, locks, leases = InlineBlocking(), KeyedLock(), Leases(time.monotonic)
    legacy = LegacyManifests(store, store, blocking)
    stored, contents = StoredManifests(store, store, blocking, legacy), ContentsReader(store, index, legacy, blocking)
    immutable = ImmutableTags(config.repositories.oci.immutable_tags, contents, stored, blocking)
    space, blobs = FreeSpace(tree, blocking, Clock(), 0), Blobs(store, index, locks, leases)
    manifests = Manifests(
        *(store, index, blobs, stored, legacy, contents, space, Spool(tree).reserve),
        *(blocking, locks, Globs([]), immutable),
    )
    apply, path = bool(arguments.get("apply")), config.logging.audit.file
    repositories = await package_repositories(config, blocking, is_publishing=apply)
    path = path if apply and path != "-" else None
    log = LogFile(Clock(), blocking, path, "audit log")
    try:
        log.open()
    except OSError as error:
        raise ConfigError("logging.audit.file", f"{path}: {error.strerror}") from error
    try:
        suites = suites_of(repositories)
        retention = Retention.of(store, blocking, stored, contents, leases, manifests, lambda: suites)
        audit = Audit(log, time.time)
        return await Retaining(config, retention, Metrics(), audit, time.monotonic, True).retain(arguments, progress)
    finally:
        log.close()
        for one in repositories:
            await one.finished()


def _make_durable(tree: DurableTree) -> None:
    """What a kill has left visible becomes durable, as at a daemon's start."""
    with storage_errors():
        if os.path.isdir(tree.root):
            tree.sync_all()


def _finish(work: Coroutine[Deferred[Any], Any, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The result of work that never waits, because everything is done at once, on this thread."""
    ended: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(ended.append)
    if not ended:
        raise CommandFailed("the work waits for something")
    (result,) = ended
    if isinstance(result, Failure):
        result.raiseException()
    found: Mapping[str, Any] = result
    return found
