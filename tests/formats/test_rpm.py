"""Packages of rpm: what is read of one, and which are refused."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats import rpmtags as tags
from pkgd.formats.repodata import fragments
from pkgd.formats.rpm import ChangelogEntry, Limits, RpmPackage, read_rpm
from tests.formats.rpms import (
    Value,
    binary,
    dependencies,
    files,
    i18n,
    int32,
    int64,
    reader,
    rpm,
    string,
    strings,
)
from tests.properties import brief


def read(data: bytes, limits: Limits | None = None) -> RpmPackage:
    """Read a package given as bytes."""
    return read_rpm(reader(data), len(data), limits)


def package(values: dict[int, Value | None] | None = None, **more: Any) -> RpmPackage:
    """Read a package that has these values."""
    return read(rpm(values, **more))


class IdentityTests(SynchronousTestCase):
    """What a package is called."""

    def test_names(self) -> None:
        """Name, version, release and architecture make the file's name; the epoch doesn't."""
        found = package({tags.EPOCH: int32(2), tags.NAME: string("libstdc++"), tags.VERSION: string("1.0~rc1^git_2")})

        self.assertEqual(found.file_name, "libstdc++-1.0~rc1^git_2-1.noarch.rpm")
        self.assertEqual(found.nevra, "libstdc++-2:1.0~rc1^git_2-1.noarch")

    def test_no_epoch(self) -> None:
        """Without an epoch it is 0, and not mentioned."""
        found = package()

        self.assertEqual((found.epoch, found.nevra), (0, "hello-1.0-1.noarch"))

    def test_grammar(self) -> None:
        """Nothing that could lead elsewhere in a path or a URL, or be taken for something else, is a name."""
        for tag in (tags.NAME, tags.VERSION, tags.RELEASE, tags.ARCH):
            for value in ("", "a/b", "../a", "a..b", "a\\b", "a%2fb", "a b", "a\n", "é", "a:b", "%{x}", b"1\xb1"):
                self.assertRaises(InvalidPackage, package, {tag: string(value)})
            self.assertRaises(InvalidPackage, package, {tag: None})

    def test_dash(self) -> None:
        """A dash is allowed where it isn't ambiguous."""
        self.assertEqual(package({tags.NAME: string("a-b")}).name, "a-b")
        self.assertRaises(InvalidPackage, package, {tags.VERSION: string("1-2")})
        self.assertRaises(InvalidPackage, package, {tags.NAME: string("-a")})

    def test_length(self) -> None:
        """A file's name has at most 255 bytes."""
        rest = len("-1.0-1.noarch.rpm")

        self.assertEqual(len(package({tags.NAME: string("a" * (255 - rest))}).file_name), 255)
        self.assertRaises(InvalidPackage, package, {tags.NAME: string("a" * (256 - rest))})

    def test_source(self) -> None:
        """A source package says so; its architecture is then `src`, whatever it was built on."""
        found = package({tags.SOURCE_PACKAGE: int32(1), tags.SOURCE_RPM: None})

        self.assertEqual((found.is_source, found.arch, found.source_rpm), (True, "src", ""))

    def test_old_source(self) -> None:
        """Of old, nothing says it but that its files are in no directory."""
        silent: dict[int, Value | None] = {tags.SOURCE_PACKAGE: None, tags.SOURCE_RPM: None}
        for path, expected in (("hello.spec", ("src", "")), ("/usr/bin/hello", ("noarch", "(none)"))):
            split = files(path)
            whole = {**split, **dict.fromkeys((tags.BASE_NAMES, tags.DIR_NAMES, tags.DIR_INDEXES))}
            whole[tags.OLD_FILE_NAMES] = strings(path)
            for values in (split, whole):
                found = package({**silent, **values})
                self.assertEqual((found.arch, found.source_rpm), expected)


