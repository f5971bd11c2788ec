"""The floor of free space."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import InlineBlocking
from pkgd.errors import FailedStorage
from pkgd.storage.fsops import DurableTree
from pkgd.storage.space import FreeSpace
from tests.storage.fixtures import FaultyFileSystem, outcome


class FreeSpaceTests(SynchronousTestCase):
    """What is accepted, and what the disk is asked."""

    def setUp(self) -> None:
        """A disk with 1000 bytes free, of which 100 stay so."""
        self.clock = Clock()
        self.disk = FaultyFileSystem()
        self.disk.room = 1000
        self.space = FreeSpace(DurableTree("/nowhere", self.disk), InlineBlocking(), self.clock, 100)

    def test_require(self) -> None:
        """What leaves the floor free is accepted to the byte, and what does not is refused."""
        answers = [outcome(self.space.require(size)) for size in (0, 899, 900)]
        self.assertEqual(answers, [None] * 3)

        refused = outcome(self.space.require(901))
        self.assertEqual(refused.message, "there is not enough free space to store this")

    def test_at_the_floor(self) -> None:
        """At the floor, still something of no size is accepted; below it nothing is."""
        self.disk.room = 100
        self.assertIsNone(outcome(self.space.require()))
        self.assertIs(outcome(self.space.low()), False)

        self.disk.room = 99
        self.clock.advance(1)

        self.assertIsNotNone(outcome(self.space.require()))
        self.assertIs(outcome(self.space.low()), True)

    def test_asked_once_a_second(self) -> None:
        """A reading is believed for a second, and no longer."""
        for _ in range(10):
            outcome(self.space.free())
        self.assertEqual(self.disk.calls, 1)

        self.disk.room = 2000
        self.clock.advance(0.9)
        self.assertEqual(outcome(self.space.free()), 1000)
        self.clock.advance(0.1)
        self.assertEqual(outcome(self.space.free()), 2000)

    def test_missing(self) -> None:
        """What has to be freed is told to the byte, as of now, however fresh the last reading is."""
        self.assertEqual([outcome(self.space.missing(size)) for size in (0, 900, 901, 1500)], [0, 0, 1, 600])

        self.disk.room = 99

        self.assertEqual(outcome(self.space.missing(0)), 1)
        self.assertIs(outcome(self.space.low()), True)

    def test_failure(self) -> None:
        """A file system that does not answer is a fault of the storage, and is asked again the next time."""
        self.disk.fail(0, errno.EIO)
        self.assertIsInstance(outcome(self.space.require()), FailedStorage)

        self.assertEqual(outcome(self.space.free()), 1000)

    def test_reading_in_a_thread(self) -> None:
        """The file system is asked in a thread: one that hangs holds up nobody else."""
        blocking = _Counting()
        space = FreeSpace(DurableTree("/nowhere", self.disk), blocking, self.clock, 100)

        outcome(space.free())

        self.assertEqual(blocking.calls, 1)


class _Counting(InlineBlocking):
    """Counts what goes through it."""

    calls = 0

    def disk(self, call: Any, *args: Any, **kwargs: Any) -> Deferred[Any]:
        """Count, and run the call now."""
        self.calls += 1
        return super().disk(call, *args, **kwargs)
