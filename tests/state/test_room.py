"""What of SQLite's refusals is for lack of space."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from pkgd.state.room import Room
from tests.state.fixtures import refused, refusing


class RoomTests(SynchronousTestCase):
    """Room beside a file."""

    def setUp(self) -> None:
        directory = self.mktemp()
        os.makedirs(directory)
        self.directory = directory

    def is_lacking(self, code: int, allocate: Callable[[int, int, int], None] = os.posix_fallocate) -> bool:
        """The verdict; nothing is left of how it was found."""
        found = Room(f"{self.directory}/file", allocate=allocate).is_lacking(refused(code))
        self.assertEqual(os.listdir(self.directory), [])
        return found

    def test_full(self) -> None:
        """SQLite says so itself."""
        for code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE):
            self.assertIs(self.is_lacking(code, refusing(errno.EIO)), True)

    def test_failed_write(self) -> None:
        """It is for lack of space if none is to be had, for whatever else the disk says it is not."""
        for error, expected in (
            (errno.ENOSPC, True),
            (errno.EDQUOT, True),
            (errno.EIO, False),
            (errno.EROFS, False),
            (errno.EOPNOTSUPP, False),
        ):
            self.assertIs(self.is_lacking(sqlite3.SQLITE_IOERR_WRITE, refusing(error)), expected)
        self.assertIs(self.is_lacking(sqlite3.SQLITE_IOERR_WRITE), False)

    def test_no_directory(self) -> None:
        """Where nothing can be tried nothing is known."""
        os.rmdir(self.directory)
        room = Room(f"{self.directory}/file")
        self.assertIs(room.is_lacking(refused(sqlite3.SQLITE_IOERR_WRITE)), False)

    def test_others(self) -> None:
        """Of nothing else it is asked."""
        for code in (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_BUSY):
            self.assertIs(self.is_lacking(code, refusing(errno.EDQUOT)), False)
        for error in (None, sqlite3.Error("no code"), ValueError()):
            self.assertIs(Room(self.directory).is_lacking(error), False)
