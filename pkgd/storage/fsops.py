"""Every system call that touches the storage, in one injectable object, and the durable sequences.

The durability protocol (also `docs/decisions/durability.md`):

- an object is written in the spool, fsynced, renamed or linked into place, and its directory fsynced;
- a directory made on the way is fsynced into its parent, up to the root, before anything in it is
  acknowledged, by *every* writer that cannot know that it has been;
- after a failed fsync the file is given up: the kernel may have dropped the dirty pages.

All of it blocks and runs in pool threads. Tests inject a `FileSystem` whose n-th call fails.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock

from pkgd.errors import BusyStorage, FailedStorage, NoSpace, ReadOnlyStorage

__all__ = ["DurableTree", "FileSystem", "storage_errors"]

# What a cross-device, unsupported or exhausted hard link fails with: then the bytes are copied.
_NO_LINK = frozenset([errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP])
_ERRORS = {
    errno.ENOSPC: NoSpace,
    errno.EDQUOT: NoSpace,
    errno.EROFS: ReadOnlyStorage,
    errno.EACCES: ReadOnlyStorage,
    errno.EPERM: ReadOnlyStorage,
    errno.EMFILE: BusyStorage,
    errno.ENFILE: BusyStorage,
    errno.ENOMEM: BusyStorage,
}
_MISSING = frozenset([errno.ENOENT, errno.ENOTDIR])
_NOT_EMPTY = frozenset([errno.ENOTEMPTY, errno.EEXIST])


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn the machine's refusals into `Storage` errors."""
    try:
        yield
    except OSError as error:
        kind = _ERRORS.get(error.errno or 0, FailedStorage)
        raise kind(error.strerror or str(error)) from error


class FileSystem:
    """The system calls themselves, each a method, so that a test can make any of them fail."""

    def open(self, path: str, flags: int) -> int:
        """open(2), close-on-exec, new files private to the service."""
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)

    def close(self, fd: int) -> None:
        """close(2)."""
        os.close(fd)

    def write(self, fd: int, data: memoryview) -> int:
        """write(2)."""
        return os.write(fd, data)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        """pread(2)."""
        return os.pread(fd, size, offset)

    def fsync(self, fd: int) -> None:
        """fsync(2)."""
        os.fsync(fd)

    def fdatasync(self, fd: int) -> None:
        """fdatasync(2)."""
        os.fdatasync(fd)

    def truncate(self, fd: int, size: int) -> None:
        """ftruncate(2)."""
        os.ftruncate(fd, size)

    def allocate(self, fd: int, size: int) -> None:
        """posix_fallocate(3): a file of this size, whose space nobody else can take."""
        os.posix_fallocate(fd, 0, size)

    def rename(self, source: str, target: str) -> None:
        """rename(2)."""
        os.rename(source, target)

    def link(self, source: str, target: str) -> None:
        """link(2)."""
        os.link(source, target, follow_symlinks=False)

    def unlink(self, path: str) -> None:
        """unlink(2)."""
        os.unlink(path)

    def mkdir(self, path: str) -> None:
        """mkdir(2)."""
        os.mkdir(path, 0o750)

    def rmdir(self, path: str) -> None:
        """rmdir(2)."""
        os.rmdir(path)

    def stat(self, path: str) -> os.stat_result:
        """stat(2)."""
        return os.stat(path)

    def fstat(self, fd: int) -> os.stat_result:
        """fstat(2)."""
        return os.fstat(fd)

    def scandir(self, path: str) -> list[tuple[str, bool]]:
        """The directory's names, each with whether it is a directory."""
        with os.scandir(path) as entries:
            return [(entry.name, entry.is_dir()) for entry in entries]

    def free(self, path: str) -> int:
        """Bytes free for this user on the path's file system."""
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize

    def sync(self, path: str) -> None:
        """syncfs(2): everything that is visible on the path's file system becomes durable."""
        fd = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(fd):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
        finally:
            self.close(fd)


