"""Log files of lines: what is torn by a full disk. How lines are gathered, the access log's tests show."""

from __future__ import annotations

import errno
import os

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import InlineBlocking
from pkgd.logfile import FLUSH_SECONDS, LogFile


class TornTests(SynchronousTestCase):
    """A write that ends in the middle of a line."""

    def setUp(self) -> None:
        """A log on a disk with room for so many bytes."""
        self.room = 0
        self.clock = Clock()
        self.path: str = self.mktemp()
        self.file = LogFile(self.clock, InlineBlocking(), self.path, "log", self.write)
        self.file.open()
        self.addCleanup(self.file.close)

    def write(self, fd: int, data: memoryview) -> int:
        """Write what there is room for."""
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = os.write(fd, data[: self.room])
        self.room -= count
        return count

    def append(self, *lines: str) -> int:
        """Write lines; returns how many are said to be lost."""
        with capturedLogs() as events:
            for line in lines:
                self.file.append(line)
            self.clock.advance(FLUSH_SECONDS)
        return sum(event["count"] for event in events)

    def text(self) -> str:
        """What the file has."""
        with open(self.path, encoding="utf-8") as file:
            return file.read()

    def test_torn(self) -> None:
        """What comes after it begins on a line of its own, even after another failure."""
        self.room = 6
        self.assertEqual(self.append("one\n", "two\n"), 2)
        self.assertEqual(self.append("three\n"), 1)
        self.room = 100
        self.assertEqual(self.append("four\n"), 0)

        self.assertEqual(self.text(), "one\ntw\nfour\n")

    def test_between_lines(self) -> None:
        """After a write that ended with a line nothing is added."""
        self.room = 4
        self.append("one\n", "two\n")
        self.room = 100
        self.append("three\n")

        self.assertEqual(self.text(), "one\nthree\n")

    def test_rotated(self) -> None:
        """Nor to a new file."""
        self.room = 2
        self.append("one\n")
        os.rename(self.path, f"{self.path}.1")
        self.file.reopen()
        self.room = 100
        self.append("two\n")

        self.assertEqual(self.text(), "two\n")
