"""What a package provides, needs and wishes: which entries are listed, and how."""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats import rpmtags as tags
from pkgd.formats.rpm import RpmPackage, read_rpm
from pkgd.formats.rpmdeps import Dependency
from tests.formats.rpms import Value, dependencies, files, int32, reader, rpm, strings

LESS, GREATER, EQUAL = 2, 4, 8
PRE, POST, MISSING_OK, STRONG = 1 << 9, 1 << 10, 1 << 19, 1 << 27

Entries = tuple[tuple[str | bytes, int, str | bytes], ...]


def read(*lists: dict[int, Value]) -> RpmPackage:
    """Read a package that has these lists."""
    values: dict[int, Value | None] = {tag: value for one in lists for tag, value in one.items()}
    data = rpm(values)
    return read_rpm(reader(data), len(data))


def required(*entries: tuple[str | bytes, int, str | bytes], more: dict[int, Value] | None = None) -> list[Dependency]:
    """What is listed as required by a package that requires this."""
    return list(read(dependencies(tags.REQUIRES, *entries), more or {}).dependencies["requires"])


def names(entries: list[Dependency]) -> list[str]:
    """Only what is required."""
    return [entry.name for entry in entries]


class EntryTests(SynchronousTestCase):
    """One entry."""

    def entry(self, flags: int, version: str) -> Dependency:
        """An entry with these flags and this version."""
        return read(dependencies(tags.CONFLICTS, ("a", flags, version))).dependencies["conflicts"][0]

    def test_flags(self) -> None:
        """Flags say how versions compare; combinations that make no sense say nothing."""
        senses = [self.entry(flags, "1").flags for flags in (0, 2, 4, 8, 10, 12, 6, 14, 1)]

        self.assertEqual(senses, ["", "LT", "GT", "EQ", "LE", "GE", "", "", ""])

    def test_version(self) -> None:
        """A version has an epoch, 0 unless it says another, and a release behind the first dash."""
        found = [self.entry(EQUAL, version)[2:5] for version in ("1.0", "1.0-2", "3:1.0-2-4", ":1.0", "1.0-", "")]

        self.assertEqual(found[:3], [("0", "1.0", ""), ("0", "1.0", "2"), ("3", "1.0", "2-4")])
        self.assertEqual(found[3:], [("0", "1.0", ""), ("0", "1.0", ""), ("", "", "")])

    def test_bad_epoch(self) -> None:
        """An entry whose epoch is no number is not listed; what strtol takes for one is."""
        entries = [(version, EQUAL, version) for version in ("a:1", "1a:1", "1 :1", "-1:1", " +1:1", "1:a:1")]
        found = read(dependencies(tags.CONFLICTS, *entries)).dependencies["conflicts"]

        self.assertEqual([(one.epoch, one.version) for one in found], [("-1", "1"), (" +1", "1"), ("1", "a:1")])

    def test_latin_1(self) -> None:
        """Each part is decoded by itself."""
        found = read(dependencies(tags.CONFLICTS, (b"f\xe9", EQUAL, b"1\xe9-\xc3\xa9"))).dependencies["conflicts"]

        self.assertEqual(found[0], Dependency("fé", "EQ", "0", "1é", "é"))

    def test_rich(self) -> None:
        """Rich dependencies are names."""
        self.assertEqual(required(("(foo >= 1.2 if bar)", 0, "")), [Dependency("(foo >= 1.2 if bar)")])


