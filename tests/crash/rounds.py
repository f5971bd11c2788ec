"""One kill after another on the same state directory, with everything that was promised checked after each."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

from tests.crash.inspector import Inspector
from tests.crash.layout import read_tree
from tests.crash.ledger import Ledger, Promise
from tests.crash.load import Load
from tests.crash.memory import Memory
from tests.crash.pusher import Stock
from tests.crash.server import Server
from tests.crash.sessions import SessionCheck

REPOSITORIES = ("team/app", "team/app/blobs", "team/app/manifests/by-tag", "a/b/c/d/e/f", "solo", "a--b__c")
SHARED_TAGS = ("latest", "stable")
LARGEST = 4 << 20
_OLDER = 20
_READY_WITHIN, _SLOWER = 2.0, 1.5


@dataclass
class Figures:
    """What the rounds amounted to."""

    checks: int = 0
    acknowledged: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)
    ready_times: list[float] = field(default_factory=list)
    resumed: int = 0
    cancelled: int = 0


class Rounds:
    """A server that is killed again and again, and what is known of it."""

    def __init__(self, server: Server, seed: int) -> None:
        self.figures = Figures()
        self.memory = Memory()
        self._server = server
        self._seed = seed
        self._rng = random.Random(seed)
        self._stock = Stock(REPOSITORIES, SHARED_TAGS, LARGEST, server.lacks)

    async def one(self, number: int) -> list[str]:
        """Load, kill, restart, check; returns what is wrong."""
        ledger = Ledger()
        self.memory.remind(ledger)
        reminded = len(ledger.operations)
        load = Load(self._server.port, ledger, self._stock, f"{self._seed}/{number}")
        await load.run(self._rng.uniform(0.05, 0.6), self._server.kill)
        await asyncio.to_thread(self._server.wait)
        self._count(ledger, reminded)
        ready_after = await asyncio.to_thread(self._server.start)
        self.figures.ready_times.append(ready_after)
        promise = ledger.promise()
        self.memory.learn(promise, ledger.sessions)
        failures = ledger.failures + await self._check(promise)
        if ready_after > _READY_WITHIN:
            failures += await asyncio.to_thread(self._compare_start, ready_after)
        return failures

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

    async def everything(self) -> list[str]:
        """Stop gracefully, read the tree on disk, start again, and check all that was ever promised."""
        failures = []
        if (status := await asyncio.to_thread(self._server.stop)) != self._server.stop_status:
            failures.append(f"exit status {status} after SIGTERM")
        if self._server.tree is not None:
            failures += (await asyncio.to_thread(read_tree, self._server.tree)).faults
        await asyncio.to_thread(self._server.start)
        inspector = Inspector(self._server.port)
        tags = {key: frozenset({value}) for key, value in self.memory.tags.items()}
        await inspector.inspect(self.memory.blobs, self.memory.manifests, tags)
        if self._server.tree is not None:
            await inspector.inspect_referrers(self.memory.manifests)
        self.figures.checks += inspector.checks
        return failures + inspector.failures + self._server.new_crash_notices()

    async def _check(self, promise: Promise) -> list[str]:
        memory = self.memory
        inspector = Inspector(self._server.port, seen_tags=dict(memory.tags))
        sessions = SessionCheck(inspector, memory.sessions, self._server.tree, REPOSITORIES, memory.strays)
        await sessions.run(self._rng)
        blobs, manifests = memory.blobs_to_check(self._rng, _OLDER), memory.manifests_to_check(self._rng, _OLDER)
        tags = memory.tags_to_check(promise, self._rng, _OLDER)
        await inspector.inspect(blobs, manifests, tags)
        await inspector.inspect_in_flight(promise)
        if self._server.tree is not None:
            await inspector.inspect_referrers(manifests)
        memory.tags |= inspector.seen_tags
        self.figures.checks += inspector.checks
        self.figures.resumed += sessions.resumed
        self.figures.cancelled += sessions.cancelled
        return inspector.failures + self._server.new_crash_notices()

    def _count(self, ledger: Ledger, reminded: int) -> None:
        for operation in ledger.operations[reminded:]:
            counter = self.figures.in_flight if operation.acknowledged is None else self.figures.acknowledged
            counter.update(type(effect).__name__ for effect in operation.effects)
        self.figures.in_flight["UploadSession"] += len(ledger.sessions)