class ValueTests(SynchronousTestCase):
    """What else is read."""

    def test_texts(self) -> None:
        """Texts are read untranslated."""
        found = package({tags.SUMMARY: i18n("Hello", "Hallo"), tags.URL: string("https://example.org/")})

        self.assertEqual(
            (found.summary, found.url, found.license, found.vendor), ("Hello", "https://example.org/", "MIT", "")
        )

    def test_sizes(self) -> None:
        """Sizes have four bytes, or eight where these are not enough."""
        long = {tags.LONG_SIZE: int64(1 << 40), tags.SIZE: None}
        signatures = {tags.SIG_LONG_ARCHIVE_SIZE: int64(1 << 41), tags.SIG_ARCHIVE_SIZE: None}
        small, large = package(), package(long, signatures=signatures)

        self.assertEqual((small.installed_size, small.archive_size), (42, 124))
        self.assertEqual((large.installed_size, large.archive_size), (1 << 40, 1 << 41))

    def test_archive_size_in_header(self) -> None:
        """The archive's size may be in the header instead."""
        found = package({tags.ARCHIVE_SIZE: int32(9)}, signatures={tags.SIG_ARCHIVE_SIZE: None})

        self.assertEqual(found.archive_size, 9)

    def test_place(self) -> None:
        """The header's place is known, and what lies behind it is not read."""
        data = rpm(payload=b"")
        found = read(data)

        self.assertEqual((found.header_end, found.size), (len(data), len(data)))
        self.assertEqual(data[found.header_start :][:4], b"\x8e\xad\xe8\x01")
        self.assertEqual(found.header_start % 8, 0)

    def test_formats(self) -> None:
        """Packages of rpm 3, 4 and 6 are told apart."""
        modern = {
            tags.SIG_SIZE: None,
            tags.SIG_MD5: None,
            tags.SIG_ARCHIVE_SIZE: None,
            tags.SIG_RESERVED: binary(b"\0"),
        }
        found = [package(region=0), package(), package({tags.RPM_FORMAT: int32(6)}, signatures=modern)]

        self.assertEqual([one.rpm_format for one in found], [3, 4, 6])

    def test_provides_itself(self) -> None:
        """Packages of rpm 3 provide themselves without saying so; others have to say it."""
        old, new = package({tags.EPOCH: int32(3)}, region=0), package()

        self.assertEqual([one[:5] for one in old.dependencies["provides"]], [("hello", "EQ", "3", "1.0", "1")])
        self.assertEqual(new.dependencies["provides"], ())

    def test_old_provides(self) -> None:
        """Rpm 3 listed provides without versions, or what they should have been at once."""
        bare = package({tags.PROVIDES[0]: strings("a")}, region=0)
        said = package(dependencies(tags.PROVIDES, ("hello", 8, "1.0-1")), region=0)

        self.assertEqual([one.name for one in bare.dependencies["provides"]], ["a", "hello"])
        self.assertEqual([one.name for one in said.dependencies["provides"]], ["hello"])


class ChangelogTests(SynchronousTestCase):
    """What was changed."""

    def entries(self, times: list[int], author: str | bytes = "A") -> list[ChangelogEntry]:
        """The changelog of a package whose entries have these times, as the header has them: latest first."""
        numbers = range(len(times))
        values = {
            tags.CHANGELOG_TIME: int32(*times),
            tags.CHANGELOG_NAME: strings(*(author for _ in numbers)),
            tags.CHANGELOG_TEXT: strings(*(f"- {number}" for number in numbers)),
        }
        return list(package(values).changelog)

    def test_order(self) -> None:
        """The oldest entry comes first."""
        self.assertEqual(self.entries([30, 20]), [ChangelogEntry("A", 20, "- 1"), ChangelogEntry("A", 30, "- 0")])

    def test_latest(self) -> None:
        """Only the ten latest are kept."""
        self.assertEqual(
            [entry.text for entry in self.entries(list(range(40, 28, -1)))], [f"- {n}" for n in range(9, -1, -1)]
        )

    def test_equal_times(self) -> None:
        """Entries of one time are set a second apart."""
        self.assertEqual([entry.date for entry in self.entries([20, 20, 20, 19, 10, 10])], [10, 11, 19, 20, 21, 22])

    def test_author(self) -> None:
        """Spaces behind the author are cut."""
        self.assertEqual(self.entries([1], "A B  <a@b> - 1 ")[0].author, "A B  <a@b> - 1")

    def test_incomplete(self) -> None:
        """A changelog without one of its parts is none."""
        self.assertEqual(package({tags.CHANGELOG_TIME: int32(1), tags.CHANGELOG_NAME: strings("A")}).changelog, ())


