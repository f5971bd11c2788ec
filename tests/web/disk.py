"""A file system whose state the test decides: read-only, full, out of descriptors, broken."""

from __future__ import annotations

import errno
import os

from pkgd.storage.fsops import FileSystem

__all__ = ["RecordingFileSystem"]


class RecordingFileSystem(FileSystem):
    """The real file system; knows what is open, and may be read-only or full for a while.

    Files whose paths end in `bad_inode` cannot be opened, of those whose paths end in `bad_bytes` nothing can be read.
    """

    def __init__(self) -> None:
        self.open_files: set[int] = set()
        self.free_bytes: int | None = None
        self.read_only = False
        self.exhausted = False
        self.failing = False
        self.bad_inode = self.bad_bytes = "-"
        self._paths: dict[int, str] = {}

    def open(self, path: str, flags: int) -> int:
        """Open, and remember."""
        if self.exhausted:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)
        if self.read_only and flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        if path.endswith(self.bad_inode):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        fd = super().open(path, flags)
        self.open_files.add(fd)
        self._paths[fd] = path
        return fd

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        """Read, unless the bytes are bad."""
        if self._paths[fd].endswith(self.bad_bytes):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().pread(fd, size, offset)

    def close(self, fd: int) -> None:
        """Close, and forget; a second close of the same is a failure."""
        self.open_files.remove(fd)
        super().close(fd)

    def mkdir(self, path: str) -> None:
        """Make a directory, unless read-only."""
        if self.read_only and not os.path.isdir(path):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        super().mkdir(path)

    def unlink(self, path: str) -> None:
        """Unlink, unless read-only."""
        if self.read_only and os.path.exists(path):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        super().unlink(path)

    def stat(self, path: str) -> os.stat_result:
        """Ask for a file, unless the disk is broken."""
        if self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return super().stat(path)

    def scandir(self, path: str) -> list[tuple[str, bool]]:
        """List a directory, unless the disk is broken."""
        if self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return super().scandir(path)

    def free(self, path: str) -> int:
        """The free space that the test has set, or the real one."""
        return super().free(path) if self.free_bytes is None else self.free_bytes
