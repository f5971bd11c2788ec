"""A file in the spool while it is written: its bytes, its running hash, and what the disk has said of it.

A small piece is written and hashed in one thread hop (`StagedFile.append`), a large one by two threads at
the same time (`write`, `hash`): hashing is what takes longest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pkgd.errors import UnknownUpload
from pkgd.formats.digest import Digest, hasher
from pkgd.storage.fsops import DurableTree, storage_errors

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["WRITING", "StagedFile"]

# How its file is opened.
WRITING = os.O_RDWR | os.O_APPEND

_PIECE = 1 << 20


class StagedFile:
    """A file being written in the spool. One writer at a time; every method blocks.

    `size` is what has been written; the running hash covers exactly that.
    """

    def __init__(
        self, tree: DurableTree, path: str, algorithm: str, size: int = 0, descriptor: int | None = None
    ) -> None:
        self.path = path
        self.size = size
        self.algorithm = algorithm
        self._tree = tree
        self._hash: _Hash | None = None if size else hasher(algorithm)
        self._fd = descriptor
        self._broken: OSError | None = None
        # What it was sealed as; None while it is being written.
        self._sealed: Digest | None = None

    def append(self, data: memoryview) -> None:
        """Write bytes at the end, and hash them.

        :raises Storage: after a failure `size` says what was kept, and the hash is computed anew at the end.
        """
        self.write(data)
        self.hash(data)

    def write(self, data: memoryview) -> None:
        """The one half of `append`."""
        self._sealed = None
        with storage_errors():
            try:
                fd = self._open()
                while data:
                    count = self._tree.fs.write(fd, data)
                    self.size += count
                    data = data[count:]
            except OSError:
                self._hash = None
                raise

    def hash(self, data: memoryview) -> None:
        """The other half of `append`; may run beside it, in another thread."""
        running = self._hash
        if running is not None:
            running.update(data)

    @property
    def lost(self) -> bool:
        """Whether the disk has failed to keep some of it. The kernel says so once, so the file is to be given up."""
        return self._broken is not None

    @property
    def sealed(self) -> Digest | None:
        """What it was sealed as, if it is sealed and kept."""
        return self._sealed if self._broken is None else None

    def check(self) -> None:
        """Repeat the failure that the disk has reported.

        :raises Storage: if the file is `lost`.
        """
        with storage_errors():
            if self._broken is not None:
                raise self._broken

    def flush(self) -> None:
        """Send what has been written so far to the disk, so that the final fsync has little left.

        May run beside `append`. `check` and `seal` tell of a failure.
        """
        fd = self._fd
        if fd is not None:
            with suppress(OSError), self._keeping():
                self._tree.flush_file(fd)

    def seal(self, algorithm: str) -> Digest:
        """Make the file durable and return its digest; nothing is written after this. Safe to repeat."""
        self.check()
        if self._sealed is not None and self._sealed.algorithm == algorithm:
            return self._sealed
        with storage_errors():
            fd = self._open()
            with self._keeping():
                self._tree.sync_file(fd)
            digest = self.digest(algorithm)
            self.release()
            self._sealed = digest
            return digest

    def digest(self, algorithm: str) -> Digest:
        """The digest of what has been written: the running hash, or a second reading where there is none."""
        with storage_errors():
            if self._hash is not None and algorithm == self.algorithm:
                return Digest(algorithm, self._hash.hexdigest())
            total = hasher(algorithm)
            offset, fd = 0, self._open()
            while piece := self._tree.fs.pread(fd, _PIECE, offset):
                total.update(piece)
                offset += len(piece)
            return Digest(algorithm, total.hexdigest())

    def rewind(self, size: int) -> None:
        """Drop what stands behind `size`; the hash is then computed anew at the end."""
        self._sealed = None
        with storage_errors():
            self._tree.fs.truncate(self._open(), size)
            self.size = size
            self._hash = None if size else hasher(self.algorithm)

    def release(self) -> None:
        """Close the descriptor; `append` opens it again.

        :raises Storage: if the system says only now that something was not kept.
        """
        if self._fd is not None:
            fd, self._fd = self._fd, None
            with storage_errors(), self._keeping():
                self._tree.fs.close(fd)

    def _open(self) -> int:
        if self._fd is None:
            try:
                self._fd = self._tree.fs.open(self.path, WRITING)
            except FileNotFoundError as error:
                # Expired, or removed by hand.
                raise UnknownUpload(os.path.basename(self.path)) from error
        return self._fd

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """Note if a call tells that the disk has not kept what was written."""
        try:
            yield
        except OSError as error:
            self._broken = error
            raise
