"""The file of what a user has logged in to."""

from __future__ import annotations

import os
import stat

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import ConfigError
from pkgd.login.credentials import CredentialsFile, Login, server_name

TOKEN = Login("<token>", "canary-refresh", "alice")


class FileTests(SynchronousTestCase):
    """A file in a home of its own."""

    def setUp(self) -> None:
        """There is none yet, nor its directory."""
        self.home = os.path.abspath(self.mktemp())
        self.path = os.path.join(self.home, ".config/pkgd/credentials.json")
        self.file = CredentialsFile.of_user({"HOME": self.home})

    def test_kept(self) -> None:
        """What is put in is there, for its owner alone, until it is removed; nothing else is left behind."""
        self.assertEqual(self.file.read(), {})
        self.file.put("a", TOKEN)
        self.file.put("b", Login("bob", "x"))

        self.assertEqual(self.file.read(), {"a": TOKEN, "b": Login("bob", "x")})
        modes = [stat.S_IMODE(os.stat(one).st_mode) for one in (self.path, os.path.dirname(self.path))]
        self.assertEqual(modes, [0o600, 0o700])
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["credentials.json"])
        self.assertEqual([self.file.remove("a"), self.file.remove("a")], [TOKEN, None])
        self.assertEqual(list(self.file.read()), ["b"])

    def test_elsewhere(self) -> None:
        """XDG_CONFIG_HOME names another place."""
        CredentialsFile.of_user({"HOME": "/nowhere", "XDG_CONFIG_HOME": self.home}).put("a", TOKEN)

        self.assertTrue(os.path.exists(os.path.join(self.home, "pkgd/credentials.json")))

    def test_broken(self) -> None:
        """What cannot be read is an error without anything of it, and is not overwritten."""
        os.makedirs(os.path.dirname(self.path))
        for text in ("{", "[]", '{"a": 1}', '{"a": {"user": "canary"}}', "\udcff"):
            with open(self.path, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
            error = self.assertRaises(ConfigError, self.file.put, "b", TOKEN)
            self.assertNotIn("canary", error.message)
            self.assertIsNone(error.__cause__)
            with open(self.path, encoding="utf-8", errors="surrogateescape") as file:
                self.assertEqual(file.read(), text)

    def test_unwritable(self) -> None:
        """Where nothing can be written, that is said."""
        with open(os.path.join(self.mktemp()), "w", encoding="utf-8") as file:
            path = os.path.abspath(file.name)

        self.assertRaises(ConfigError, CredentialsFile(os.path.join(path, "pkgd/credentials.json")).put, "a", TOKEN)

    def test_hidden(self) -> None:
        """A secret does not show."""
        self.assertNotIn("canary", repr(TOKEN))


class NameTests(SynchronousTestCase):
    """What a server is called."""

    def test_names(self) -> None:
        """However it is written, as docker does: with scheme, path, or neither."""
        for text in ("https://pkg.example.com", "pkg.example.com", "PKG.example.com/", "https://pkg.example.com/v2/\n"):
            self.assertEqual(server_name(text), "pkg.example.com")
        for text in ("https://pkg.example.com:443", "pkg.example.com:443/team/app", "http://pkg.example.com:80/"):
            self.assertEqual(server_name(text), "pkg.example.com")
        self.assertEqual(server_name("https://pkg.example.com:80"), "pkg.example.com:80")
        self.assertEqual(server_name("https://u:p@localhost:5000/v1/"), "localhost:5000")
        self.assertEqual(server_name("[::1]:5000"), "[::1]:5000")
