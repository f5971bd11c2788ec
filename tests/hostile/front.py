"""Runs the corpus against one address, batch after batch, and looks after the server between them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from tests.crash.server import Server
from tests.crash.wire import ConnectionLost
from tests.hostile.case import Case
from tests.hostile.conversation import Conversation, converse
from tests.hostile.fixture import Fixture, NotPrepared
from tests.hostile.verdict import faults_of

_BATCH = 60


@dataclass(frozen=True)
class Failure:
    """A case that came out badly."""

    case: Case
    conversation: Conversation
    faults: list[str]


@dataclass
class Front:
    """One way to the server: its name, its port, and whether a proxy stands there."""

    name: str
    port: int
    edge: bool
    server: Server
    fixture: Fixture
    at_once: int
    passed: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    notices: Counter[str] = field(default_factory=Counter)
    spans: list[tuple[float, str]] = field(default_factory=list)

    async def run(self, quick: Sequence[Case], slow: Sequence[Case]) -> None:
        """Run the quick cases in batches while the slow ones run beside them."""
        crowd = asyncio.gather(*(self._try(one) for one in slow))
        for category, batch in _batches(quick):
            self.spans.append((time.monotonic(), category))
            await self._run_batch(batch)
        self.spans.append((time.monotonic(), "slow"))
        await crowd
        await self._look_after([], "slow")

    async def _run_batch(self, batch: Sequence[Case]) -> None:
        waiting = iter(batch)

        async def work() -> None:
            for one in waiting:
                if self.at_once == 1:
                    self.spans.append((time.monotonic(), f"{one.category}: {one.name}"))
                await self._try(one)

        await asyncio.gather(*(work() for _ in range(self.at_once)))
        await self._look_after(batch, batch[0].category)

    async def _try(self, one: Case) -> None:
        try:
            conversation = await self._converse(one)
            faults = faults_of(one, conversation, self.edge)
        except (OSError, ConnectionLost, NotPrepared) as error:
            conversation, faults = Conversation(), [f"the server can't be reached: {error!r}"]
        if faults:
            self.failures.append(Failure(one, conversation, faults))
        else:
            self.passed[one.category] += 1

    async def _converse(self, one: Case) -> Conversation:
        values = await self.fixture.sessions(one.steps)
        return await converse(self.port, one, lambda data: _filled(data, values), self.edge)

    async def _look_after(self, batch: Sequence[Case], category: str) -> None:
        """The server must still answer, and must not have logged a traceback; if it has, find the case."""
        if not await asyncio.to_thread(self.server.answers, self.server.health_path):
            self.notices[f"after {category}: {self.server.health_path} is not answered"] += 1
        notices = self.server.new_crash_notices()
        self.notices.update(notices)
        if notices:
            await self._find_culprits(batch)

    async def _find_culprits(self, batch: Sequence[Case]) -> None:
        """Repeat the batch one by one and name the cases that bring a traceback into the log."""
        for one in batch:
            await self._converse(one)
            if self.server.new_crash_notices():
                self.notices[f"a traceback comes from {one.category}: {one.name}"] += 1


def _batches(cases: Sequence[Case]) -> Iterator[tuple[str, list[Case]]]:
    for category, group in groupby(sorted(cases, key=lambda one: one.category), key=lambda one: one.category):
        members = list(group)
        for start in range(0, len(members), _BATCH):
            yield category, members[start : start + _BATCH]


def _filled(data: bytes, values: dict[bytes, bytes]) -> bytes:
    for placeholder, value in values.items():
        data = data.replace(placeholder, value)
    return data
