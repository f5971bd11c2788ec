"""A file in the spool: what is written and hashed, how it is sealed, and what a failing disk does to it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import BusyStorage, FailedStorage, NoSpace, UnknownUpload
from pkgd.formats.digest import Digest
from tests.storage.fixtures import SHORT, FaultyFileSystem, Place


class StagedFileTests(SynchronousTestCase):
    """A file that is written piece by piece, and hashed meanwhile."""

    def setUp(self) -> None:
        """A new session's file, on a disk that can fail."""
        self.fs = FaultyFileSystem()
        self.place = Place(self.mktemp(), self.fs)
        self.file = self.place.spool.create_upload("one", b"{}", "sha256")
        self.addCleanup(self.file.release)

    def append(self, data: bytes) -> None:
        """Write at the end."""
        self.file.append(memoryview(data))

    def written(self) -> bytes:
        """What stands in the file."""
        with open(self.file.path, "rb") as stream:
            return stream.read()

    def test_append_and_seal(self) -> None:
        """The digest is that of all the pieces, and so is the size."""
        for piece in (b"hello ", b"", b"world"):
            self.append(piece)

        self.assertEqual(self.file.size, 11)
        self.assertEqual(self.file.seal("sha256"), Digest.of(b"hello world"))
        self.assertEqual(self.written(), b"hello world")

    def test_a_sealed_file_is_not_synced_again(self) -> None:
        """Unless something has been written to it since."""
        self.append(b"hello")
        self.file.seal("sha256")
        calls, syncs = self.fs.calls, self.fs.counts["fsync"]

        self.assertEqual(self.file.seal("sha256"), Digest.of(b"hello"))
        self.assertEqual(self.fs.calls, calls)
        self.append(b" world")
        self.assertEqual(self.file.seal("sha256"), Digest.of(b"hello world"))
        self.assertEqual(self.fs.counts["fsync"], syncs + 1)

    def test_empty(self) -> None:
        """Nothing has a digest too."""
        self.assertEqual(self.file.seal("sha256"), Digest.of(b""))

    def test_other_algorithm(self) -> None:
        """A digest that was not announced is computed from the file."""
        self.append(b"hello" * 500_000)

        self.assertEqual(self.file.seal("sha512"), Digest.of(b"hello" * 500_000, "sha512"))

    def test_continue_after_release(self) -> None:
        """A closed file is opened again by the next append, and the running hash goes on."""
        self.append(b"hello ")
        self.file.release()
        self.assertEqual(self.fs.open_files, set())

        self.append(b"world")

        self.assertEqual(self.file.seal("sha256"), Digest.of(b"hello world"))

    def test_continue_in_another_process(self) -> None:
        """A file of an earlier process goes on at its end, and is read once more for its digest."""
        self.append(b"hello ")
        self.file.release()
        file = self.place.spool.open_upload("one", "sha256", 6)

        file.append(memoryview(b"world"))

        self.assertEqual(file.size, 11)
        self.assertEqual(file.seal("sha256"), Digest.of(b"hello world"))

    def test_rewind(self) -> None:
        """What is dropped is neither in the file nor in the digest."""
        self.append(b"hello and more")
        self.file.rewind(6)
        self.append(b"world")

        self.assertEqual(self.file.size, 11)
        self.assertEqual(self.file.seal("sha256"), Digest.of(b"hello world"))
        self.assertEqual(self.written(), b"hello world")

    def test_rewind_to_nothing(self) -> None:
        """From the start, the running hash starts as well."""
        self.append(b"hello")
        self.file.rewind(0)
        self.append(b"world")

        self.assertEqual(self.file.seal("sha256"), Digest.of(b"world"))

    def test_short_writes(self) -> None:
        """Bytes that the system takes only in part are written in the end, once, and in order."""
        self.fs.fail(0, SHORT, lasting=True)

        self.append(bytes(range(256)))

        self.assertEqual(self.written(), bytes(range(256)))
        self.assertEqual(self.file.seal("sha256"), Digest.of(bytes(range(256))))

    def test_full_disk(self) -> None:
        """After a failure the size says what was kept, and it goes on from there to the right digest."""
        self.append(b"hello ")
        self.fs.fail(0, errno.ENOSPC)
        self.assertRaises(NoSpace, self.append, b"world")
        self.assertEqual(self.file.size, len(self.written()))

        self.append(b"world"[self.file.size - 6 :])

        self.assertEqual(self.file.seal("sha256"), Digest.of(b"hello world"))

    def test_full_disk_in_the_middle(self) -> None:
        """So it is if the disk took a part of the bytes before it was full."""
        self.fs.fail(0, SHORT, lasting=True)
        self.fs.write = _SecondFails(self.fs.write, errno.ENOSPC)  # type: ignore[method-assign]
        self.assertRaises(NoSpace, self.append, b"hello world")
        self.assertEqual(self.file.size, 5)

        self.append(b" world")

        self.assertEqual(self.file.seal("sha256"), Digest.of(b"hello world"))
        self.assertEqual(self.written(), b"hello world")

    def test_failed_fsync_is_final(self) -> None:
        """A second fsync may succeed though the bytes are lost: so the file is given up."""
        self.append(b"hello")
        self.fs.fail(0, errno.EIO)
        self.assertRaises(FailedStorage, self.file.seal, "sha256")

        self.assertTrue(self.file.lost)
        self.assertRaises(FailedStorage, self.file.check)
        self.assertRaises(FailedStorage, self.file.seal, "sha256")

    def test_failed_flush_is_final(self) -> None:
        """What the disk has reported while the upload went on is not forgotten at its end."""
        self.append(b"hello")
        self.fs.fail(0, errno.ENOSPC)
        self.file.flush()

        self.assertTrue(self.file.lost)
        self.assertRaises(NoSpace, self.file.check)
        self.assertRaises(NoSpace, self.file.seal, "sha256")

    def test_failed_close_is_final(self) -> None:
        """Some file systems say only at the close that they have lost something."""
        self.append(b"hello")
        self.fs.fail(0, errno.EIO)
        self.assertRaises(FailedStorage, self.file.release)

        self.assertTrue(self.file.lost)
        self.assertRaises(FailedStorage, self.file.seal, "sha256")
        self.assertEqual(self.fs.open_files, set())

    def test_failed_open_is_not_final(self) -> None:
        """A lack of descriptors says nothing about the file."""
        self.append(b"hello")
        self.file.release()
        self.fs.fail(0, errno.EMFILE)
        self.assertRaises(BusyStorage, self.file.seal, "sha256")

        self.assertFalse(self.file.lost)
        self.assertEqual(self.file.seal("sha256"), Digest.of(b"hello"))

    def test_flush_of_a_closed_file(self) -> None:
        """There is nothing to flush then."""
        self.fs.fail(0, errno.EIO, lasting=True)

        self.file.flush()

        self.assertFalse(self.file.lost)

    def test_removed_by_hand(self) -> None:
        """A session whose file is gone is unknown: the client begins anew."""
        self.place.spool.remove_upload("one")

        self.assertRaises(UnknownUpload, self.append, b"hello")
        self.assertRaises(UnknownUpload, self.file.seal, "sha256")


class _SecondFails:
    """A write that refuses its second call and does the others."""

    def __init__(self, write: Callable[[int, memoryview], int], error: int) -> None:
        self._write = write
        self._error = error
        self._calls = 0

    def __call__(self, fd: int, data: memoryview) -> int:
        """Write, or refuse."""
        self._calls += 1
        if self._calls == 2:
            raise OSError(self._error, os.strerror(self._error))
        return self._write(fd, data)
