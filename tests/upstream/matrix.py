"""The matrix: every fault, on every kind of request, in every state that the mirror can be in.

Each cell has an upstream host of its own, so that no cell feels what another has done to its host.
A cell pulls what its state needs, lets the fault begin, asks, compares with the verdict, lets the fault end, and then
the same pull must heal.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.upstream import places
from tests.upstream.answers import Lock
from tests.upstream.bench import Bench, blob_path, manifest_path, referrers_path
from tests.upstream.client import Answer, ask
from tests.upstream.content import REPOSITORY, TAG, listing
from tests.upstream.exchange import Part
from tests.upstream.fault import HEADS, Fault, Kind, Lookup, State
from tests.upstream.faults import all_faults
from tests.upstream.mirror import Mirror
from tests.upstream.scripted import Upstream
from tests.upstream.verdict import RIGHT, Content, applies, expected, faults_of

_FIRST_PORT = 20_000
_AT_ONCE = 24
_HEALED_WITHIN = 20.0
_HEAL_PAUSE = 0.25


@dataclass(frozen=True)
class Cell:
    """One combination, and the host that is its own."""

    number: int
    fault: Fault
    kind: Kind
    state: State

    @property
    def host(self) -> str:
        """The upstream's name."""
        return f"h{self.number:04}.{places.DOMAIN}"

    @property
    def port(self) -> int:
        """The upstream's port."""
        return _FIRST_PORT + self.number

    def __str__(self) -> str:
        return f"{self.fault.name} | {self.kind.value} | {self.state.value} ({self.host})"


def cells() -> Iterator[Cell]:
    """All combinations that say anything."""
    combinations = ((fault, kind, state) for fault in all_faults() for kind in Kind for state in State)
    for number, (fault, kind, state) in enumerate(one for one in combinations if applies(*one)):
        yield Cell(number, fault, kind, state)


@dataclass
class Matrix:
    """Runs cells against a mirror that knows all their hosts."""

    bench: Bench
    passed: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[Cell, str]] = field(default_factory=list)
    slowest: list[tuple[float, Cell]] = field(default_factory=list)

    async def run(self, which: Iterable[Cell]) -> None:
        """Run the cells, some at a time."""
        chosen = list(which)
        registries = {cell.host: self.bench.section(self._upstream(cell)) for cell in chosen}
        async with self.bench.mirror({"registries": registries}, "matrix") as mirror:
            waiting = iter(chosen)

            async def work() -> None:
                for cell in waiting:
                    await self._try(cell, mirror)

            await asyncio.gather(*(work() for _ in range(_AT_ONCE)))

    async def _try(self, cell: Cell, mirror: Mirror) -> None:
        began = time.monotonic()
        async with self._upstream(cell) as upstream:
            try:
                faults = await _Trial(self.bench, cell, mirror, upstream).run()
            except Exception as error:  # whatever it is, it is this cell's failure and no other's
                faults = [f"{type(error).__name__}: {error}"]
        self.slowest.append((time.monotonic() - began, cell))
        if faults:
            self.failures.append((cell, "\n".join(faults)))
        else:
            self.passed[cell.kind.value] += 1

    def _upstream(self, cell: Cell) -> Upstream:
        """The cell's upstream; by name and TLS where that is what the fault is about."""
        named = cell.fault.gate.secure or cell.fault.gate.lookup is not Lookup.FOUND
        shelves = {REPOSITORY: self.bench.shelf()}
        if not named:
            return Upstream(shelves, cell.port)
        self.bench.names.set(cell.host, [places.LOOPBACK])
        tls = self.bench.tls if cell.fault.gate.secure else None
        return Upstream(shelves, cell.port, tls=tls, host=cell.host)


