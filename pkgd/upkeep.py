"""What keeps the state in order: each a job of the admin socket, and done now and again by the daemon."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from attrs import asdict
from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from pkgd.config import Config
from pkgd.metrics import Metrics
from pkgd.progress import Progress
from pkgd.registry.garbage import Collector, Found, Policy

__all__ = ["Upkeep"]

log = Logger()

# The first pass only looks; it comes as long as this after the start at the latest, in seconds.
FIRST_PASS = 600.0


class Upkeep:
    """Garbage collection: by the clock, and when it is asked for.

    :param is_alone: no client is being served: what files' own times say is enough.
    """

    def __init__(self, config: Config, collector: Collector, metrics: Metrics, is_alone: bool = False) -> None:
        self._settings = config.storage.gc
        self._collector = collector
        self._metrics = metrics
        self._is_alone = is_alone
        self._turn = DeferredLock()

    @property
    def interval(self) -> float:
        """How often garbage is to be collected, in seconds; 0 for never."""
        return self._settings.interval

    @property
    def delay(self) -> float:
        """How long after the start, first."""
        return min(self._settings.interval, FIRST_PASS)

    async def recur(self, progress: Progress) -> None:
        """Collect garbage as it is configured."""
        await self._collect(not self._settings.dry_run, progress)

    async def collect(self, arguments: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        """The job `gc`: `apply` is whether garbage is removed."""
        apply = bool(arguments.get("apply"))
        found = await self._collect(apply, progress)
        return {"applied": apply, "repositories": [asdict(one) for one in found]}

    async def _collect(self, apply: bool, progress: Progress) -> list[Found]:
        async with self._turn:
            policy = Policy(self._settings.grace, apply, self._is_alone)
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
