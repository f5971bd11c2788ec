"""Lines of Contents, as apt-ftparchive has them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats.aptcontents import (
    contents_line,
    contents_lines,
    contents_location,
    is_listable,
    read_contents_line,
)
from tests.properties import bounded

_PATHS = st.binary(min_size=1, max_size=200).filter(
    lambda path: not set(path) & {*range(32), 127} and path[-1:] != b" "
)


class ContentsTests(SynchronousTestCase):
    """Contents: which package has which file."""

    def test_lines(self) -> None:
        """Paths in the order of their bytes, each once, with all that have it."""
        files = [
            (b"usr/b", "utils/b"),
            (b"usr/a", "utils/z"),
            (b"usr/a", "utils/a"),
            (b"usr/a", "utils/a"),
            (b"Z", "x"),
        ]

        lines = [line.split() for line in contents_lines(files)]

        self.assertEqual(lines, [[b"Z", b"x"], [b"usr/a", b"utils/a,utils/z"], [b"usr/b", b"utils/b"]])

    def test_columns(self) -> None:
        """The second column begins at 60, behind tabs and spaces, or one space behind a long path."""
        short, medium, long = (contents_line(path, ["x"]) for path in (b"1", b"2" * 57, b"3" * 70))

        self.assertEqual(short, b"1" + b"\t" * 7 + b"    x\n")
        self.assertEqual(medium, b"2" * 57 + b"   x\n")
        self.assertEqual(long, b"3" * 70 + b" x\n")

    def test_bytes(self) -> None:
        """Paths that are no UTF-8 are written as they were."""
        self.assertTrue(contents_line(b"a\xe4b", ["x"]).startswith(b"a\xe4b\t"))

    def test_none(self) -> None:
        """No files, no lines."""
        self.assertEqual(list(contents_lines([])), [])

    def test_location(self) -> None:
        """Section and name, if the section is one word of harmless characters."""
        self.assertEqual(contents_location("utils", "hello"), "utils/hello")
        self.assertEqual(contents_location("contrib/utils", "hello"), "contrib/utils/hello")
        for section in ("", "two words", "a,b", "a\n b", "\u00e4"):
            self.assertEqual(contents_location(section, "hello"), "hello")

    @bounded
    @given(_PATHS, st.lists(st.sampled_from(["a/b", "c", "contrib/x/libd1+e"]), min_size=1, unique=True))
    def test_read(self, path: bytes, locations: list[str]) -> None:
        """A line is read as what it was made of, whatever bytes its path has."""
        self.assertEqual(read_contents_line(contents_line(path, locations)), (path, locations))

    def test_unreadable(self) -> None:
        """A space at a path's end is lost among those that follow it; there is no path without a byte."""
        self.assertEqual([is_listable(path) for path in (b"a b", b"a ", b"")], [True, False, False])

    def test_no_line(self) -> None:
        """What is none is refused."""
        for line in (b"", b"\n", b"a\n", b" a\n", b"a b", b"a b\nc d\n", b"a \n"):
            self.assertRaises(InvalidPackage, read_contents_line, line)