class DurableTree:
    """The durable sequences, on paths below one root.

    Knows which directories are durable already, so that each is fsynced once. One that is removed is so no more: who
    has found it durable before, and then puts something into another one of its name, makes sure of that one, too.
    """

    def __init__(self, root: str, fs: FileSystem, fsync: bool = True) -> None:
        self.root = root
        self.fs = fs
        self._fsync = fsync
        self._durable: set[str] = set()
        self._removals = 0
        self._noting = Lock()

    def path(self, key: str) -> str:
        """The path of a key."""
        return f"{self.root}/{key}"

    def sync_all(self) -> None:
        """Make everything that is visible below the root durable."""
        if self._fsync:
            self.fs.sync(self.root)

    def sync_file(self, fd: int) -> None:
        """Make a file's content durable."""
        if self._fsync:
            self.fs.fsync(fd)

    def flush_file(self, fd: int) -> None:
        """Begin to make a file's content durable; `sync_file` ends it."""
        if self._fsync:
            self.fs.fdatasync(fd)

    def sync_directory(self, path: str) -> None:
        """Make a directory's entries durable."""
        if not self._fsync:
            return
        fd = self.fs.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.fs.fsync(fd)
        finally:
            self.fs.close(fd)

    def make_directory(self, path: str) -> None:
        """Make a directory and those above it, each durable in its parent up to the root."""
        if path in self._durable or path == self.root:
            return
        parent = os.path.dirname(path)
        self.make_directory(parent)
        removals = self._removals
        with suppress(FileExistsError):
            self.fs.mkdir(path)
        self.sync_directory(parent)
        with self._noting:
            if removals == self._removals:
                self._durable.add(path)

    def remove_directory(self, path: str) -> bool:
        """Remove a directory, if it is there and empty. That is not durable: it may be there again, and still empty."""
        self._forget(path)
        try:
            self.fs.rmdir(path)
        except OSError as error:
            if error.errno in _NOT_EMPTY or error.errno in _MISSING:
                return False
            raise
        # Of those too who have looked in between.
        self._forget(path)
        return True

    def _forget(self, *paths: str) -> None:
        """These may not be durable any more; without any, none may be."""
        with self._noting:
            self._removals += 1
            if paths:
                self._durable.difference_update(paths)
            else:
                self._durable.clear()

    def rename_into(self, source: str, target: str) -> None:
        """Move a durable file to its place, durably."""
        self._place(self.fs.rename, source, target)

    def link_into(self, source: str, target: str) -> bool:
        """Hard-link a durable file to a second place, durably. False where only a copy would do."""
        try:
            self._place(self.fs.link, source, target)
        except FileExistsError:
            self._settle_directory(os.path.dirname(target))
        except OSError as error:
            if error.errno in _NO_LINK:
                return False
            raise
        return True

    def _place(self, call: Callable[[str, str], None], source: str, target: str) -> None:
        """Give a file a name in a durable directory, durably."""
        directory = os.path.dirname(target)
        try:
            self.make_directory(directory)
            call(source, target)
        except FileNotFoundError:
            # Somebody has removed the directory under us; what was known of it is void.
            self._forget()
            self.make_directory(directory)
            call(source, target)
        self._settle_directory(directory)

    def _settle_directory(self, directory: str) -> None:
        """Make a directory's entries durable, and itself, if it has been removed and made again meanwhile."""
        self.sync_directory(directory)
        if directory not in self._durable:
            self.make_directory(directory)

    def settle(self, path: str) -> None:
        """Make durable whether there is such a file, after a write to it has failed half-way."""
        try:
            self.sync_directory(os.path.dirname(path))
        except OSError as error:
            if error.errno not in _MISSING:
                raise

    def remove(self, path: str) -> bool:
        """Unlink a file, durably. False if there was none."""
        try:
            self.fs.unlink(path)
        except OSError as error:
            if error.errno in _MISSING or error.errno == errno.EISDIR:
                return False
            raise
        self.sync_directory(os.path.dirname(path))
        return True

    def size_of(self, path: str) -> int | None:
        """A regular file's size, or None if there is none."""
        try:
            found = self.fs.stat(path)
        except OSError as error:
            if error.errno in _MISSING or error.errno == errno.ENAMETOOLONG:
                return None
            raise
        return found.st_size if _is_file(found) else None

    def write_all(self, fd: int, data: memoryview) -> None:
        """Write every byte."""
        while data:
            data = data[self.fs.write(fd, data) :]


def _is_file(found: os.stat_result) -> bool:
    return (found.st_mode & 0o170000) == 0o100000
