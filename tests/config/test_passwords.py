"""Passwords out of files."""

from __future__ import annotations

from pkgd.config import Secret, UpstreamRegistry, read_password
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
