"""Repository metadata of rpm, string for string."""

from __future__ import annotations

import textwrap
from typing import Any
from xml.etree import ElementTree

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats import rpmtags as tags
from pkgd.formats.repodata import DOCUMENTS, Fragments, RepomdEntry, closing, fragments, opening, repomd
from pkgd.formats.rpm import read_rpm
from tests.formats.rpms import Value, dependencies, files, i18n, int32, reader, rpm, string, strings
from tests.properties import ANY_TEXT, brief

PKGID = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def written(values: dict[int, Value | None] | None = None, href: str = "Packages/h/hello.rpm") -> Fragments:
    """What is written of a package with these values, which has 2000 bytes and was uploaded at 1800000000."""
    data = rpm(values)
    return fragments(read_rpm(reader(data), len(data)), PKGID, href, 2000, 1800000000)


def parsed(fragment: bytes) -> ElementTree.Element:
    """A fragment as a parser of XML sees it."""
    return ElementTree.fromstring(b'<x xmlns:rpm="rpm">' + fragment + b"</x>")  # noqa: S314


def lines(text: str) -> str:
    """A text that is indented as the code around it."""
    return textwrap.dedent(text).lstrip("\n")


class PrimaryTests(SynchronousTestCase):
    """What primary.xml says of a package."""

    def test_whole(self) -> None:
        """All of it, in createrepo_c's order and layout."""
        values = {
            tags.EPOCH: int32(2),
            tags.URL: string("https://example.org/?a=b&c=d"),
            tags.DESCRIPTION: i18n("First <line>\n second"),
            **dependencies(tags.PROVIDES, ("hello", 8, "2:1.0-1"), ("virtual", 0, "")),
            **dependencies(tags.REQUIRES, ("/bin/sh", 1 << 9, ""), ("a", 12, "1.2-3")),
            **dependencies(tags.CONFLICTS, ("b", 2, "2")),
            **dependencies(tags.OBSOLETES, ("c", 10, "3")),
            **dependencies(tags.RECOMMENDS, ("d", 4, "4")),
            **dependencies(tags.SUGGESTS, ("e", 0, "")),
            **dependencies(tags.SUPPLEMENTS, ("(f and g)", 0, "")),
            **dependencies(tags.ENHANCES, ("h", 0, "")),
            **files("/etc/hello", "/usr/bin/a&b", "/usr/share/x", modes={0: 0o40755}, flags={1: 64}),
        }

        self.assertEqual(
            written(values).primary.decode(),
            lines(
                f"""
            <package type="rpm">
              <name>hello</name>
              <arch>noarch</arch>
              <version epoch="2" ver="1.0" rel="1"/>
              <checksum type="sha256" pkgid="YES">{PKGID}</checksum>
              <summary>A greeting</summary>
              <description>First &lt;line&gt;
             second</description>
              <packager></packager>
              <url>https://example.org/?a=b&amp;c=d</url>
              <time file="1800000000" build="1700000000"/>
              <size package="2000" installed="42" archive="124"/>
              <location href="Packages/h/hello.rpm"/>
              <format>
                <rpm:license>MIT</rpm:license>
                <rpm:vendor></rpm:vendor>
                <rpm:group>Unspecified</rpm:group>
                <rpm:buildhost>builder</rpm:buildhost>
                <rpm:sourcerpm>hello-1.0-1.src.rpm</rpm:sourcerpm>
                <rpm:header-range start="360" end="1637"/>
                <rpm:provides>
                  <rpm:entry name="hello" flags="EQ" epoch="2" ver="1.0" rel="1"/>
                  <rpm:entry name="virtual"/>
                </rpm:provides>
                <rpm:requires>
                  <rpm:entry name="/bin/sh" pre="1"/>
                  <rpm:entry name="a" flags="GE" epoch="0" ver="1.2" rel="3"/>
                </rpm:requires>
                <rpm:conflicts>
                  <rpm:entry name="b" flags="LT" epoch="0" ver="2"/>
                </rpm:conflicts>
                <rpm:obsoletes>
                  <rpm:entry name="c" flags="LE" epoch="0" ver="3"/>
                </rpm:obsoletes>
                <rpm:suggests>
                  <rpm:entry name="e"/>
                </rpm:suggests>
                <rpm:enhances>
                  <rpm:entry name="h"/>
                </rpm:enhances>
                <rpm:recommends>
                  <rpm:entry name="d" flags="GT" epoch="0" ver="4"/>
                </rpm:recommends>
                <rpm:supplements>
                  <rpm:entry name="(f and g)"/>
                </rpm:supplements>
                <file type="dir">/etc/hello</file>
                <file type="ghost">/usr/bin/a&amp;b</file>
              </format>
            </package>
            """
            ),
        )

    def test_nameless(self) -> None:
        """Entries without a name are left out; a list of nothing else is an empty element."""
        found = written(
            {**dependencies(tags.SUGGESTS, ("", 0, "")), **dependencies(tags.ENHANCES, ("", 0, ""), ("a", 0, ""))}
        )

        self.assertIn(b"    <rpm:suggests/>\n", found.primary)
        self.assertEqual(found.primary.count(b"<rpm:entry"), 1)

    def test_version_without_flags(self) -> None:
        """A version without a comparison is not written."""
        self.assertIn(b'<rpm:entry name="a"/>', written(dependencies(tags.SUGGESTS, ("a", 0, "1-1"))).primary)

    def test_comparison_without_version(self) -> None:
        """A comparison with nothing is."""
        self.assertIn(b'<rpm:entry name="a" flags="EQ"/>', written(dependencies(tags.SUGGESTS, ("a", 8, ""))).primary)


