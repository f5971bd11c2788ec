"""Tests of the packages that repositories are filled with, and of how the bench looks for them."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pkgd.formats.deb import read_deb
from pkgd.formats.rpm import read_rpm
from tests.bench.archives.archive import NotVisible, check_visible
from tests.bench.archives.made import made, name_of
from tests.bench.figures import Work
from tests.formats.debs import reader


class MadeTests(SynchronousTestCase):
    """Packages with names of their own."""

    def test_a_deb(self) -> None:
        """It says what it is called, and is made once."""
        folder = Path(self.mktemp())
        (path,) = made("deb", folder, range(3, 4))
        data = path.read_bytes()
        package = read_deb(reader(data), len(data))

        self.assertEqual((package.name, package.architecture), (name_of(3), "amd64"))
        path.write_bytes(b"")
        self.assertEqual([one.read_bytes() for one in made("deb", folder, range(3, 4))], [b""])

    def test_an_rpm(self) -> None:
        """It says what it is called."""
        (path,) = made("rpm", Path(self.mktemp()), range(3, 4))
        data = path.read_bytes()

        self.assertEqual(read_rpm(reader(data), len(data)).nevra, f"{name_of(3)}-1.0-1.x86_64")


class Served:
    """An archive that is a few files."""

    label = "served"

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def fill(self, packages: Sequence[Path]) -> None:
        """Not asked for."""
        raise NotImplementedError

    def add(self, packages: Sequence[Path]) -> Work:
        """Not asked for."""
        raise NotImplementedError

    def fetch(self, path: str) -> bytes:
        """One of the files."""
        return self._files[path]


class VisibleTests(SynchronousTestCase):
    """What a fresh client finds."""

    def served(self, *names: str) -> Served:
        """A suite with these packages."""
        path = "main/binary-amd64/Packages.gz"
        text = "".join(f"Package: {name}\nVersion: 1\n\n" for name in names)
        release = f"SHA256:\n {'0' * 64} 17 {path}\n"
        return Served({"InRelease": release.encode(), path: gzip.compress(text.encode())})

    def test_all_there(self) -> None:
        """The packages that were added, and all others by their number."""
        check_visible(self.served("a", "b", "c"), "deb", ["b"], 3)

    def test_one_is_missing(self) -> None:
        """Whichever it is, and if it is one too many."""
        for names, count in ((["d"], 3), (["a"], 4), (["a"], 2)):
            self.assertRaises(NotVisible, check_visible, self.served("a", "b", "c"), "deb", names, count)

    def test_release_says_what_there_is(self) -> None:
        """An index that it does not name is not looked into."""
        served = Served({"InRelease": b"SHA256:\n"})

        self.assertRaises(NotVisible, check_visible, served, "deb", [], 0)
