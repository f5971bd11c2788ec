"""Doubles of the file system: one that does not wait, one that knows what a power cut takes, one that fails."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from pkgd.blocking import Blocking, InlineBlocking
from pkgd.errors import Storage
from pkgd.storage.fsops import DurableTree, FileSystem
from pkgd.storage.layout import SPOOL
from pkgd.storage.local import LocalStore
from pkgd.storage.spool import Spool
from pkgd.storage.staged import StagedFile

__all__ = [
    "SHORT",
    "DiskModel",
    "FaultyFileSystem",
    "FullFileSystem",
    "Place",
    "Publication",
    "QuietFileSystem",
    "outcome",
]

# Instead of an errno: the write takes only half of what it is given.
SHORT = 0


def outcome(call: Coroutine[Deferred[Any], Any, Any]) -> Any:
    """What a call that never waits has ended with: its result, or its `Storage` error. Raises any other."""
    ended: list[Any] = []
    Deferred.fromCoroutine(call).addBoth(ended.append)
    (result,) = ended
    if isinstance(result, Failure):
        result.trap(Storage)
        return result.value
    return result


class QuietFileSystem(FileSystem):
    """The real file system, except that nothing waits for the disk."""

    def fsync(self, fd: int) -> None:
        """Not now."""

    def fdatasync(self, fd: int) -> None:
        """Not now."""

    def sync(self, path: str) -> None:
        """Not now."""


class Place:
    """A tree below `root` with its spool and store, as the daemon puts them together."""

    def __init__(self, root: str, fs: FileSystem | None = None, blocking: Blocking | None = None) -> None:
        os.makedirs(root, exist_ok=True)
        self.fs = QuietFileSystem() if fs is None else fs
        self.tree = DurableTree(root, self.fs)
        self.spool = Spool(self.tree)
        self.store = LocalStore(self.tree, InlineBlocking() if blocking is None else blocking, self.spool)

    def stage(self, data: bytes, name: str = "session") -> StagedFile:
        """A sealed file in the spool."""
        staged = self.spool.create_upload(name, b"{}", "sha256")
        staged.append(memoryview(data))
        staged.seal("sha256")
        return staged

    def temporaries(self) -> list[str]:
        """What lies in the spool for small objects."""
        directory = self.tree.path(f"{SPOOL}/tmp")
        return sorted(os.listdir(directory)) if os.path.isdir(directory) else []


@frozen
class Publication:
    """A file that got a name outside the spool, and what a power cut at that moment would have taken."""

    target: str
    at_risk: frozenset[str]


class DiskModel(QuietFileSystem):
    """Knows what a power cut would take: bytes and directory entries that no fsync has covered yet.

    `trail` is every call that changes or fsyncs something, with the path that it is about.
    """

    def __init__(self) -> None:
        self.trail: list[tuple[str, str]] = []
        self.published: list[Publication] = []
        self._paths: dict[int, str] = {}
        self._data: set[str] = set()
        self._entries: set[str] = set()

    def at_risk(self) -> frozenset[str]:
        """Everything outside the spool whose bytes or whose directory entry may be lost."""
        return frozenset(path for path in self._data | self._entries if f"/{SPOOL}/" not in path)

    def open(self, path: str, flags: int) -> int:
        """See `FileSystem.open`; a new file's entry is at risk."""
        if flags & os.O_CREAT:
            self._entries.add(path)
        fd = super().open(path, flags)
        self._paths[fd] = path
        return fd

    def close(self, fd: int) -> None:
        """See `FileSystem.close`."""
        del self._paths[fd]
        super().close(fd)

    def write(self, fd: int, data: memoryview) -> int:
        """See `FileSystem.write`; the bytes are at risk."""
        self._data.add(self._paths[fd])
        return super().write(fd, data)

    def truncate(self, fd: int, size: int) -> None:
        """See `FileSystem.truncate`; the bytes are at risk."""
        self._data.add(self._paths[fd])
        super().truncate(fd, size)

    def fsync(self, fd: int) -> None:
        """A file's bytes, or a directory's entries, are at risk no more."""
        path = self._paths[fd]
        self.trail.append(("fsync", path))
        self._data.discard(path)
        self._entries -= {entry for entry in self._entries if os.path.dirname(entry) == path}

    def fdatasync(self, fd: int) -> None:
        """A file's bytes are at risk no more."""
        self._data.discard(self._paths[fd])

    def sync(self, path: str) -> None:
        """Nothing is at risk any more."""
        self.trail.append(("sync", path))
        self._data.clear()
        self._entries.clear()

    def rename(self, source: str, target: str) -> None:
        """See `FileSystem.rename`; both entries are at risk."""
        super().rename(source, target)
        self._appear("rename", source, target)
        self._data.discard(source)
        self._entries.add(source)

    def link(self, source: str, target: str) -> None:
        """See `FileSystem.link`; the new entry is at risk."""
        super().link(source, target)
        self._appear("link", source, target)

    def unlink(self, path: str) -> None:
        """See `FileSystem.unlink`; it may come back."""
        super().unlink(path)
        self.trail.append(("unlink", path))
        self._data.discard(path)
        self._entries.add(path)

    def mkdir(self, path: str) -> None:
        """See `FileSystem.mkdir`; with it, everything in it is at risk."""
        super().mkdir(path)
        self.trail.append(("mkdir", path))
        self._entries.add(path)

    def rmdir(self, path: str) -> None:
        """See `FileSystem.rmdir`; whether it comes back is all the same."""
        super().rmdir(path)
        self.trail.append(("rmdir", path))
        self._entries.discard(path)

    def _appear(self, call: str, source: str, target: str) -> None:
        self.trail.append((call, target))
        risk = self.at_risk()
        if source in self._data:
            self._data.add(target)
            risk |= {target}
        if f"/{SPOOL}/" not in target:
            self.published.append(Publication(target, risk))
        self._entries.add(target)


