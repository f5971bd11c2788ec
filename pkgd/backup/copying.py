"""One file after the other, from a state into a backup: copied and hashed, or linked to bytes that are there."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress

from attrs import frozen

from pkgd.backup.inventory import Entry, Inventory
from pkgd.backup.places import Places, Rank, is_secret, rank_of
from pkgd.progress import Progress
from pkgd.storage.layout import digest_of_file

__all__ = ["Copier", "Earlier", "copy_hashed", "hash_of"]

_PIECE = 1 << 20


@frozen
class Earlier:
    """A backup that was taken before."""

    places: Places
    inventory: Inventory

    @classmethod
    def open(cls, directory: str) -> Earlier:
        """
        :raises ConfigError: if it is no whole backup.
        """
        return cls(Places.of_backup(directory), Inventory.read(directory))


class Copier:
    """Fills a backup. `entries` is what is in it, `damaged` what is not what its name says."""

    def __init__(self, source: Places, target: Places, earlier: Earlier | None, progress: Progress) -> None:
        self.source = source
        self.target = target
        self.entries: dict[str, Entry] = {}
        self.damaged: list[str] = []
        self._earlier = earlier
        self._progress = progress
        # Files of the state that have several names: where the first of them is in the backup.
        self._linked: dict[tuple[int, int], str] = {}

    def copy(self, name: str) -> bool:
        """Have a file in the backup; False if the state has none of that name (any more).

        :raises OSError: if it cannot be read, or written.
        """
        if name in self.entries:
            return True
        try:
            fd = os.open(self.source.path(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            found = os.fstat(fd)
            if not _is_file(found):
                return False
            self._make_directory(os.path.dirname(name))
            self.entries[name] = self._link(name, found) or self._copy(name, fd, found)
        finally:
            os.close(fd)
        if found.st_nlink > 1:
            self._linked.setdefault((found.st_dev, found.st_ino), name)
        self._check(name)
        self._progress.advance(found.st_size)
        return True

    def drop(self, name: str) -> None:
        """Have a file in the backup no longer."""
        if self.entries.pop(name, None) is not None:
            os.unlink(self.target.path(name))
            self._linked = {key: one for key, one in self._linked.items() if one != name}

    def note(self, name: str) -> None:
        """Enter a file that somebody else has written into the backup."""
        path = self.target.path(name)
        found = os.stat(path)
        self.entries[name] = Entry(found.st_size, hash_of(path), found.st_mtime_ns)

    def _link(self, name: str, found: os.stat_result) -> Entry | None:
        """Link a file whose bytes are in this backup, or in the earlier one. None if they are not."""
        first = self._linked.get((found.st_dev, found.st_ino))
        if first is not None and _linked(self.target.path(first), self.target.path(name)):
            return self.entries[first]
        if self._earlier is None or rank_of(name) is Rank.POINTER or is_secret(name):
            return None
        entry, path = self._earlier.inventory.entries.get(name), self._earlier.places.path(name)
        if entry is None or (entry.size, entry.modified) != (found.st_size, found.st_mtime_ns):
            return None
        with suppress(OSError):
            if os.stat(path).st_size == entry.size and _linked(path, self.target.path(name)):
                return entry
        return None

    def _copy(self, name: str, fd: int, found: os.stat_result) -> Entry:
        path = self.target.path(name)
        size, sha256 = copy_hashed(fd, path, 0o600 if is_secret(name) else 0o640, found.st_mtime_ns)
        return Entry(size, sha256, found.st_mtime_ns)

    def _check(self, name: str) -> None:
        """Whether a file that is named by its hash has it; those of other algorithms are left to the verification."""
        if name.split("/")[-2] in ("blobs", "by-digest"):
            digest = digest_of_file(name.rpartition("/")[2])
            if digest is not None and digest.algorithm == "sha256" and digest.encoded != self.entries[name].sha256:
                self.damaged.append(name)

    def _make_directory(self, name: str) -> None:
        path = self.target.path(name)
        if not os.path.isdir(path):
            os.makedirs(path, mode=0o700 if is_secret(name) else 0o750, exist_ok=True)


def copy_hashed(source: int, path: str, mode: int, modified: int) -> tuple[int, str]:
    """Write a new file with the bytes of an open one, and its time; returns their number and SHA-256.

    :param modified: in nanoseconds since the epoch.
    :raises OSError: if it cannot be; half of it may be there then.
    """
    hashing, size = hashlib.sha256(), 0
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        while piece := os.read(source, _PIECE):
            hashing.update(piece)
            size += len(piece)
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(fd, rest) :]
        os.utime(fd, ns=(modified, modified))
    finally:
        os.close(fd)
    return size, hashing.hexdigest()


def hash_of(path: str, algorithm: str = "sha256") -> str:
    """A file's hash, in hex.

    :raises OSError: if it cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _linked(source: str, target: str) -> bool:
    """Link a file; False where that is not possible, and a copy would be."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _is_file(found: os.stat_result) -> bool:
    return (found.st_mode & 0o170000) == 0o100000
