"""A backup is taken: into a directory that gets its name when everything in it is durable."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import frozen

from pkgd import __version__
from pkgd.backup.copying import Copier, Earlier
from pkgd.backup.images import RepositoryCopy
from pkgd.backup.inventory import Header, Inventory
from pkgd.backup.packages import PackagesCopy, repositories
from pkgd.backup.places import ACCOUNTS, OBJECTS, Places, repository_places
from pkgd.errors import ConfigError, FailedStorage
from pkgd.progress import Progress
from pkgd.state.integrity import copy_database
from pkgd.storage.fsops import FileSystem, storage_errors

__all__ = ["INCOMPLETE", "Order", "Taken", "take"]

# What a backup that is being taken, or has been interrupted, is called behind its name.
INCOMPLETE = ".incomplete"
# How often keys are listed anew if one of them has been renamed meanwhile.
_ROUNDS = 16


@frozen
class Order:
    """What is asked for.

    :param previous: the directory of an earlier backup, whose files are linked where they have not changed.
    :param is_sparse: whether a place's manifests may name blobs that are not there.
    """

    directory: str
    previous: str | None = None
    with_keys: bool = True
    with_mirror: bool = True
    is_sparse: Callable[[str], bool] = lambda place: False


@frozen
class Taken:
    """What is in a new backup, and what the state itself lacks: who names it, and what; and what of it is damaged."""

    files: int
    size: int
    lacking: tuple[tuple[str, str], ...]
    damaged: tuple[str, ...]


def take(source: Places, order: Order, now: float, progress: Progress) -> Taken:
    """Take a backup.

    :param now: in seconds since the epoch.
    :raises ConfigError: if there is no state, the target is there already, or the earlier backup is none.
    :raises Storage: if the machine refuses; nothing is left of the backup then.
    """
    if not os.path.isdir(source.state):
        raise ConfigError(source.state, "there is no state directory")
    earlier = None if order.previous is None else Earlier.open(order.previous)
    with storage_errors(), _new_directory(os.path.abspath(order.directory)) as draft:
        copier = Copier(source, Places.of_backup(draft), earlier, progress)
        progress.begin("backup", 0)
        lacking = _copy_all(copier, order)
        header = Header(__version__, now, order.with_keys, order.with_mirror)
        FileSystem().sync(draft)
        Inventory(header, copier.entries).write(draft)
    size = sum(one.size for one in copier.entries.values())
    return Taken(len(copier.entries), size, tuple(sorted(lacking)), tuple(sorted(copier.damaged)))


def _copy_all(copier: Copier, order: Order) -> set[tuple[str, str]]:
    lacking = set[tuple[str, str]]()
    for place in repository_places(copier.source, order.with_mirror):
        images = RepositoryCopy(copier, place, order.is_sparse(place.removeprefix(f"{OBJECTS}/")))
        images.run()
        lacking |= images.lacking
    for repository in repositories(copier.source):
        packages = PackagesCopy(copier, repository)
        packages.run()
        lacking |= packages.lacking
    if os.path.isfile(copier.source.path(ACCOUNTS)):
        copy_database(copier.source.path(ACCOUNTS), copier.target.path(ACCOUNTS))
        copier.note(ACCOUNTS)
    if order.with_keys:
        # After what they have signed: a key that has come meanwhile is among them.
        _copy_keys(copier)
    return lacking


def _copy_keys(copier: Copier) -> None:
    for _ in range(_ROUNDS):
        names = [file for directory in copier.source.key_directories() for file in copier.source.walk(directory)]
        # A draft of a key has no name yet.
        names = [one for one in names if not one.rpartition("/")[2].startswith(".")]
        if all(copier.copy(one) for one in names):
            return
    raise FailedStorage("keys come and go")


@contextmanager
def _new_directory(path: str) -> Iterator[str]:
    """A directory that has another name until the block has ended, and is removed if it fails.

    :raises ConfigError: if there is something of one of the names.
    """
    draft = f"{path}{INCOMPLETE}"
    if os.path.lexists(path):
        raise ConfigError(path, "it is there already: a backup is a new directory")
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.mkdir(draft, 0o700)
    except FileExistsError:
        raise ConfigError(draft, "a backup is being taken, or has been interrupted: remove it then") from None
    try:
        yield draft
        _sync(draft)
        os.rename(draft, path)
        _sync(os.path.dirname(path))
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _sync(directory: str) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