class RefusalTests(SynchronousTestCase):
    """What is no package, or none for a repository."""

    def test_lead(self) -> None:
        """The lead's magic, version and kind of signature are those of rpm 3 to 6."""
        data = rpm()
        for at, value in ((0, 0), (4, 2), (4, 5), (79, 1)):
            self.assertRaises(InvalidPackage, read, data[:at] + bytes([value]) + data[at + 1 :])

    def test_cut(self) -> None:
        """A file that ends before its payload is refused, wherever it ends."""
        data = rpm(payload=b"")
        for size in range(0, len(data), 7):
            self.assertRaises(InvalidPackage, read, data[:size])

    def test_controls(self) -> None:
        """Control characters, which XML cannot carry, are refused in every text."""
        odd = [bytes([byte]) for byte in range(1, 32) if byte not in (9, 10, 13)]
        odd += ["\ufffe".encode(), "\uffff".encode()]
        for character in odd:
            self.assertRaises(InvalidPackage, package, {tags.SUMMARY: i18n(b"a" + character)})
        for values in (
            {tags.URL: string(odd[0])},
            dependencies(tags.REQUIRES, (b"a" + odd[0], 0, "")),
            dependencies(tags.PROVIDES, ("a", 8, odd[0])),
            files(b"/a" + odd[0]),
            files(b"/" + odd[0] + b"/a"),
            {tags.CHANGELOG_TIME: int32(1), tags.CHANGELOG_NAME: strings("a"), tags.CHANGELOG_TEXT: strings(odd[0])},
            {tags.CHANGELOG_TIME: int32(1), tags.CHANGELOG_NAME: strings(odd[0]), tags.CHANGELOG_TEXT: strings("a")},
        ):
            self.assertRaises(InvalidPackage, package, values)

    def test_unseen_controls(self) -> None:
        """What no repository lists may have them: translations, and all but the latest changes."""
        times = range(20, 0, -1)
        values = {
            tags.SUMMARY: i18n("fine", b"\x01"),
            tags.CHANGELOG_TIME: int32(*times),
            tags.CHANGELOG_NAME: strings(*("A" for _ in times)),
            tags.CHANGELOG_TEXT: strings(*("fine" if time > 10 else b"\x01" for time in times)),
        }

        self.assertEqual(package(values).summary, "fine")

    def test_signature_tags(self) -> None:
        """The signature header's tags are well-formed, and not in the header."""
        for tag, value in (
            (tags.SIG_SHA256, int32(1)),
            (tags.SIG_MD5, binary(b"short")),
            (tags.SIG_SIZE, int32(1, 2)),
            (tags.SIG_RSA, string("x")),
            (tags.SIG_OPENPGP, strings("not base64!")),
        ):
            self.assertRaises(InvalidPackage, package, signatures={tag: value})
        self.assertRaises(InvalidPackage, package, {tags.SIG_RSA: binary(b"x")})
        self.assertRaises(InvalidPackage, package, {tags.ARCHIVE_SIZE: int32(1)})

    def test_header_limit(self) -> None:
        """Headers have a limit."""
        data = rpm({tags.DESCRIPTION: i18n("a" * 5000)})

        self.assertEqual(len(read(data).description), 5000)
        self.assertRaises(InvalidPackage, read, data, Limits(header_bytes=4000))

    def test_other_limits(self) -> None:
        """So have files, their paths as XML, dependencies, texts and the latest changes."""
        change = {
            tags.CHANGELOG_TIME: int32(1),
            tags.CHANGELOG_NAME: strings("a"),
            tags.CHANGELOG_TEXT: strings("a" * 999),
        }
        for values, limits in (
            (files("/a", "/b", "/c"), Limits(files=2)),
            (files(*(f"/a&b&c/{number}" for number in range(10))), Limits(path_bytes=160)),
            (dependencies(tags.REQUIRES, *(("a", 0, ""),) * 3), Limits(dependencies=2)),
            ({tags.DESCRIPTION: i18n("a" * 999)}, Limits(text_bytes=999)),
            (dependencies(tags.PROVIDES, ("a" * 999, 0, "")), Limits(text_bytes=999)),
            (change, Limits(text_bytes=999)),
        ):
            self.assertEqual(read(rpm(values)).name, "hello")
            self.assertRaises(InvalidPackage, read, rpm(values), limits)


class HostileTests(SynchronousTestCase):
    """Whatever is changed, there is a package or InvalidPackage."""

    rich = rpm(
        {
            **dependencies(tags.PROVIDES, ("hello", 8, "1.0-1"), ("hello(x)", 0, "")),
            **dependencies(tags.REQUIRES, ("/bin/sh", 1 << 9, ""), ("libc.so.6(GLIBC_2.4)", 0, "")),
            **files("/usr/bin/hello", "/usr/share/hello", "/etc/hello", flags={2: 64}),
            tags.CHANGELOG_TIME: int32(2, 1),
            tags.CHANGELOG_NAME: strings("A", "B"),
            tags.CHANGELOG_TEXT: strings("- a", "- b"),
        },
        payload=b"",
    )

    def survive(self, data: bytes) -> None:
        """Read it, and write what was read."""
        try:
            found = read(data)
        except InvalidPackage:
            return
        self.assertTrue(fragments(found, "0" * 64, "a.rpm", found.size, 0).primary.endswith(b"</package>\n"))

    def test_every_byte(self) -> None:
        """Any byte may be any other."""
        for at in range(len(self.rich)):
            for value in (0, 1, 0x7F, 0xFF, self.rich[at] ^ 4):
                self.survive(self.rich[:at] + bytes([value]) + self.rich[at + 1 :])

    @brief
    @given(st.lists(st.tuples(st.integers(0, len(rich) - 1), st.integers(0, 255)), min_size=2, max_size=8))
    def test_several_bytes(self, changes: list[tuple[int, int]]) -> None:
        """So may several."""
        data = bytearray(self.rich)
        for at, value in changes:
            data[at] = value
        self.survive(bytes(data))
