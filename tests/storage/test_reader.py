"""An open file, for reading."""

from __future__ import annotations

import os

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import FailedStorage
from pkgd.storage.reader import LocalReader
from tests.storage.fixtures import FaultyFileSystem

DATA = b"some bytes"


class LocalReaderTests(SynchronousTestCase):
    """`LocalReader`."""

    def setUp(self) -> None:
        """A file that is open."""
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(DATA)
        self.fs = FaultyFileSystem()
        self.fd = self.fs.open(path, os.O_RDONLY)
        self.reader = LocalReader(self.fs, self.fd, len(DATA))
        self.addCleanup(self.reader.close)

    def test_all_is_there(self) -> None:
        """All of it is available at once, from wherever."""
        for offset in (0, 5, len(DATA) - 1):
            self.assertEqual(self.successResultOf(Deferred.fromCoroutine(self.reader.available(offset))), len(DATA))

    def test_read(self) -> None:
        """Any part can be read, and nothing behind the end."""
        self.assertEqual(self.reader.read_at(0, 100), DATA)
        self.assertEqual(self.reader.read_at(5, 2), DATA[5:7])
        self.assertEqual(self.reader.read_at(len(DATA), 5), b"")

    def test_descriptor(self) -> None:
        """Its descriptor is for sendfile, as long as it is open."""
        self.assertEqual(self.reader.fileno(), self.fd)

        self.reader.close()

        self.assertIsNone(self.reader.fileno())

    def test_closed(self) -> None:
        """It is closed once; then nothing is read, of whatever file has the descriptor by now."""
        self.reader.close()
        self.reader.close()

        self.assertEqual((self.fs.open_files, self.fs.counts["close"]), (set(), 1))
        self.assertRaises(FailedStorage, self.reader.read_at, 0, 5)

    def test_failures(self) -> None:
        """A failure to read is told; one to close is not: nothing was written, so nothing is lost."""
        self.fs.fail_calls("pread", "close")

        self.assertRaises(FailedStorage, self.reader.read_at, 0, 5)
        self.reader.close()

        self.assertEqual(self.fs.open_files, set())
