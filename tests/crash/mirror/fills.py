"""kill -9 while blobs and manifests are on their way: nothing half may be kept, and all can be pulled afterwards."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.crash.layout import read_tree
from tests.crash.mirror.catalogue import Catalogue, Key
from tests.crash.mirror.disk import fills
from tests.crash.mirror.pulling import Report, pull_all, pull_until
from tests.crash.mirror.server import Mirror

REPOSITORIES = ("library/base", "team/app", "team/app/blobs", "a/b/c/d", "solo/manifests")
LARGEST = 4 << 20
UPLINK = 30 << 20
_CLIENTS = 14
_NEW_IMAGES = 6
_OLDER = 8
_READY_WITHIN, _SLOWER = 2.0, 1.5
_SWEPT_WITHIN = 2.0


@dataclass
class Figures:
    """What the rounds amounted to."""

    pulls: int = 0
    requests: int = 0
    cut: int = 0
    """Fills that a kill found on their way."""
    ready_times: list[float] = field(default_factory=list)


class FillRounds:
    """A mirror that is killed again and again while it fills."""

    def __init__(self, server: Mirror, catalogue: Catalogue) -> None:
        self.figures = Figures()
        self._server = server
        self._catalogue = catalogue
        self._rng = catalogue.rng
        self._positions = self._upstream_positions()

    async def one(self) -> list[str]:
        """New content, load, kill, look at the disk, start, pull; returns what is wrong."""
        recent = self._grow()
        everything = list(self._catalogue.tags)

        def choose() -> Key:
            return self._rng.choice(recent if self._rng.random() < 0.7 else everything)

        seconds = self._rng.uniform(0.05, 0.6)
        load = await pull_until(self._server, self._catalogue, choose, seconds, self._server.kill, _CLIENTS)
        await asyncio.to_thread(self._server.wait)
        failures = load.failures + await self._repeated_fetches() + self._look_at_disk()
        ready_after = await asyncio.to_thread(self._server.start)
        failures += await self._leftovers()
        if ready_after > _READY_WITHIN:
            failures += await asyncio.to_thread(self._compare_start, ready_after)
        older = self._rng.sample(everything, min(_OLDER, len(everything)))
        failures += await self._pull([*recent, *older])
        failures += await self._fetched_again(recent)
        self.figures.ready_times.append(ready_after)
        self._count(load)
        return failures + self._server.new_crash_notices()

    async def everything(self) -> list[str]:
        """Stop gracefully, read the tree, start with the upstreams gone, and pull every tag from what is kept."""
        failures = await self._pull(self._catalogue.tags)
        if (status := await asyncio.to_thread(self._server.stop)) != self._server.stop_status:
            failures.append(f"exit status {status} after SIGTERM")
        failures += await self._repeated_fetches() + self._look_at_disk()
        if not self.figures.cut and self._server.tree is not None:
            failures.append("no kill came while something was on its way: these rounds prove nothing")
        for upstream in self._catalogue.upstreams.values():
            upstream.stop()
        await asyncio.to_thread(self._server.start)
        failures += [f"upstreams gone: {failure}" for failure in await self._pull(self._catalogue.tags)]
        for upstream in self._catalogue.upstreams.values():
            upstream.start()
        return failures + self._server.new_crash_notices()

    def _grow(self) -> list[Key]:
        """New images under new tags, and `latest` of some repository moves."""
        number = len(self.figures.ready_times)
        places = self._catalogue.places
        keys = [(self._rng.choice(places), f"r{number}-{i}") for i in range(_NEW_IMAGES)]
        keys.append((self._rng.choice(places), "latest"))
        for key in keys:
            self._catalogue.put(key)
        return keys

    def _look_at_disk(self) -> list[str]:
        """What a dead mirror has left; counts the fills that the kill has cut."""
        if self._server.tree is None:
            return []
        self.figures.cut += sum(path.stat().st_size > 0 for path in fills(self._server.tree))
        return read_tree(self._server.tree).faults

    async def _leftovers(self) -> list[str]:
        """Fills of an earlier life that are still there some time after the start."""
        if self._server.tree is None:
            return []
        for _ in range(20):
            if not (left := fills(self._server.tree)):
                return []
            await asyncio.sleep(_SWEPT_WITHIN / 20)
        return [f"{len(left)} fills of an earlier life are not swept"]

    def _compare_start(self, ready_after: float) -> list[str]:
        """A slow start counts only if a start on an empty state, at the same time, is faster: others may be busy."""
        fresh = self._server.fresh()
        try:
            empty = fresh.start()
        finally:
            fresh.kill()
            fresh.wait()
        slow = ready_after > _SLOWER * empty
        return [f"ready only after {ready_after:.2f} s, on an empty state after {empty:.2f} s"] if slow else []

    async def _pull(self, keys: Iterable[Key]) -> list[str]:
        report = Report()
        await pull_all(self._server, self._catalogue, list(keys), report)
        self._count(report)
        return report.failures

    async def _fetched_again(self, keys: list[Key]) -> list[str]:
        """What has been pulled is kept: a second pull asks the upstreams for no blob, unless a tag has moved."""
        if self._server.tree is None:
            return []
        settled = [key for key in keys if len(self._catalogue.tags[key]) == 1]
        before = self._upstream_positions()
        failures = await self._pull(settled)
        asked = [one for host, at in before.items() for one in self._catalogue.upstreams[host].since(at)]
        again = [one.path for one in asked if one.kind == "blobs"]
        return failures + ([f"{len(again)} blobs pulled a moment ago are asked for again"] if again else [])

    async def _repeated_fetches(self) -> list[str]:
        """Blobs for which one life of the mirror has asked an upstream more than once."""
        await asyncio.sleep(0.05)
        counts: Counter[tuple[str, str]] = Counter()
        for host, upstream in self._catalogue.upstreams.items():
            await asyncio.to_thread(upstream.await_idle)
            asked = upstream.since(self._positions[host])
            counts.update((host, one.path) for one in asked if one.method == "GET" and one.kind == "blobs")
        self._positions = self._upstream_positions()
        repeated = [f"{count} GETs for {what}" for what, count in counts.items() if count > 1]
        return repeated if self._server.tree is not None else []

    def _upstream_positions(self) -> dict[str, int]:
        return {host: upstream.position for host, upstream in self._catalogue.upstreams.items()}

    def _count(self, report: Report) -> None:
        self.figures.pulls += report.pulls
        self.figures.requests += report.requests
