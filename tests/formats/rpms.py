"""Packages of rpm, made of the values that a test names; everything else is as rpmbuild would have it."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping

from attrs import frozen

from pkgd.formats import rpmtags as tags
from pkgd.formats.rpmheader import MAGIC, ReadAt

__all__ = [
    "Value",
    "binary",
    "dependencies",
    "files",
    "header",
    "i18n",
    "int16",
    "int32",
    "int64",
    "reader",
    "rpm",
    "string",
    "strings",
]

_ALIGNMENT = {tags.INT16: 2, tags.INT32: 4, tags.INT64: 8}


@frozen
class Value:
    """A tag's type, how many items it has, and their bytes."""

    kind: int
    items: int
    data: bytes


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def string(text: str | bytes) -> Value:
    """One string."""
    return Value(tags.STRING, 1, _bytes(text) + b"\0")


def strings(*texts: str | bytes) -> Value:
    """An array of strings."""
    return Value(tags.STRING_ARRAY, len(texts), b"".join(_bytes(text) + b"\0" for text in texts))


def i18n(*texts: str | bytes) -> Value:
    """A string and its translations."""
    return Value(tags.I18N_STRING, len(texts), strings(*texts).data)


def int16(*numbers: int) -> Value:
    """Numbers of two bytes."""
    return Value(tags.INT16, len(numbers), struct.pack(f">{len(numbers)}H", *numbers))


def int32(*numbers: int) -> Value:
    """Numbers of four bytes."""
    return Value(tags.INT32, len(numbers), struct.pack(f">{len(numbers)}I", *numbers))


def int64(*numbers: int) -> Value:
    """Numbers of eight bytes."""
    return Value(tags.INT64, len(numbers), struct.pack(f">{len(numbers)}Q", *numbers))


def binary(data: bytes) -> Value:
    """Bytes."""
    return Value(tags.BINARY, len(data), data)


def header(values: Mapping[int, Value], region: int = tags.REGION_IMMUTABLE) -> bytes:
    """A header of these values, in the order of their tags; without a region if that is 0."""
    index, data = b"", b""
    for tag, value in sorted(values.items()):
        data += bytes(-len(data) % _ALIGNMENT.get(value.kind, 1))
        index += struct.pack(">IIII", tag, value.kind, len(data), value.items)
        data += value.data
    entries = len(values)
    if region:
        entries += 1
        index = struct.pack(">IIII", region, tags.BINARY, len(data), 16) + index
        data += struct.pack(">IIiI", region, tags.BINARY, -16 * entries, 16)
    return MAGIC + struct.pack(">II", entries, len(data)) + index + data


def dependencies(kind: tuple[int, int, int], *entries: tuple[str | bytes, int, str | bytes]) -> dict[int, Value]:
    """The three tags of a list of dependencies: names, flags and versions."""
    names, flags, versions = zip(*entries, strict=True)
    return {kind[0]: strings(*names), kind[1]: int32(*flags), kind[2]: strings(*versions)}


def files(*paths: str | bytes, modes: Mapping[int, int] | None = None, flags: Mapping[int, int] | None = None) -> dict:
    """The tags of a list of files; modes and flags by position, where they aren't those of a plain file."""
    split = [_bytes(path).rpartition(b"/") for path in paths]
    directories = list(dict.fromkeys(before + slash for before, slash, _ in split))
    numbers = range(len(paths))
    return {
        tags.DIR_NAMES: strings(*directories),
        tags.BASE_NAMES: strings(*(name for _, _, name in split)),
        tags.DIR_INDEXES: int32(*(directories.index(before + slash) for before, slash, _ in split)),
        tags.FILE_MODES: int16(*((modes or {}).get(number, 0o100644) for number in numbers)),
        tags.FILE_FLAGS: int32(*((flags or {}).get(number, 0) for number in numbers)),
        tags.FILE_DIGESTS: strings(*([""] * len(paths))),
    }


_DEFAULTS = {
    100: strings("C"),
    tags.NAME: string("hello"),
    tags.VERSION: string("1.0"),
    tags.RELEASE: string("1"),
    tags.SUMMARY: i18n("A greeting"),
    tags.DESCRIPTION: i18n("It says hello."),
    tags.BUILD_TIME: int32(1700000000),
    tags.BUILD_HOST: string("builder"),
    tags.SIZE: int32(42),
    tags.LICENSE: string("MIT"),
    tags.GROUP: i18n("Unspecified"),
    tags.ARCH: string("noarch"),
    tags.SOURCE_RPM: string("hello-1.0-1.src.rpm"),
    1021: string("linux"),
    1064: string("4.18.0"),
    1124: string("cpio"),
    1125: string("gzip"),
}


def rpm(
    values: Mapping[int, Value | None] | None = None,
    *,
    signatures: Mapping[int, Value | None] | None = None,
    payload: bytes = b"payload",
    region: int = tags.REGION_IMMUTABLE,
    signature_region: int = tags.REGION_SIGNATURES,
) -> bytes:
    """A package whose header and signature header have these values beside the usual; None takes one away.

    Its digests are right unless the test names others.
    """
    digest = strings(hashlib.sha256(payload).hexdigest())
    main = header(_merged({**_DEFAULTS, tags.PAYLOAD_SHA256: digest}, values), region)
    signed = {
        tags.SIG_SHA1: string(hashlib.sha1(main, usedforsecurity=False).hexdigest()),
        tags.SIG_SHA256: string(hashlib.sha256(main).hexdigest()),
        tags.SIG_SIZE: int32(len(main + payload)),
        tags.SIG_MD5: binary(hashlib.md5(main + payload, usedforsecurity=False).digest()),
        tags.SIG_ARCHIVE_SIZE: int32(124),
    }
    first = header(_merged(signed, signatures), signature_region)
    lead = struct.pack(">4sBBhh66shh16s", b"\xed\xab\xee\xdb", 3, 0, 0, 1, b"hello-1.0-1", 1, 5, b"")
    return lead + first + bytes(-len(first) % 8) + main + payload


def _merged(base: Mapping[int, Value], changes: Mapping[int, Value | None] | None) -> dict[int, Value]:
    merged: dict[int, Value | None] = {**base, **(changes or {})}
    return {tag: value for tag, value in merged.items() if value is not None}


def reader(data: bytes) -> ReadAt:
    """Reads bytes as a file is read."""
    return lambda offset, size: data[offset : offset + size]
