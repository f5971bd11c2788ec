"""The file of users: what is accepted, what is refused with its line, and when it is read again."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.htpasswd import HtpasswdFile, parse_htpasswd
from pkgd.errors import ConfigError

HASH = "$2y$10$" + "a" * 53
NAME = "/etc/pkgd/users"


class ParseTests(SynchronousTestCase):
    """One line a user."""

    def test_users(self) -> None:
        """Names and hashes of all three kinds of bcrypt, cost 4 to 14; comments and empty lines are no users."""
        lines = ["# users", "", f"alice:{HASH}", f"bob:$2a$04${'b' * 53}\r", f"müller:$2b$14${'./' * 26}.", "  "]

        found = parse_htpasswd("\n".join(lines).encode("utf-8"), NAME)

        self.assertEqual(list(found.hashes), ["alice", "bob", "müller"])
        self.assertEqual(found.hashes["alice"], HASH.encode("ascii"))
        self.assertEqual(found.weak, ("bob",))

    def test_empty(self) -> None:
        """A file without users has none; then unknown ones cost what bcrypt usually does."""
        found = parse_htpasswd(b"", NAME)

        self.assertEqual((found.hashes, found.dummy[:7]), ({}, b"$2b$10$"))

    def test_dummy(self) -> None:
        """Unknown users cost what most users do."""
        lines = [f"a:$2a$12${'b' * 53}", f"b:$2a$12${'b' * 53}", f"c:$2a$05${'b' * 53}"]

        self.assertEqual(parse_htpasswd("\n".join(lines).encode("ascii"), NAME).dummy[:7], b"$2b$12$")

    def test_stamps(self) -> None:
        """A user's stamp changes with the hash."""
        one, other = (parse_htpasswd(f"a:$2a$10${letter * 53}".encode("ascii"), NAME) for letter in "bc")

        self.assertNotEqual(one.stamps["a"], other.stamps["a"])

    def test_refused(self) -> None:
        """Whatever is anything else refuses the file, with the line, and without the hash."""
        bad = [
            "alice",
            "alice:",
            f":{HASH}",
            "alice:secret",
            "alice:$apr1$abcdefgh$0123456789abcdefghijkl",
            "alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
            "alice:$6$salt$" + "x" * 86,
            f"alice:{HASH[:-1]}",
            f"alice:{HASH}x",
            f"alice:{HASH} ",
            f"alice:{HASH}:more",
            "alice:" + HASH.replace("$10$", "$03$"),
            "alice:" + HASH.replace("$10$", "$15$"),
            "alice:" + HASH.replace("$10$", "$31$"),
            "alice:" + HASH.replace("$2y$", "$2x$"),
            "alice:" + HASH.replace("$10$", "$1$"),
            f"a\x00b:{HASH}",
            "u" * 257 + f":{HASH}",
            f"bob:{HASH}",
        ]
        for line in bad:
            text = f"bob:{HASH}\n\n{line}\n"
            error: ConfigError = self.assertRaises(ConfigError, parse_htpasswd, text.encode("utf-8"), NAME)
            self.assertEqual(error.path, "auth.basic_htpasswd_file")
            self.assertTrue(error.reason.startswith(f"{NAME}, line 3: "), error.reason)
            self.assertNotIn(HASH[7:20], error.reason)

    def test_not_utf8(self) -> None:
        """So does what is no text."""
        error: ConfigError = self.assertRaises(ConfigError, parse_htpasswd, f"a:{HASH}\n".encode() + b"\xff", NAME)
        self.assertIn("line 2", error.reason)


class FileTests(SynchronousTestCase):
    """Reading it again."""

    def setUp(self) -> None:
        """A file with one user."""
        self.folder = self.mktemp()
        os.makedirs(self.folder)
        self.path = os.path.join(self.folder, "users")
        self.write(f"alice:{HASH}\n")
        self.file = HtpasswdFile(self.path)
        self.file.read()

    def write(self, text: str) -> None:
        """Put another text into the file."""
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)

    def users(self) -> list[str] | None:
        """Who is read, if it has changed."""
        found = self.file.read_if_changed()
        return None if found is None else list(found.hashes)

    def test_unchanged(self) -> None:
        """Nothing is read while the file stays as it is."""
        self.assertIsNone(self.users())

    def test_changed(self) -> None:
        """A change of its size, or of its time alone, is seen, once."""
        self.write(f"alice:{HASH}\nbob:{HASH}\n")
        self.assertEqual((self.users(), self.users()), (["alice", "bob"], None))

        os.utime(self.path, ns=(1, 1))
        self.assertEqual((self.users(), self.users()), (["alice", "bob"], None))

    def test_replaced(self) -> None:
        """So is another file of the same size and time in its place."""
        seen = os.stat(self.path)
        other = f"{self.path}.new"
        with open(other, "w", encoding="utf-8") as file:
            file.write(f"carol:{HASH}\n")
        os.utime(other, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        os.replace(other, self.path)

        self.assertEqual(self.users(), ["carol"])

    def test_link(self) -> None:
        """A Kubernetes secret changes as the link `..data` does, which the file's own link leads through."""
        for name, user in (("one", "alice"), ("two", "bobby")):
            os.makedirs(os.path.join(self.folder, name))
            with open(os.path.join(self.folder, name, "users"), "w", encoding="utf-8") as file:
                file.write(f"{user}:{HASH}\n")
        data, link = os.path.join(self.folder, "..data"), os.path.join(self.folder, "link")
        os.symlink("one", data)
        os.symlink("..data/users", link)
        self.file = HtpasswdFile(link)
        self.assertEqual(list(self.file.read().hashes), ["alice"])

        os.symlink("two", f"{data}.tmp")
        os.replace(f"{data}.tmp", data)

        self.assertEqual(self.users(), ["bobby"])

    def test_broken(self) -> None:
        """A broken file is complained about once, and read again when it has changed once more."""
        self.write("alice:secret\n")
        self.assertRaises(ConfigError, self.users)
        self.assertIsNone(self.users())

        self.write(f"carol:{HASH}\n")
        self.assertEqual(self.users(), ["carol"])

    def test_missing(self) -> None:
        """So is one that is gone; once it is back, it is read."""
        os.rename(self.path, f"{self.path}.away")
        self.assertRaises(ConfigError, self.users)
        self.assertIsNone(self.users())

        os.rename(f"{self.path}.away", self.path)
        self.assertEqual(self.users(), ["alice"])

    def test_first(self) -> None:
        """The first time, a file that is not there or a directory is an error."""
        for path in (f"{self.path}.no", self.folder):
            self.assertRaises(ConfigError, HtpasswdFile(path).read)
