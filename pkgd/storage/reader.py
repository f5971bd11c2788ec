"""What is open for reading: a file of the store or of the spool, or bytes in memory."""

from __future__ import annotations

from contextlib import suppress

from pkgd.errors import FailedStorage
from pkgd.storage.fsops import FileSystem, storage_errors

__all__ = ["BytesReader", "LocalReader"]


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


class BytesReader:
    """Implements `Reader` for what is in memory."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data

    def fileno(self) -> int | None:
        """There is none."""
        return None

    async def available(self, offset: int) -> int:
        """See `Reader.available`: all of it."""
        return self.size

    def read_at(self, offset: int, size: int) -> bytes:
        """See `Reader.read_at`."""
        return self._data[offset : offset + size]

    def close(self) -> None:
        """Nothing is held."""
