"""A configuration that takes the place of another while the daemon runs."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from pkgd.config import load
from pkgd.config.reloading import ConfigFile, keep_fixed
from pkgd.errors import ConfigError
from tests.config.cases import ConfigCase

OPEN = "server: {listen: ['tcp:8080']}\n"


class FixedTests(ConfigCase):
    """What a running daemon cannot follow."""

    def test_named(self) -> None:
        """It stays as it was, and is named."""
        fixed = {
            "state_dir": "state_dir: other",
            "server.listen": "server: {listen: ['tcp:9:interface=127.0.0.1']}",
            "server.tls": "server: {tls: {certificate: a.pem, key: b.pem}}",
            "storage.filesystem.root": "storage: {filesystem: {root: /elsewhere}}",
            "storage.filesystem.fsync": "storage: {filesystem: {fsync: false}}",
            "logging.level": "logging: {level: debug}",
            "logging.access.file": "logging: {access: {file: null}}",
            "logging.access.format": "logging: {access: {format: json}}",
            "logging.audit.file": "logging: {audit: {file: audit.log}}",
        }
        old = self.read("storage: {filesystem: {root: /srv/oci}}")
        for name, text in fixed.items():
            kept = keep_fixed(old, self.read(text))
            self.assertIn(name, kept.names)
            self.assertEqual(kept.config, old)

    def test_followed(self) -> None:
        """The rest is as it says, also what stands beside it."""
        new = self.read("server: {max_connections: 7, shutdown: {drain: 5s}}\nstorage: {filesystem: {min_free: 9}}")

        kept = keep_fixed(self.read(""), new)

        self.assertEqual((kept.config, kept.names), (new, ()))

    def test_certificate(self) -> None:
        """Other files of a pair are followed."""
        old, new = (self.read(f"server: {{tls: {{certificate: {one}, key: {one}}}}}") for one in ("a", "b"))

        self.assertEqual(keep_fixed(old, new).config, new)

    def test_open_to_others(self) -> None:
        """What goes on being open to others must not lose its `auth` by that."""
        old = self.read(f"{OPEN}auth: {{mode: none}}")

        with self.assertRaises(ConfigError) as caught:
            keep_fixed(old, self.read(""))

        self.assertIn("open to others", caught.exception.reason)


class FileTests(SynchronousTestCase):
    """The file."""

    def setUp(self) -> None:
        """Write one, and read it."""
        self.path = self.mktemp()
        self.write("version: 1\n")
        self.file = ConfigFile(self.path, {}, load)
        self.file.read()

    def write(self, text: str) -> None:
        """Put another in its place."""
        with open(f"{self.path}.new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(f"{self.path}.new", self.path)

    def test_unchanged(self) -> None:
        """Nothing has changed until something has."""
        self.assertFalse(self.file.has_changed())

    def test_changed(self) -> None:
        """Another file in its place is noticed, until it has been read."""
        self.write("version: 1\n")

        self.assertTrue(self.file.has_changed())
        self.file.read()
        self.assertFalse(self.file.has_changed())

    def test_broken(self) -> None:
        """One that cannot be used has been read as well: it is complained about once."""
        self.write("version: 2\n")

        self.assertRaises(ConfigError, self.file.read)
        self.assertFalse(self.file.has_changed())

    def test_gone(self) -> None:
        """No file is no change."""
        os.remove(self.path)

        self.assertFalse(self.file.has_changed())

    def test_none(self) -> None:
        """Defaults do not change."""
        self.assertFalse(ConfigFile(None, {}, load).has_changed())

    def test_environment(self) -> None:
        """The file may be named by the environment."""
        file = ConfigFile(None, {"PKGD_CONFIG": self.path}, load)

        self.assertTrue(file.has_changed())
        self.assertEqual(file.read().version, 1)