class RequiresTests(SynchronousTestCase):
    """What is left out of requirements, and what is said of those that stay."""

    def test_rpmlib(self) -> None:
        """What rpm itself has to know is its own affair."""
        self.assertEqual(required(("rpmlib(X)", EQUAL, "1")), [])

    def test_own_files(self) -> None:
        """Own files are left out if they are primary: others could not be found in primary.xml."""
        own = files("/usr/bin/own", "/usr/share/own")
        found = required(("/usr/bin/own", 0, ""), ("/usr/share/own", 0, ""), ("/usr/bin/other", 0, ""), more=own)

        self.assertEqual(names(found), ["/usr/share/own", "/usr/bin/other"])

    def test_provided(self) -> None:
        """What the package provides is left out if it is provided in exactly these words."""
        provided = dependencies(tags.PROVIDES, ("a", 0, ""), ("b", EQUAL, "1-1"))
        found = required(("a", 0, ""), ("a", EQUAL, "1"), ("b", EQUAL, "1-1"), ("b", EQUAL, "1"), more=provided)

        self.assertEqual(found, [Dependency("a", "EQ", "0", "1"), Dependency("b", "EQ", "0", "1")])

    def test_repeats(self) -> None:
        """A repeat is left out if the last entry of that name says the same."""
        found = required(("a", 0, ""), ("b", 0, ""), ("a", 0, ""), ("a", PRE, ""), ("a", 0, ""), ("a", EQUAL, "1"))

        self.assertEqual(
            [(one.name, one.flags, one.pre) for one in found],
            [
                ("a", "", False),
                ("b", "", False),
                ("a", "", True),
                ("a", "", False),
                ("a", "EQ", False),
            ],
        )

    def test_bad_epoch(self) -> None:
        """What is not listed for its epoch is not the last entry of its name either."""
        found = required(("a", EQUAL, "1"), ("a", EQUAL, "x:1"), ("a", EQUAL, "1"))

        self.assertEqual(found, [Dependency("a", "EQ", "0", "1")])

    def test_repeats_of_others(self) -> None:
        """Other lists keep their repeats."""
        found = read(dependencies(tags.CONFLICTS, ("a", 0, ""), ("a", 0, ""))).dependencies["conflicts"]

        self.assertEqual(len(found), 2)

    def test_pre(self) -> None:
        """What scripts need before or after the transaction, or before the files, is needed first."""
        bits = {bit: required(("a", 1 << bit, ""))[0].pre for bit in (5, 6, 7, 8, 9, 10, 11, 12, 13)}

        self.assertEqual([bit for bit, pre in bits.items() if pre], [5, 6, 7, 9, 10])

    def test_libc(self) -> None:
        """Of libc's versions only the highest is listed, and last."""
        found = required(
            ("libc.so.6()(64bit)", 0, ""),
            ("libc.so.6(GLIBC_2.17)(64bit)", 0, ""),
            ("libc.so.6(GLIBC_2.4)(64bit)", 0, ""),
            ("libm.so.6()(64bit)", 0, ""),
        )

        self.assertEqual(names(found), ["libm.so.6()(64bit)", "libc.so.6(GLIBC_2.17)(64bit)"])

    def test_odd_libc(self) -> None:
        """The more a name says of a version the higher it is; of equal ones the first stays."""
        ascending = ["libc.so.6", "libc.so.6(x", "libc.so.6()", "libc.so.6(PRIVATE)(64bit)", "libc.so.6(GLIBC_2.1)"]
        for number, (lower, higher) in enumerate(pairwise(ascending)):
            self.assertEqual(names(required((lower, 0, ""), (higher, 0, ""))), [higher], number)
            self.assertEqual(names(required((higher, 0, ""), (lower, 0, ""))), [higher], number)
        self.assertEqual(required(("libc.so.6(A_1)", 0, ""), ("libc.so.6(B_1)", 0, ""))[0].name, "libc.so.6(A_1)")

    def test_missing_ok(self) -> None:
        """Requirements that may be missing are recommendations."""
        found = read(
            dependencies(tags.REQUIRES, ("a", MISSING_OK | POST, "")), dependencies(tags.RECOMMENDS, ("b", 0, ""))
        ).dependencies

        self.assertEqual((found["requires"], found["recommends"]), ((), (Dependency("a"), Dependency("b"))))


class ListTests(SynchronousTestCase):
    """The lists as a whole."""

    def test_weak(self) -> None:
        """SUSE's old weak dependencies are listed among today's, strong ones as the stronger kind."""
        found = read(
            dependencies(tags.OLD_SUGGESTS, ("a", STRONG, ""), ("b", 0, "")),
            dependencies(tags.OLD_ENHANCES, ("c", STRONG, ""), ("d", 0, "")),
        ).dependencies
        listed = {kind: [entry.name for entry in entries] for kind, entries in found.items() if entries}

        self.assertEqual(listed, {"recommends": ["a"], "suggests": ["b"], "supplements": ["c"], "enhances": ["d"]})

    def test_incomplete(self) -> None:
        """A list without one of its parts is none."""
        self.assertEqual(read({tags.REQUIRES[0]: strings("a")}).dependencies["requires"], ())

    def test_lengths(self) -> None:
        """The parts of a list have one length."""
        broken = {**dependencies(tags.REQUIRES, ("a", 0, ""), ("b", 0, "")), tags.REQUIRES[1]: int32(0)}

        self.assertRaises(InvalidPackage, read, broken)
