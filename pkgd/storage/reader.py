"""An open file, of the store or of the spool, for reading."""

from __future__ import annotations

from contextlib import suppress

from pkgd.errors import FailedStorage
from pkgd.storage.fsops import FileSystem, storage_errors

__all__ = ["LocalReader"]


class LocalReader:
    """Implements `StoredReader` for a file that is complete. Owns the descriptor."""

    def __init__(self, fs: FileSystem, fd: int, size: int, modified: int = 0) -> None:
        """
        :param modified: when the file was written, in seconds since 1970, where anybody asks for that.
        """
        self.size = size
        self.modified = modified
        self._fs = fs
        self._fd: int | None = fd

    def fileno(self) -> int | None:
        """See `Reader.fileno`."""
        return self._fd

    async def available(self, offset: int) -> int:
        """See `Reader.available`: all of it."""
        return self.size

    def read_at(self, offset: int, size: int) -> bytes:
        """See `Reader.read_at`."""
        if self._fd is None:
            raise FailedStorage("read of a closed file")
        with storage_errors():
            return self._fs.pread(self._fd, size, offset)

    def close(self) -> None:
        """See `Reader.close`."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            with suppress(OSError):  # nothing was written, so nothing is lost
                self._fs.close(fd)
