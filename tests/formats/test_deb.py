"""Debian's binary packages: what is read, how little of the file that takes, and what is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats.deb import SERVER_FIELDS, BinaryPackage, file_name, read_deb, walk_deb_paths
from tests.formats.debs import COMPRESSORS, ar, control_tar, data_tar, deb, reader, tar_header
from tests.properties import bounded

FORMAT = ("debian-binary", b"2.0\n")
CONTROL = ("control.tar", control_tar(b"Package: hello\nVersion: 1\nArchitecture: all\n"))
DATA = ("data.tar", data_tar(b"./"))


def read(data: bytes, kind: str | None = None) -> BinaryPackage:
    return read_deb(reader(data), len(data), kind)


def paths(data: bytes, limit: int = 1 << 20) -> list[bytes]:
    return [one for one in walk_deb_paths(reader(data), len(data), limit) if one]


class ReadTests(SynchronousTestCase):
    """A package says what it is in its control file."""

    def test_package(self) -> None:
        """Name, version, architecture, source and section; the rest is in the stanza."""
        package = read(deb(Version="1:2.10-3", Source="hello-src (2.10)"))

        self.assertEqual((package.name, package.version, package.architecture), ("hello", "1:2.10-3", "amd64"))
        self.assertEqual((package.source, package.source_version, package.section), ("hello-src", "2.10", "utils"))
        self.assertEqual(package.control.get("Description"), "a greeting\n It greets.\n .\n Friendly.")
        self.assertEqual((package.kind, package.is_udeb, package.paths), ("deb", False, None))

    def test_own_source(self) -> None:
        """Without a field for it, the source has the package's name and version."""
        package = read(deb())

        self.assertEqual((package.source, package.source_version), ("hello", "2.10-3"))

    def test_compressions(self) -> None:
        """control.tar has one of those that dpkg reads there, data.tar also older ones."""
        for compression in ("", "gz", "xz", "zst"):
            self.assertEqual(read(deb(compression=compression)).name, "hello")
        for compression in COMPRESSORS:
            self.assertEqual(paths(deb(data=data_tar(b"./a"), data_compression=compression)), [b"a"])
        for compression in ("bz2", "lzma"):
            self.assertRaises(InvalidPackage, read, deb(compression=compression))

    def test_file_names(self) -> None:
        """The epoch is no part of it; the ending is the kind of package."""
        self.assertEqual(file_name(read(deb(Version="20081126:1.03-4"))), "hello_1.03-4_amd64.deb")
        self.assertEqual(file_name(read(deb(), "ddeb")), "hello_2.10-3_amd64.ddeb")
        self.assertRaises(InvalidPackage, read, deb(Package="a" * 150, Version="1" * 150))

    def test_kinds(self) -> None:
        """Packages for the installer are known by their section, or by a field, if their name doesn't tell."""
        self.assertTrue(read(deb(Section="debian-installer")).is_udeb)
        self.assertTrue(read(deb(Section="non-free/debian-installer")).is_udeb)
        self.assertTrue(read(deb(Package_Type="udeb")).is_udeb)
        self.assertEqual(read(deb(Package_Type="ddeb")).kind, "ddeb")
        self.assertEqual(read(deb(Section="debian-installer"), "deb").kind, "deb")

    def test_little_is_read(self) -> None:
        """However large data.tar is, a few kilobytes are enough; and none of it is needed."""
        data, asked = deb(compression="xz", data=b"\xff" * 10_000_000), []

        def read_at(offset: int, size: int) -> bytes:
            asked.append(size)
            return data[offset : offset + size]

        package = read_deb(read_at, len(data))

        self.assertEqual(package.name, "hello")
        self.assertLess(sum(asked), 3000)

    def test_missing(self) -> None:
        """Three fields have to be there, in one line; the others need not."""
        for field in ("Package", "Version", "Architecture"):
            for value in (None, "", "a\n b", "\n a"):
                self.assertRaises(InvalidPackage, read, deb(**{field: value}))
        self.assertEqual(read(deb(Section=None, Priority=None, Maintainer=None, Description=None)).section, "")

    def test_fields_of_the_repository(self) -> None:
        """A package that says where it is or what its hash is would speak for the repository: refused."""
        for name in (*SERVER_FIELDS, "filename", "sha256", "MD5SUM"):
            self.assertRaises(InvalidPackage, read, deb(**{name: "pool/evil.deb"}))

    def test_forged_stanzas(self) -> None:
        """A second stanza, however it is made to look, is refused."""
        good = b"Package: hello\nVersion: 1\nArchitecture: all\n"
        for more in (b"\nPackage: evil\n", b"\n\nX: y\n", b" \nPackage: evil\n", b"\r\n\r\nX: y\n", b"Package: evil\n"):
            self.assertRaises(InvalidPackage, read, deb(good + more))
        self.assertRaises(InvalidPackage, read, deb(good.removesuffix(b"\n")))
        self.assertEqual(read(deb(good)).name, "hello")

    def test_values(self) -> None:
        """Names that mean something in a path, and words and relations that dpkg does not know, are refused."""
        for fields in (
            {"Package": "../hello"},
            {"Version": "1/2"},
            {"Architecture": "any"},
            {"Source": "../x"},
            {"Multi-Arch": "maybe"},
            {"Essential": "true"},
            {"Priority": "very important"},
            {"Priority": "optional-"},
            {"Multi-Arch": "\n same"},
            {"Depends": "\n a1"},
            {"Depends": "a1 b2"},
            {"X": "y"},
        ):
            self.assertRaises(InvalidPackage, read, deb(**fields))


