"""The floor of free space: below it nothing new is accepted, while reads and deletes go on."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from pkgd.blocking import Blocking
from pkgd.errors import NoSpace
from pkgd.storage.fsops import DurableTree, storage_errors

__all__ = ["FreeSpace"]

# How long a reading of the file system's free space is believed, in seconds.
FRESH = 1.0


class FreeSpace:
    """Asks the file system under the tree, at most once a second."""

    def __init__(self, tree: DurableTree, blocking: Blocking, clock: IReactorTime, floor: int) -> None:
        self._tree = tree
        self._blocking = blocking
        self._clock = clock
        self.floor = floor
        self._free = 0
        self._read_at: float | None = None

    async def require(self, size: int = 0) -> None:
        """Make sure that `size` more bytes leave the floor free.

        :raises NoSpace: if they would not.
        """
        if await self.free() - size < self.floor:
            raise NoSpace("free space")

    async def free(self) -> int:
        """Bytes free, as read within the last second."""
        now = self._clock.seconds()
        if self._read_at is None or now - self._read_at >= FRESH:
            await self._measure()
        return self._free

    async def missing(self, size: int) -> int:
        """How many bytes have to be freed so that `size` more leave the floor free, as of now."""
        await self._measure()
        return max(0, size + self.floor - self._free)

    async def low(self) -> bool:
        """Whether the floor has been reached."""
        return await self.free() < self.floor

    async def _measure(self) -> None:
        now = self._clock.seconds()
        self._free = await self._blocking.disk(self._read)
        self._read_at = now

    def _read(self) -> int:
        with storage_errors():
            return self._tree.fs.free(self._tree.root)
