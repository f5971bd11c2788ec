"""Doubles that the tests of several rooms need: a database without threads, and blocking work that waits."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections import deque
from collections.abc import Callable
from contextlib import closing
from functools import cache
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from pkgd.state import Database, Index, Ledger

__all__ = ["HeldBlocking", "InlineReactor", "InlineThreads", "inline_database", "inline_index"]

P = ParamSpec("P")
T = TypeVar("T")


class InlineReactor(MemoryReactorClock):
    """A reactor in memory whose threads are the test's own."""

    def callFromThread(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call now."""
        call(*args, **kwargs)


class InlineThreads:
    """A thread pool that runs every call at once."""

    def start(self) -> None:
        """Nothing has to be started."""

    def stop(self) -> None:
        """Nothing has to be stopped."""

    def callInThreadWithCallback(
        self, on_result: Callable[[bool, Any], None], call: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        """Call now, and tell the result as a thread pool does."""
        try:
            result = call(*args, **kwargs)
        except Exception:
            on_result(False, Failure())
        else:
            on_result(True, result)


def inline_index(path: str) -> Index:
    """An index in a database of its own, as `inline_database` makes it."""
    return Index(inline_database(path))


def inline_database(path: str) -> Database:
    """An open, empty database at `path` that answers at once and never waits for the disk.

    It has the tables of every owner, and needs neither `open` nor `start`; `close` it, or forget it.
    """
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "wb") as file:
        file.write(_empty_database())
    reactor: Any = InlineReactor()
    database = Database(reactor, path)
    database._pool.threadpool = InlineThreads()
    database._pool.openfun = lambda connection: connection.execute("PRAGMA synchronous = OFF")
    return database


@cache
def _empty_database() -> bytes:
    """The file that `Database.open` makes; made once, for making it waits for the disk."""
    directory = tempfile.mkdtemp()
    try:
        path = os.path.join(directory, "index.sqlite")
        reactor: Any = InlineReactor()
        database = Database(reactor, path)
        Index(database)
        Ledger(database)
        database.open()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with open(path, "rb") as file:
            return file.read()
    finally:
        shutil.rmtree(directory)


class HeldBlocking:
    """Keeps every blocking call until the test releases it: how interleavings are tested."""

    def __init__(self) -> None:
        self._held: deque[tuple[Deferred[Any], Callable[[], Any]]] = deque()

    def __len__(self) -> int:
        """How many calls wait."""
        return len(self._held)

    def disk(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Keep the call."""
        done: Deferred[T] = Deferred()
        self._held.append((done, lambda: call(*args, **kwargs)))
        return done

    work = disk
    send = disk

    def release(self) -> bool:
        """Run the call that waits longest; False if none waits."""
        if not self._held:
            return False
        done, call = self._held.popleft()
        try:
            result = call()
        except Exception:
            done.errback()
        else:
            done.callback(result)
        return True

    def release_all(self) -> int:
        """Run calls until none waits; returns how many have run."""
        count = 0
        while self.release():
            count += 1
        return count
