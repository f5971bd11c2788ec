"""Files for the owner's eyes only."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import FailedStorage, Storage
from pkgd.storage.secrets import LIMIT, create_secret, read_secret


class SecretTests(SynchronousTestCase):
    """A key's file."""

    def setUp(self) -> None:
        """A directory."""
        self.root = self.mktemp()
        os.mkdir(self.root)
        self.path = os.path.join(self.root, "keys", "a.asc")

    def test_created(self) -> None:
        """What is written is read again, by its owner alone."""
        create_secret(self.path, b"secret")

        self.assertEqual(read_secret(self.path), b"secret")
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(os.path.dirname(self.path)).st_mode & 0o777, 0o700)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["a.asc"])

    def test_absent(self) -> None:
        """What is not there is None, and no error."""
        self.assertIsNone(read_secret(self.path))

    def test_unusable(self) -> None:
        """What cannot be read or written, or is no key by its size, is an error of the storage."""
        os.mkdir(os.path.join(self.root, "directory"))
        with open(os.path.join(self.root, "large"), "wb") as file:
            file.truncate(LIMIT + 1)

        self.assertRaises(Storage, read_secret, os.path.join(self.root, "directory"))
        self.assertRaises(FailedStorage, read_secret, os.path.join(self.root, "large"))
        self.assertRaises(Storage, create_secret, os.path.join(self.root, "large", "a"), b"x")
