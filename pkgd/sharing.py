"""Coroutines that share: a lock per key, and tasks that outlive the request that began them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

__all__ = ["KeyedLock", "Tasks"]

log = Logger()


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


class Tasks:
    """Background coroutines: each is named, its failure is logged, and the stop waits for all."""

    def __init__(self) -> None:
        self._running: set[Deferred[None]] = set()

    def start(self, name: str, coroutine: Coroutine[Deferred[Any], Any, Any]) -> None:
        """Run a coroutine that nobody awaits."""
        task: Deferred[None] = Deferred.fromCoroutine(coroutine)
        self._running.add(task)
        task.addErrback(lambda failure: log.failure("the task {name} failed", failure, name=name))
        task.addBoth(lambda _: self._running.discard(task))

    async def finished(self) -> None:
        """Wait until no task runs."""
        while self._running:
            waiting: Deferred[None] = Deferred()
            next(iter(self._running)).addBoth(waiting.callback)
            await waiting
