"""Tar archives in Debian packages: the control file, and the paths."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats.debtar import PAUSE, TarLimits, read_control, walk_paths
from tests.formats.debs import data_tar, tar, tar_header
from tests.properties import bounded

CONTROL = (b"./control", b"0", b"Package: hello\n")


def control(data: bytes, size: int = 700) -> bytes:
    return read_control(data[start : start + size] for start in range(0, len(data), size))


def paths(data: bytes, limits: TarLimits | None = None) -> list[bytes]:
    pieces = (data[start : start + 700] for start in range(0, len(data), 700))
    return [one for one in walk_paths(pieces, limits or TarLimits()) if one]


def changed(data: bytes, good: bytes, bad: bytes) -> bytes:
    """An archive with another value in its first header, whose checksum is right."""
    header = data[:512].replace(good, bad, 1)
    return header[:148] + b"%06o\0 " % (sum(header) - sum(header[148:156]) + 256) + header[156:] + data[512:]


class ReadControlTests(SynchronousTestCase):
    """control.tar is read as far as its control file."""

    def test_control(self) -> None:
        """It is found by either name, behind other members, and however the archive is cut into pieces."""
        for name in (b"control", b"./control"):
            data = tar((b"./", b"5", b""), (b"./conffiles", b"0", b"/etc/x\n" * 200), (name, b"0", b"Package: hello\n"))
            for size in (1, 100, 512, 10_000):
                self.assertEqual(control(data, size), b"Package: hello\n")

    def test_old_kind(self) -> None:
        """Plain files of the oldest tar, whose kind is a zero byte, are plain files."""
        self.assertEqual(control(tar((b"control", b"\0", b"x"))), b"x")

    def test_rest_is_not_read(self) -> None:
        """What follows is neither needed nor looked at."""
        data = tar(CONTROL)[: 512 + len(CONTROL[2])]

        self.assertEqual(control(data), CONTROL[2])

    def test_first_counts(self) -> None:
        """The first of two is taken."""
        self.assertEqual(control(tar(CONTROL, (b"./control", b"0", b"Package: other\n"))), CONTROL[2])

    def test_not_there(self) -> None:
        """An archive without one is refused, and so is one by another name or in a directory."""
        for name in (b"./Control", b"./x/control", b"/control", b"././control", b"./control/", b"control\xff"):
            self.assertRaises(InvalidPackage, control, tar((name, b"0", b"x")))
        self.assertRaises(InvalidPackage, control, tar())
        self.assertRaises(InvalidPackage, control, b"")

    def test_no_plain_file(self) -> None:
        """A link, device or directory of that name is refused, not passed over."""
        for kind in (b"1", b"2", b"3", b"5", b"6", b"S", b"V"):
            self.assertRaises(InvalidPackage, control, tar((b"./control", kind, b""), CONTROL))

    def test_other_kinds(self) -> None:
        """A link or device beside it is refused: dpkg might be unable to unpack it."""
        for kind in (b"1", b"2", b"3", b"4", b"6", b"7", b" "):
            self.assertRaises(InvalidPackage, control, tar((b"./", kind, b""), CONTROL))

    def test_extensions(self) -> None:
        """Long names and pax headers are passed over unread; what they are about is never the control file."""
        for kind in (b"L", b"K", b"x", b"g"):
            about_other = tar((b"ext", kind, b"./control\0" * 100), (b"other", b"0", b"x"), CONTROL)
            about_control = tar((b"ext", kind, b"something"), CONTROL)
            self.assertEqual(control(about_other), CONTROL[2])
            self.assertRaises(InvalidPackage, control, about_control)

    def test_sizes(self) -> None:
        """Sizes beyond reason are refused before anything is read: of the control file, and of names."""
        for kind, size in ((b"0", 1 << 20 | 1), (b"0", 2**87), (b"L", 65537), (b"K", 2**40), (b"x", 65537)):
            self.assertRaises(InvalidPackage, control, tar_header(b"control", size, kind) + b"\0" * 1024)

    def test_too_many(self) -> None:
        """More members than any package has are refused."""
        self.assertEqual(control(tar(*[(b"a", b"0", b"")] * 63, CONTROL)), CONTROL[2])
        self.assertRaises(InvalidPackage, control, tar(*[(b"a", b"0", b"")] * 64, CONTROL))

    def test_damage(self) -> None:
        """A header whose checksum is wrong, and numbers that are none, are refused."""
        data = tar(CONTROL)
        for at in (0, 100, 108, 124, 148, 156, 300, 511):
            self.assertRaises(InvalidPackage, control, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        for good, bad in (
            (b"0000644\0", b"0000648\0"),
            (b"0000000\0", b"\xb0000000\0"),
            (b"00000000000\0", b"0x000000000\0"),
        ):
            self.assertRaises(InvalidPackage, control, changed(data, good, bad))

    def test_binary_numbers(self) -> None:
        """What is too large for octal digits, or negative, is written in binary."""
        data = tar(CONTROL)
        for number in (b"\x80" + bytes(6) + b"\1", b"\xff" * 8):
            self.assertEqual(control(changed(data, b"0000000\0", number)), CONTROL[2])

    def test_cut(self) -> None:
        """An archive that ends before the control file does is refused."""
        data = tar((b"./", b"5", b""), CONTROL)
        for end in (0, 511, 512, 1000, 1024, 1030):
            self.assertRaises(InvalidPackage, control, data[:end])

    @bounded
    @given(st.binary(max_size=600), st.integers(0, 1500))
    def test_any_bytes(self, data: bytes, at: int) -> None:
        """Whatever it is fed, it answers or refuses."""
        whole = tar((b"./", b"5", b""), CONTROL)
        with contextlib.suppress(InvalidPackage):
            control(whole[:at] + data + whole[at + len(data) :])


class ListPathsTests(SynchronousTestCase):
    """data.tar is read to its end, for its paths."""

    def test_paths(self) -> None:
        """Everything but directories, in the archive's order, without what stands before them."""
        data = data_tar(b"./", b"./usr/", b"./usr/b", b"usr/a", b"/abs", b"./usr/dir/")

        self.assertEqual(paths(data), [b"usr/b", b"usr/a", b"abs"])

    def test_kinds(self) -> None:
        """Links and devices have paths; a directory has none, even without a slash."""
        data = tar(*((b"./" + kind, kind, b"") for kind in (b"0", b"1", b"2", b"3", b"4", b"5", b"6")))

        self.assertEqual(paths(data), [b"0", b"1", b"2", b"3", b"4", b"6"])

    def test_content(self) -> None:
        """Contents are passed over, however they look."""
        data = tar((b"./a", b"0", tar((b"./inner", b"0", b"x"))), (b"./b", b"0", b"y" * 513))

        self.assertEqual(paths(data), [b"a", b"b"])

    def test_long_names(self) -> None:
        """Long names are read, GNU's and ustar's; other extensions are passed over."""
        name = b"./" + b"long/" * 40 + b"file"
        gnu = tar(
            (b"ext", b"L", name + b"\0"), (b"./long", b"0", b"x"), (b"ext", b"K", b"t" * 200), (b"./link", b"2", b"")
        )
        ustar = tar_header(b"file", prefix=b"./a/b")

        self.assertEqual(paths(gnu), [name[2:], b"link"])
        self.assertEqual(paths(ustar + b"\0" * 512), [b"a/b/file"])

    def test_gnu_has_no_prefix(self) -> None:
        """What ustar has as a prefix is something else in GNU's tar."""
        header = tar_header(b"file", prefix=b"12345", magic=b"ustar ")

        self.assertEqual(paths(header + b"\0" * 512), [b"file"])

    def test_text(self) -> None:
        """Bytes that are no UTF-8 are as good as others; control characters are no path for a line."""
        data = data_tar("./ä".encode(), b"./\xe4", b"./a b", b"./two\nlines", b"./del\x7f", "./\u2028".encode())

        self.assertEqual(paths(data), ["ä".encode(), b"\xe4", b"a b"])

    def test_pauses(self) -> None:
        """Behind every piece of a large file there is an empty path; nothing else is empty."""
        size = 3 * PAUSE + 100
        pieces = iter([tar_header(b"./a", size=size), *[bytes(PAUSE)] * 3, bytes(512), tar_header(b"./b")])
        walk = walk_paths(pieces, TarLimits())

        self.assertEqual([next(walk) for _ in range(5)], [b"", b"", b"", b"a", b"b"])

    def test_ends(self) -> None:
        """A zero block ends an archive, and so does the end of the stream between two members."""
        self.assertEqual(paths(data_tar(b"a") + tar_header(b"b")), [b"a"])
        self.assertEqual(paths(tar_header(b"a")), [b"a"])
        self.assertEqual(paths(b""), [])

    def test_limits(self) -> None:
        """More members or longer paths than agreed to are refused."""
        data = data_tar(b"./abc", b"./def")

        self.assertEqual(len(paths(data, TarLimits(members=2, path_bytes=6))), 2)
        self.assertRaises(InvalidPackage, paths, data, TarLimits(members=1))
        self.assertRaises(InvalidPackage, paths, data, TarLimits(path_bytes=5))

    def test_damage(self) -> None:
        """An archive that is cut within a member, or whose header is damaged, is refused."""
        data = tar((b"./a", b"0", b"x" * 600))
        for bad in (data[:100], data[:600], data[:1500], b"x" + data):
            self.assertRaises(InvalidPackage, paths, bad)
