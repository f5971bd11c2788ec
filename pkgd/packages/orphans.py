"""Files of a pool that nothing names: a crash leaves them between the placing of a file and its publish.

They are looked for once in the life of a process, for nothing but a crash or a failing storage leaves them, and are
removed a day later unless something has come to name them. Whoever is about to name a file holds its directory's lock
until it is published; so with all locks held, what no generation names is going to be named by nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from itertools import islice
from typing import Any

from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import PkgdError
from pkgd.packages.generations import Kept
from pkgd.packages.leaves import Shape
from pkgd.packages.pool import Pool
from pkgd.packages.poolfiles import PoolFiles
from pkgd.packages.records import Clock, Window
from pkgd.packages.shelf import Shelf
from pkgd.storage.interfaces import ObjectStore

__all__ = ["Orphans", "named_by", "named_by_strangers"]

log = Logger()

# How long after the start they are looked for, and how long after that they are removed, in seconds.
FIRST_LOOK = 3600
GRACE = 24 * 3600
# So many are removed with their locks held.
_BATCH = 100

# The files that an entry's first text names.
PathsOf = Callable[[bytes], Iterable[str]]


class Orphans:
    """Those of one repository.

    :param top: the folder of the pool.
    :param named: every file that any generation names which is kept.
    """

    def __init__(
        self, pool: Pool, files: PoolFiles, top: str, named: Callable[[], Awaitable[Collection[str]]], clock: Clock
    ) -> None:
        self._pool = pool
        self._files = files
        self._top = top
        self._named = named
        self._clock = clock
        self._started = clock.seconds()
        # Since when each has been known to be named by nothing; None before anybody has looked.
        self._suspects: dict[str, float] | None = None
        self._running = False

    async def run(self) -> None:
        """Look, or remove what is long known. To be called now and again; what fails is noted in the log."""
        if self._running or self._clock.seconds() - self._started < FIRST_LOOK:
            return
        self._running = True
        try:
            await (self._look() if self._suspects is None else self._remove(self._suspects))
        except PkgdError as error:
            log.warn("files that nothing names were not looked after: {reason}", reason=error.message)
        finally:
            self._running = False

    async def _look(self) -> None:
        # Afterwards: what is placed and published meanwhile is named then.
        present = [path async for path in self._files.walk(self._top)]
        named = await self._named()
        now = self._clock.seconds()
        self._suspects = {path: now for path in present if path not in named}

    async def _remove(self, suspects: dict[str, float]) -> None:
        now = self._clock.seconds()
        # A clock that has been set back makes them younger, one that has been set forward is waited for again.
        ripe = [path for path, since in suspects.items() if now - since >= GRACE]
        rest = iter(ripe)
        while batch := list(islice(rest, _BATCH)):
            async with self._pool.holding(batch):
                named = await self._named()
                for path in batch:
                    if path not in named:
                        await self._pool.remove_held(path)
                        log.info("removed {path}, which nothing names: a crash had left it", path=path)
                    del suspects[path]


async def named_by(
    shelf: Shelf, kept: Kept, shape: Shape, paths_of: PathsOf, counts: Callable[[str], bool]
) -> set[str]:
    """Every file that a kept generation of a suite or rpm repository names.

    :param counts: whether an index is one of packages.
    :raises Storage: if any of them cannot be read.
    """
    await kept.complete()
    found, seen = set[str](), set[str]()
    for number in kept.numbers:
        generation = await kept.get(number)
        names = {name for slot, name in generation.indices.items() if counts(slot)} if generation else set[str]()
        for name in names - seen:
            seen.add(name)
            index = await shelf.find_index(name)
            for leaf in index.leaves if index else ():
                if leaf.parts[0].name not in seen:
                    seen.add(leaf.parts[0].name)
                    text = await shelf.peek(leaf.parts[0])
                    found |= await shelf.blocking.work(_paths, shape, text, paths_of)
    return found


async def named_by_strangers(
    store: ObjectStore,
    blocking: Blocking,
    prefix: str,
    known: Collection[str],
    *how: Any,
) -> set[str]:
    """Likewise for suites that have records but are not configured: they may be again.

    :param prefix: where suites are; `known` are those that are configured, `how` what `named_by` is told.
    """
    found = set[str]()
    for entry in await store.list(prefix):
        if entry.is_prefix and entry.name not in known:
            shelf = Shelf(f"{prefix}/{entry.name}", store, blocking)
            kept = Kept(shelf, Window())
            await kept.load()
            found |= await named_by(shelf, kept, *how)
    return found


def _paths(shape: Shape, text: bytes, paths_of: PathsOf) -> set[str]:
    return {path for one in shape.split(text) for path in paths_of(one)}
