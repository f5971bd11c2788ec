"""A backup is put back: what is named before what names it, and a mark that keeps daemons away until all is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pkgd.backup.copying import copy_hashed, hash_of
from pkgd.backup.inventory import Entry, Inventory
from pkgd.backup.places import OBJECTS, Places, is_secret, rank_of
from pkgd.errors import AlreadyRunning, ConfigError, FailedStorage
from pkgd.locking import RESTORING, lock_state
from pkgd.progress import Progress
from pkgd.storage.fsops import FileSystem, storage_errors

__all__ = ["restore"]

# What may be in an empty directory.
_NOTHING = frozenset(["pkgd.lock", "lost+found"])


def restore(directory: str, target: Places, progress: Progress) -> int:
    """Put a backup back, durably; returns how many files that were. An interrupted restore is completed.

    :raises ConfigError: if it is no whole backup, or the target is not empty or in use.
    :raises FailedStorage: if a file of the backup is damaged; the target cannot be used then.
    :raises Storage: if the machine refuses.
    """
    inventory = Inventory.read(directory)
    with storage_errors(), _locked(target):
        restoring = _Restoring(Places.of_backup(directory), target)
        progress.begin("restore", sum(one.size for one in inventory.entries.values()))
        for name, entry in sorted(inventory.entries.items(), key=lambda one: (-rank_of(one[0]), one[0])):
            restoring.put(name, entry)
            progress.advance(entry.size)
        for path in {target.state, target.objects}:
            FileSystem().sync(path)
    return len(inventory.entries)


@contextmanager
def _locked(target: Places) -> Iterator[None]:
    """The lock, and the mark, which goes when the block has ended well."""
    mark = f"{target.state}/{RESTORING}"
    for path in (target.state, target.objects):
        if not os.path.isdir(path):
            os.makedirs(path, mode=0o750)
            _give(path, os.path.dirname(os.path.abspath(path)))
    try:
        lock = lock_state(target.state, is_restoring=True)
    except AlreadyRunning as error:
        raise ConfigError("state_dir", f"a running pkgd holds {error.lock}: stop it first") from error
    try:
        _give(f"{target.state}/pkgd.lock", target.state)
        if not os.path.exists(mark):
            _check_empty(target)
            os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640))
            FileSystem().sync(target.state)
        yield
        os.unlink(mark)
        FileSystem().sync(target.state)
    finally:
        os.close(lock)


def _check_empty(target: Places) -> None:
    """
    :raises ConfigError: if there is anything.
    """
    for path in (target.state, target.objects):
        if path == target.objects and not os.path.isdir(path):
            continue
        own = {os.path.basename(target.objects)} if os.path.dirname(target.objects) == path else set[str]()
        found = sorted(set(os.listdir(path)) - _NOTHING - own)
        if found:
            raise ConfigError(path, f"it is not empty, {found[0]} is there: a backup is restored into an empty one")


class _Restoring:
    """Writes the files of one backup. Equal ones of one time are one file again, whatever became of their links."""

    def __init__(self, source: Places, target: Places) -> None:
        self._source = source
        self._target = target
        self._written: dict[tuple[str, Entry], str] = {}

    def put(self, name: str, entry: Entry) -> None:
        """Write one file, unless it is there."""
        path = self._target.path(name)
        self._make_directory(os.path.dirname(path), name)
        key = (name.partition("/")[0] if not is_secret(name) else name, entry)
        first = self._written.setdefault(key, path)
        if os.path.lexists(path):
            if hash_of(path) == entry.sha256:
                return
            os.unlink(path)
        if first != path and _linked(first, path):
            return
        self._copy(name, path, entry)

    def _copy(self, name: str, path: str, entry: Entry) -> None:
        fd = os.open(self._source.path(name), os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = copy_hashed(fd, path, 0o600 if is_secret(name) else 0o640, entry.modified)
        finally:
            os.close(fd)
        if found != (entry.size, entry.sha256):
            os.unlink(path)
            raise FailedStorage(f"{name} of the backup is damaged")
        _give(path, self._target.state)

    def _make_directory(self, path: str, name: str) -> None:
        if os.path.isdir(path):
            return
        self._make_directory(os.path.dirname(path), name)
        secret = is_secret(name) and os.path.dirname(path) == self._target.state
        os.mkdir(path, 0o700 if secret else 0o750)
        _give(path, self._target.objects if name.startswith(f"{OBJECTS}/") else self._target.state)


def _give(path: str, like: str) -> None:
    """What root writes is to belong to whom the state belongs to."""
    if os.geteuid() == 0:
        owner = os.stat(like)
        os.chown(path, owner.st_uid, owner.st_gid)


def _linked(source: str, target: str) -> bool:
    try:
        os.link(source, target)
    except OSError:
        return False
    return True
