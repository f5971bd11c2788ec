"""The store on a file system: the contract, durability call by call, faults, and what happens at the same time."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import BusyStorage, FailedStorage, NoSpace, ReadOnlyStorage, Storage
from pkgd.storage.fsops import FileSystem
from pkgd.storage.local import LocalStore
from pkgd.storage.staged import StagedFile
from tests.fixtures import HeldBlocking
from tests.storage.contract import StoreContract
from tests.storage.fixtures import SHORT, DiskModel, FaultyFileSystem, Place, QuietFileSystem, outcome


class _Case(SynchronousTestCase):
    """A store on a tree of its own."""

    def make_place(self, fs: FileSystem | None = None) -> Place:
        """An empty tree."""
        return Place(self.mktemp(), fs)

    def do(self, call: Coroutine[Deferred[Any], Any, Any]) -> Any:
        """The result of a call that has come to its end."""
        return self.successResultOf(Deferred.fromCoroutine(call))

    def refusal(self, call: Coroutine[Deferred[Any], Any, Any], kind: type[Exception] = Storage) -> Any:
        """The error that a call has ended with."""
        return self.failureResultOf(Deferred.fromCoroutine(call), kind).value

    def content(self, place: Place, key: str) -> bytes:
        """The bytes of the file that is the object."""
        with open(place.tree.path(key), "rb") as file:
            return file.read()


class LocalStoreTests(StoreContract, SynchronousTestCase):
    """The contract, with every blocking call done at once."""

    def setUp(self) -> None:
        """A new tree."""
        self.place = Place(self.mktemp())
        self.store = self.place.store
        self._staged = 0

    def tearDown(self) -> None:
        """Nothing stays in the spool, whatever was asked."""
        self.assertEqual(self.place.temporaries(), [])

    def stage(self, data: bytes) -> StagedFile:
        """See `StoreContract.stage`."""
        self._staged += 1
        return self.place.stage(data, f"session-{self._staged}")


class ConcurrentLocalStoreTests(LocalStoreTests):
    """The contract, with calls that overlap: each blocking call is done when all others have been begun."""

    def setUp(self) -> None:
        """A new tree, and threads that wait."""
        self.held = HeldBlocking()
        self.place = Place(self.mktemp(), blocking=self.held)
        self.store = self.place.store
        self._staged = 0

    def settle(self) -> None:
        """Do what waits, and what comes after it."""
        self.held.release_all()


class MeasuredTests(_Case):
    """How long operations take, for the metrics."""

    def setUp(self) -> None:
        """A store whose threads the test releases, a second after they were asked for."""
        self.now, self.held, self.told = 0.0, HeldBlocking(), list[tuple[str, str, float]]()
        self.fs = FaultyFileSystem()
        place = Place(self.mktemp(), self.fs)
        self.store = LocalStore(place.tree, self.held, place.spool, self.note, lambda: self.now)
        self.stage = place.stage

    def note(self, op: str, result: str, seconds: float) -> None:
        """An operation has ended."""
        self.told.append((op, result, seconds))

    def slow(self, call: Coroutine[Deferred[Any], Any, Any]) -> None:
        """Do something, for a second."""
        done = Deferred.fromCoroutine(call)
        self.now += 1.0
        self.held.release_all()
        done.addErrback(lambda failure: failure.trap(Storage) and None)

    def test_operations(self) -> None:
        """Each of them, the wait for a thread included."""
        for call in (
            *(self.store.put_bytes("a/b", b"bytes"), self.store.put("a/c", self.stage(b"bytes"))),
            *(self.store.stat("a/b"), self.store.link("a/b", "c/d"), self.store.list("a")),
            *(self.store.dated("a"), self.store.delete("a/b")),
        ):
            self.slow(call)
        names = ["put_bytes", "put", "stat", "link", "list", "dated", "delete"]
        self.assertEqual(self.told, [(name, "ok", 1.0) for name in names])

    def test_what_is_not_there(self) -> None:
        """That there is nothing is an answer."""
        self.slow(self.store.open("nowhere"))
        self.assertEqual(self.told, [("open", "ok", 1.0)])

    def test_errors(self) -> None:
        """What the disk refuses took its time as well."""
        self.fs.fail_calls("rename")
        self.slow(self.store.put_bytes("a/b", b"bytes"))
        self.assertEqual(self.told, [("put_bytes", "error", 1.0)])


class FileTests(_Case):
    """How objects stand in the tree."""

    def test_link_is_one_inode(self) -> None:
        """A link costs no space: it is the same file."""
        place = self.make_place()
        self.do(place.store.put("a/b", place.stage(b"bytes")))

        self.do(place.store.link("a/b", "c/d"))

        self.assertEqual(os.stat(place.tree.path("a/b")).st_ino, os.stat(place.tree.path("c/d")).st_ino)

    def test_copy_where_no_link_is_possible(self) -> None:
        """A file system that has no links, or no more of them, gets a copy."""
        for error in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            place = self.make_place(_NoLinks(error))
            self.do(place.store.put("a/b", place.stage(b"bytes" * 1000)))

            self.assertIs(self.do(place.store.link("a/b", "c/d")), True)

            self.assertEqual(self.content(place, "c/d"), b"bytes" * 1000)
            self.assertEqual(place.temporaries(), [])

    def test_copy_before_anything_was_written(self) -> None:
        """The spool is made for a copy, too: a mount may be the first write of all."""
        root = self.mktemp()
        first = Place(root)
        self.do(first.store.put("a/b", first.stage(b"bytes")))
        os.rmdir(first.tree.path("__spool__/tmp"))

        place = Place(root, _NoLinks(errno.EXDEV))
        self.assertIs(self.do(place.store.link("a/b", "c/d")), True)

    def test_file_is_private(self) -> None:
        """Objects are for the service and its group."""
        place = self.make_place()
        self.do(place.store.put_bytes("a/b", b"bytes"))

        self.assertEqual(os.stat(place.tree.path("a/b")).st_mode & 0o007, 0)
        self.assertEqual(os.stat(place.tree.path("a")).st_mode & 0o007, 0)

    def test_nothing_can_be_put_below_an_object(self) -> None:
        """A key below an object's is refused, and the object is as it was."""
        place = self.make_place()
        self.do(place.store.put_bytes("a/b", b"bytes"))

        self.refusal(place.store.put_bytes("a/b/c", b"other"))
        self.refusal(place.store.put_bytes("a/b/c/d", b"other"))

        self.assertEqual(self.content(place, "a/b"), b"bytes")
        self.assertEqual(place.temporaries(), [])

    def test_directory_removed_by_hand(self) -> None:
        """A directory that somebody has removed under a running daemon is made again, however much of it is gone."""
        for key in ("a/b/c/one", "a/b/d/two", "a/x/three"):
            place = self.make_place()
            self.do(place.store.put_bytes("a/b/c/first", b"bytes"))
            os.unlink(place.tree.path("a/b/c/first"))
            os.removedirs(place.tree.path("a/b/c"))
            os.makedirs(place.tree.root, exist_ok=True)

            self.do(place.store.put_bytes(key, b"bytes"))

            self.assertEqual(self.content(place, key), b"bytes")

    def test_target_directory_of_a_link_removed_by_hand(self) -> None:
        """A link heals a removed directory like a put."""
        place = self.make_place()
        self.do(place.store.put_bytes("a/source", b"bytes"))
        self.do(place.store.put_bytes("b/c/first", b"bytes"))
        os.unlink(place.tree.path("b/c/first"))
        os.removedirs(place.tree.path("b/c"))

        self.assertIs(self.do(place.store.link("a/source", "b/c/second")), True)

        self.assertEqual(self.content(place, "b/c/second"), b"bytes")

    def test_replaced_while_being_opened(self) -> None:
        """A reader's size is that of the file it has open, whatever the name stood for a moment before."""
        place = self.make_place(_SwapAtOpen())
        self.do(place.store.put_bytes("a", b"short"))
        reader = self.do(place.store.open("a"))
        self.addCleanup(reader.close)

        self.assertEqual(reader.read_at(0, reader.size), b"much longer than before")

    def test_closed_reader(self) -> None:
        """A reader that was closed reads nothing, least of all from somebody else's file."""
        place = self.make_place()
        self.do(place.store.put_bytes("a", b"bytes"))
        reader = self.do(place.store.open("a"))
        self.assertIsNotNone(reader.fileno())

        reader.close()

        self.assertIsNone(reader.fileno())
        self.assertRaises(FailedStorage, reader.read_at, 0, 1)


