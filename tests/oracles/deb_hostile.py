"""Packages that are out to hurt; and what it costs to read them, when this is run as a program.

The shapes of CVE-2020-27350 are apt's (test/interactive-helper/createdeb-cve-2020-27350.cc).
"""

from __future__ import annotations

import bz2
import lzma
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from pkgd.errors import InvalidPackage
from pkgd.formats.ar import read_members
from pkgd.formats.deb import read_deb, walk_deb_paths
from pkgd.formats.debtar import read_control
from pkgd.formats.expansion import expand
from tests.formats.debs import COMPRESSORS, ar, control_tar, deb, reader, tar, tar_header

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["LONGEST_ANSWER", "MOST_MEMORY", "mutant", "shapes"]

_MIB = 1024 * 1024
MOST_MEMORY = 64 * _MIB
# CPU seconds: how long it takes besides is the machine's affair.
LONGEST_ANSWER = 2.0
_BOMB = 256 * _MIB
_DATA_LIMIT = 64 * _MIB


def _ar_header(name: bytes, size: bytes = b"") -> bytes:
    return name.ljust(16) + b"\0" * 32 + size.ljust(10, b"\0") + b"\0\0"


def _in_control(header: bytes) -> bytes:
    return ar(("debian-binary", b"2.0\n"), ("control.tar", header), ("data.tar", b""))


def _apt_shapes() -> Iterator[tuple[str, bytes]]:
    crash = _ar_header(b"control.tar") + _ar_header(b"data.tar") + _ar_header(b"#1/13", b"12") + b"debian-binary"
    yield "negative size", b"!<arch>\n" + crash
    yield "member that leads to itself", b"!<arch>\n" + _ar_header(b"#1/20", b"-60") + b"\0" * 20
    yield "leaked descriptor", b"!<arch>\n" + _ar_header(b"data.tar")
    huge = 64 * _MIB + 1
    for name, kind, size in (
        ("long name", b"L", huge),
        ("long link", b"K", huge),
        ("long control", b"0", huge),
        ("too long control", b"0", 128 * 1024**3 + 1),
        ("longest number", b"0", 2**87),
        ("pax header", b"x", huge),
    ):
        yield name, _in_control(tar_header(b"control", size, kind))


_COMPRESSORS: dict[str, Callable[[], Any]] = {
    "gz": lambda: zlib.compressobj(9, wbits=31),
    "bz2": bz2.BZ2Compressor,
    "xz": lambda: lzma.LZMACompressor(preset=0),
    "lzma": lambda: lzma.LZMACompressor(lzma.FORMAT_ALONE, preset=0),
    "zst": lambda: zstd.ZstdCompressor(3),
}


