"""The system calls, and the durable sequences made of them."""

from __future__ import annotations

import errno
import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import BusyStorage, FailedStorage, NoSpace, ReadOnlyStorage
from pkgd.storage.fsops import DurableTree, FileSystem, storage_errors
from tests.storage.fixtures import DiskModel


class StorageErrorsTests(SynchronousTestCase):
    """What the machine refuses, in the words of the taxonomy."""

    def test_kinds(self) -> None:
        """Each error number has its class, and what is none of these is a failure."""
        for number, kind in (
            (errno.ENOSPC, NoSpace),
            (errno.EDQUOT, NoSpace),
            (errno.EROFS, ReadOnlyStorage),
            (errno.EACCES, ReadOnlyStorage),
            (errno.EPERM, ReadOnlyStorage),
            (errno.EMFILE, BusyStorage),
            (errno.ENFILE, BusyStorage),
            (errno.ENOMEM, BusyStorage),
            (errno.EIO, FailedStorage),
            (errno.ENOENT, FailedStorage),
        ):
            with self.assertRaises(kind) as caught, storage_errors():
                raise OSError(number, os.strerror(number))
            self.assertIs(type(caught.exception), kind)
            self.assertEqual(caught.exception.operation, os.strerror(number))

    def test_without_number(self) -> None:
        """An OSError without a number is a failure too."""
        with self.assertRaises(FailedStorage), storage_errors():
            raise OSError("odd")

    def test_bugs_pass(self) -> None:
        """What is no refusal of the machine is not covered up."""
        with self.assertRaises(ValueError), storage_errors():
            raise ValueError


class FileSystemTests(SynchronousTestCase):
    """The calls themselves, on real files."""

    def setUp(self) -> None:
        """A directory."""
        self.fs = FileSystem()
        self.root = self.mktemp()
        os.makedirs(self.root)

    def path(self, name: str) -> str:
        """A path in it."""
        return f"{self.root}/{name}"

    def create(self, name: str, data: bytes = b"") -> str:
        """A file in it."""
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def test_open_follows_no_link(self) -> None:
        """A symbolic link in the tree leads nowhere: what it points to is not ours to serve or to write."""
        os.symlink(self.create("secret"), self.path("link"))

        self.assertRaises(OSError, self.fs.open, self.path("link"), os.O_RDONLY)
        self.assertRaises(OSError, self.fs.open, self.path("link"), os.O_WRONLY | os.O_CREAT)

    def test_open_is_not_inherited(self) -> None:
        """Descriptors are closed in programs that are started."""
        fd = self.fs.open(self.path("a"), os.O_WRONLY | os.O_CREAT)
        self.addCleanup(os.close, fd)

        self.assertFalse(os.get_inheritable(fd))

    def test_link_of_a_link(self) -> None:
        """A symbolic link is linked itself, and what it points to is not published."""
        os.symlink(self.create("secret"), self.path("link"))

        self.fs.link(self.path("link"), self.path("copy"))

        self.assertTrue(os.path.islink(self.path("copy")))

    def test_scandir(self) -> None:
        """Names, each with whether it is a directory."""
        self.create("file")
        self.fs.mkdir(self.path("directory"))

        self.assertEqual(sorted(self.fs.scandir(self.root)), [("directory", True), ("file", False)])

    def test_truncate_and_pread(self) -> None:
        """Bytes are cut and read where they stand."""
        fd = self.fs.open(self.create("a", b"0123456789"), os.O_RDWR)
        self.addCleanup(self.fs.close, fd)

        self.fs.truncate(fd, 5)

        self.assertEqual(self.fs.pread(fd, 100, 3), b"34")
        self.assertEqual(self.fs.fstat(fd).st_size, 5)

    def test_free(self) -> None:
        """Free space is counted in bytes, as `df` does for a user who is not root."""
        found = os.statvfs(self.root)

        self.assertEqual(self.fs.free(self.root) % found.f_frsize, 0)
        self.assertLess(self.fs.free(self.root), found.f_blocks * found.f_frsize)

    def test_sync(self) -> None:
        """The file system of an existing path can be synced, that of an absent one cannot."""
        self.fs.sync(self.root)
        self.assertRaises(FileNotFoundError, self.fs.sync, self.path("absent"))