class DurabilityTests(_Case):
    """What is reported as done survives a power cut (DESIGN.md, decision 2)."""

    def setUp(self) -> None:
        """A tree on a disk that tells what is at risk."""
        self.disk = DiskModel()
        self.place = self.make_place(self.disk)
        self.store = self.place.store

    def test_put(self) -> None:
        """A file is fsynced before it gets its name, and its directories up to the root before the answer."""
        self.do(self.store.put("team/app/blobs/x", self.place.stage(b"bytes")))

        self.assertEqual(self.disk.at_risk(), frozenset())
        self.assertEqual([one.at_risk for one in self.disk.published], [frozenset()])

    def test_order_of_calls(self) -> None:
        """New directories from the top, each fsynced into its parent; then the name; then its directory."""
        path = self.place.tree.path
        staged = self.place.stage(b"bytes")
        self.disk.trail.clear()

        self.do(self.store.put("a/b/x", staged))

        self.assertEqual(
            self.disk.trail,
            [
                ("mkdir", path("a")),
                ("fsync", self.place.tree.root),
                ("mkdir", path("a/b")),
                ("fsync", path("a")),
                ("rename", path("a/b/x")),
                ("fsync", path("a/b")),
            ],
        )

    def test_known_directory_costs_one_fsync(self) -> None:
        """A directory that is durable is not fsynced into its parent again."""
        self.do(self.store.put_bytes("a/b/x", b"bytes"))
        self.disk.trail.clear()

        self.do(self.store.put_bytes("a/b/y", b"bytes"))

        self.assertEqual([call for call, _ in self.disk.trail], ["fsync", "rename", "fsync"])

    def test_put_bytes(self) -> None:
        """A pointer is never seen before its bytes are durable, nor acknowledged before its name is."""
        for data in (b"one", b"two"):
            self.do(self.store.put_bytes("a/b/x", data))

            self.assertEqual(self.disk.at_risk(), frozenset())
        self.assertEqual({one.at_risk for one in self.disk.published}, {frozenset()})

    def test_link(self) -> None:
        """A link is durable in its own directory."""
        self.do(self.store.put("a/x", self.place.stage(b"bytes")))

        self.do(self.store.link("a/x", "b/c/x"))

        self.assertEqual(self.disk.at_risk(), frozenset())

    def test_copy(self) -> None:
        """So is a copy, bytes first."""
        disk = _NoLinksModel()
        place = self.make_place(disk)
        self.do(place.store.put("a/x", place.stage(b"bytes")))

        self.do(place.store.link("a/x", "b/c/x"))

        self.assertEqual(disk.at_risk(), frozenset())
        self.assertEqual({one.at_risk for one in disk.published}, {frozenset()})

    def test_delete(self) -> None:
        """A deleted object does not come back."""
        self.do(self.store.put_bytes("a/x", b"bytes"))

        self.do(self.store.delete("a/x"))

        self.assertEqual(self.disk.at_risk(), frozenset())

    def test_directory_of_another_writer(self) -> None:
        """Who finds a directory that another has made and not yet fsynced into its parent does that too."""
        self.disk.mkdir(self.place.tree.path("a"))
        self.disk.mkdir(self.place.tree.path("a/b"))

        self.do(self.store.put_bytes("a/b/x", b"bytes"))

        self.assertEqual(self.disk.at_risk(), frozenset())

    def test_directories_of_an_earlier_process(self) -> None:
        """A new process takes no directory's word: it fsyncs each once."""
        self.disk.mkdir(self.place.tree.path("a"))
        self.do(self.store.put_bytes("a/b/x", b"bytes"))
        restarted = Place(self.place.tree.root, self.disk)
        self.disk.trail.clear()

        self.do(restarted.store.put_bytes("a/b/y", b"bytes"))

        self.assertIn(("fsync", self.place.tree.root), self.disk.trail)
        self.assertIn(("fsync", self.place.tree.path("a")), self.disk.trail)

    def test_without_fsync(self) -> None:
        """`fsync: false` means none at all."""
        self.place.tree._fsync = False
        self.disk.trail.clear()

        self.do(self.store.put("a/x", self.place.stage(b"bytes")))
        self.do(self.store.put_bytes("a/y", b"bytes"))
        self.do(self.store.delete("a/x"))

        self.assertNotIn("fsync", [call for call, _ in self.disk.trail])


