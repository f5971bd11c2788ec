"""The reserve: taken while there is room, given up for deletes, taken again when space is back."""

from __future__ import annotations

import errno
import os

from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import InlineBlocking
from pkgd.errors import NoSpace, Storage
from pkgd.storage.fsops import storage_errors
from pkgd.storage.reserve import SIZE, Reserve
from tests.fixtures import HeldBlocking
from tests.storage.fixtures import FullFileSystem, Place, outcome

PATH = "__spool__/reserve"


class ReserveCase(SynchronousTestCase):
    """A place with a reserve."""

    def setUp(self) -> None:
        self.fs = FullFileSystem()
        self.place = Place(os.path.abspath(self.mktemp()), self.fs)
        self.reserve: Reserve = self.place.spool.reserve
        self.path = self.place.tree.path(PATH)
        self.blocking = InlineBlocking()

    def keep(self) -> bool:
        found: bool = outcome(self.reserve.keep(self.blocking))
        return found


class TakingTests(ReserveCase):
    """When the file is made."""

    def test_its_space_is_allocated(self) -> None:
        """It is as large as it looks: nobody else can have its blocks."""
        self.assertTrue(self.reserve.take())
        found = os.stat(self.path)
        self.assertEqual((found.st_size, found.st_blocks * 512 >= SIZE), (SIZE, True))

    def test_once(self) -> None:
        """Where it is there nothing is written."""
        self.reserve.take()
        before = self.fs.counts["allocate"]
        self.assertTrue(self.reserve.take())
        self.assertEqual(self.fs.counts["allocate"], before)

    def test_what_a_kill_left_half_made_is_completed(self) -> None:
        """A shorter file is none."""
        self.place.spool.prepare()
        with open(self.path, "wb") as file:
            file.write(b"half")
        self.assertTrue(self.reserve.take())
        self.assertEqual(os.path.getsize(self.path), SIZE)

    def test_only_with_twice_as_much_room(self) -> None:
        """What a delete has been given is not taken away at once: as much again has to be free."""
        self.fs.room = 2 * SIZE - 1
        self.assertFalse(self.reserve.take())
        self.assertFalse(os.path.exists(self.path))
        self.fs.room = 2 * SIZE
        self.assertTrue(self.reserve.take())

    def test_nothing_is_left_of_one_that_does_not_fit(self) -> None:
        """Somebody else may have had the space meanwhile."""
        self.fs.fail_calls("allocate", error=errno.ENOSPC)
        self.assertRaises(NoSpace, self.reserve.take)
        self.assertFalse(os.path.exists(self.path))
        self.assertEqual(self.fs.open_files, set())

    def test_keeping_never_fails(self) -> None:
        """On a storage that cannot be written there is none."""
        self.fs.fail_calls("open", "stat", "free", error=errno.EROFS)
        self.assertFalse(self.keep())
        self.fs.heal()
        self.assertTrue(self.keep())

    def test_the_spools_sweep_leaves_it(self) -> None:
        """It outlives the process."""
        self.reserve.take()
        Place(self.place.tree.root).spool.prepare()
        self.assertTrue(os.path.exists(self.path))


class FreeingTests(ReserveCase):
    """What it is for."""

    def write(self) -> str:
        """What a publish begins with."""
        with storage_errors():
            return self.place.spool.write_temporary(b"x")

    def free(self) -> object:
        """Something that frees space, and has to write first."""

        async def operation() -> str:
            return self.write()

        return outcome(self.reserve.freeing(self.blocking, operation))

    def test_it_is_given_up_and_the_operation_repeated(self) -> None:
        """On a full disk a delete gets the room that it needs."""
        self.reserve.take()
        self.fs.full = True
        self.assertRaises(NoSpace, self.write)
        self.assertIsInstance(self.free(), str)
        self.assertFalse(os.path.exists(self.path))

    def test_it_stays_where_there_is_space(self) -> None:
        """Nothing is given up for nothing."""
        self.reserve.take()
        self.assertIsInstance(self.free(), str)
        self.assertTrue(os.path.exists(self.path))

    def test_once_more_and_no_oftener(self) -> None:
        """Where even that doesn't help, the failure is the client's."""
        tries = []

        async def operation() -> None:
            tries.append(1)
            raise NoSpace("write")

        self.assertIsInstance(outcome(self.reserve.freeing(self.blocking, operation)), NoSpace)
        self.assertEqual(len(tries), 2)

    def test_other_failures_leave_it(self) -> None:
        """It helps against a full disk only."""
        self.reserve.take()

        async def operation() -> None:
            raise Storage("write")

        self.assertIsInstance(outcome(self.reserve.freeing(self.blocking, operation)), Storage)
        self.assertTrue(os.path.exists(self.path))

    def test_two_at_the_same_time(self) -> None:
        """Who finds it given up by somebody else tries again all the same."""
        self.reserve.take()
        self.fs.full = True
        blocking = HeldBlocking()

        async def operation() -> str:
            return await blocking.disk(self.write)

        both = [Deferred.fromCoroutine(self.reserve.freeing(blocking, operation)) for _ in range(2)]
        blocking.release_all()
        for one in both:
            self.assertIsInstance(self.successResultOf(one), str)

    def test_it_comes_back(self) -> None:
        """Once there is space again."""
        self.reserve.take()
        self.fs.full = True
        self.free()
        self.fs.room = SIZE
        self.assertFalse(self.keep())
        self.fs.full, self.fs.room = False, None
        self.assertTrue(self.keep())

    def test_a_delete_of_the_store_may_have_it(self) -> None:
        """On file systems that need room to unlink."""
        self.reserve.take()
        outcome(self.place.store.put_bytes("a/b", b"x"))
        unlink = self.fs.unlink

        def copying(path: str) -> None:
            if not path.endswith(PATH) and os.path.exists(self.path):
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), path)
            unlink(path)

        self.patch(self.fs, "unlink", copying)
        self.assertIs(outcome(self.place.store.delete("a/b")), True)
        self.assertEqual((outcome(self.place.store.stat("a/b")), os.path.exists(self.path)), (None, False))

    def test_a_delete_that_was_done_by_half(self) -> None:
        """Whichever step finds no space for once, it is a delete: it never says that nothing was there."""
        self.reserve.take()
        at = 0
        while True:
            outcome(self.place.store.put_bytes("a/b", b"x"))
            self.fs.fail(at, errno.ENOSPC)
            self.assertIs(outcome(self.place.store.delete("a/b")), True)
            if not self.fs.failed:
                break
            self.fs.heal()
            self.assertIsNone(outcome(self.place.store.stat("a/b")))
            at += 1
        self.assertGreater(at, 2)


class LogTests(ReserveCase):
    """What is said of it."""

    def test_once_each_way(self) -> None:
        """Losing it and getting it back are one line each; having it is none."""
        lines: list[str] = []

        def observe(event: LogEvent) -> None:
            if event["log_namespace"] == "pkgd.storage.reserve":
                lines.append(event["log_level"].name)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.keep()
        self.assertEqual(lines, [])
        self.reserve.release()
        self.fs.room = 0
        for _ in range(3):
            self.keep()
        self.fs.room = None
        for _ in range(3):
            self.keep()
        self.assertEqual(lines, ["warn", "info"])
