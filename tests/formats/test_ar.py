"""The outer archive of Debian packages: sizes that add up, and names without tricks."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats.ar import MAX_MEMBERS, Member, read_members
from tests.formats.debs import ar, reader
from tests.properties import bounded


def members(data: bytes) -> tuple[Member, ...]:
    return read_members(reader(data), len(data))


class ArTests(SynchronousTestCase):
    """Members are found by their headers."""

    def test_members(self) -> None:
        """Each has its name and place; content of odd length is padded."""
        found = members(ar(("debian-binary", b"2.0\n"), ("odd", b"x"), ("even", b"yz")))

        self.assertEqual(found, (Member("debian-binary", 68, 4), Member("odd", 132, 1), Member("even", 194, 2)))

    def test_slash(self) -> None:
        """A slash behind the name, as GNU ar writes it, is not part of it."""
        found = members(ar(("debian-binary/", b"2.0\n")))

        self.assertEqual(found[0].name, "debian-binary")

    def test_only_headers_are_read(self) -> None:
        """What a member contains is not looked at."""
        data, asked = ar(("a", b"x" * 100_000), ("b", b"y" * 100_000)), []

        def read_at(offset: int, size: int) -> bytes:
            asked.append(size)
            return data[offset : offset + size]

        read_members(read_at, len(data))

        self.assertLessEqual(sum(asked), 200)

    def test_no_archive(self) -> None:
        """Anything that does not begin as an archive is refused, an empty file too."""
        for data in (b"", b"!<arch>", b"!<thin>\n", b"\x7fELF", b"\x1f\x8b" + b"\0" * 100):
            self.assertRaises(InvalidPackage, members, data)

    def test_size_that_does_not_add_up(self) -> None:
        """A cut archive, bytes left over, and an odd member without its padding are refused."""
        whole = ar(("debian-binary", b"2.0\n"), ("odd", b"xyz"))
        for data in (whole[:-1], whole[:-5], whole[:100], whole + b"\n", whole + b"\0" * 60):
            self.assertRaises(InvalidPackage, members, data)

    def test_headers(self) -> None:
        """Negative sizes, other bases, long names in any dialect and a wrong end of the header are refused."""
        header = ar(("name", b"1234"))[8:68]
        for bad in (
            header.replace(b"4         `", b"-4        `"),
            header.replace(b"4         `", b"+4        `"),
            header.replace(b"4         `", b"0x4       `"),
            header.replace(b"4         `", b" 4        `"),
            header.replace(b"4         `", b"          `"),
            header.replace(b"`\n", b"``"),
            header.replace(b"name", b"/123"),
            header.replace(b"name", b"#1/4"),
            header.replace(b"name", b"na e"),
            header.replace(b"name ", b"na/me"),
            header.replace(b"name", b"\0\0\0\0"),
            header.replace(b"100644", b"100x44"),
        ):
            self.assertNotEqual(bad, header)
            self.assertRaises(InvalidPackage, members, b"!<arch>\n" + bad + b"1234")

    def test_too_many(self) -> None:
        """A handful of members is all that a package has."""
        self.assertEqual(len(members(ar(*[("a", b"")] * MAX_MEMBERS))), MAX_MEMBERS)
        self.assertRaises(InvalidPackage, members, ar(*[("a", b"")] * (MAX_MEMBERS + 1)))

    @bounded
    @given(st.binary(max_size=300).map(lambda rest: b"!<arch>\n" + rest))
    def test_any_bytes(self, data: bytes) -> None:
        """Whatever it is fed, it refuses or finds members within the file."""
        with contextlib.suppress(InvalidPackage):
            for member in members(data):
                self.assertLessEqual(member.start + member.size, len(data))