class DoubtTests(_Case):
    """After a write that failed on its last step, something may be visible that is not durable."""

    def setUp(self) -> None:
        """A disk that fails the fsync of one directory."""
        self.disk = _LyingDirectory()
        self.place = self.make_place(self.disk)
        self.store = self.place.store
        self.do(self.store.put_bytes("a/first", b"bytes"))
        self.disk.fails = self.place.tree.path("a")

    def heal(self) -> None:
        """The directory can be fsynced again."""
        self.disk.fails = None

    def test_not_reported_as_present(self) -> None:
        """Neither its size nor a reader is given while it isn't durable, for both mean that it is."""
        self.refusal(self.store.put("a/x", self.place.stage(b"bytes")))

        self.refusal(self.store.stat("a/x"), FailedStorage)
        self.refusal(self.store.open("a/x"), FailedStorage)
        self.refusal(self.store.link("a/x", "b/x"), FailedStorage)

    def test_put_again(self) -> None:
        """The second put doesn't rely on what the first left: it makes it durable."""
        self.refusal(self.store.put("a/x", self.place.stage(b"bytes")))
        self.refusal(self.store.put("a/x", self.place.stage(b"bytes", "second")))
        self.heal()

        self.do(self.store.put("a/x", self.place.stage(b"bytes", "third")))

        self.assertEqual(self.disk.at_risk(), frozenset())

    def test_stat_again(self) -> None:
        """Once the disk works again, asking makes it durable."""
        self.refusal(self.store.put_bytes("a/x", b"bytes"))
        self.heal()

        self.assertEqual(self.do(self.store.stat("a/x")), 5)
        self.assertEqual(self.disk.at_risk(), frozenset())

    def test_link_again(self) -> None:
        """A link onto a target in doubt makes it durable."""
        self.do(self.store.put_bytes("b/x", b"bytes"))
        self.refusal(self.store.link("b/x", "a/x"))
        self.refusal(self.store.link("b/x", "a/x"))
        self.heal()

        self.assertIs(self.do(self.store.link("b/x", "a/x")), True)
        self.assertEqual(self.disk.at_risk(), frozenset())

    def test_delete_again(self) -> None:
        """Absence is durable too before it is reported: else what was deleted could come back."""
        self.refusal(self.store.delete("a/first"))
        self.refusal(self.store.delete("a/first"))
        self.refusal(self.store.stat("a/first"))
        self.heal()

        self.assertIs(self.do(self.store.delete("a/first")), False)
        self.assertEqual(self.disk.at_risk(), frozenset())

    def test_other_keys(self) -> None:
        """Nothing is doubted but what failed."""
        self.refusal(self.store.put_bytes("a/x", b"bytes"))

        self.assertEqual(self.do(self.store.stat("a/first")), 5)

    def test_directory_gone(self) -> None:
        """If its directory has been removed meanwhile, there is nothing to doubt."""
        self.refusal(self.store.put_bytes("a/x", b"bytes"))
        for name in ("x", "first"):
            os.unlink(self.place.tree.path(f"a/{name}"))
        os.rmdir(self.place.tree.path("a"))

        self.assertIsNone(self.do(self.store.stat("a/x")))


