"""The object store in memory: for tests, and the proof that the interface asks for no file system."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from pkgd.storage.interfaces import Entry, Staged
from pkgd.storage.reader import BytesReader

__all__ = ["MemoryReader", "MemoryStore"]


class MemoryReader(BytesReader):
    """Implements `StoredReader`: an open object."""

    def __init__(self, data: bytes, modified: int) -> None:
        super().__init__(data)
        self.modified = modified


class MemoryStore:
    """Implements `ObjectStore` and `Versioned`; durable as long as the process."""

    def __init__(self, seconds: Callable[[], float] = time.time) -> None:
        """
        :param seconds: the clock by which objects are dated.
        """
        self.objects: dict[str, bytes] = {}
        self._written: dict[str, int] = {}
        self._seconds = seconds

    async def stat(self, key: str) -> int | None:
        """See `ObjectStore.stat`."""
        found = self.objects.get(key)
        return None if found is None else len(found)

    async def open(self, key: str) -> MemoryReader | None:
        """See `ObjectStore.open`."""
        found = self.objects.get(key)
        return None if found is None else MemoryReader(found, self._written.get(key, 0))

    async def put(self, key: str, staged: Staged) -> None:
        """See `ObjectStore.put`."""
        data = _consume(staged.path)
        if key not in self.objects or len(self.objects[key]) != staged.size:
            self._write(key, data)

    async def put_bytes(self, key: str, data: bytes) -> None:
        """See `ObjectStore.put_bytes`."""
        self._write(key, data)

    async def link(self, source: str, target: str) -> bool:
        """See `ObjectStore.link`."""
        if source not in self.objects:
            return False
        if target not in self.objects or len(self.objects[target]) != len(self.objects[source]):
            self.objects[target] = self.objects[source]
            self._written[target] = self._written.get(source, 0)
        return True

    async def delete(self, key: str) -> bool:
        """See `ObjectStore.delete`."""
        return self.objects.pop(key, None) is not None

    async def list(self, prefix: str) -> list[Entry]:
        """See `ObjectStore.list`."""
        start = f"{prefix}/" if prefix else ""
        below = [key.removeprefix(start) for key in self.objects if key.startswith(start)]
        return [Entry(name, deep) for name, deep in {(rest.partition("/")[0], "/" in rest) for rest in below}]

    def _write(self, key: str, data: bytes) -> None:
        self.objects[key] = data
        self._written[key] = int(self._seconds())

    def version(self, key: str) -> object | None:
        """See `Versioned.version`."""
        return self.objects.get(key)


def _consume(path: str) -> bytes:
    """A staged file's bytes; the file is gone then."""
    with open(path, "rb") as file:
        data = file.read()
    os.unlink(path)
    return data
