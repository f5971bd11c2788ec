"""The files of a package."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats import rpmtags as tags
from pkgd.formats.rpm import read_rpm
from pkgd.formats.rpmfiles import FileList
from tests.formats.rpms import Value, files, int16, int32, reader, rpm, strings


def read(values: dict[int, Value | None]) -> FileList:
    """The files of a package with these values."""
    data = rpm(values)
    return read_rpm(reader(data), len(data)).files


class FileTests(SynchronousTestCase):
    """What is read, and what refused."""

    def test_paths(self) -> None:
        """Paths are directory and name together, in the header's order."""
        self.assertEqual(list(read(files("/b/x", "/a", "/b/y")).paths), ["/b/x", "/a", "/b/y"])

    def test_kinds(self) -> None:
        """Directories are marked, and ghosts that are none."""
        found = read(files("/a", "/b", "/c", "/d", modes={1: 0o40755, 3: 0o40755}, flags={2: 64, 3: 64}))

        self.assertEqual(list(found.kinds), ["", "dir", "ghost", "dir"])

    def test_primary(self) -> None:
        """Primary is what is in /etc or anywhere below a directory whose name ends in `bin`, and sendmail."""
        primary = ["/usr/bin/a", "/opt/foobin/sub/a", "/etc/a", "/usr/lib/sendmail", "/sbin/a"]
        others = ["/usr/lib/sendmail2", "/usr/etc/a", "/etc", "/usr/bin", "/opt/sbin.d/a", "/usr/share/a"]
        found = read(files(*primary, *others))

        self.assertEqual([found.paths[number] for number in found.primary], primary)

    def test_own(self) -> None:
        """Only what has an absolute path can be required."""
        self.assertEqual(read(files("/usr/bin/a", "bin/b", "/c")).own, {b"/usr/bin/a"})

    def test_whole_paths(self) -> None:
        """Of old, paths were not split."""
        old: dict[int, Value | None] = {
            **files("/x", "/y"),
            **dict.fromkeys((tags.BASE_NAMES, tags.DIR_NAMES, tags.DIR_INDEXES)),
            tags.OLD_FILE_NAMES: strings("/usr/bin/a", "/usr/b"),
        }
        found = read(old)

        self.assertEqual((list(found.paths), list(found.primary)), (["/usr/bin/a", "/usr/b"], [0]))

    def test_latin_1(self) -> None:
        """A path is decoded as a whole; one that isn't UTF-8 does not change another."""
        found = read(files("/ü/a", b"/\xfc/a", b"/\xc3\xbc/\xfc"))

        self.assertEqual(list(found.paths), ["/ü/a", "/ü/a", "/Ã/ü"])

    def test_incomplete(self) -> None:
        """Without one of its parts there is no list."""
        self.assertEqual(read({**files("/a"), tags.FILE_MODES: None}), FileList())
        self.assertEqual(read({}), FileList())

    def test_lengths(self) -> None:
        """All parts have one length."""
        for part in ({tags.FILE_MODES: int16(0)}, {tags.DIR_INDEXES: int32(0)}, {tags.FILE_DIGESTS: strings("")}):
            self.assertRaises(InvalidPackage, read, {**files("/a", "/b"), **part})

    def test_directories(self) -> None:
        """Every file is in a directory that there is, and there are no more directories than files."""
        self.assertRaises(InvalidPackage, read, {**files("/a", "/b"), tags.DIR_INDEXES: int32(0, 1)})
        self.assertRaises(InvalidPackage, read, {**files("/a"), tags.DIR_NAMES: strings("/", "/b/")})