class FaultTests(_Case):
    """Every call that can fail, failing."""

    def test_errors_by_cause(self) -> None:
        """What the machine refuses is told apart: no space, no writes, no descriptors, or a fault."""
        for error, kind in (
            (errno.ENOSPC, NoSpace),
            (errno.EDQUOT, NoSpace),
            (errno.EROFS, ReadOnlyStorage),
            (errno.EACCES, ReadOnlyStorage),
            (errno.EMFILE, BusyStorage),
            (errno.ENFILE, BusyStorage),
            (errno.ENOMEM, BusyStorage),
            (errno.EIO, FailedStorage),
            (errno.ESTALE, FailedStorage),
        ):
            fs = FaultyFileSystem()
            place = self.make_place(fs)
            fs.fail(0, error, lasting=True)
            self.assertIs(type(self.refusal(place.store.put_bytes("a", b"bytes"))), kind)

    def test_put_bytes_at_every_call(self) -> None:
        """A pointer is old or new and never between, no file is left over, and no descriptor stays open."""
        for at in range(30):
            fs = FaultyFileSystem()
            place = self.make_place(fs)
            self.do(place.store.put_bytes("a/b", b"old"))
            fs.fail(at, errno.EIO)
            failed = isinstance(outcome(place.store.put_bytes("a/b", b"new one")), Storage)
            fs.heal()

            self.assertIn(self.content(place, "a/b"), (b"old", b"new one") if failed else (b"new one",))
            self.assertEqual(place.temporaries(), [], fs.failed)
            self.assertEqual(fs.open_files, set())
            self.do(place.store.put_bytes("a/b", b"healed"))
            self.assertEqual(self.content(place, "a/b"), b"healed")

    def test_copy_at_every_call(self) -> None:
        """A copy that fails leaves nothing over either."""
        for at in range(40):
            fs = _NoLinksFaulty()
            place = self.make_place(fs)
            self.do(place.store.put_bytes("a/b", b"bytes"))
            fs.fail(at, errno.ENOSPC)
            done = outcome(place.store.link("a/b", "c/d")) is True
            fs.heal()

            if done:
                self.assertEqual(self.content(place, "c/d"), b"bytes")
            self.assertEqual(place.temporaries(), [], fs.failed)
            self.assertEqual(fs.open_files, set())
            self.assertIs(self.do(place.store.link("a/b", "c/d")), True)
            self.assertEqual(self.content(place, "c/d"), b"bytes")

    def test_short_writes(self) -> None:
        """A file system that takes little at a time gets everything in the end."""
        fs = FaultyFileSystem()
        place = self.make_place(fs)
        fs.fail(0, SHORT, lasting=True)

        self.do(place.store.put_bytes("a", bytes(range(256))))

        self.assertEqual(self.content(place, "a"), bytes(range(256)))

    def test_close_of_a_reader(self) -> None:
        """A reader that cannot be closed properly has still read what it has read."""
        fs = FaultyFileSystem()
        place = self.make_place(fs)
        self.do(place.store.put_bytes("a", b"bytes"))
        reader = self.do(place.store.open("a"))
        fs.fail(0, errno.EIO)

        reader.close()

        self.assertEqual(fs.open_files, set())