class DurableTreeTests(SynchronousTestCase):
    """The sequences."""

    def setUp(self) -> None:
        """A tree on a disk that tells what is at risk."""
        root = self.mktemp()
        os.makedirs(root)
        self.disk = DiskModel()
        self.tree = DurableTree(root, self.disk)

    def create(self, name: str, data: bytes = b"bytes") -> str:
        """A durable file in the tree."""
        path = self.tree.path(name)
        fd = self.disk.open(path, os.O_WRONLY | os.O_CREAT)
        self.disk.write(fd, memoryview(data))
        self.disk.fsync(fd)
        self.disk.close(fd)
        self.tree.sync_directory(self.tree.root)
        self.disk.trail.clear()
        return path

    def test_make_directory(self) -> None:
        """From the top down, and each is durable in its parent before the next is made in it."""
        self.tree.make_directory(self.tree.path("a/b/c"))

        root, path = self.tree.root, self.tree.path
        self.assertEqual(
            self.disk.trail,
            [
                *[("mkdir", path("a")), ("fsync", root)],
                *[("mkdir", path("a/b")), ("fsync", path("a"))],
                *[("mkdir", path("a/b/c")), ("fsync", path("a/b"))],
            ],
        )

    def test_make_known_directory(self) -> None:
        """What is known to be durable costs nothing."""
        self.tree.make_directory(self.tree.path("a/b"))
        self.disk.trail.clear()

        self.tree.make_directory(self.tree.path("a/b"))

        self.assertEqual(self.disk.trail, [])

    def test_failed_fsync_of_a_directory(self) -> None:
        """A directory whose fsync has failed is not taken for durable by the next writer."""
        fsync = self.disk.fsync
        self.disk.fsync = _refuse  # type: ignore[method-assign]
        self.assertRaises(OSError, self.tree.make_directory, self.tree.path("a"))
        self.disk.fsync = fsync  # type: ignore[method-assign]

        self.tree.make_directory(self.tree.path("a/b"))

        self.assertEqual(self.disk.at_risk(), frozenset())

    def test_rename_into(self) -> None:
        """The name comes last, and its directory is fsynced."""
        source = self.create("source")

        self.tree.rename_into(source, self.tree.path("a/target"))

        self.assertEqual(self.disk.trail[-2:], [("rename", self.tree.path("a/target")), ("fsync", self.tree.path("a"))])

    def test_rename_of_nothing(self) -> None:
        """A file that isn't there cannot be moved."""
        self.assertRaises(
            FileNotFoundError, self.tree.rename_into, self.tree.path("absent"), self.tree.path("a/target")
        )

    def test_link_into(self) -> None:
        """A second name is as durable as the first."""
        source = self.create("source")

        self.assertIs(self.tree.link_into(source, self.tree.path("a/target")), True)

        self.assertEqual(self.disk.trail[-2:], [("link", self.tree.path("a/target")), ("fsync", self.tree.path("a"))])

    def test_link_onto_another_writers(self) -> None:
        """A name that is there already may be another writer's and not durable yet: it is made so."""
        source = self.create("source")
        self.tree.make_directory(self.tree.path("a"))
        self.disk.link(source, self.tree.path("a/target"))

        self.assertIs(self.tree.link_into(source, self.tree.path("a/target")), True)

        self.assertEqual(self.disk.at_risk(), frozenset())

    def test_remove(self) -> None:
        """An unlink is made durable; where there was nothing, or no file, nothing is done."""
        path = self.create("a")

        self.assertIs(self.tree.remove(path), True)
        self.assertEqual(self.disk.trail, [("unlink", path), ("fsync", self.tree.root)])
        for absent in ("a", "a/b/c", ""):
            self.assertIs(self.tree.remove(self.tree.path(absent)), False)

    def test_size_of(self) -> None:
        """Regular files have a size, and nothing else has."""
        self.create("a", b"12345")
        self.tree.make_directory(self.tree.path("d"))
        os.mkfifo(self.tree.path("fifo"))

        sizes = [self.tree.size_of(self.tree.path(name)) for name in ("a", "d", "fifo", "absent", "a/b", "x" * 300)]

        self.assertEqual(sizes, [5, None, None, None, None, None])

    def test_settle(self) -> None:
        """What was renamed and not fsynced can be made durable later; a directory that is gone needs nothing."""
        self.disk.rename(self.create("a"), self.tree.path("b"))

        self.tree.settle(self.tree.path("b"))
        self.tree.settle(self.tree.path("absent/b"))

        self.assertEqual(self.disk.at_risk(), frozenset())

    def test_sync_all(self) -> None:
        """Everything that an earlier process left visible becomes durable at once."""
        self.disk.mkdir(self.tree.path("a"))

        self.tree.sync_all()

        self.assertEqual(self.disk.at_risk(), frozenset())

    def test_write_all(self) -> None:
        """Bytes are offered until all are taken."""
        offered: list[bytes] = []

        def write(fd: int, data: memoryview) -> int:
            offered.append(bytes(data))
            return 2

        self.disk.write = write  # type: ignore[method-assign]
        self.tree.write_all(0, memoryview(b"12345")[:4])

        self.assertEqual(offered, [b"1234", b"34"])

    def test_without_fsync(self) -> None:
        """`fsync: false` asks the disk for nothing."""
        tree = DurableTree(self.tree.root, self.disk, fsync=False)
        source = self.create("source")

        tree.rename_into(source, tree.path("a/target"))
        tree.link_into(tree.path("a/target"), tree.path("b/target"))
        tree.remove(tree.path("a/target"))
        tree.sync_all()

        self.assertNotIn("fsync", [call for call, _ in self.disk.trail])
        self.assertNotIn("sync", [call for call, _ in self.disk.trail])


def _refuse(fd: int) -> Any:
    raise OSError(errno.EIO, os.strerror(errno.EIO))
