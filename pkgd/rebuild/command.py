"""The command: locks the state, rebuilds one thing after another, says what became of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import closing

from attrs import frozen

from pkgd.blocking import InlineBlocking, finish_inline
from pkgd.config import Config
from pkgd.errors import AlreadyRunning, ConfigError, PkgdError
from pkgd.hosting import apt_settings, rpm_settings, signers_of
from pkgd.locking import lock_state
from pkgd.packages.aptrebuild import AptKind
from pkgd.packages.layout import SPOOL
from pkgd.packages.rebuilding import Kind
from pkgd.packages.recovery import Orders, Recovered, Recovery
from pkgd.packages.rpmrebuild import RpmKind
from pkgd.progress import Progress
from pkgd.rebuild.index import rebuild_index
from pkgd.rebuild.report import as_json, lines
from pkgd.storage.fsops import DurableTree, FileSystem, storage_errors
from pkgd.storage.local import LocalStore
from pkgd.storage.spool import Spool
from pkgd.terminal import Streams, bar_on

__all__ = ["Request", "rebuild"]


@frozen
class Request:
    """What is asked for.

    `adopting` are repositories that take the files which nothing names: `apt:NAME/SUITE`, `rpm:NAME`.
    """

    adopting: frozenset[str] = frozenset()
    is_discarding: bool = False
    as_json: bool = False


@frozen
class _Clock:
    """The wall clock."""

    def seconds(self) -> float:
        """Seconds since the epoch."""
        return time.time()


def rebuild(config: Config, request: Request, streams: Streams) -> int:
    """Rebuild everything of the configuration's state; returns the exit status: 0 all is well, 1 something is lacking.

    :raises ConfigError: if a repository or suite is not configured, or the state cannot be used.
    :raises AlreadyRunning: if a daemon runs on this state.
    """
    _check(config, request.adopting)
    state = str(config.state_dir)
    try:
        os.makedirs(state, mode=0o750, exist_ok=True)
        lock = lock_state(state)
    except AlreadyRunning as error:
        raise ConfigError("state_dir", f"a running pkgd holds {error.lock}: stop it first") from error
    except OSError as error:
        raise ConfigError("state_dir", f"{error.filename or state}: {error.strerror}") from error
    try:
        with closing(bar_on(streams.errors)) as progress:
            return _Run(config, request, streams, progress).all()
    finally:
        os.close(lock)


def _check(config: Config, adopting: Iterable[str]) -> None:
    known = {f"apt:{one.name}/{suite.codename}" for one in config.repositories.apt for suite in one.suites}
    known |= {f"rpm:{one.name}" for one in config.repositories.rpm}
    for one in sorted(adopting):
        if one not in known:
            raise ConfigError("--adopt", f"{one} is none of {', '.join(sorted(known))}")


class _Run:
    def __init__(self, config: Config, request: Request, streams: Streams, progress: Progress) -> None:
        self._config = config
        self._request = request
        self._streams = streams
        self._progress = progress
        self._blocking = InlineBlocking()

    def all(self) -> int:
        """The index, then the package repositories."""
        repositories, status = None, 0
        try:
            repositories = self._index()
        except PkgdError as error:
            self._complain("index.sqlite", error)
            status = 1
        found = list[Recovered]()
        for kind in self._kinds():
            try:
                found.append(self._packages(kind))
            except PkgdError as error:
                self._complain(kind.name, error)
                status = 1
        if self._request.as_json:
            print(as_json(repositories, found), file=self._streams.output)
        elif repositories is not None:
            print(f"index.sqlite: {repositories} repositories", file=self._streams.output)
        if not self._request.as_json:
            for line in (line for one in found for line in lines(one)):
                print(line, file=self._streams.output)
        return status if all(one.is_well for one in found) else 1

    def _complain(self, what: str, error: PkgdError) -> None:
        print(f"pkgd: {what}: not rebuilt: {error.message}", file=self._streams.errors)

    def _index(self) -> int:
        files = self._config.storage.filesystem
        tree = DurableTree(files.root, FileSystem(), files.fsync)
        store = LocalStore(tree, self._blocking, Spool(tree))
        path = os.path.join(str(self._config.state_dir), "index.sqlite")
        return finish_inline(rebuild_index(path, store, self._blocking, time.time, self._progress))

    def _packages(self, kind: Kind) -> Recovered:
        tree = self._tree()
        orders = Orders(
            _adopting(kind, self._request.adopting),
            self._request.is_discarding,
            lambda key: tree.fs.stat(tree.path(key)).st_mtime,
        )
        recovery = Recovery(self._store(tree), self._blocking, _Clock(), self._progress)
        return finish_inline(recovery.run(kind, orders))

    def _kinds(self) -> Sequence[Kind]:
        config, tree, clock = self._config, self._tree(), _Clock()
        with storage_errors():
            if os.path.isdir(tree.root):
                tree.sync_all()  # what a crash has left visible becomes durable before anything is built on it
        store, signers = self._store(tree), signers_of(clock, config, self._blocking)
        for one in signers.values():
            finish_inline(one.start())
        apt = [
            AptKind(apt_settings(one), store, self._blocking, signers[one.signing_key])
            for one in config.repositories.apt
        ]
        for kind in apt:
            finish_inline(kind.load())
        rpm = [
            RpmKind(rpm_settings(one), store, self._blocking, signers[one.signing_key], clock)
            for one in config.repositories.rpm
        ]
        return [*apt, *rpm]

    def _tree(self) -> DurableTree:
        return DurableTree(str(self._config.state_dir), FileSystem(), self._config.storage.filesystem.fsync)

    def _store(self, tree: DurableTree) -> LocalStore:
        return LocalStore(tree, self._blocking, Spool(tree, SPOOL))


def _adopting(kind: Kind, names: Iterable[str]) -> frozenset[str]:
    """The suites of a repository among those that adopt; an rpm repository is its own, and called ""."""
    targets = {f"{kind.name}/{one.suite}" if one.suite else kind.name: one.suite for one in kind.targets}
    return frozenset(targets[name] for name in names if name in targets)