class _Trial:
    """One cell while it runs."""

    def __init__(self, bench: Bench, cell: Cell, mirror: Mirror, upstream: Upstream) -> None:
        self._bench = bench
        self._cell = cell
        self._mirror = mirror
        self._upstream = upstream

    async def run(self) -> list[str]:
        """Go through the cell; what is wrong, in words."""
        cell = self._cell
        if cell.kind is Kind.TOKEN:
            self._upstream.lock = Lock(token="a-token-of-before")
        if cell.state is not State.COLD:
            primed = await self._ask("GET")
            if primed.status != 200 or not primed.whole:
                return [f"before the fault: {primed}"]
        before = self._content()
        if cell.state is State.MOVED:
            self._move()
        await self._begin()
        answer = await self._ask()
        content = Content(self._content().right, before.right)
        faults = faults_of(answer, expected(cell.fault, cell.kind, cell.state), cell.kind, content)
        if cell.state is State.CACHED and self._upstream.accepted:
            faults.append(f"the upstream was asked: {', '.join(map(str, self._upstream.requests))}")
        await self._end()
        return faults + await self._healing(content)

    async def _ask(self, method: str | None = None) -> Answer:
        method = method or ("HEAD" if self._cell.kind in HEADS else "GET")
        return await ask(self._mirror.port, method, self._target())

    def _target(self) -> str:
        image, host = self._bench.image, self._cell.host
        match self._cell.kind:
            case Kind.TAG | Kind.HEAD_TAG | Kind.TOKEN:
                return manifest_path(TAG, host)
            case Kind.DIGEST | Kind.HEAD_DIGEST:
                return manifest_path(image.index.digest, host)
            case Kind.BLOB | Kind.HEAD_BLOB:
                return blob_path(image.largest, host)
            case Kind.SMALL:
                return blob_path(image.strong, host)
            case Kind.REFERRERS:
                return referrers_path(image.index.digest, host)

    def _content(self) -> Content:
        """What the upstream has of what the cell asks for."""
        shelf = self._upstream.shelves[REPOSITORY]
        image = self._bench.image
        match self._cell.kind:
            case Kind.TAG | Kind.HEAD_TAG | Kind.TOKEN:
                right = shelf.manifests[shelf.tags[TAG]].data
            case Kind.DIGEST | Kind.HEAD_DIGEST:
                right = image.index.data
            case Kind.BLOB | Kind.HEAD_BLOB:
                right = image.layers[-1]
            case Kind.SMALL:
                right = image.layers[1]
            case Kind.REFERRERS:
                right = listing(shelf.referrers[image.index.digest])
        return Content(right, right)

    def _move(self) -> None:
        """Let the tag stand for another image."""
        self._upstream.shelves[REPOSITORY] = self._bench.moved.shelf()

    async def _begin(self) -> None:
        fault, upstream = self._cell.fault, self._upstream
        upstream.forget()
        if self._cell.kind is Kind.TOKEN:
            upstream.lock = Lock()
            upstream.misbehave(fault.how, Part.TOKEN)
            return
        upstream.misbehave(fault.how)
        if fault.gate.is_entrance:
            await upstream.close()
            await upstream.open(fault.gate.door, self._bench.certificate(fault.gate.certificate), fault.gate.plain)
        if fault.gate.lookup is not Lookup.FOUND:
            upstream.hang_up()
            self._bench.names.trouble(self._cell.host, fault.gate.lookup)
        upstream.forget()

    async def _end(self) -> None:
        upstream = self._upstream
        upstream.misbehave(None, *Part)
        self._bench.names.trouble(self._cell.host, Lookup.FOUND)
        if self._cell.fault.gate.is_entrance:
            await upstream.close()
            await upstream.open()

    async def _healing(self, content: Content) -> list[str]:
        """The same pull once more, until it is right."""
        if self._cell.fault.lingers:
            return []
        end = time.monotonic() + _HEALED_WITHIN
        while True:
            faults = faults_of(await self._ask(), frozenset({RIGHT}), self._cell.kind, content)
            if not faults or time.monotonic() > end:
                return [f"after the fault: {one}" for one in faults]
            await asyncio.sleep(_HEAL_PAUSE)