class MembersTests(SynchronousTestCase):
    """deb(5): which members, and in which order."""

    def test_format(self) -> None:
        """Format 2 in any minor version, more lines ignored; no other."""
        for content in (b"2.0\n", b"2.1\n", b"2.0\nmore\n"):
            self.assertEqual(read(ar(("debian-binary", content), CONTROL, DATA)).name, "hello")
        for content in (b"", b"2", b"2.0", b"3.0\n", b"12.0\n", b"2.x\n", b"\n2.0\n"):
            self.assertRaises(InvalidPackage, read, ar(("debian-binary", content), CONTROL, DATA))

    def test_more_members(self) -> None:
        """Names that begin with `_` may stand anywhere behind the first, others behind the last: signatures."""
        data = ar(FORMAT, ("_a", b"x"), CONTROL, ("_b", b"y"), DATA, ("_gpgorigin", b"z"), ("extra", b""))

        self.assertEqual(read(data).name, "hello")

    def test_order(self) -> None:
        """A member that is missing, in another place, or between them is refused."""
        for members in (
            (),
            (FORMAT,),
            (FORMAT, CONTROL),
            (FORMAT, DATA),
            (CONTROL, DATA),
            (FORMAT, DATA, CONTROL),
            (CONTROL, FORMAT, DATA),
            (("_a", b""), FORMAT, CONTROL, DATA),
            (FORMAT, ("extra", b""), CONTROL, DATA),
            (FORMAT, CONTROL, ("extra", b""), DATA),
            (FORMAT, ("control.tar.Z", b""), DATA),
        ):
            self.assertRaises(InvalidPackage, read, ar(*members))

    def test_twice(self) -> None:
        """dpkg takes the first, apt the last: a second archive or format is refused."""
        for more in (CONTROL, DATA, FORMAT, ("control.tar.gz", b""), ("data.tar.xz", b"")):
            self.assertRaises(InvalidPackage, read, ar(FORMAT, CONTROL, DATA, more))


class HostileTests(SynchronousTestCase):
    """Packages that are out to hurt."""

    def test_sizes_of_apts_cve(self) -> None:
        """CVE-2020-27350: negative sizes, a member that leads to itself, names and files of gigabytes."""
        header = b"%-16s" + b"\0" * 32 + b"%-10s\0\0"
        crash = header % (b"control.tar", b"") + header % (b"data.tar", b"") + header % (b"#1/13", b"12")
        self.assertRaises(InvalidPackage, read, b"!<arch>\n" + crash + b"debian-binary")
        self.assertRaises(InvalidPackage, read, b"!<arch>\n" + header % (b"#1/20", b"-60") + b"\0" * 20)
        for kind, size in ((b"L", 1 << 26 | 1), (b"K", 1 << 26 | 1), (b"0", 1 << 26 | 1), (b"0", 1 << 37 | 1)):
            self.assertRaises(
                InvalidPackage, read, ar(FORMAT, ("control.tar", tar_header(b"control", size, kind)), DATA)
            )

    def test_bombs(self) -> None:
        """Zeros without end before the control file are cut off, in each compression and in many streams."""
        filler = tar_header(b"./filler", 1 << 32) + b"\0" * (17 << 20)
        for compression in ("", "gz", "xz", "zst"):
            for packed in (COMPRESSORS[compression](filler), COMPRESSORS[compression](filler[: 1 << 20]) * 17):
                member = (f"control.tar.{compression}".rstrip("."), packed)
                with self.assertRaises(InvalidPackage) as raised:
                    read(ar(FORMAT, member, DATA))
                self.assertIn("expands", str(raised.exception))

    def test_limit_of_paths(self) -> None:
        """data.tar is not expanded further than agreed to."""
        data = deb(data=data_tar(b"./a", b"./b"), data_compression="xz")

        self.assertEqual(paths(data, 2048), [b"a", b"b"])
        self.assertRaises(InvalidPackage, paths, data, 1023)

    def test_shorter_than_said(self) -> None:
        """A file that shrinks while it is read is refused."""
        data = deb()

        self.assertRaises(InvalidPackage, read_deb, reader(data[:150]), len(data))

    @bounded
    @given(st.data())
    def test_any_change(self, chosen: st.DataObject) -> None:
        """Whatever is changed in a package, it is read or refused."""
        data = bytearray(deb(compression=chosen.draw(st.sampled_from(["", "gz", "xz", "zst"]))))
        for at, byte in chosen.draw(
            st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=4)
        ):
            data[at] = byte
        with contextlib.suppress(InvalidPackage):
            self.assertTrue(file_name(read(bytes(data))))
        with contextlib.suppress(InvalidPackage):
            paths(bytes(data))

    def test_every_cut(self) -> None:
        """A package that ends early is refused, wherever it ends."""
        data = deb(compression="gz")

        for end in self._ends(len(data)):
            self.assertRaises(InvalidPackage, read, data[:end])

    def _ends(self, size: int) -> Iterator[int]:
        yield from (end for end, _ in pairwise(range(0, size, 13)))