class FilelistsTests(SynchronousTestCase):
    """What filelists.xml says of a package."""

    def test_whole(self) -> None:
        """All files, primary or not."""
        values = files("/etc/hello", "/usr/share/<x>", "/var/log/y", modes={0: 0o40755}, flags={2: 64})

        self.assertEqual(
            written(values).filelists.decode(),
            lines(
                f"""
            <package pkgid="{PKGID}" name="hello" arch="noarch">
              <version epoch="0" ver="1.0" rel="1"/>
              <file type="dir">/etc/hello</file>
              <file>/usr/share/&lt;x&gt;</file>
              <file type="ghost">/var/log/y</file>
            </package>
            """
            ),
        )

    def test_none(self) -> None:
        """A package without files is listed."""
        self.assertEqual(written().filelists.count(b"\n"), 3)


class OtherTests(SynchronousTestCase):
    """What other.xml says of a package."""

    def test_whole(self) -> None:
        """The latest changes."""
        values = {
            tags.CHANGELOG_TIME: int32(20, 10),
            tags.CHANGELOG_NAME: strings('Zoë "Z" <z@a>', "A"),
            tags.CHANGELOG_TEXT: strings("- ünï & <more>", "- first"),
        }

        self.assertEqual(
            written(values).other.decode(),
            lines(
                f"""
            <package pkgid="{PKGID}" name="hello" arch="noarch">
              <version epoch="0" ver="1.0" rel="1"/>
              <changelog author="A" date="10">- first</changelog>
              <changelog author="Zo&#xEB; &quot;Z&quot; &lt;z@a&gt;" date="20">- ünï &amp; &lt;more&gt;</changelog>
            </package>
            """
            ),
        )


