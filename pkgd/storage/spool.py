"""The spool: where files are written before they become objects, always on the store's file system.

__spool__/uploads/<id>        an upload session's bytes so far
__spool__/uploads/<id>.json   which repository it belongs to
__spool__/fills/<random>      an object on its way from an upstream; swept at start
__spool__/tmp/<random>        a small object on its way; swept at start
__spool__/reserve             space for deletes on a full disk (`pkgd.storage.reserve`)
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

from pkgd.errors import Storage, UnknownUpload
from pkgd.storage.fsops import DurableTree, storage_errors
from pkgd.storage.layout import SPOOL
from pkgd.storage.reader import LocalReader
from pkgd.storage.reserve import Reserve
from pkgd.storage.staged import WRITING, StagedFile

__all__ = ["Spool"]

_COPY = 1 << 20


class Spool:
    """The spool's directories. Every method blocks."""

    def __init__(self, tree: DurableTree, prefix: str = SPOOL) -> None:
        """
        :param prefix: where in the tree it is.
        """
        self._tree = tree
        self._prepared = False
        self._preparing = Lock()
        self._uploads = tree.path(f"{prefix}/uploads")
        self._fills = tree.path(f"{prefix}/fills")
        self._temporary = tree.path(f"{prefix}/tmp")  # noqa: S108
        self.reserve = Reserve(tree, f"{prefix}/reserve")

    def prepare(self) -> None:
        """Make the directories, and remove what a crash left half-written; once it has succeeded, nothing.

        Repeated before each write, so that a storage that was read-only at the start heals.

        :raises Storage: if the storage cannot be written.
        """
        if self._prepared:
            return
        # One at a time, and nobody writes before: else one writer's sweep takes another's file.
        with self._preparing, storage_errors():
            if not self._prepared:
                for directory in (self._uploads, self._fills, self._temporary):
                    self._tree.make_directory(directory)
                for directory in (self._fills, self._temporary):
                    for name, is_directory in self._tree.fs.scandir(directory):
                        if not is_directory:
                            self._tree.fs.unlink(f"{directory}/{name}")
                self._sweep_halves()
                self._prepared = True

    def _sweep_halves(self) -> None:
        """Remove uploads of which a crash left only the bytes or only the record: no session can be made of them."""
        found = {name for name, is_directory in self._tree.fs.scandir(self._uploads) if not is_directory}
        for name in [one for one in found if one.endswith(".json")]:
            if not self._tree.size_of(f"{self._uploads}/{name}"):  # killed before the record was written
                self._tree.fs.unlink(f"{self._uploads}/{name}")
                found.discard(name)
        for name in found:
            other = name.removesuffix(".json") if name.endswith(".json") else f"{name}.json"
            if other not in found:
                self._tree.fs.unlink(f"{self._uploads}/{name}")

    def probe(self) -> None:
        """Try a write.

        :raises Storage: if it fails.
        """
        self.prepare()
        path = self._temporary_path()
        with storage_errors():
            self._write_new(path, b"probe")
            self._tree.fs.unlink(path)

    # -- uploads --

    def create_upload(self, name: str, record: bytes, algorithm: str) -> StagedFile:
        """Begin an upload's file, with the record that says whose it is.

        :raises Storage: if it cannot be written; nothing is left then.
        """
        path = f"{self._uploads}/{name}"
        self.prepare()
        with storage_errors():
            try:
                self._write_new(path, b"")
                self._write_new(f"{path}.json", record)
            except OSError:
                with suppress(OSError):
                    self._forget(path)
                raise
        return StagedFile(self._tree, path, algorithm)

    def read_upload(self, name: str) -> tuple[bytes, int]:
        """An upload's record, and how many bytes its file has.

        :raises UnknownUpload: if there is none.
        """
        path = f"{self._uploads}/{name}"
        with storage_errors():
            size, length = self._tree.size_of(path), self._tree.size_of(f"{path}.json")
            if size is None or length is None:
                raise UnknownUpload(name)
            with self._reading(f"{path}.json") as fd:
                return self._tree.fs.pread(fd, length, 0), size

    def open_upload(self, name: str, algorithm: str, size: int) -> StagedFile:
        """An upload's file as an earlier process left it."""
        return StagedFile(self._tree, f"{self._uploads}/{name}", algorithm, size)

    def remove_upload(self, name: str) -> None:
        """Remove an upload's file and record, as far as they are there."""
        with storage_errors():
            self._forget(f"{self._uploads}/{name}")

    def uploads(self) -> list[tuple[str, float]]:
        """Every upload's name, with the time of its last write in seconds since the epoch.

        A record or file without its other half, left by a crash, is among them.
        """
        with storage_errors():
            try:
                names = {name.removesuffix(".json") for name, _ in self._tree.fs.scandir(self._uploads)}
            except FileNotFoundError:
                return []
            return [(name, self._last_write(name)) for name in sorted(names)]

    def _last_write(self, name: str) -> float:
        try:
            return self._tree.fs.stat(f"{self._uploads}/{name}").st_mtime
        except FileNotFoundError:
            return 0.0

    def _forget(self, path: str) -> None:
        for one in (f"{path}.json", path):
            with suppress(FileNotFoundError):
                self._tree.fs.unlink(one)

    # -- fills --

    def create_fill(self, algorithm: str) -> StagedFile:
        """Begin the file of an object that arrives from an upstream. It is open until it is sealed or removed.

        :raises Storage: if it cannot be written.
        """
        path = f"{self._fills}/{secrets.token_hex(16)}"
        self.prepare()
        with storage_errors():
            descriptor = self._tree.fs.open(path, WRITING | os.O_CREAT | os.O_EXCL)
        return StagedFile(self._tree, path, algorithm, descriptor=descriptor)

    def read_fill(self, file: StagedFile, size: int) -> LocalReader:
        """A reader of a fill's file, which outlives the file's name.

        :param size: what the file will have when it is complete.
        """
        with storage_errors():
            return LocalReader(self._tree.fs, self._tree.fs.open(file.path, os.O_RDONLY), size)

    def remove_fill(self, file: StagedFile) -> None:
        """Close and remove a fill's file, if it is still there."""
        with suppress(Storage):
            file.release()
        with storage_errors(), suppress(FileNotFoundError):
            self._tree.fs.unlink(file.path)

    # -- small objects --

    def write_temporary(self, data: bytes) -> str:
        """Write and fsync a file for a small object; returns its path."""
        self.prepare()
        path = self._temporary_path()
        self._write_new(path, data, durable=True)
        return path

    def copy_temporary(self, source: str) -> str:
        """Copy and fsync an object's file, where it cannot be linked; returns the copy's path."""
        self.prepare()
        path = self._temporary_path()
        with self._reading(source) as origin, self._new_file(path) as fd:
            offset = 0
            while piece := self._tree.fs.pread(origin, _COPY, offset):
                self._tree.write_all(fd, memoryview(piece))
                offset += len(piece)
            self._tree.sync_file(fd)
        return path

    def _temporary_path(self) -> str:
        return f"{self._temporary}/{secrets.token_hex(16)}"

    def _write_new(self, path: str, data: bytes, durable: bool = False) -> None:
        with self._new_file(path) as fd:
            self._tree.write_all(fd, memoryview(data))
            if durable:
                self._tree.sync_file(fd)

    @contextmanager
    def _new_file(self, path: str) -> Iterator[int]:
        """A new file's descriptor for the length of a `with` block; if that fails, there is no such file."""
        fd = self._tree.fs.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            try:
                yield fd
            finally:
                self._tree.fs.close(fd)
        except OSError:
            with suppress(OSError):
                self._tree.fs.unlink(path)
            raise

    @contextmanager
    def _reading(self, path: str) -> Iterator[int]:
        """A file's descriptor for the length of a `with` block."""
        fd = self._tree.fs.open(path, os.O_RDONLY)
        try:
            yield fd
        finally:
            with suppress(OSError):  # nothing was written, so nothing is lost
                self._tree.fs.close(fd)