def _bombs() -> Iterator[tuple[str, str, bytes]]:
    """Zeros without end in few bytes, in each compression: at once, and in many frames; and forged headers."""
    zeros = b"\0" * _MIB
    begin = tar_header(b"./filler", 8**11 - 512)
    for compression, opened in _COMPRESSORS.items():
        stream = opened()
        parts = [stream.compress(begin), *(stream.compress(zeros) for _ in range(_BOMB // _MIB)), stream.flush()]
        yield "bomb", compression, b"".join(parts)
        pack = COMPRESSORS[compression]
        yield "many frames", compression, pack(begin) + pack(zeros) * 5000
        yield "empty frames", compression, pack(b"") * 50_000
    # A frame that says it has a tebibyte, one that wants a window of a gibibyte, and lzma with one of four.
    yield "forged size", "zst", b"\x28\xb5\x2f\xfd\xe0" + (2**40).to_bytes(8, "little") + b"\1\0\0"
    wide = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 30})
    yield "wide window", "zst", wide.compress(begin + zeros) + wide.flush()
    forged = bytearray(lzma.compress(begin, lzma.FORMAT_ALONE, preset=0))
    forged[1:5] = (0xF0000000).to_bytes(4, "little")
    yield "wide window", "lzma", bytes(forged)


def _tars() -> Iterator[tuple[str, bytes]]:
    many = tar_header(b"a") * 200_000
    yield "many members", many
    yield "many long names", (tar_header(b"x", 512, b"L") + b"a" * 512 + tar_header(b"b")) * 50_000
    yield "many pax headers", (tar_header(b"x", 512, b"x") + b"1 a=" * 128) * 100_000
    yield "long pax header", tar_header(b"x", 65536, b"x") + b"9" * 65536 + tar_header(b"a")
    yield "no end", tar((b"a", b"0", b"x"))[:700]


def _texts() -> Iterator[tuple[str, bytes]]:
    usual = b"Package: a1\nVersion: 1\nArchitecture: all\n"
    yield "many fields", usual + b"".join(b"F%d: x\n" % number for number in range(60_000))
    yield "one long field", usual + b"Depends: " + b"a, " * 340_000 + b"\n"
    yield "many lines", usual + b"Description: a\n" + b" .\n" * 340_000
    yield "many blank lines", usual + b"\n" * 1_000_000
    yield "many spaces", usual + b"Source: a1" + b" " * 1_000_000 + b"(\n"
    yield "many tabs", usual + b"Description: a\n" + b" " + b"\t" * 1_000_000 + b"x\n"
    yield "many digits", usual.replace(b"Version: 1", b"Version: 1" + b"1" * 1_000_000)
    yield "long epoch", usual.replace(b"Version: 1", b"Version: " + b"9" * 5000 + b":1")


def _with(stem: str, compression: str, packed: bytes) -> bytes:
    """A package with those bytes as one of its two archives."""
    parts = {"control.tar": control_tar(b"Package: a1\nVersion: 1\nArchitecture: all\n"), "data.tar": b"\0" * 1024}
    names = {stem: f"{stem}.{compression}"}
    parts[stem] = packed
    return ar(("debian-binary", b"2.0\n"), *((names.get(name, name), data) for name, data in parts.items()))


def shapes() -> Iterator[tuple[str, bytes]]:
    """Each hostile package and what it is called; some are well-formed, if useless."""
    yield from _apt_shapes()
    packed = [
        *_bombs(),
        *((name, one, COMPRESSORS[one](data)) for name, data in _tars() for one in ("gz", "xz", "zst")),
    ]
    for name, compression, data in packed:
        yield f"{name} in control, {compression}", _with("control.tar", compression, data)
        yield f"{name} in data, {compression}", _with("data.tar", compression, data)
    for name, text in _texts():
        yield name, deb(text, compression="xz")


def mutant(chance: Random, data: bytes) -> bytes:
    """A package with something changed: in its headers, in its control file, or in any byte of what we read."""
    what = chance.choice(["archive", "tar", "text", "bytes"])
    members = read_members(reader(data), len(data))
    if what == "archive":
        return _scrambled(chance, data, [(0, 68), *((one.start - 60, one.start) for one in members)])
    control = data[members[1].start :][: members[1].size]
    text = read_control(expand(iter([control]), members[1].name.rpartition(".tar")[2].strip("."), 1 << 24))
    if what == "text":
        text = _edited(chance, text)
    packed = control_tar(text)
    if what == "tar":
        packed = _scrambled(chance, packed, [(0, 512), (512, 1024), (512, 1024 + len(text))])
        if chance.random() < 0.7:
            packed = _summed(packed[:512]) + _summed(packed[512:1024]) + packed[1024:]
    if what == "bytes":
        packed = _scrambled(chance, packed, [(1024, 1024 + len(text))])
    return ar(("debian-binary", b"2.0\n"), ("control.tar", packed), ("data.tar", b"\0" * 1024))


def _scrambled(chance: Random, data: bytes, places: list[tuple[int, int]]) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        at = chance.randrange(*chance.choice(places))
        changed[at] = chance.choice([0, 0x20, 0x30 + chance.randrange(10), changed[at] ^ 1 << chance.randrange(8)])
    return bytes(changed)


def _summed(block: bytes) -> bytes:
    """A header of tar with the checksum that it should have."""
    total = sum(block) - sum(block[148:156]) + 8 * 32
    return block[:148] + b"%06o\0 " % total + block[156:]


def _edited(chance: Random, text: bytes) -> bytes:
    """Lines doubled, swapped, cut, joined, or with something odd put in."""
    lines = text.splitlines(keepends=True)
    odd = [b"", b"\n", b" \n", b" .\n", b"\t.\n", b"\r", b":", b" : ", b"#", b"-", b"\0", b"~"]
    odd += [b"\x0b", b"\xe2\x80\xa8", b"\xff", b"|", b",", b"(", b")"]
    for _ in range(chance.choice([1, 1, 2, 3])):
        at = chance.randrange(len(lines))
        line, cut = lines[at], chance.randrange(len(lines[at]) + 1)
        lines[at] = chance.choice(
            [line + line, line[:cut], line[:cut] + chance.choice(odd) + line[cut:], line.swapcase()]
        )
        if chance.random() < 0.2:
            chance.shuffle(lines)
    return b"".join(lines)


def _read(path: Path) -> str:
    """What reading a package came to."""
    descriptor, size = os.open(path, os.O_RDONLY), path.stat().st_size
    try:
        package = read_deb(lambda offset, count: os.pread(descriptor, count, offset), size)
        walk = walk_deb_paths(lambda offset, count: os.pread(descriptor, count, offset), size, _DATA_LIMIT)
        return f"{package.name}, {sum(map(bool, walk))} paths"
    except InvalidPackage as error:
        return f"refused: {error}"
    except Exception as error:
        return f"failed: {type(error).__name__}: {error}"
    finally:
        os.close(descriptor)


def _peak() -> int:
    """The most memory that this process had, in bytes: getrusage would begin with its parent's."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def main() -> None:
    """For each path that is named, print seconds, the memory that it took at most, and the outcome."""
    for name in sys.argv[1:]:
        Path("/proc/self/clear_refs").write_text("5")
        before, begin = _peak(), time.process_time()
        outcome = _read(Path(name))
        print(f"{time.process_time() - begin:.3f} {_peak() - before} {outcome[:150]!r}")


if __name__ == "__main__":
    main()
