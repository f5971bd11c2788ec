"""The spool: files and records of uploads, those of objects from upstreams, and small files on their way."""

from __future__ import annotations

import contextlib
import errno
import os
from threading import Lock

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import BusyStorage, FailedStorage, NoSpace, ReadOnlyStorage, UnknownUpload
from pkgd.formats.digest import Digest
from pkgd.storage.fsops import FileSystem
from pkgd.storage.staged import StagedFile
from tests.storage.fixtures import DiskModel, FaultyFileSystem, Place, QuietFileSystem


class _Case(SynchronousTestCase):
    """A spool on a tree of its own."""

    def make_place(self, fs: FileSystem | None = None) -> Place:
        """An empty tree."""
        return Place(self.mktemp(), fs)


class UploadFileTests(_Case):
    """What the spool keeps of an upload."""

    def test_read_upload(self) -> None:
        """The record comes back as it was written, with the present size."""
        place = self.make_place()
        file = place.spool.create_upload("one", b"whose it is", "sha256")
        file.append(memoryview(b"hello"))
        file.release()

        self.assertEqual(place.spool.read_upload("one"), (b"whose it is", 5))

    def test_unknown(self) -> None:
        """Without its file or without its record, an upload is unknown."""
        place = self.make_place()
        self.assertRaises(UnknownUpload, place.spool.read_upload, "one")
        for name, missing in (("two", "two"), ("three", "three.json")):
            place.spool.create_upload(name, b"{}", "sha256")
            os.unlink(place.tree.path(f"__spool__/uploads/{missing}"))
            self.assertRaises(UnknownUpload, place.spool.read_upload, name)

    def test_remove(self) -> None:
        """Both files go; removing again does no harm."""
        place = self.make_place()
        place.spool.create_upload("one", b"{}", "sha256")

        place.spool.remove_upload("one")
        place.spool.remove_upload("one")

        self.assertEqual(place.spool.uploads(), [])

    def test_list(self) -> None:
        """Each upload is listed once, with the time of its last write; halves that a crash left as well."""
        place = self.make_place()
        self.assertEqual(place.spool.uploads(), [])
        for name in ("one", "two", "three"):
            os.utime(place.spool.create_upload(name, b"{}", "sha256").path, (0, 1000.0))
        os.unlink(place.tree.path("__spool__/uploads/two"))
        os.unlink(place.tree.path("__spool__/uploads/three.json"))

        self.assertEqual(place.spool.uploads(), [("one", 1000.0), ("three", 1000.0), ("two", 0.0)])

    def test_creation_at_every_call(self) -> None:
        """An upload that cannot be begun leaves nothing behind, and no descriptor open."""
        for at in range(30):
            fs = FaultyFileSystem()
            place = self.make_place(fs)
            fs.fail(at, errno.ENOSPC)
            try:
                place.spool.create_upload("one", b"{}", "sha256")
            except NoSpace:
                self.assertEqual(place.spool.uploads(), [])
            self.assertEqual(fs.open_files, set())
            fs.heal()
            place.spool.create_upload("two", b"{}", "sha256")


