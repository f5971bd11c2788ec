"""Packages of Debian, made of what a test names; everything else is as dpkg-deb would have it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
from collections.abc import Callable, Mapping

from pkgd.formats.ar import ReadAt

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["COMPRESSORS", "CONTROL", "ar", "control_tar", "data_tar", "deb", "reader", "tar", "tar_header"]

CONTROL = {
    "Package": "hello",
    "Version": "2.10-3",
    "Architecture": "amd64",
    "Maintainer": "Someone <someone@example.org>",
    "Section": "utils",
    "Priority": "optional",
    "Description": "a greeting\n It greets.\n .\n Friendly.",
}

COMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    "gz": lambda data: gzip.compress(data, 1, mtime=0),
    "xz": lambda data: lzma.compress(data, preset=0),
    "zst": lambda data: zstd.compress(data, 3),
    "bz2": lambda data: bz2.compress(data, 1),
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE, preset=0),
}


def reader(data: bytes) -> ReadAt:
    """The bytes as parsers ask for them."""
    return lambda offset, size: data[offset : offset + size]


def ar(*members: tuple[str, bytes]) -> bytes:
    """An archive of members, each padded to an even length."""
    parts = [b"!<arch>\n"]
    for name, data in members:
        parts += [f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode(), data, b"\n" * (len(data) % 2)]
    return b"".join(parts)


def tar_header(
    name: bytes, size: int = 0, kind: bytes = b"0", *, prefix: bytes = b"", magic: bytes = b"ustar\0"
) -> bytes:
    """The 512 bytes before a member's content."""
    number = b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    fields = [name.ljust(100, b"\0"), b"0000644\0" + b"0000000\0" * 2, number, b"00000000000\0", b" " * 8, kind]
    block = b"".join([*fields, b"\0" * 100, (magic + b"00")[:8].ljust(8, b" "), b"\0" * 80, prefix]).ljust(512, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def tar(*members: tuple[bytes, bytes, bytes]) -> bytes:
    """An archive of members: name, kind, content."""
    parts = [tar_header(name, len(data), kind) + data + b"\0" * (-len(data) % 512) for name, kind, data in members]
    return b"".join([*parts, b"\0" * 1024])


def control_tar(text: bytes) -> bytes:
    """control.tar with a control file."""
    return tar((b"./", b"5", b""), (b"./control", b"0", text))


def data_tar(*paths: bytes) -> bytes:
    """data.tar with empty files, and directories where a path ends in a slash."""
    return tar(*((path, b"5" if path.endswith(b"/") else b"0", b"") for path in paths))


def deb(
    text: bytes | None = None,
    *,
    compression: str = "",
    data: bytes = b"",
    data_compression: str = "",
    **fields: str | None,
) -> bytes:
    """A package with that control file, or with the usual one but for some fields: None leaves one out.

    In names of fields `_` stands for `-`.
    """
    changed = CONTROL | {name.replace("_", "-"): value for name, value in fields.items()}
    written = "".join(f"{name}: {value}\n" for name, value in changed.items() if value is not None)
    return ar(
        ("debian-binary", b"2.0\n"),
        (
            f"control.tar.{compression}".rstrip("."),
            COMPRESSORS[compression](control_tar(written.encode() if text is None else text)),
        ),
        (f"data.tar.{data_compression}".rstrip("."), COMPRESSORS[data_compression](data or data_tar(b"./"))),
    )
