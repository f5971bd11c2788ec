"""What keeps the state in order: each a job of the admin socket, and done now and again by the daemon."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import asdict
from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from pkgd.auth.audit import Audit, Detail, Unaudited
from pkgd.auth.model import Identity, Principal
from pkgd.config import Config
from pkgd.formats.globs import Globs
from pkgd.formats.names import RepositoryName
from pkgd.metrics import Metrics
from pkgd.progress import Progress
from pkgd.registry.garbage import Collector, Found, Policy
from pkgd.retention.outcomes import Goner, Order, Outcome
from pkgd.retention.retention import Retention
from pkgd.retention.rules import Rule, Rules
from pkgd.scrub.cursor import Cursor, CursorFile, Position
from pkgd.scrub.scrubber import Findings, Scrubber

__all__ = ["Retaining", "Scrubbing", "Upkeep", "rules_of"]

log = Logger()

# The first pass only looks; it comes as long as this after the start at the latest, in seconds.
FIRST_PASS = 600.0
# How often is looked whether it is time for a scrub, and how often is noted how far it is, in seconds.
SCRUB_LOOK = 3600.0
SCRUB_NOTE = 30.0
# How often is looked whether it is time for retention, in seconds.
RETENTION_LOOK = 600.0
# Who removes, for the audit log.
_BY_RULE = Identity(Principal(), via="retention")


class Upkeep:
    """Garbage collection: by the clock, and when it is asked for.

    :param is_alone: no client is being served: what files' own times say is enough.
    """

    def __init__(self, config: Config, collector: Collector, metrics: Metrics, is_alone: bool = False) -> None:
        self.follow(config)
        self._collector = collector
        self._metrics = metrics
        self._is_alone = is_alone
        self._turn = DeferredLock()

    def follow(self, config: Config) -> None:
        """Do it like this from now on."""
        self.settings = config.storage.gc
        self._falls_back, self._reserved = config.mirror_enabled, Globs(config.mirror.reserved)

    def _is_forgettable(self, name: RepositoryName) -> bool:
        """Whether nobody else's images can come to be called like that."""
        return not self._falls_back or self._reserved.match(name)

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
            policy = Policy(self.settings.grace, apply, self._is_alone, self._is_forgettable)
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


class Retaining:
    """What no rule of retention keeps is removed: by the clock, and when it is asked for.

    :param monotonic: in seconds.
    """

    def __init__(
        self,
        config: Config,
        retention: Retention,
        metrics: Metrics,
        audit: Audit | Unaudited,
        monotonic: Callable[[], float],
        is_alone: bool = False,
    ) -> None:
        self._retention = retention
        self._metrics = metrics
        self._audit = audit
        self._monotonic = monotonic
        self._is_alone = is_alone
        self._last: float | None = None
        self._turn = DeferredLock()
        self.follow(config)

    def follow(self, config: Config) -> None:
        """Do as this configuration says, from now on."""
        self.interval = config.repositories.retention.interval
        self._grace = config.storage.gc.grace
        self._rules = rules_of(config)

    @property
    def look(self) -> float:
        """How often it is to be looked whether it is time, in seconds."""
        return min(self.interval or RETENTION_LOOK, RETENTION_LOOK)

    async def recur(self, progress: Progress) -> None:
        """Remove what no rule keeps, if there are rules and it is time."""
        now = self._monotonic()
        is_time = self._last is None or now - self._last >= self.interval
        if self._rules and self.interval and is_time:
            self._last = now
            await self._retain(True, progress)

    async def retain(self, arguments: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        """The job `retention`: `apply` is whether anything is removed."""
        apply = bool(arguments.get("apply"))
        found = await self._retain(apply, progress)
        # One by one: whatever is in lists is made anew by attrs, which takes its time where much goes.
        repositories = [
            {**asdict(one, recurse=False), "goes": [asdict(it, recurse=False) for it in one.goes]} for one in found
        ]
        return {"applied": apply, "repositories": repositories}

    async def _retain(self, apply: bool, progress: Progress) -> list[Outcome]:
        async with self._turn:
            order = Order(apply, self._grace, self._is_alone, self._note, progress.is_over)
            found = await self._retention.run(self._rules, order, progress)
        count = sum(len(one.goes) for one in found)
        if count and apply:
            log.info("removed {count} tags, manifests and packages that no rule of retention keeps", count=count)
        return found

    def _note(self, resource: str, one: Goner) -> None:
        """One has gone."""
        self._metrics.removed_by_rule(one.kind)
        repository, slash, suite = resource.partition("/") if resource.startswith("apt:") else (resource, "", "")
        detail: dict[str, Detail] = {"rule": one.rule}
        if one.kind == "package":
            suites = [suite] if slash else None
            detail |= {"suites": suites, "component": one.component, "package": one.name, "file": one.file}
        else:
            detail |= {"tag": one.name if one.kind == "tag" else None, "digest": one.digest}
        self._audit.record("delete", _BY_RULE, repository, **detail)


def rules_of(config: Config) -> Rules:
    """The rules of retention of a configuration."""
    return Rules(
        [
            Rule(
                f"rules[{number}]",
                tuple(one.resources),
                None if one.tags is None else tuple(one.tags),
                None if one.packages is None else tuple(one.packages),
                one.newest,
                one.pushed_within,
                one.untagged,
            )
            for number, one in enumerate(config.repositories.retention.rules)
        ]
    )


async def _forget(position: Position) -> None:
    """Of a whole pass nothing is noted."""