class InterleavingTests(_Case):
    """What others see of a write that is under way."""

    def setUp(self) -> None:
        """Threads that wait."""
        self.held = HeldBlocking()
        self.place = Place(self.mktemp(), blocking=self.held)
        self.store = self.place.store

    def begin(self, call: Coroutine[Deferred[Any], Any, Any]) -> Deferred[Any]:
        """Start a call."""
        return Deferred.fromCoroutine(call)

    def test_stat_waits_for_put(self) -> None:
        """A key that is being written has no size until the writer is done: it may not be durable yet."""
        put = self.begin(self.store.put("a", self.place.stage(b"bytes")))
        stat = self.begin(self.store.stat("a"))
        self.assertEqual(len(self.held), 1)

        self.held.release()
        self.successResultOf(put)
        self.assertNoResult(stat)
        self.held.release()

        self.assertEqual(self.successResultOf(stat), 5)

    def test_open_link_and_delete_wait_for_put(self) -> None:
        """So it is with everything else that tells whether the key is there."""
        self.begin(self.store.put("a", self.place.stage(b"bytes")))
        others = [self.begin(one) for one in (self.store.open("a"), self.store.link("a", "b"), self.store.delete("a"))]
        self.assertEqual(len(self.held), 1)

        self.held.release_all()

        opened, linked, deleted = (self.successResultOf(one) for one in others)
        opened.close()
        self.assertEqual((linked, deleted), (True, True))

    def test_other_keys_do_not_wait(self) -> None:
        """A writer holds up nobody who is after another key."""
        self.begin(self.store.put("a", self.place.stage(b"bytes")))
        self.begin(self.store.put_bytes("b", b"bytes"))
        self.begin(self.store.stat("c"))

        self.assertEqual(len(self.held), 3)

    def test_writers_of_one_key_queue(self) -> None:
        """One write at a time, in the order of asking."""
        writes = [self.begin(self.store.put_bytes("a", b"%d" % n)) for n in range(4)]
        seen = []
        for write in writes:
            self.assertEqual(len(self.held), 1)
            self.held.release()
            self.successResultOf(write)
            seen.append(self.content(self.place, "a"))

        self.assertEqual(seen, [b"0", b"1", b"2", b"3"])

    def test_waiting_after_a_failure(self) -> None:
        """A write that fails wakes those who wait for it."""
        put = self.begin(self.store.put_bytes("a/b", b"bytes"))
        stat = self.begin(self.store.stat("a/b"))
        with open(self.place.tree.path("a"), "wb"):
            self.held.release_all()

        self.failureResultOf(put, FailedStorage)
        self.assertIsNone(self.successResultOf(stat))

    def test_source_deleted_before_it_is_linked(self) -> None:
        """A mount that loses its race against a delete finds no source: that is no fault of the storage."""
        fs = _DeleteAtLink()
        place = Place(self.mktemp(), fs)
        self.do(place.store.put_bytes("a", b"bytes"))

        self.assertIs(self.do(place.store.link("a", "b/c")), False)

    def test_version_while_put(self) -> None:
        """A pointer that is being replaced has the version of neither: nobody may take it for the old one."""
        first = self.begin(self.store.put_bytes("a", b"one"))
        self.held.release_all()
        self.successResultOf(first)
        before = self.store.version("a")

        self.begin(self.store.put_bytes("a", b"two"))

        self.assertNotEqual(self.store.version("a"), before)
        self.held.release_all()
        self.assertNotEqual(self.store.version("a"), before)