class EscapeTests(SynchronousTestCase):
    """How characters are written."""

    def test_text(self) -> None:
        """In texts, markup and carriage returns are escaped, and nothing else."""
        self.assertIn(
            '<summary>&lt;a&gt; &amp; "b"\t\n&#13; ü ]]&gt;</summary>'.encode(),
            written({tags.SUMMARY: i18n('<a> & "b"\t\n\r ü ]]>')}).primary,
        )

    def test_attribute(self) -> None:
        """In attributes quotes, white space and what is beyond ASCII are, too."""
        found = written(dependencies(tags.SUGGESTS, ("<a>&\"'\t\n\rü😀", 0, ""))).primary

        self.assertIn(b'name="&lt;a&gt;&amp;&quot;\'&#9;&#10;&#13;&#xFC;&#x1F600;"/>', found)

    @brief
    @given(ANY_TEXT)
    def test_any_text(self, text: str) -> None:
        """Whatever a package says, it is refused, or what a parser reads is what was said."""
        raw = text.replace("\0", "").encode("utf-8", "surrogatepass")
        try:
            found = written(
                {
                    tags.SUMMARY: i18n(raw),
                    **dependencies(tags.SUGGESTS, (b"a" + raw, 0, "")),
                    **files(b"/etc/" + raw.replace(b"/", b"")),
                }
            )
        except InvalidPackage:
            return
        document = parsed(found.primary)
        said = document.findtext("package/summary")
        entry = document.find("package/format/{rpm}suggests/{rpm}entry")
        path = parsed(found.filelists).findtext("package/file")

        if not any("\ud800" <= one <= "\udfff" for one in text):
            expected = text.replace("\0", "")
            self.assertEqual((said, entry is not None and entry.get("name")), (expected, "a" + expected))
            self.assertEqual(path, "/etc/" + expected.replace("/", ""))


class HrefTests(SynchronousTestCase):
    """Where a package is said to be."""

    def test_good(self) -> None:
        """Within the repository, as it is."""
        self.assertIn(b'href="Packages/a/a+b~c^1_2.rpm"', written(href="Packages/a/a+b~c^1_2.rpm").primary)

    def test_bad(self) -> None:
        """Nothing that could lead a client elsewhere is ever written."""
        for href in ("", "/a", "../a", "a/../b", "a\\b", "a%2fb", "http://a", "a b", "a\n", 'a"', "ä"):
            self.assertRaises(InvalidPackage, written, href=href)
            self.assertRaises(InvalidPackage, repomd, "1", [RepomdEntry("primary", href, 0, 0, "")])


class DocumentTests(SynchronousTestCase):
    """What is around the fragments."""

    def test_opening(self) -> None:
        """A document says how many packages it has."""
        declaration = b'<?xml version="1.0" encoding="UTF-8"?>\n'
        other = b'<otherdata xmlns="http://linux.duke.edu/metadata/other" packages="12">\n'

        self.assertEqual(opening("other", 12), declaration + other)
        self.assertEqual(closing("other"), b"</otherdata>")

    def test_documents(self) -> None:
        """Each is well-formed with any number of packages."""
        made = written(dependencies(tags.SUGGESTS, ("a", 0, "")))
        for kind in DOCUMENTS:
            document = opening(kind, 2) + getattr(made, kind) * 2 + closing(kind)
            root = ElementTree.fromstring(document)  # noqa: S314
            self.assertEqual((len(root), root.get("packages")), (2, "2"))
            self.assertEqual(len(ElementTree.fromstring(opening(kind, 0) + closing(kind))), 0)  # noqa: S314


class RepomdTests(SynchronousTestCase):
    """The document that names all others."""

    def entry(self, kind: str, **more: Any) -> RepomdEntry:
        """An entry."""
        return RepomdEntry(kind, f"repodata/{kind}.xml.gz", timestamp=5, size=10, sha256="ab", **more)

    def test_whole(self) -> None:
        """Revision, and of each file how it can be checked."""
        entries = [self.entry("primary", open_size=20, open_sha256="cd"), self.entry("group")]

        self.assertEqual(
            repomd("7", entries).decode(),
            lines(
                """
            <?xml version="1.0" encoding="UTF-8"?>
            <repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
              <revision>7</revision>
              <data type="primary">
                <checksum type="sha256">ab</checksum>
                <open-checksum type="sha256">cd</open-checksum>
                <location href="repodata/primary.xml.gz"/>
                <timestamp>5</timestamp>
                <size>10</size>
                <open-size>20</open-size>
              </data>
              <data type="group">
                <checksum type="sha256">ab</checksum>
                <location href="repodata/group.xml.gz"/>
                <timestamp>5</timestamp>
                <size>10</size>
              </data>
            </repomd>
            """
            ),
        )

    def test_escapes(self) -> None:
        """The revision is text."""
        self.assertIn(b"<revision>&lt;1&gt;</revision>", repomd("<1>", []))
