"""Indices of apt, in the form that apt-ftparchive gives them."""

from __future__ import annotations

import hashlib

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats.aptindex import (
    IndexEntry,
    ReleaseFields,
    packages_stanza,
    release_file,
    sources_stanza,
    translation_stanza,
)
from pkgd.formats.deb import BinaryPackage, read_deb
from pkgd.formats.deb822 import parse_stanza
from pkgd.formats.dsc import read_dsc
from pkgd.formats.filehashes import FileHashes
from tests.formats.debs import deb, reader
from tests.formats.test_dsc import DSC

HASHES = FileHashes(1234, "m" * 32, "1" * 40, "2" * 64, "5" * 128)
DESCRIPTION = "a greeting\n It greets.\n .\n Friendly."


def package(**fields: str | None) -> BinaryPackage:
    data = deb(**fields)
    return read_deb(reader(data), len(data))


class PackagesTests(SynchronousTestCase):
    """A stanza of Packages: the package's own fields in apt's order, and the repository's."""

    def test_stanza(self) -> None:
        """Every field in its place, with an empty line behind the last."""
        stanza = packages_stanza(package(Depends="libc6"), "pool/main/h/hello/hello_2.10-3_amd64.deb", HASHES)

        expected = (
            "Package: hello\nArchitecture: amd64\nVersion: 2.10-3\nPriority: optional\nSection: utils\n"
            "Maintainer: Someone <someone@example.org>\nDepends: libc6\n"
            "Filename: pool/main/h/hello/hello_2.10-3_amd64.deb\nSize: 1234\n"
            f"MD5sum: {HASHES.md5}\nSHA1: {HASHES.sha1}\nSHA256: {HASHES.sha256}\nSHA512: {HASHES.sha512}\n"
            f"Description: {DESCRIPTION}\n\n"
        )
        self.assertEqual(stanza.decode(), expected)

    def test_unknown_fields(self) -> None:
        """Fields that apt has no place for follow in their order, spelt as they were; Status goes."""
        stanza = packages_stanza(
            package(Zebra="z", ghc_Package="g", Status="install ok installed", TAG="t"), "p", HASHES
        )

        self.assertEqual(stanza.decode().splitlines()[-4:], ["Tag: t", "Zebra: z", "ghc-Package: g", ""])
        self.assertNotIn("Status", parse_stanza(stanza))

    def test_text_is_kept(self) -> None:
        """Space within a value, further lines, and what is not ASCII stay; empty fields stay empty."""
        stanza = packages_stanza(package(X_Space=" two  ä ", X_Lines="\n one\n  two", X_None=""), "p", HASHES).decode()

        self.assertTrue(stanza.endswith("X-Space:  two  ä\nX-Lines: \n one\n  two\nX-None:\n\n"), stanza)

    def test_words(self) -> None:
        """Section and Priority are written anew, and left out if they are empty."""
        stanza = packages_stanza(package(Section="  utils", Priority=""), "p", HASHES)

        self.assertIn(b"\nSection: utils\n", stanza)
        self.assertNotIn(b"Priority", stanza)

    def test_missing_hashes(self) -> None:
        """Hashes that are not known are left out."""
        stanza = parse_stanza(packages_stanza(package(), "p", FileHashes(1, "", "", "2" * 64, "")))

        self.assertEqual([name for name in ("MD5sum", "SHA1", "SHA256", "SHA512") if name in stanza], ["SHA256"])

    def test_translated(self) -> None:
        """With the long description elsewhere, its first line stays, with the hash of all of it and a line end."""
        translated = parse_stanza(packages_stanza(package(), "p", HASHES, is_translated=True))

        digest = hashlib.md5(f"{DESCRIPTION}\n".encode()).hexdigest()  # noqa: S324
        self.assertEqual((translated.get("Description"), translated.get("Description-md5")), ("a greeting", digest))
        expected = f"Package: hello\nDescription-md5: {digest}\nDescription-en: {DESCRIPTION}\n\n"
        self.assertEqual(translation_stanza(package()).decode(), expected)


