"""Keeps the cache within its limits: what has not been used for longest goes first, a whole group at a time.

A group is a manifest with all that it needs, or a blob that none needs (`pkgd.state.ledger`). Room for
what comes in is made before it comes. What is being fetched is never taken, nor the group that it
belongs to. A use in the last moment is no protection, only the last place in the queue: to give up
something idle costs at most one fetch, while a blob that cannot be kept is fetched for every client.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from attrs import field, frozen
from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from pkgd.errors import Storage
from pkgd.formats.names import Origin
from pkgd.mirror.removal import Removal
from pkgd.sharing import KeyedLock
from pkgd.state import Cached, Group, Ledger, Root
from pkgd.storage.layout import repository_of
from pkgd.storage.space import FreeSpace

__all__ = ["EvictionLimits", "Evictor"]

log = Logger()

# After so many groups that could not be removed a pass is given up.
MAX_FAILURES = 8
# Passes come every ten minutes: if the clock says that more has gone by than this, or less than nothing,
# it has been set, and what is cached has not become older by that.
CLOCK_JUMP = 3600.0


@frozen
class EvictionLimits:
    """How large the cache may be, in bytes, and how long what is in it may be unused, in seconds. 0 is no limit."""

    max_size: int
    unused_for: float


@frozen
class _Tally:
    """What one pass has removed."""

    objects: Counter[str] = field(factory=Counter)
    bytes: Counter[str] = field(factory=Counter)
    failures: list[str] = field(factory=list)

    def count(self, gone: Iterable[Cached]) -> None:
        """Add what has been removed."""
        for one in gone:
            host = _host_of(one.place)
            self.objects[host] += 1
            self.bytes[host] += one.size


class Evictor:
    """Decides what goes and when; `removal` knows how."""

    def __init__(
        self,
        removal: Removal,
        ledger: Ledger,
        locks: KeyedLock,
        space: FreeSpace,
        limits: EvictionLimits,
        in_flight: Callable[[str, str], bool],
        clock: Callable[[], float],
        evicted: Callable[[str, int], None] = lambda host, count: None,
    ) -> None:
        """
        :param locks: one for each place. Whoever writes there holds it from the first file until the ledger knows.
        :param in_flight: whether an object, by place and digest, is being fetched.
        :param clock: the wall clock.
        :param evicted: told how many bytes of a host have been evicted.
        """
        self._removal = removal
        self._ledger = ledger
        self._locks = locks
        self._space = space
        self.limits = limits
        self._in_flight = in_flight
        self._clock = clock
        self._evicted = evicted
        self._turn = DeferredLock()
        # What has been promised, and what is waited for, in the order of the calls.
        self._reserved = 0
        self._waiting: list[int] = []
        self._last_run: float | None = None

    # -- room for what comes in --

    async def reserve(self, size: int) -> bool:
        """Make room for an object of `size` bytes, which counts as in flight already.

        True: `release` the same size when the object is in the ledger, or has come to nothing. False: it
        cannot be kept; nothing is evicted in vain for what could never fit. Never fails.
        """
        self._waiting.append(size)
        async with self._turn:
            try:
                granted = await self._make_room(size)
            except Storage as error:
                log.error("the mirror's cache cannot be looked after: {reason}", reason=error.message)
                granted = False
            finally:
                self._waiting.remove(size)
            self._reserved += size if granted else 0
            return granted

    def release(self, size: int) -> None:
        """Give back what was reserved."""
        self._reserved -= size

    async def _make_room(self, size: int) -> bool:
        lacking = await self._lacking(size)
        if not lacking:
            return True
        if not await self._ledger.is_complete() or lacking > await self._ledger.total():
            return False  # all of it would not be enough

        async def wanted(root: Root) -> bool:
            return await self._lacking(self._demand(size)) > 0

        await self._sweep(wanted)
        return not await self._lacking(size)

    def _demand(self, size: int) -> int:
        """What one pass makes room for: the first who waits, and those of the others who may have room beside it."""
        total = size
        for other in self._waiting[1:]:
            if not self.limits.max_size or self._reserved + total + other <= self.limits.max_size:
                total += other
        return total

    async def _lacking(self, size: int) -> int:
        """How many bytes have to go before `size` more may come.

        On the disk, too, all that is reserved counts as still to come: how much of it has is not known here.
        """
        return max(await self._space.missing(self._reserved + size), await self._excess(size))

    async def _excess(self, size: int) -> int:
        """By how much `size` more would exceed the size limit."""
        if not self.limits.max_size:
            return 0
        return max(0, await self._ledger.total() + self._reserved + size - self.limits.max_size)

    # -- what has become old --

    async def run(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Evict what has been unused for too long, and what is beyond the size limit. To be called every ten minutes.

        :param stopping: whether to end early.
        :raises Storage: if the ledger cannot be read.
        """

        async def wanted(root: Root) -> bool:
            # Who waits for room does not wait for all of this.
            self._turn.release()
            await self._turn.acquire()
            return not stopping() and await self._is_due(root)

        async with self._turn:
            await self._compensate()
            if await self._ledger.is_complete():
                await self._sweep(wanted)
            self._last_run = self._clock()

    async def _is_due(self, root: Root) -> bool:
        age = self._clock() - root.used
        return bool(self.limits.unused_for and age > self.limits.unused_for) or await self._excess(0) > 0

    async def _compensate(self) -> None:
        """Keep every object's age when the clock has been set, lest all become old at once."""
        now = self._clock()
        passed = 0.0 if self._last_run is None else now - self._last_run
        if not 0 <= passed <= CLOCK_JUMP:
            log.warn("the clock was set by {seconds} seconds: the mirror's cache keeps its age", seconds=int(passed))
            await self._ledger.flush()
            await self._ledger.shift(max(passed, 0.0), now)

    # -- one pass --

    async def _sweep(self, wanted: Callable[[Root], Coroutine[Any, Any, bool]]) -> None:
        """Evict group after group, the least recently used first, as long as the next one is wanted."""
        tally = _Tally()
        await self._ledger.flush()
        try:
            roots = await self._ledger.roots()
            while roots:
                for root in roots:
                    if len(tally.failures) >= MAX_FAILURES or not await wanted(root):
                        return
                    await self._evict(root, tally)
                roots = await self._ledger.roots(roots[-1])
        finally:
            self._report(tally)

    async def _evict(self, root: Root, tally: _Tally) -> None:
        """Remove the root's group, unless it has been used meanwhile or is waited for."""
        async with self._locks.holding(root.place):
            group = await self._ledger.group(root.place, root.digest)
            if group is None or group.root.used > root.used or self._is_awaited(group):
                return
            try:
                tally.count(await self._removal.remove(group))
            except Storage as error:
                tally.failures.append(f"{root.digest} in {root.place}: {error.message}")

    def _is_awaited(self, group: Group) -> bool:
        return any(self._in_flight(group.root.place, digest) for digest in group.digests)

    def _report(self, tally: _Tally) -> None:
        for host, count in tally.bytes.items():
            self._evicted(host, count)
        if tally.objects:
            shares = ", ".join(f"{count} of {host}" for host, count in sorted(tally.objects.items()))
            total = sum(tally.bytes.values())
            log.info("evicted {objects} with {bytes} bytes", objects=shares, bytes=total)
        if tally.failures:
            log.error(
                "{count} groups could not be evicted, such as {first}",
                count=len(tally.failures),
                first=tally.failures[0],
            )


def _host_of(place: str) -> str:
    origin = repository_of(place)
    return origin.host if isinstance(origin, Origin) else place
