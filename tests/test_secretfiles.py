"""Files that nobody else may read."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import ConfigError
from pkgd.secretfiles import (
    check_private,
    file_errors,
    make_secret_directory,
    may_be_used_by_others,
    read_secret_file,
    write_secret_file,
)


class ReadTests(SynchronousTestCase):
    """Secrets in files of the operator's."""

    def write(self, data: bytes, mode: int = 0o600) -> str:
        """A file."""
        path = Path(self.mktemp())
        path.write_bytes(data)
        path.chmod(mode)
        return str(path)

    def test_read(self) -> None:
        """A file of ours is read."""
        self.assertEqual(read_secret_file(self.write(b"data")), b"data")
        self.assertEqual(read_secret_file(self.write(b"data", 0o400)), b"data")

    def test_refused(self) -> None:
        """One that others may read, that isn't there, or that is too long, is refused by its path."""
        for path in (
            self.write(b"", 0o640),
            self.write(b"", 0o604),
            self.mktemp(),
            self.write(bytes(1 << 21)),
            "/dev/null",
        ):
            self.assertIn(path, self.assertRaises(ConfigError, read_secret_file, path).message)


class CredentialTests(SynchronousTestCase):
    """Files that systemd gives to a service: root's, with an access control list for the service's user."""

    def check(self, mode: int, user: int, group: int, ours: tuple[int, ...]) -> bool:
        """Whether others may use such a file."""
        return may_be_used_by_others(os.stat_result((0o100000 | mode, 1, 1, 1, user, group, 0, 0, 0, 0)), ours)

    def test_mask(self) -> None:
        """Root's group is nobody else: the bit is the list's mask."""
        self.assertFalse(self.check(0o440, 0, 0, (61234, 61234)))
        self.assertFalse(self.check(0o400, 61234, 61234, (61234, 61234)))

    def test_others(self) -> None:
        """Another group, one that we are in, or more than to read, is others."""
        for mode, user, group, ours in (
            (0o440, 0, 7, (61234, 61234)),
            (0o440, 61234, 0, (61234, 61234)),
            (0o440, 0, 0, (61234, 0)),
            (0o440, 0, 0, (0, 0)),
            (0o460, 0, 0, (61234, 61234)),
            (0o444, 0, 0, (61234, 61234)),
        ):
            self.assertTrue(self.check(mode, user, group, ours), (mode, user, group, ours))


class WriteTests(SynchronousTestCase):
    """Secrets of our own."""

    def setUp(self) -> None:
        """A directory that is not there yet, nor is the one that it is in."""
        self.directory = os.path.abspath(os.path.join(self.mktemp(), "keys"))

    def test_modes(self) -> None:
        """Nobody else may look into the directory, or read the file, whatever the umask is."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)

        make_secret_directory(self.directory)
        write_secret_file(self.directory, "key", b"data")

        self.assertEqual(os.stat(self.directory).st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(os.path.join(self.directory, "key")).st_mode & 0o777, 0o600)
        self.assertEqual(read_secret_file(os.path.join(self.directory, "key")), b"data")

    def test_in_place_of_another(self) -> None:
        """A directory that is there stays, and a file is replaced; nothing unfinished is left."""
        for data in (b"one", b"two"):
            make_secret_directory(self.directory)
            write_secret_file(self.directory, "key", data)

        self.assertEqual(os.listdir(self.directory), ["key"])
        self.assertEqual(read_secret_file(os.path.join(self.directory, "key")), b"two")

    def test_failure(self) -> None:
        """What cannot be put in its place leaves nothing behind."""
        make_secret_directory(self.directory)
        os.mkdir(os.path.join(self.directory, "key"))

        self.assertRaises(OSError, write_secret_file, self.directory, "key", b"data")

        self.assertEqual(os.listdir(self.directory), ["key"])

    def test_open_to_others(self) -> None:
        """A directory that others may look into is refused, with what mends it."""
        make_secret_directory(self.directory)
        for bit in (0o040, 0o004, 0o010, 0o001):
            os.chmod(self.directory, 0o700 | bit)
            error: ConfigError = self.assertRaises(
                ConfigError, check_private, self.directory, os.stat(self.directory), "700"
            )
            self.assertIn("chmod 700", error.message)

    def test_system_errors(self) -> None:
        """What the system refuses names its file."""
        with self.assertRaises(ConfigError) as caught, file_errors("elsewhere"):
            os.listdir(self.directory)

        self.assertEqual(caught.exception.path, self.directory)
