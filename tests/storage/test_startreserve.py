"""The reserve of a start: given up where nothing else is free, and taken again as far as it goes."""

from __future__ import annotations

import errno
import os

from twisted.trial.unittest import SynchronousTestCase

from pkgd.storage.startreserve import SIZE, StartReserve
from tests.storage.fixtures import FaultyFileSystem, Place


class CrampedFileSystem(FaultyFileSystem):
    """One in which a file may have `most` bytes."""

    most = SIZE

    def allocate(self, fd: int, size: int) -> None:
        """See `FileSystem.allocate`."""
        if size > self.most:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().allocate(fd, size)


class ReserveCase(SynchronousTestCase):
    """A place with a reserve."""

    def setUp(self) -> None:
        self.fs = CrampedFileSystem()
        self.place = Place(os.path.abspath(self.mktemp()), self.fs)
        self.path = self.place.tree.path("spool/start-reserve")
        self.reserve = self.another()

    def another(self) -> StartReserve:
        """That of another process."""
        return StartReserve(self.place.tree, "spool/start-reserve")

    @property
    def held(self) -> int:
        """How many bytes are set aside."""
        return os.path.getsize(self.path) if os.path.exists(self.path) else 0


class KeepingTests(ReserveCase):
    """While pkgd runs."""

    def test_its_space_is_allocated(self) -> None:
        """It is as large as it looks: nobody else can have its blocks."""
        self.reserve.keep()
        found = os.stat(self.path)
        self.assertEqual((found.st_size, found.st_blocks * 512 >= SIZE), (SIZE, True))

    def test_once(self) -> None:
        """Where it is there nothing is written."""
        self.reserve.keep()
        before = self.fs.counts["allocate"]
        self.reserve.keep()
        self.assertEqual(self.fs.counts["allocate"], before)

    def test_only_with_twice_as_much_room(self) -> None:
        """Deletes on a full disk free little at a time, and may need it themselves."""
        self.fs.room = 2 * SIZE - 1
        self.reserve.keep()
        self.assertEqual(self.held, 0)
        self.fs.room = 2 * SIZE
        self.reserve.keep()
        self.assertEqual(self.held, SIZE)

    def test_what_was_taken_by_half_is_completed(self) -> None:
        """Once there is space again."""
        self.fs.most = SIZE // 2
        self.reserve.take_what_is_left()
        self.assertEqual(self.held, SIZE // 2)
        self.fs.most = SIZE
        self.reserve.keep()
        self.assertEqual(self.held, SIZE)

    def test_nothing_fails(self) -> None:
        """On a storage that refuses, at whichever call, there is none, and no descriptor is left open."""
        names = ("open", "stat", "free", "allocate", "truncate", "mkdir", "close")
        for name in names:
            for error in (errno.EROFS, errno.EIO, errno.EDQUOT):
                self.fs.fail_calls(name, error=error)
                self.reserve.keep()
                with self.reserve.given_up():
                    self.reserve.take_what_is_left()
                self.reserve.take_back()
                self.assertEqual(self.fs.open_files, set(), name)
                self.fs.heal()


class StartTests(ReserveCase):
    """What it is for."""

    def setUp(self) -> None:
        """A disk on which it is held, and nothing is free."""
        super().setUp()
        self.reserve.keep()
        self.fs.room = 0

    def test_given_up(self) -> None:
        """While the databases are opened its space is free; the file stays, and so does its owner."""
        with self.reserve.given_up():
            self.assertEqual((self.held, os.stat(self.path).st_blocks), (0, 0))

    def test_kept_where_there_is_space(self) -> None:
        """Nothing is given up for nothing."""
        self.fs.room = SIZE
        with self.reserve.given_up():
            self.assertEqual(self.held, SIZE)

    def test_what_was_not_needed_is_taken_back(self) -> None:
        """As soon as pkgd has started: else somebody else had it, and the next start nothing."""
        with self.reserve.given_up():
            pass
        self.fs.most = SIZE - 40_000
        self.reserve.keep()
        self.assertEqual(self.held, 5 * 16384)

    def test_a_start_that_fails(self) -> None:
        """It leaves the next one what it has had."""
        with self.assertRaises(ZeroDivisionError), self.reserve.given_up():
            raise ZeroDivisionError
        self.assertEqual(self.held, SIZE)

    def test_a_start_that_fails_beside_what_is_no_state(self) -> None:
        """Where nothing was given up nothing is made: the directory may be somebody else's."""
        os.unlink(self.path)
        with self.assertRaises(ZeroDivisionError), self.reserve.given_up():
            raise ZeroDivisionError
        self.assertFalse(os.path.exists(self.path))

    def test_the_end(self) -> None:
        """As much as there is; the next process gives that up, too."""
        with self.reserve.given_up():
            pass
        self.fs.most = 3 * 16384 + 5
        self.reserve.take_what_is_left()
        self.assertEqual(self.held, 3 * 16384)
        with self.another().given_up():
            self.assertEqual(self.held, 0)

    def test_taken_back_once(self) -> None:
        """What deletes free afterwards is theirs, until there is twice as much."""
        with self.reserve.given_up():
            pass
        self.fs.most = 0
        self.reserve.take_back()
        self.fs.most = SIZE
        self.reserve.keep()
        self.assertEqual(self.held, 0)