class SourcesTests(SynchronousTestCase):
    """A stanza of Sources: the .dsc, and the .dsc as a file of its own package."""

    def test_stanza(self) -> None:
        """The source is called Package, has a directory, and the .dsc comes first in each list."""
        stanza = parse_stanza(sources_stanza(read_dsc(DSC.encode()), "pool/main/h/hello", "hello_2.10-3.dsc", HASHES))

        self.assertEqual(
            stanza.names[:2] + stanza.names[-6:-3], ("Package", "Format", "Maintainer", "Directory", "Package-List")
        )
        self.assertEqual((stanza.get("Package"), stanza.get("Directory")), ("hello", "pool/main/h/hello"))
        self.assertNotIn("Source", stanza)
        self.assertEqual(stanza.raw("Package-List"), "\n hello deb utils optional arch=any")
        rows = stanza.raw("Files").split("\n")
        self.assertEqual(rows[:2], ["", f" {HASHES.md5} 1234 hello_2.10-3.dsc"])
        self.assertEqual(rows[2:], DSC.splitlines()[-2:])

    def test_added_lists(self) -> None:
        """Lists that the .dsc has not are made of the files' hashes, if those are known."""
        source = read_dsc(DSC.encode())
        without = parse_stanza(sources_stanza(source, "d", "hello_2.10-3.dsc", HASHES))
        others = {one.name: FileHashes(one.size, "", "", "", "6" * 128) for one in source.files}

        stanza = parse_stanza(sources_stanza(source, "d", "hello_2.10-3.dsc", HASHES, others))

        self.assertNotIn("Checksums-Sha512", without)
        rows = stanza.raw("Checksums-Sha512").split("\n")
        self.assertEqual(
            rows[1:3], [f" {HASHES.sha512} 1234 hello_2.10-3.dsc", f" {'6' * 128} 100 hello_2.10.orig.tar.gz"]
        )


class ReleaseTests(SynchronousTestCase):
    """Release: what a suite is, and the hashes of its indices."""

    fields = ReleaseFields(date=0, codename="bookworm", architectures=["amd64", "all"], components=["main"])

    def test_fields(self) -> None:
        """Empty fields are left out; dates are in UTC, whatever the locale."""
        release = release_file(self.fields, [])

        expected = (
            "Codename: bookworm\nDate: Thu, 01 Jan 1970 00:00:00 UTC\nArchitectures: amd64 all\nComponents: main\n"
        )
        self.assertEqual(release.decode(), expected + "Acquire-By-Hash: yes\n")

    def test_all_fields(self) -> None:
        """Every field that apt knows, in Debian's order."""
        texts = ("suite", "origin", "label", "version", "description", "signed_by", "snapshots")
        fields = ReleaseFields(
            date=1_700_000_000,
            codename="c",
            valid_until=1_700_086_400,
            architectures=["all"],
            components=["main", "contrib"],
            not_automatic=True,
            but_automatic_upgrades=True,
            no_support_for_architecture_all="Packages",
            **{name: f"the {name}" for name in texts},
        )

        stanza = parse_stanza(release_file(fields, []))

        self.assertEqual(
            " ".join(stanza.names),
            "Origin Label Suite Codename Version Date Valid-Until Architectures Components Description Acquire-By-Hash "
            "NotAutomatic ButAutomaticUpgrades Signed-By Snapshots No-Support-for-Architecture-all",
        )
        self.assertEqual(stanza.get("Date"), "Tue, 14 Nov 2023 22:13:20 UTC")
        self.assertEqual(stanza.get("Valid-Until"), "Wed, 15 Nov 2023 22:13:20 UTC")
        self.assertEqual((stanza.get("Signed-By"), stanza.get("NotAutomatic")), ("the signed_by", "yes"))

    def test_entries(self) -> None:
        """A block for each hash: hash, size in sixteen columns, path, in the order of paths."""
        entries = [IndexEntry("main/b", HASHES), IndexEntry("main/a", HASHES)]

        lines = release_file(self.fields, entries).decode().splitlines()[5:]

        self.assertEqual(
            lines[:3], ["MD5Sum:", f" {HASHES.md5}             1234 main/a", f" {HASHES.md5}             1234 main/b"]
        )
        self.assertEqual(lines[3::3], ["SHA1:", "SHA256:", "SHA512:"])

    def test_known_hashes(self) -> None:
        """Hashes that are not known have no block."""
        hashes = FileHashes(1, "", "", "2" * 64, "5" * 128)

        lines = release_file(self.fields, [IndexEntry("a", hashes)]).decode().splitlines()

        self.assertEqual([line for line in lines if line.endswith(":")], ["SHA256:", "SHA512:"])

    def test_forged_fields(self) -> None:
        """A value with a line end would be a field of its own: refused, in whatever guise."""
        for value in ("a\nSHA256:", "a\rb", "a\x85b", "a\u2028b", "a\0"):
            for fields in (
                ReleaseFields(date=0, codename=value, architectures=[], components=[]),
                ReleaseFields(date=0, codename="c", architectures=[value], components=[]),
                ReleaseFields(date=0, codename="c", architectures=[], components=["main", value]),
            ):
                self.assertRaises(InvalidPackage, release_file, fields, [])
            self.assertRaises(InvalidPackage, release_file, self.fields, [IndexEntry(value, HASHES)])