class FillFileTests(_Case):
    """The file of an object that arrives from an upstream."""

    def setUp(self) -> None:
        """A spool on a disk that can fail."""
        self.fs = FaultyFileSystem()
        self.place = self.make_place(self.fs)

    def create(self, algorithm: str = "sha256") -> StagedFile:
        """Begin one."""
        return self.place.spool.create_fill(algorithm)

    def fills(self) -> list[str]:
        """What lies there."""
        return os.listdir(self.place.tree.path("__spool__/fills"))

    def test_written_and_read(self) -> None:
        """What has been written can be read at once, through a descriptor of its own."""
        file = self.create()
        reader = self.place.spool.read_fill(file, 11)
        file.append(memoryview(b"hello "))
        self.assertEqual((reader.size, reader.read_at(0, 100)), (11, b"hello "))

        file.append(memoryview(b"world"))

        self.assertEqual(reader.read_at(4, 100), b"o world")
        self.assertNotEqual(reader.fileno(), file._fd)
        reader.close()
        self.place.spool.remove_fill(file)
        self.assertEqual((self.fs.open_files, self.fills()), (set(), []))

    def test_names(self) -> None:
        """Each has a name of its own, which nobody can guess."""
        paths = {self.create().path for _ in range(20)}

        self.assertEqual(len(paths), 20)
        for path in paths:
            os.unlink(path)
        for fd in list(self.fs.open_files):
            self.fs.close(fd)

    def test_digests(self) -> None:
        """It is hashed as it should be while it is written."""
        for algorithm in ("sha256", "sha512"):
            file = self.create(algorithm)
            file.append(memoryview(b"hello"))
            reads = self.fs.counts["pread"]

            self.assertEqual(file.seal(algorithm), Digest.of(b"hello", algorithm))

            self.assertEqual((self.fs.counts["pread"], self.fs.open_files), (reads, set()))
            self.place.spool.remove_fill(file)

    def test_read_after_removal(self) -> None:
        """A reader keeps what it reads, though the name is gone."""
        file = self.create()
        file.append(memoryview(b"hello"))
        reader = self.place.spool.read_fill(file, 5)

        self.place.spool.remove_fill(file)

        self.assertEqual((reader.read_at(0, 5), self.fills()), (b"hello", []))
        reader.close()

    def test_name_removed_by_hand(self) -> None:
        """Somebody who empties the spool does not stop the writer."""
        file = self.create()
        os.unlink(file.path)

        file.append(memoryview(b"hello"))

        self.assertEqual(file.seal("sha256"), Digest.of(b"hello"))
        self.place.spool.remove_fill(file)

    def test_remove_twice(self) -> None:
        """Removing what is gone, or has become an object, does nothing."""
        file = self.create()
        self.place.spool.remove_fill(file)

        self.place.spool.remove_fill(file)

        self.assertEqual(self.fs.open_files, set())

    def test_unremovable(self) -> None:
        """What cannot be removed is closed all the same, and swept at the next start."""
        file = self.create()
        self.fs.fail_calls("unlink")

        self.assertRaises(FailedStorage, self.place.spool.remove_fill, file)

        self.assertEqual((self.fs.open_files, len(self.fills())), (set(), 1))
        Place(self.place.tree.root).spool.prepare()
        self.assertEqual(self.fills(), [])

    def test_close_fails(self) -> None:
        """It is removed although its close has failed: nobody needs what was lost."""
        file = self.create()
        self.fs.fail_calls("close")

        self.place.spool.remove_fill(file)

        self.assertEqual((self.fs.open_files, self.fills()), (set(), []))

    def test_creation_at_every_call(self) -> None:
        """One that cannot be begun leaves nothing behind, and no descriptor open."""
        for at in range(30):
            fs = FaultyFileSystem()
            place = self.make_place(fs)
            fs.fail(at, errno.ENOSPC)
            try:
                file = place.spool.create_fill("sha256")
            except NoSpace:
                fills = place.tree.path("__spool__/fills")
                self.assertFalse(os.path.isdir(fills) and os.listdir(fills))
            else:
                fs.heal()
                place.spool.remove_fill(file)
            self.assertEqual(fs.open_files, set())

    def test_reader_at_every_call(self) -> None:
        """So does one that cannot be read."""
        file = self.create()
        self.fs.fail(0, errno.EMFILE)

        self.assertRaises(BusyStorage, self.place.spool.read_fill, file, 5)

        self.place.spool.remove_fill(file)
        self.assertEqual(self.fs.open_files, set())

    def test_swept(self) -> None:
        """What a crash has left of them is removed at the start; a directory somebody has made there is not ours."""
        file = self.create()
        file.append(memoryview(b"hello"))
        self.fs.close(file._fd or 0)
        os.mkdir(self.place.tree.path("__spool__/fills/a-directory"))

        Place(self.place.tree.root).spool.prepare()

        self.assertEqual(self.fills(), ["a-directory"])


