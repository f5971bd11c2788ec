"""Files of a set-up on disk."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pkgd.clientsetup.installing import install
from pkgd.clientsetup.model import File
from pkgd.errors import ConfigError

FILES = [File("/etc/a/b.conf", "one\n"), File("/etc/c/secret", "two\n", 0o600)]


class InstallTests(SynchronousTestCase):
    """Below a root of its own."""

    def setUp(self) -> None:
        """An empty root."""
        self.root = os.path.abspath(self.mktemp())
        os.mkdir(self.root)

    def path(self, path: str) -> Path:
        """A path below it."""
        return Path(self.root + path)

    def test_new(self) -> None:
        """Files are there with their permissions, what was done is said, and no draft is left."""
        said = install(FILES, root=self.root)

        self.assertEqual(said, [f"wrote {self.root}{one.path}" for one in FILES])
        for one in FILES:
            self.assertEqual(self.path(one.path).read_text(), one.text)
            self.assertEqual(self.path(one.path).stat().st_mode & 0o777, one.mode)
        self.assertEqual(os.listdir(self.path("/etc/c")), ["secret"])

    def test_again(self) -> None:
        """The same again changes nothing but permissions that were too wide."""
        install(FILES, root=self.root)
        self.path("/etc/c/secret").chmod(0o644)
        before = self.path("/etc/a/b.conf").stat().st_ino

        said = install(FILES, root=self.root)

        self.assertEqual(said, [f"{self.root}{one.path} is as it should be" for one in FILES])
        self.assertEqual(self.path("/etc/a/b.conf").stat().st_ino, before)
        self.assertEqual(self.path("/etc/c/secret").stat().st_mode & 0o777, 0o600)

    def test_in_the_way(self) -> None:
        """A file with other lines is left alone, and so is everything else; longer ones count as other."""
        self.path("/etc/c").mkdir(parents=True)
        for text in ("mine\n", "two\nand more\n", ""):
            self.path("/etc/c/secret").write_text(text)

            error = self.assertRaises(ConfigError, install, FILES, root=self.root)

            self.assertIn("--force", error.message)
            self.assertEqual(self.path("/etc/c/secret").read_text(), text)
            self.assertFalse(self.path("/etc/a").exists())

    def test_force(self) -> None:
        """It is replaced on demand, and never open to others in between: what replaces it is a new file."""
        self.path("/etc/c").mkdir(parents=True)
        self.path("/etc/c/secret").write_text("mine\n")
        before = self.path("/etc/c/secret").stat().st_ino

        install(FILES, force=True, root=self.root)

        self.assertEqual(self.path("/etc/c/secret").read_text(), "two\n")
        self.assertEqual(self.path("/etc/c/secret").stat().st_mode & 0o777, 0o600)
        self.assertNotEqual(self.path("/etc/c/secret").stat().st_ino, before)

    def test_impossible(self) -> None:
        """What the system refuses is an error that names the file, and leaves no draft."""
        self.path("/etc").write_text("a file where a directory has to be")
        error = self.assertRaises(ConfigError, install, FILES, root=self.root)
        self.assertIn("/etc", error.path)

        os.unlink(self.path("/etc"))
        self.path("/etc/a/b.conf/x").mkdir(parents=True)
        error = self.assertRaises(ConfigError, install, FILES, True, self.root)
        self.assertEqual((error.path, os.listdir(self.path("/etc/a"))), (f"{self.root}/etc/a/b.conf", ["b.conf"]))
