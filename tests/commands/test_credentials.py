"""The option `--credentials`."""

from __future__ import annotations

from pkgd.commands.credentials import basic, read_credentials
from pkgd.errors import ConfigError
from tests.test_main import CommandCase


class CredentialsTests(CommandCase):
    """A file, or standard input."""

    def test_first_line(self) -> None:
        """The first line counts, colons of the password included."""
        self.assertEqual(read_credentials(self.write("alice:a:b \nrest\n")), "alice:a:b ")
        self.assertEqual(read_credentials("-", lambda: "key:pkgd_x\n"), "key:pkgd_x")

    def test_none(self) -> None:
        """What is no file, or has no colon, is refused without a word of what is in it."""
        for path in (self.mktemp(), self.write("canary\n"), self.write("")):
            error = self.assertRaises(ConfigError, read_credentials, path)
            self.assertEqual(error.path, "--credentials")
            self.assertNotIn("canary", error.message)

    def test_basic(self) -> None:
        """The header is Basic, in UTF-8; without a file there is none."""
        self.assertEqual(basic(self.write("é:b\n")), "Basic w6k6Yg==")
        self.assertIsNone(basic(None))