class _NoLinks(QuietFileSystem):
    """A file system that refuses links."""

    def __init__(self, error: int) -> None:
        self._error = error

    def link(self, source: str, target: str) -> None:
        """Refuse."""
        raise OSError(self._error, os.strerror(self._error))


class _NoLinksModel(DiskModel):
    """The same, telling what is at risk."""

    def link(self, source: str, target: str) -> None:
        """Refuse."""
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


class _NoLinksFaulty(FaultyFileSystem):
    """The same, failing."""

    def link(self, source: str, target: str) -> None:
        """Refuse."""
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


class _LyingDirectory(DiskModel):
    """A disk that cannot fsync one directory."""

    fails: str | None = None

    def fsync(self, fd: int) -> None:
        """Fail for that one."""
        if self._paths[fd] == self.fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().fsync(fd)


class _SwapAtOpen(QuietFileSystem):
    """Somebody replaces the file between the look at its size and its opening."""

    def open(self, path: str, flags: int) -> int:
        """Replace, then open."""
        if path.endswith("/a"):
            with open(path + ".new", "wb") as file:
                file.write(b"much longer than before")
            os.rename(path + ".new", path)
        return super().open(path, flags)


class _DeleteAtLink(QuietFileSystem):
    """Somebody deletes the source just before it is linked."""

    def link(self, source: str, target: str) -> None:
        """Delete, then link."""
        with open(source, "rb"):
            os.unlink(source)
        super().link(source, target)


