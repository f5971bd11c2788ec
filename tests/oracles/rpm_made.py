"""Packages as odd as the format allows, made by chance, for what no real package does."""

from __future__ import annotations

from random import Random

from pkgd.formats import rpmtags as tags
from tests.formats.rpms import Value, dependencies, files, i18n, int16, int32, int64, rpm, string, strings

__all__ = ["made_package"]

_TEXTS = (
    *(b"", b"plain", b"a <b> & \"c\" 'd'", b"tab\there\nand there\r\n", "ünïcode — ¿ß".encode(), "日本語 😀".encode()),
    *(b"latin-1 \xe9\xe8", b"cp1252 \x93quoted\x94 \xa9", b"]]>", b" spaces  ", b"\x7f", "\x85\u2028".encode()),
)
_NAMES = (
    *(b"foo", b"bar", b"foo(x86-64)", b"libfoo.so.1()(64bit)", b"rpmlib(CompressedFileNames)", b"/bin/sh", b"/etc/own"),
    *(b"(foo >= 1 if bar)", b"hello", b"", b"f\xe9", "fü".encode(), b"/usr/share/own", b"/usr/bin/own", b'q"<&>'),
    *(b"libc.so.6", b"libc.so.6()(64bit)", b"libc.so.6(GLIBC_2.4)(64bit)", b"libc.so.6(GLIBC_2.17)(64bit)"),
    *(
        b"libc.so.6(GLIBC_2.4",
        b"libc.so.6(GLIBC_PRIVATE)",
        b"libc.so.6(GLIBC_2.4)",
        b"libc.so.6()",
        b"libc.so.6(64bit)",
    ),
)
_VERSIONS = (
    *(b"", b"1", b"1.0-1", b"2:1.0-1", b":1.0", b"a:1.0", b"1:", b" 1:2", b"-1:2-3", b"+1:2", b"1.0-", b"-", b"1-2-3"),
    *(b"1:2:3-4", b"1.0~rc1^git", b"1\xe9-\xe8", "1ü-ß".encode(), b"0:1.0-1", b"x1:2", b"1x:2", b"1 :2"),
)
_DIRECTORIES = (b"/", b"/usr/bin/", b"/etc/", b"/etc/own.d/", b"/usr/share/", b"/opt/foobin/sub/", b"/usr/lib/", b"")
_BASE_NAMES = (b"own", b"sendmail", b"a&b", b"with space", b"f\xe9", "fü".encode(), b"x", b"y", b"<z>", b"bin")
_KINDS = (
    *(tags.PROVIDES, tags.REQUIRES, tags.CONFLICTS, tags.OBSOLETES, tags.SUGGESTS, tags.ENHANCES, tags.RECOMMENDS),
    *(tags.SUPPLEMENTS, tags.OLD_SUGGESTS, tags.OLD_ENHANCES),
)


def made_package(seed: int) -> bytes:
    """A well-formed package, always the same for a seed."""
    chance = Random(seed)
    values: dict[int, Value | None] = {
        **_texts(chance),
        **_numbers(chance),
        **_dependencies(chance),
        **_files(chance),
        **_changelog(chance),
    }
    if chance.random() < 0.2:
        values |= {tags.SOURCE_RPM: None, tags.SOURCE_PACKAGE: int32(1)}
    is_old = chance.random() < 0.2
    if is_old:
        values |= _as_of_old(chance, values)
    signatures: dict[int, Value | None] = {}
    if chance.random() < 0.2:
        signatures = {tags.SIG_LONG_ARCHIVE_SIZE: int64(chance.choice([5, 1 << 40])), tags.SIG_ARCHIVE_SIZE: None}
    return rpm(
        values,
        signatures=signatures,
        region=0 if is_old and chance.random() < 0.5 else tags.REGION_IMMUTABLE,
        signature_region=0 if is_old and chance.random() < 0.5 else tags.REGION_SIGNATURES,
    )


