"""What keeps the state in order: each a job of the admin socket, and done now and again by the daemon."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import asdict
from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from pkgd.config import Config
from pkgd.metrics import Metrics
from pkgd.progress import Progress
from pkgd.registry.garbage import Collector, Found, Policy
from pkgd.scrub.cursor import Cursor, CursorFile, Position
from pkgd.scrub.scrubber import Findings, Scrubber

__all__ = ["Scrubbing", "Upkeep"]

log = Logger()

# The first pass only looks; it comes as long as this after the start at the latest, in seconds.
FIRST_PASS = 600.0
# How often is looked whether it is time for a scrub, and how often is noted how far it is, in seconds.
SCRUB_LOOK = 3600.0
SCRUB_NOTE = 30.0


class Upkeep:
    """Garbage collection: by the clock, and when it is asked for.

    :param is_alone: no client is being served: what files' own times say is enough.
    """

    def __init__(self, config: Config, collector: Collector, metrics: Metrics, is_alone: bool = False) -> None:
        self.settings = config.storage.gc
        self._collector = collector
        self._metrics = metrics
        self._is_alone = is_alone
        self._turn = DeferredLock()

    @property
    def interval(self) -> float:
        """How often garbage is to be collected, in seconds; 0 for never."""
        return self.settings.interval

    @property
    def delay(self) -> float:
        """How long after the start, first."""
        return min(self.settings.interval, FIRST_PASS)

    async def recur(self, progress: Progress) -> None:
        """Collect garbage as it is configured."""
        await self._collect(not self.settings.dry_run, progress)

    async def collect(self, arguments: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        """The job `gc`: `apply` is whether garbage is removed."""
        apply = bool(arguments.get("apply"))
        found = await self._collect(apply, progress)
        return {"applied": apply, "repositories": [asdict(one) for one in found]}

    async def _collect(self, apply: bool, progress: Progress) -> list[Found]:
        async with self._turn:
            policy = Policy(self.settings.grace, apply, self._is_alone)
            found = await self._collector.run(policy, progress)
        objects, size = sum(one.objects for one in found), sum(one.bytes for one in found)
        if apply:
            self._metrics.collected(objects, size, time.time())
        if objects:
            log.info(
                "{done} {objects} blobs with {bytes} bytes that no manifest names",
                done="removed" if apply else "would remove",
                objects=objects,
                bytes=size,
            )
        return found


class Scrubbing:
    """Everything is read again: now and again, each time from where it was stopped, and when it is asked for."""

    def __init__(
        self, config: Config, scrubber: Scrubber, cursor: CursorFile, metrics: Metrics, wall: Callable[[], float]
    ) -> None:
        self.settings = config.storage.scrub
        self._scrubber = scrubber
        self._cursor = cursor
        self._metrics = metrics
        self._wall = wall

    @property
    def interval(self) -> float:
        """How often it is to be looked whether it is time, in seconds."""
        return min(self.settings.interval or SCRUB_LOOK, SCRUB_LOOK)

    async def recur(self, progress: Progress) -> None:
        """Go on with the pass that was stopped, or begin one if it is time; with an interval of 0, nothing."""
        if not self.settings.interval:
            return
        now, cursor = self._wall(), await self._cursor.read()
        if cursor is not None and cursor.after is None and 0 <= now - cursor.began < self.settings.interval:
            return
        if cursor is None or cursor.after is None:
            cursor = Cursor(now)
        began, after, noted = cursor.began, cursor.after, now

        async def note(position: Position) -> None:
            nonlocal after, noted
            after = position
            if abs(self._wall() - noted) >= SCRUB_NOTE:
                noted = self._wall()
                await self._cursor.write(Cursor(began, after))

        found = await self._scrub(progress, after, note)
        if found.is_complete:
            await self._cursor.write(Cursor(began))
            log.info("{objects} objects have been read again", objects=found.objects)
        elif after is not None:
            await self._cursor.write(Cursor(began, after))

    async def scrub(self, arguments: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        """The job `scrub`: a whole pass, now."""
        return asdict(await self._scrub(progress, None, _forget))

    async def _scrub(
        self, progress: Progress, after: Position | None, note: Callable[[Position], Awaitable[None]]
    ) -> Findings:
        found = await self._scrubber.run(progress, after, note)
        self._metrics.corrupt(len(found.damage))
        return found


async def _forget(position: Position) -> None:
    """Of a whole pass nothing is noted."""