class MeddlingDisk(DiskModel):
    """A disk on which somebody else does something just before a certain call."""

    meddle: Callable[[], None] | None = None
    at = -1
    calls = 0

    def _turn(self) -> None:
        self.calls += 1
        meddle = self.meddle
        if meddle is not None and self.calls - 1 == self.at:
            self.meddle = None
            meddle()

    def open(self, path: str, flags: int) -> int:
        self._turn()
        return super().open(path, flags)

    def mkdir(self, path: str) -> None:
        self._turn()
        super().mkdir(path)

    def rename(self, source: str, target: str) -> None:
        self._turn()
        super().rename(source, target)

    def link(self, source: str, target: str) -> None:
        self._turn()
        super().link(source, target)

    def fsync(self, fd: int) -> None:
        self._turn()
        super().fsync(fd)


class PruneTests(_Case):
    """Prefixes with nothing below them are done away with."""

    def test_upwards(self) -> None:
        """With it go those above it in which nothing is left; others stay, and so does the root."""
        place = self.make_place()
        self.do(place.store.put_bytes("a/b/c/d", b"x"))
        self.do(place.store.put_bytes("a/e", b"x"))
        self.do(place.store.prune("a/b/c"))
        self.assertEqual(self.do(place.store.stat("a/b/c/d")), 1)
        self.do(place.store.delete("a/b/c/d"))
        self.do(place.store.prune("a/b/c"))
        self.assertEqual(os.listdir(place.tree.path("a")), ["e"])
        self.do(place.store.delete("a/e"))
        for prefix in ("a", "a", "nothing/here", "a/e"):
            self.do(place.store.prune(prefix))
        self.assertTrue(os.path.isdir(place.tree.root))
        self.assertFalse(os.path.exists(place.tree.path("a")))

    def test_an_object_is_no_prefix(self) -> None:
        """It is left alone."""
        place = self.make_place()
        self.do(place.store.put_bytes("a/b", b"x"))
        self.do(place.store.prune("a/b"))
        self.assertEqual(self.do(place.store.stat("a/b")), 1)

    def test_made_again(self) -> None:
        """What is put there afterwards is as durable as before."""
        disk = DiskModel()
        place = self.make_place(disk)
        for _ in range(2):
            self.do(place.store.put_bytes("a/b/c", b"x"))
            self.assertEqual(disk.at_risk(), frozenset())
            self.do(place.store.delete("a/b/c"))
            self.do(place.store.prune("a/b"))

    def _beside(self, write: Callable[[Place], Coroutine[Deferred[Any], Any, Any]], is_made_again: bool) -> int:
        """Have the directory taken away before each call of a write, one after the other; how many there were."""
        at = 0
        while True:
            disk = MeddlingDisk()
            place = self.make_place(disk)
            for key in ("a/b/first", "source"):
                self.do(place.store.put_bytes(key, b"x"))
            self.do(place.store.delete("a/b/first"))

            def meddle(place: Place = place) -> None:
                place.store._prune("a/b")
                if is_made_again and not os.path.exists(place.tree.path("a/b")):
                    for one in ("a", "a/b"):
                        place.fs.mkdir(place.tree.path(one))

            disk.calls, disk.at, disk.meddle = 0, at, meddle
            self.do(write(place))
            self.assertEqual((self.content(place, "a/b/c"), disk.at_risk()), (b"x", frozenset()), at)
            if disk.meddle is not None:
                return at
            at += 1

    def test_beside_a_write(self) -> None:
        """Whenever it happens, what is put there is there, and survives a power cut."""
        for is_made_again in (False, True):
            self.assertGreater(self._beside(lambda place: place.store.put_bytes("a/b/c", b"x"), is_made_again), 4)
            self.assertGreater(self._beside(lambda place: place.store.link("source", "a/b/c"), is_made_again), 2)