class FaultyFileSystem(QuietFileSystem):
    """Counts its calls, and fails the one whose turn has come, or every one from there on, or all of some names.

    `open_files` are the descriptors that nobody has closed; `failed` the names of the calls that have failed;
    `room` is how many bytes are free, if not as many as there really are.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.counts: Counter[str] = Counter()
        self.open_files: set[int] = set()
        self.failed: list[str] = []
        self.room: int | None = None
        self._at = -1
        self._lasting = False
        self._error = 0
        self._names: frozenset[str] = frozenset()

    def fail(self, at: int, error: int, lasting: bool = False) -> None:
        """Let the call number `at` from now on fail with an errno; or with SHORT, if it is a write."""
        self.calls, self.failed = 0, []
        self._at, self._error, self._lasting = at, error, lasting

    def fail_calls(self, *names: str, error: int = errno.EIO) -> None:
        """Let every call of these names fail."""
        self._names, self._error = frozenset(names), error

    def heal(self) -> None:
        """Nothing fails any more."""
        self._at, self._names = -1, frozenset()

    def turn(self, name: str) -> bool:
        """Count a call.

        :raises OSError: if it is to fail. Returns whether it is to be done by half.
        """
        due = self._at >= 0 and (self.calls == self._at or (self._lasting and self.calls > self._at))
        self.calls += 1
        self.counts[name] += 1
        if name in self._names:
            raise OSError(self._error, os.strerror(self._error))
        if not due or (self._error == SHORT and name != "write"):
            return False
        self.failed.append(name)
        if self._error != SHORT:
            raise OSError(self._error, os.strerror(self._error))
        return True

    def open(self, path: str, flags: int) -> int:
        """See `FileSystem.open`."""
        self.turn("open")
        fd = super().open(path, flags)
        self.open_files.add(fd)
        return fd

    def close(self, fd: int) -> None:
        """See `FileSystem.close`. The descriptor is gone even where the call fails, as on Linux."""
        self.open_files.discard(fd)
        super().close(fd)
        self.turn("close")

    def write(self, fd: int, data: memoryview) -> int:
        """See `FileSystem.write`."""
        half = self.turn("write")
        return super().write(fd, data[: max(1, len(data) // 2)] if half else data)

    def free(self, path: str) -> int:
        """See `FileSystem.free`."""
        self.turn("free")
        return super().free(path) if self.room is None else self.room


def _counted(name: str) -> Callable[..., Any]:
    real = getattr(QuietFileSystem, name)

    def call(self: FaultyFileSystem, *args: Any) -> Any:
        self.turn(name)
        return real(self, *args)

    return call


for _name in (
    *("pread", "fsync", "fdatasync", "truncate", "allocate", "rename", "link", "unlink"),
    *("mkdir", "rmdir", "stat", "fstat", "scandir", "sync"),
):
    setattr(FaultyFileSystem, _name, _counted(_name))


class FullFileSystem(FaultyFileSystem):
    """While `full`, it has no room for a new file or directory, unless the reserve has been given up."""

    full = False
    _reserve = ""

    def open(self, path: str, flags: int) -> int:
        """See `FileSystem.open`."""
        if path.endswith("/reserve"):
            self._reserve = path
        elif flags & os.O_CREAT:
            self._require_room(path)
        return super().open(path, flags)

    def mkdir(self, path: str) -> None:
        """See `FileSystem.mkdir`."""
        if not os.path.isdir(path):
            self._require_room(path)
        super().mkdir(path)

    def _require_room(self, path: str) -> None:
        if self.full and (not self._reserve or os.path.exists(self._reserve)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