class PreparationTests(_Case):
    """How the spool comes to be usable."""

    def test_sweep(self) -> None:
        """Small files that a crash left are removed at the start; uploads stay, for they can be resumed."""
        first = self.make_place()
        first.spool.create_upload("one", b"{}", "sha256")
        first.spool.write_temporary(b"left over")
        second = Place(first.tree.root)

        second.spool.prepare()

        self.assertEqual(second.temporaries(), [])
        self.assertEqual([name for name, _ in second.spool.uploads()], ["one"])

    def test_halves(self) -> None:
        """Bytes without a record and a record without bytes, which a kill leaves, are removed at the start."""
        first = self.make_place()
        for name in ("whole", "bytes", "record", "blank"):
            first.spool.create_upload(name, b"{}", "sha256")
        uploads = os.path.join(first.tree.root, "__spool__/uploads")
        os.unlink(os.path.join(uploads, "bytes.json"))
        os.unlink(os.path.join(uploads, "record"))
        os.truncate(os.path.join(uploads, "blank.json"), 0)

        Place(first.tree.root).spool.prepare()

        self.assertEqual(sorted(os.listdir(uploads)), ["whole", "whole.json"])

    def test_sweep_only_once(self) -> None:
        """What is being written now is not swept."""
        place = self.make_place()
        path = place.spool.write_temporary(b"on its way")

        place.spool.prepare()
        place.spool.create_upload("one", b"{}", "sha256")
        place.spool.probe()

        self.assertTrue(os.path.exists(path))

    def test_heals(self) -> None:
        """A storage that was read-only at the start is used as soon as it can be written."""
        fs = FaultyFileSystem()
        place = self.make_place(fs)
        fs.fail(0, errno.EROFS, lasting=True)
        self.assertRaises(ReadOnlyStorage, place.spool.prepare)
        self.assertRaises(ReadOnlyStorage, place.spool.probe)
        self.assertRaises(ReadOnlyStorage, place.spool.create_upload, "one", b"{}", "sha256")

        fs.heal()

        place.spool.create_upload("one", b"{}", "sha256")

    def test_prepared_by_one_at_a_time(self) -> None:
        """Writers that find it unprepared at the same time don't sweep each other's files away."""
        fs = _WatchedSweep()
        place = self.make_place(fs)
        fs.lock = place.spool._preparing

        place.spool.prepare()

        self.assertEqual(fs.sweeps, [True, True, True])

    def test_probe(self) -> None:
        """A probe leaves nothing, whether it succeeds or fails at any call."""
        for at in range(12):
            fs = FaultyFileSystem()
            place = self.make_place(fs)
            place.spool.prepare()
            fs.fail(at, errno.ENOSPC)
            with contextlib.suppress(NoSpace):
                place.spool.probe()
            if fs.failed != ["unlink"]:  # then the next start sweeps it away
                self.assertEqual(place.temporaries(), [])
            self.assertEqual(fs.open_files, set())

    def test_directories_are_durable(self) -> None:
        """The spool itself survives a power cut."""
        disk = DiskModel()
        place = self.make_place(disk)

        place.spool.prepare()

        root, spool = place.tree.root, place.tree.path("__spool__")
        self.assertEqual(
            [one for one in disk.trail if one[0] == "fsync"],
            [("fsync", root), ("fsync", spool), ("fsync", spool), ("fsync", spool)],
        )


class TemporaryTests(_Case):
    """Small files on their way to their place."""

    def test_durable_before_it_is_returned(self) -> None:
        """A small file can be renamed at once: its bytes are on the disk."""
        disk = DiskModel()
        place = self.make_place(disk)

        path = place.spool.write_temporary(b"bytes")

        self.assertEqual(disk.trail[-1], ("fsync", path))

    def test_copy(self) -> None:
        """A copy has all the bytes of a file that is larger than one piece, and is durable."""
        disk = DiskModel()
        place = self.make_place(disk)
        source = place.tree.path("source")
        data = os.urandom(1000) * 2500
        with open(source, "wb") as file:
            file.write(data)

        path = place.spool.copy_temporary(source)

        with open(path, "rb") as file:
            self.assertEqual(file.read(), data)
        self.assertEqual(disk.trail[-1], ("fsync", path))


class _WatchedSweep(QuietFileSystem):
    """Tells of each sweep whether others were kept out meanwhile."""

    lock: Lock

    def __init__(self) -> None:
        self.sweeps: list[bool] = []

    def scandir(self, path: str) -> list[tuple[str, bool]]:
        """Note it, and look."""
        self.sweeps.append(self.lock.locked())
        return super().scandir(path)
