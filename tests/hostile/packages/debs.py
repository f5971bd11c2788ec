"""Packages of Debian that are none: the shapes of known holes, bombs, forged fields, and mutants of real ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from tests.formats.debs import CONTROL, ar, control_tar, data_tar, deb
from tests.hostile.packages.upload import DEB, Upload
from tests.oracles.deb_hostile import mutant, shapes

__all__ = ["debs"]

# What passes somewhere for a line's end, a letter, nothing or the end of a text; what climbs; what forges.
_ODD = (
    *("\0", "\r", "\x0b", "\x0c", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ufeff", "\u202e", "\ufffe", "\x1f"),
    *("/", "\\", "..", "../../x", "%2e%2e%2f", "\n", "\n\n", "\n .\n", "\n\t.\n", "\nFilename: pool/evil.deb"),
    *("\n\nPackage: evil\nVersion: 1\nArchitecture: all", "\nVersion: 9", "\n#x", "\nSHA256: " + "0" * 64, "\n:x"),
    *("|", "(", ")", "<", ">", "[", ",", "&", '"', "'", "`id`", "$(id)", "\nSize: 1", "\nMD5sum: x", "\nSHA512: x"),
)
_FIELDS = (
    "Package",
    "Version",
    "Architecture",
    "Source",
    "Section",
    "Priority",
    "Depends",
    "Multi-Arch",
    "Built-Using",
)
_BEFORE = (b"", b"\n", b"#x\n", b" x\n", b"-----BEGIN PGP SIGNED MESSAGE-----\n\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\0")
# Where the end of a member's header is, and what stands before it.
_HEADER = 60


def debs(chance: Random, real: Sequence[bytes]) -> Iterator[Upload]:
    """All of them; the same for the same chance.

    :param real: packages by dpkg-deb, in several compressions.
    """
    yield from (Upload("deb: shapes", name, DEB, body) for name, body in shapes())
    yield from _forged()
    yield from _archives(real)
    for number in range(1500):
        base = chance.choice(real[:2])
        yield Upload("deb: mutants", f"mutant {number}", DEB, mutant(chance, base))
    for number in range(700):
        yield Upload("deb: bytes", f"bytes {number}", DEB, _broken(chance, chance.choice(real)))


def _forged() -> Iterator[Upload]:
    """A field with something odd in it: alone, before its value, behind it; and what stands before the stanza."""
    number = 0
    for name in _FIELDS:
        value = CONTROL.get(name, "hello")
        for odd in _ODD:
            for what, text in (
                ("behind", value + odd),
                ("before", odd + value),
                ("within", value[:2] + odd + value[2:]),
            ):
                number += 1
                fields = {**CONTROL, "Package": f"forged{number}", name: text}
                control = "".join(f"{key}: {one}\n" for key, one in fields.items()).encode("utf-8", "surrogatepass")
                yield Upload("deb: fields", f"{name} with {odd!r} {what}", DEB, deb(control))
    usual = "".join(f"{key}: {value}\n" for key, value in CONTROL.items()).encode()
    for before in _BEFORE:
        yield Upload("deb: fields", f"{before!r} before the stanza", DEB, deb(before + usual))
        yield Upload("deb: fields", f"{before!r} behind the stanza", DEB, deb(usual + before + b"x"))
    for name in ("Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512", "filename", "SHA256 "):
        yield Upload("deb: fields", f"its own {name}", DEB, deb(usual + name.encode() + b": 1\n"))


def _archives(real: Sequence[bytes]) -> Iterator[Upload]:
    """Members in the wrong order, twice, missing, of other names; sizes that are none; and every length of a cut."""
    usual = control_tar(b"Package: arranged\nVersion: 1\nArchitecture: all\n")
    version, control, data = ("debian-binary", b"2.0\n"), ("control.tar", usual), ("data.tar", data_tar(b"./"))
    orders = {
        "reversed": (data, control, version),
        "control first": (control, version, data),
        "data before control": (version, data, control),
        "control twice": (version, control, control, data),
        "data twice": (version, control, data, data),
        "no version": (control, data),
        "no control": (version, data),
        "no data": (version, control),
        "something between": (version, ("odd", b"x"), control, data),
        "nine members": (version, control, data, *((f"_{number}", b"") for number in range(9))),
        "a path for a name": (version, ("../control.tar", usual), data),
        "an unknown compression": (version, ("control.tar.lz4", usual), data),
        "bz2 for control": (version, ("control.tar.bz2", usual), data),
        "gz that is none": (version, ("control.tar.gz", usual), data),
        "version 3": (("debian-binary", b"3.0\n"), control, data),
        "no line in version": (("debian-binary", b"2.0"), control, data),
    }
    for name, members in orders.items():
        yield Upload("deb: archive", name, DEB, ar(*members))
    good = ar(version, control, data)
    for size in (b"", b"-1", b"+4", b"0x4", b"4 4", b"9999999999", b"4294967296", b"04", b"4\n", b"\xb2"):
        yield Upload(
            "deb: archive", f"a size of {size!r}", DEB, good.replace(b"4         `\n", size.ljust(10) + b"`\n", 1)
        )
    for body in real:
        for cut in sorted({*range(0, 8 + 2 * _HEADER, 3), *range(0, len(body) - 1, max(1, len(body) // 60))}):
            yield Upload("deb: cut", f"the first {cut} of {len(body)} bytes", DEB, body[:cut])
        yield Upload("deb: archive", f"one byte more than {len(body)}", DEB, body + b"x")
        yield Upload("deb: archive", f"twice {len(body)} bytes", DEB, body + body)


def _broken(chance: Random, body: bytes) -> bytes:
    """Something changed in the part that is read: one of the archive's headers, or control.tar."""
    end = body.index(b"data.tar") + _HEADER
    changed = bytearray(body)
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.randrange(8, end)
        match chance.randrange(4):
            case 0:
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                changed[at] = chance.choice([0, 0xFF, 0x20, 0x0A])
            case 2:
                del changed[at : at + chance.choice([1, 2, 64])]
            case _:
                changed[at:at] = chance.randbytes(chance.choice([1, 2, 64]))
        end = min(end, len(changed))
    return bytes(changed)
