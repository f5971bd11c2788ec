"""Coroutines that share: a lock per key, one flight per key, and tasks that outlive who began them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

__all__ = ["KeyedLock", "SingleFlight", "Tasks", "together"]

log = Logger()

T = TypeVar("T")


class KeyedLock:
    """One fair lock per key; keys that nobody holds or awaits cost nothing."""

    def __init__(self) -> None:
        self._locks: dict[str, DeferredLock] = {}

    @asynccontextmanager
    async def holding(self, key: str) -> AsyncIterator[None]:
        """Hold the key's lock for the length of the `async with` block."""
        lock = self._locks.setdefault(key, DeferredLock())
        await lock.acquire()
        try:
            yield
        finally:
            lock.release()
            if not lock.locked and not lock.waiting:
                self._locks.pop(key, None)


class SingleFlight(Generic[T]):
    """Work that is done once for all who ask for the same key meanwhile.

    It belongs to none of them: who is cancelled leaves it to the others.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[Deferred[T]]] = {}

    async def join(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of `work`, begun by the first who asks; a failure reaches everybody who waits."""
        waiting: Deferred[T] = Deferred()
        if key in self._waiting:
            self._waiting[key].append(waiting)
        else:
            self._waiting[key] = [waiting]
            Deferred.fromCoroutine(work()).addBoth(self._landed, key)
        return await waiting

    def flying(self, key: Hashable) -> bool:
        """Whether the work for a key is being done."""
        return key in self._waiting

    def _landed(self, result: T | Failure, key: Hashable) -> None:
        for one in self._waiting.pop(key):
            if isinstance(result, Failure):
                one.errback(result)
            else:
                one.callback(result)


class Tasks:
    """Background coroutines: each is named, its failure is logged, and the stop waits for all."""

    def __init__(self) -> None:
        self._running: set[Deferred[None]] = set()

    def start(self, name: str, coroutine: Coroutine[Deferred[Any], Any, Any]) -> Deferred[None]:
        """Run a coroutine that nobody has to await; the Deferred fires at its end, and never fails."""
        task: Deferred[None] = Deferred.fromCoroutine(coroutine)
        self._running.add(task)
        task.addErrback(lambda failure: log.failure("the task {name} failed", failure, name=name))
        task.addBoth(lambda _: self._running.discard(task))
        return task

    async def finished(self) -> None:
        """Wait until no task runs."""
        while self._running:
            waiting: Deferred[None] = Deferred()
            next(iter(self._running)).addBoth(waiting.callback)
            await waiting


async def together(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of coroutines that run at the same time. Waits for all, also if one fails; then raises that."""
    failures: list[Failure] = []
    running: list[Deferred[Any]] = [Deferred.fromCoroutine(one) for one in coroutines]
    for one in running:
        one.addErrback(failures.append)
    results: list[T] = await gatherResults(running)
    if failures:
        failures[0].raiseException()
    return results
