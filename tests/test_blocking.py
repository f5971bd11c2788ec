"""Where blocking calls run: the inline kind that tests use, and the pools."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import InlineBlocking, ThreadedBlocking


def quotient(dividend: int, divisor: int = 1) -> int:
    """A call that may fail."""
    return dividend // divisor


class InlineBlockingTests(SynchronousTestCase):
    """Every call runs at once, and its Deferred has fired."""

    def test_result(self) -> None:
        """Every kind of work gives the call's result."""
        blocking = InlineBlocking()

        self.assertEqual(self.successResultOf(blocking.disk(quotient, 6, divisor=3)), 2)
        self.assertEqual(self.successResultOf(blocking.work(quotient, 6)), 6)
        self.assertEqual(self.successResultOf(blocking.send(quotient, 6, 2)), 3)

    def test_failure(self) -> None:
        """What the call raises is the Deferred's failure, not the caller's."""
        failing = InlineBlocking().disk(quotient, 1, 0)

        self.failureResultOf(failing, ZeroDivisionError)


class QueueingReactor:
    """A reactor that keeps what threads hand to it until the test runs it."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []

    def callFromThread(self, call: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Keep the call."""
        self.calls.append(lambda: call(*args, **kwargs))

    def run(self) -> None:
        """Run what has been kept."""
        for call in self.calls:
            call()


class ThreadedBlockingTests(SynchronousTestCase):
    """Calls run in threads of several pools; `stop` waits for what is queued."""

    def setUp(self) -> None:
        """Pools whose results come back when the test says so; every test ends them by `finish`."""
        self.reactor = QueueingReactor()
        reactor: Any = self.reactor
        self.blocking = ThreadedBlocking(reactor, disk_threads=2, work_threads=1, send_threads=1)
        self.blocking.start()

    def finish(self, *running: Deferred[Any]) -> None:
        """End the threads, and deliver their results; none has been delivered before."""
        self.assertTrue(all(not one.called for one in running))
        self.blocking.stop()
        self.reactor.run()

    def test_result(self) -> None:
        """The result comes through the reactor, and `stop` loses none."""
        running = [self.blocking.disk(quotient, 6, divisor=divisor) for divisor in (1, 2, 3)]
        self.finish(*running)

        self.assertEqual([self.successResultOf(one) for one in running], [6, 3, 2])

    def test_failure(self) -> None:
        """What the call raises comes back as a failure."""
        running = self.blocking.work(quotient, 1, 0)
        self.finish(running)

        self.failureResultOf(running, ZeroDivisionError)

    def test_other_threads(self) -> None:
        """No kind of work runs on the caller's thread."""
        kinds = (self.blocking.disk, self.blocking.work, self.blocking.send)
        running = [kind(threading.get_ident) for kind in kinds]
        self.finish(*running)

        self.assertNotIn(threading.get_ident(), [self.successResultOf(one) for one in running])

    def test_separate_pools(self) -> None:
        """Computations and downloads that fill their pools don't hold up the disk."""
        synced = threading.Event()

        waiting = [self.blocking.work(synced.wait, 10), self.blocking.send(synced.wait, 10)]
        syncing = self.blocking.disk(synced.set)
        self.finish(*waiting, syncing)

        self.assertEqual([self.successResultOf(one) for one in waiting], [True, True])
