"""The faults themselves: each is felt by a client that asks the upstream without a mirror between.

A fault that isn't would make its cells of the matrix pass whatever the mirror does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from types import ModuleType

from tests.upstream.answers import Lock
from tests.upstream.bench import Bench, Case, blob_path, expect, manifest_path, referrers_path
from tests.upstream.client import PATIENCE, Answer, ask
from tests.upstream.exchange import Part
from tests.upstream.fault import Effect, Fault, Kind
from tests.upstream.faults import SUBJECTS
from tests.upstream.scripted import Upstream

_PATIENCE = 1.0
_AT_ONCE = 40
_TELLING = ("content-type", "docker-content-digest", "content-encoding", "content-length", "content-range")
_KINDS = (Kind.TAG, Kind.SMALL, Kind.REFERRERS, Kind.TOKEN)


async def cases(bench: Bench) -> AsyncIterator[Case]:
    """One for each subject."""
    for subject in SUBJECTS:
        yield Case(f"faults of {subject.__name__.rpartition('.')[2]} are felt", partial(_felt, bench, subject))


async def _felt(bench: Bench, subject: ModuleType) -> None:
    faults = [one for one in subject.FAULTS if one.how is not None]
    waiting = iter([(one, kind) for one in faults for kind in _KINDS if kind in one.kinds])
    unfelt: list[str] = []

    async def work() -> None:
        for fault, kind in waiting:
            if Effect.NONE not in fault.effects_on(kind) and await _is_right(bench, fault, kind):
                unfelt.append(f"{fault.name} | {kind.value}")

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    expect("faults that are not felt", unfelt, [])


async def _is_right(bench: Bench, fault: Fault, kind: Kind) -> bool:
    """Whether the answer during the fault is the honest one."""
    async with bench.upstream() as upstream:
        upstream.lock = Lock() if kind is Kind.TOKEN else None
        honest = await _ask(bench, upstream, kind, PATIENCE)
        upstream.misbehave(fault.how, *Part)
        faulty = await _ask(bench, upstream, kind, _PATIENCE)
    expect("status of the honest answer", honest.status, 200)
    return faulty.whole and _shown(faulty) == _shown(honest)


async def _ask(bench: Bench, upstream: Upstream, kind: Kind, patience: float) -> Answer:
    image = bench.image
    targets = {
        Kind.TAG: manifest_path(),
        Kind.SMALL: blob_path(image.strong),
        Kind.REFERRERS: referrers_path(image.index.digest),
        Kind.TOKEN: "/token?service=scripted",
    }
    return await ask(upstream.port, "GET", targets[kind], patience=patience)


def _shown(answer: Answer) -> tuple[object, ...]:
    return answer.status, answer.body, *(answer.value(name) for name in _TELLING)
