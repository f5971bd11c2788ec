"""Source packages and uploads: lists of files that agree with each other."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats.dsc import ChangesFile, SourceFile, SourcePackage, read_changes, read_dsc
from tests.properties import bounded

MD5, SHA1, SHA256 = "a" * 32, "b" * 40, "c" * 64

DSC = f"""Format: 3.0 (quilt)
Source: hello
Binary: hello
Architecture: any
Version: 1:2.10-3
Maintainer: Someone <someone@example.org>
Package-List:
 hello deb utils optional arch=any
Checksums-Sha1:
 {SHA1} 100 hello_2.10.orig.tar.gz
 {SHA1} 20 hello_2.10-3.debian.tar.xz
Checksums-Sha256:
 {SHA256} 100 hello_2.10.orig.tar.gz
 {SHA256} 20 hello_2.10-3.debian.tar.xz
Files:
 {MD5} 100 hello_2.10.orig.tar.gz
 {MD5} 20 hello_2.10-3.debian.tar.xz
"""

CHANGES = f"""Format: 1.8
Source: hello (2.10-3)
Architecture: source amd64
Version: 2.10-3+b1
Distribution: unstable
Changes:
 hello (2.10-3+b1) unstable; urgency=low
 .
   * Rebuild
Checksums-Sha256:
 {SHA256} 7 hello_2.10-3+b1_amd64.deb
Files:
 {MD5} 7 utils optional hello_2.10-3+b1_amd64.deb
"""


def read(text: str) -> SourcePackage:
    return read_dsc(text.encode())


class DscTests(SynchronousTestCase):
    """A .dsc names the files of a source package."""

    def test_source(self) -> None:
        """Name, version, and the files with all their hashes."""
        source = read(DSC)

        self.assertEqual((source.name, source.version), ("hello", "1:2.10-3"))
        self.assertEqual(source.files[0], SourceFile("hello_2.10.orig.tar.gz", 100, MD5, SHA1, SHA256))
        self.assertEqual([one.size for one in source.files], [100, 20])

    def test_signed(self) -> None:
        """Signed and unsigned are the same."""
        armour = f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{DSC}-----BEGIN PGP SIGNATURE-----\n\nx\n"

        self.assertEqual(read(armour + "-----END PGP SIGNATURE-----\n"), read(DSC))

    def test_without_sha1(self) -> None:
        """SHA-1 may be missing, the others not."""
        lines = DSC.splitlines(keepends=True)
        without = read("".join(lines[:8] + lines[11:]))

        self.assertEqual(without.files[1], SourceFile("hello_2.10-3.debian.tar.xz", 20, MD5, "", SHA256))
        self.assertRaises(InvalidPackage, read, "".join(lines[:11] + lines[14:]))
        self.assertRaises(InvalidPackage, read, "".join(lines[:14]))

    def test_lists_that_differ(self) -> None:
        """Another file, another size, or a file twice in one of the lists is refused."""
        for line in (f" {SHA1} 20 hello_2.10-3.debian.tar.xz", f" {MD5} 20 hello_2.10-3.debian.tar.xz"):
            for other in (
                line.replace("debian", "other"),
                line.replace(" 20 ", " 21 "),
                "X-No: list",
                f"{line}\n{line}",
            ):
                self.assertIn(line, DSC)
                self.assertRaises(InvalidPackage, read, DSC.replace(line, other))

    def test_files_of_others(self) -> None:
        """A source package has no files but its own, and not itself."""
        for name in (
            "evil_1.orig.tar.gz",
            "hello.tar.gz",
            "../hello_1.tar.gz",
            "hello_1/x",
            "hello_2.10-3.dsc",
            ".hello_1",
        ):
            self.assertRaises(InvalidPackage, read, DSC.replace("hello_2.10.orig.tar.gz", name))

    def test_lines(self) -> None:
        """Lines have three columns, hashes their length, sizes their digits."""
        line = f" {MD5} 20 hello_2.10-3.debian.tar.xz"
        for bad in (
            line.replace(MD5, MD5[1:]),
            line.replace(MD5, MD5.upper()),
            line.replace("20", "-20"),
            line.replace("20", "020"),
            line.replace("20", "9" * 20),
            line.replace("20", "20 x"),
            line.replace(" 20", ""),
            " hello_2.10-3.debian.tar.xz",
        ):
            self.assertRaises(InvalidPackage, read, DSC.replace(line, bad))

    def test_fields_of_the_repository(self) -> None:
        """What Sources adds cannot be in it already."""
        for name in ("Package", "Directory", "Filename", "sha256"):
            self.assertRaises(InvalidPackage, read, f"{name}: x\n{DSC}")

    def test_names(self) -> None:
        """Name and version are checked as those of binary packages."""
        self.assertRaises(InvalidPackage, read, DSC.replace("Source: hello", "Source: ../hello"))
        self.assertRaises(InvalidPackage, read, DSC.replace("1:2.10-3", "x"))

    def test_many_files(self) -> None:
        """There is a limit to files."""
        self.assertRaises(InvalidPackage, read, DSC + f" {MD5} 1 hello_x\n" * 1000)

    @bounded
    @given(st.integers(0, len(DSC)), st.text("\n :a0-/", max_size=4), st.integers(0, 80))
    def test_any_change(self, at: int, text: str, count: int) -> None:
        """Whatever is changed, it is read or refused."""
        with contextlib.suppress(InvalidPackage):
            read(DSC[:at] + text + DSC[at + count :])


class ChangesTests(SynchronousTestCase):
    """A .changes names what belongs to one upload, and where it should go."""

    def test_changes(self) -> None:
        """The suite, the architectures, and the files with their sections."""
        changes = read_changes(CHANGES.encode())

        self.assertEqual((changes.source, changes.version), ("hello", "2.10-3+b1"))
        self.assertEqual((changes.distribution, changes.architectures), ("unstable", ("source", "amd64")))
        expected = ChangesFile("hello_2.10-3+b1_amd64.deb", 7, MD5, "", SHA256, "utils", "optional")
        self.assertEqual(changes.files, (expected,))

    def test_several_suites(self) -> None:
        """More than one suite may be named, if each is a name."""
        changes = read_changes(CHANGES.replace("on: unstable", "on: a1 b2").encode())

        self.assertEqual(changes.distributions, ("a1", "b2"))
        for bad in ("../x", "a1 b/2", "", " ".join("abcdefghijklmnopq")):
            self.assertRaises(InvalidPackage, read_changes, CHANGES.replace("on: unstable", f"on: {bad}").encode())

    def test_sections(self) -> None:
        """A component may stand before the section, and both may be unknown; nothing else."""
        for section in ("non-free/utils", "-", "?"):
            changes = read_changes(CHANGES.replace("7 utils", f"7 {section}").encode())
            self.assertEqual(changes.files[0].section, section)
        for section in ("../utils", "/utils", "a//b", "a,b"):
            self.assertRaises(InvalidPackage, read_changes, CHANGES.replace("7 utils", f"7 {section}").encode())

    def test_files(self) -> None:
        """Names that lead elsewhere are refused."""
        for name in ("../x.deb", "a/b.deb", ".x", "a%2fb"):
            self.assertRaises(InvalidPackage, read_changes, CHANGES.replace("hello_2.10-3+b1_amd64.deb", name).encode())
