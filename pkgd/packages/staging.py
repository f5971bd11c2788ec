"""The spool of packages: reading files that have arrived there, and its reserve."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Concatenate, ParamSpec, TypeVar

from pkgd.blocking import Blocking
from pkgd.errors import TooLarge
from pkgd.packages.layout import SPOOL
from pkgd.packages.pathlists import PathList, read_paths
from pkgd.packages.records import Arrival
from pkgd.storage.fsops import DurableTree, FileSystem
from pkgd.storage.interfaces import Reader
from pkgd.storage.reserve import Reserve
from pkgd.storage.spool import Spool
from pkgd.storage.startreserve import StartReserve

__all__ = ["Staging", "start_reserve", "state_reserve"]

P = ParamSpec("P")
T = TypeVar("T")
ReadAt = Callable[[int, int], bytes]

_SMALL = 4 * 1024 * 1024
# What is read whole before it is parsed: each small read would wait for its turn among the threads.
_AT_ONCE = 256 * 1024


class Staging:
    """The files of a spool, for parsers."""

    def __init__(self, spool: Spool, blocking: Blocking) -> None:
        self._spool = spool
        self._blocking = blocking

    async def parse(
        self, arrival: Arrival, parser: Callable[Concatenate[ReadAt, int, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What a parser makes of a file; it is given `read_at` and the size first.

        :raises InvalidPackage: whatever the parser raises.
        :raises Storage: if the file cannot be read.
        """

        def run() -> T:
            reader = self._spool.read_fill(arrival.staged, arrival.hashes.size)
            try:
                read_at = reader.read_at
                if reader.size <= _AT_ONCE:
                    data = reader.read_at(0, reader.size)
                    read_at = lambda offset, size: data[offset : offset + size]  # noqa: E731
                return parser(read_at, reader.size, *args, **kwargs)
            finally:
                reader.close()

        return await self._blocking.work(run)

    async def paths(self, arrival: Arrival) -> PathList:
        """The paths in a Debian package, as `read_paths` has them.

        :raises InvalidPackage, Storage: as `parse`.
        """
        async with self._opened(arrival) as reader:
            return await read_paths(self._blocking, reader.read_at, reader.size)

    async def read(self, arrival: Arrival, limit: int = _SMALL) -> bytes:
        """All of a small file.

        :raises TooLarge: if it is larger than `limit`.
        """
        if arrival.hashes.size > limit:
            raise TooLarge(limit)
        async with self._opened(arrival) as reader:
            return await self._blocking.disk(reader.read_at, 0, reader.size)

    @asynccontextmanager
    async def _opened(self, arrival: Arrival) -> AsyncIterator[Reader]:
        reader = await self._blocking.disk(self._spool.read_fill, arrival.staged, arrival.hashes.size)
        try:
            yield reader
        finally:
            reader.close()


def state_reserve(state_dir: str, fs: FileSystem) -> Reserve:
    """What deletes may have in the state directory on a full disk: that of the packages' spool."""
    return Spool(DurableTree(state_dir, fs), SPOOL).reserve


def start_reserve(tree: DurableTree) -> StartReserve:
    """What a start may have beside it; `tree` is the state directory."""
    return StartReserve(tree, f"{SPOOL}/start-reserve")