def _texts(chance: Random) -> dict[int, Value | None]:
    values: dict[int, Value | None] = {}
    for tag in (tags.URL, tags.VENDOR, tags.PACKAGER, tags.LICENSE, tags.BUILD_HOST):
        values[tag] = chance.choice([None, string(chance.choice(_TEXTS))])
    for tag in (tags.SUMMARY, tags.DESCRIPTION, tags.GROUP):
        translated = [chance.choice(_TEXTS) for _ in range(chance.randint(1, 3))]
        values[tag] = chance.choice([None, i18n(*translated), string(translated[0]), strings(translated[0])])
    return values


def _numbers(chance: Random) -> dict[int, Value | None]:
    return {
        tags.EPOCH: chance.choice([None, int32(0), int32(7), int32(0xFFFFFFFF)]),
        tags.BUILD_TIME: chance.choice([None, int32(0), int32(1700000000, 5)]),
        tags.SIZE: chance.choice([None, int32(0), int32(0xFFFFFFFF)]),
        tags.LONG_SIZE: chance.choice([None, None, int64(1 << 40)]),
    }


def _dependencies(chance: Random) -> dict[int, Value | None]:
    values: dict[int, Value | None] = {}
    for kind in _KINDS:
        entries = [_entry(chance) for _ in range(chance.choice([0, 1, 3, 12]))]
        if entries:
            values |= dependencies(kind, *entries)
        if entries and kind != tags.PROVIDES and chance.random() < 0.05:
            values[chance.choice(kind)] = None
    return values


def _entry(chance: Random) -> tuple[bytes, int, bytes]:
    flags = chance.choice([0, 0, 2, 4, 8, 8, 10, 12, 6, 14])
    for bit in (5, 6, 7, 9, 10, 11, 19, 24, 27):
        flags |= (chance.random() < 0.08) << bit
    return chance.choice(_NAMES), flags, chance.choice(_VERSIONS)


def _files(chance: Random) -> dict[int, Value | None]:
    count = chance.choice([0, 1, 4, 15])
    if not count:
        return {}
    paths = [chance.choice(_DIRECTORIES) + chance.choice(_BASE_NAMES) for _ in range(count)]
    values: dict[int, Value | None] = files(*paths)
    values[tags.FILE_MODES] = int16(*(chance.choice([0o100644, 0o40755, 0o120777, 0o60600]) for _ in paths))
    values[tags.FILE_FLAGS] = int32(*(chance.choice([0, 1, 64, 65]) for _ in paths))
    if chance.random() < 0.05:
        values[chance.choice([tags.FILE_MODES, tags.FILE_FLAGS, tags.FILE_DIGESTS])] = None
    return values


def _changelog(chance: Random) -> dict[int, Value | None]:
    count = chance.choice([0, 1, 3, 10, 14])
    if not count:
        return {}
    times = sorted((chance.choice([0, 5, 5, 6, 1700000000]) + chance.randint(0, 1) for _ in range(count)), reverse=True)
    return {
        tags.CHANGELOG_TIME: int32(*times),
        tags.CHANGELOG_NAME: strings(*(chance.choice(_TEXTS[1:]) for _ in times)),
        tags.CHANGELOG_TEXT: strings(*(chance.choice(_TEXTS) for _ in times)),
    }


def _as_of_old(chance: Random, values: dict[int, Value | None]) -> dict[int, Value | None]:
    """Whole paths instead of directories, and no word on what kind of package it is."""
    changes: dict[int, Value | None] = {}
    if tags.BASE_NAMES in values:
        is_source = chance.random() < 0.3
        count = values[tags.BASE_NAMES].items  # type: ignore[union-attr]
        where = [b""] if is_source else [directory for directory in _DIRECTORIES if directory]
        changes[tags.OLD_FILE_NAMES] = strings(
            *(chance.choice(where) + chance.choice(_BASE_NAMES) for _ in range(count))
        )
        changes |= {tags.BASE_NAMES: None, tags.DIR_NAMES: None, tags.DIR_INDEXES: None}
    if chance.random() < 0.3:
        changes |= {tags.SOURCE_RPM: None, tags.SOURCE_PACKAGE: None}
    return changes
