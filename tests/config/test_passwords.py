"""Passwords out of files."""

from __future__ import annotations

from pkgd.config import Secret, SigningKey, UpstreamRegistry, read_passphrase, read_password
from pkgd.errors import ConfigError
from tests.config.cases import ConfigCase


class PasswordTests(ConfigCase):
    """`read_password` reads what a section names."""

    def section(self, content: bytes) -> UpstreamRegistry:
        """A section whose password file has this content."""
        path: str = self.mktemp()
        with open(path, "wb") as file:
            file.write(content)
        return UpstreamRegistry(username="bob", password_file=path)

    def test_given(self) -> None:
        """A password of the configuration is returned, and None where there is none."""
        self.assertEqual(read_password("ghcr.io", UpstreamRegistry(username="bob", password=Secret("x"))), "x")
        self.assertIsNone(read_password("ghcr.io", UpstreamRegistry()))

    def test_file(self) -> None:
        """A file's content without its line end, of which there may be none; spaces belong to it."""
        for content, password in {b"x\n": "x", b"x": "x", b"x\r\n": "x", b" x \n": " x ", "ä\n".encode(): "ä"}.items():
            self.assertEqual(read_password("ghcr.io", self.section(content)), password)

    def test_refused(self) -> None:
        """An empty file, one that is too large or no text, and none at all are refused with the key and the path."""
        missing = UpstreamRegistry(username="bob", password_file=self.mktemp())
        for section in (missing, *map(self.section, (b"", b"\n", b"\xff", b"x" * 70000))):
            error = self.assertRaises(ConfigError, read_password, "ghcr.io", section)
            self.assertEqual(error.path, "mirror.registries.ghcr.io.password_file")
            self.assertIn(str(section.password_file), error.reason)


class PassphraseTests(ConfigCase):
    """A signing key's passphrase."""

    def test_read(self) -> None:
        """It is the line of its file, or there is none."""
        path: str = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write("open sesame\n")

        self.assertEqual(read_passphrase("default", SigningKey(passphrase_file=path)), "open sesame")
        self.assertIsNone(read_passphrase("default", SigningKey()))

    def test_refused(self) -> None:
        """A file that is not there is named with its key."""
        error = self.assertRaises(ConfigError, read_passphrase, "default", SigningKey(passphrase_file=self.mktemp()))

        self.assertEqual(error.path, "signing.keys.default.passphrase_file")
