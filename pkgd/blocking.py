"""Work that may block, in three bounded thread pools.

`disk` is for reads, writes, fsync and rename; `work` for whole-file hashing and parsing; `send` for
sending files. Separate pools, because a queue of CPU-bound jobs or of large downloads from a slow
disk must not delay a fsync. A hop does one bounded piece of work and
returns a value; it does not log and touches no object that the reactor thread uses meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

__all__ = ["Blocking", "InlineBlocking", "ThreadedBlocking", "finish_inline"]

P = ParamSpec("P")
T = TypeVar("T")


class Blocking(Protocol):
    """Where blocking calls run. Each method returns a Deferred of the call's own result."""

    def disk(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Run a file system call."""

    def work(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Run a computation."""

    def send(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Send a part of a file."""


class ThreadedBlocking:
    """The real pools. `start` before use, `stop` once nothing uses them any more."""

    def __init__(
        self,
        reactor: IReactorFromThreads,
        disk_threads: int = 16,
        work_threads: int = 2,
        send_threads: int = 3,
    ) -> None:
        """
        :param send_threads: more than the cores can use only take turns with the reactor: with eight on
            two cores, `/health` waited four times as long during cold downloads, which were no faster.
        """
        self._reactor: Any = reactor
        self._send = ThreadPool(1, send_threads, name="send")
        self._disk = ThreadPool(1, disk_threads, name="disk")
        self._work = ThreadPool(1, work_threads, name="work")

    def start(self) -> None:
        """Start the pools."""
        self._send.start()
        self._disk.start()
        self._work.start()

    def stop(self) -> None:
        """Finish what is queued, then end the threads. Blocks."""
        self._send.stop()
        self._disk.stop()
        self._work.stop()

    def waiting(self) -> dict[str, int]:
        """How many calls wait for a thread of each pool."""
        pools = {"disk": self._disk, "work": self._work, "send": self._send}
        # Twisted's pools have no public word for it.
        return {name: pool._team.statistics().backloggedWorkCount for name, pool in pools.items()}

    def disk(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Run a file system call in the disk pool."""
        return deferToThreadPool(self._reactor, self._disk, call, *args, **kwargs)

    def work(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Run a computation in the work pool."""
        return deferToThreadPool(self._reactor, self._work, call, *args, **kwargs)

    def send(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Send a part of a file in the send pool."""
        return deferToThreadPool(self._reactor, self._send, call, *args, **kwargs)


class InlineBlocking:
    """Runs every call at once, on the caller's thread: for commands and for tests."""

    def disk(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Run the call now."""
        done: Deferred[T] = Deferred()
        try:
            result = call(*args, **kwargs)
        except Exception:
            done.errback()
        else:
            done.callback(result)
        return done

    work = disk
    send = disk


def finish_inline(work: Coroutine[Deferred[Any], Any, T]) -> T:
    """The result of work that never waits, because everything it does is done at once, on this thread."""
    ended: list[T | Failure] = []
    Deferred.fromCoroutine(work).addBoth(ended.append)
    (result,) = ended
    if isinstance(result, Failure):
        result.raiseException()
    return result
