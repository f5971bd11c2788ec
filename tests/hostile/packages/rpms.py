"""Packages of rpm that are none: headers out of their bounds, forged tags, and mutants whose digests are right."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from random import Random

from pkgd.formats import rpmtags as tags
from pkgd.formats.rpm import LEAD_SIZE, read_headers
from tests.formats.rpms import Value, binary, dependencies, files, header, int16, int32, reader, rpm, string, strings
from tests.hostile.packages.upload import RPM, Upload

__all__ = ["rpms"]

_INTRO = 16
_RECORD = 16
_EXTREMES = (0, 1, 2, 15, 16, 17, 62, 63, 99, 0xFFFF, 0x10000, 0xFFFFF, 0x100000, 0x0FFFFFFF, 0x10000000)
_EXTREMES += (0x7FFFFFF0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)
_ODD = (
    *(bytes([number]) for number in range(0x20)),
    *(b"\x7f", b"\xe9", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbf\xbe", b"\xef\xbf\xbf", "\u2028".encode()),
    *(b"]]>", b"<!--", b"<![CDATA[", b"&xxe;", b"/", b"..", b"../../x", b"%2e%2e", b"\\", b'"', b"'", b"<a>"),
)
_TEXTS = (tags.NAME, tags.VERSION, tags.RELEASE, tags.ARCH, tags.SUMMARY, tags.LICENSE, tags.URL, tags.SOURCE_RPM)
_IDENTITY = _TEXTS[:4]


def rpms(chance: Random, real: Sequence[bytes]) -> Iterator[Upload]:
    """All of them; the same for the same chance.

    :param real: packages by rpmbuild.
    """
    yield from _cut(real)
    yield from _extremes()
    yield from _forged()
    yield from _contradictions()
    for number in range(900):
        yield Upload("rpm: mutants", f"mutant {number}", RPM, _mutant(chance, chance.choice(real)))
    for number in range(600):
        yield Upload("rpm: bytes", f"bytes {number}", RPM, _broken(chance, chance.choice(real)))


def _cut(real: Sequence[bytes]) -> Iterator[Upload]:
    for body in real:
        for cut in sorted({*range(0, 240, 7), *range(0, len(body) - 1, max(1, len(body) // 60))}):
            yield Upload("rpm: cut", f"the first {cut} of {len(body)} bytes", RPM, body[:cut])
        yield Upload("rpm: cut", f"one byte more than {len(body)}", RPM, body + b"x")
        for at in (0, 3, 4, 78, 79, LEAD_SIZE, LEAD_SIZE + 3):
            yield Upload("rpm: cut", f"another byte at {at} of {len(body)}", RPM, body[:at] + b"\x07" + body[at + 1 :])


def _extremes() -> Iterator[Upload]:
    """Every number of both headers' frames and first records, at every extreme."""
    good = rpm()
    signature, main = read_headers(reader(good), len(good))
    for what, start in (("signature header", signature.start), ("header", main.start)):
        for position, number in (("entries", 8), ("bytes", 12)):
            yield from _set(good, f"{what}: {position}", start + number)
        for record in (0, 1, 2):
            for position, number in (("tag", 0), ("type", 4), ("offset", 8), ("count", 12)):
                yield from _set(
                    good, f"{what}: {position} of record {record}", start + _INTRO + _RECORD * record + number
                )


def _set(good: bytes, what: str, at: int) -> Iterator[Upload]:
    (now,) = struct.unpack_from(">I", good, at)
    for value in (*_EXTREMES, now - 1, now + 1):
        if value & 0xFFFFFFFF != now:
            body = good[:at] + struct.pack(">I", value & 0xFFFFFFFF) + good[at + 4 :]
            yield Upload("rpm: extremes", f"{what} is {value:#x}", RPM, _with_digests(body, good, at))


def _with_digests(body: bytes, good: bytes, at: int) -> bytes:
    """The digests put right where it was the main header that was changed, so that they are not what is refused."""
    _, main = read_headers(reader(good), len(good))
    return _around(body[main.start : main.end], body[main.end :]) if at >= main.start else body


def _around(main: bytes, payload: bytes) -> bytes:
    """A package with this header and payload, whose digests say that all is well."""
    signed = {
        tags.SIG_SHA1: string(hashlib.sha1(main, usedforsecurity=False).hexdigest()),
        tags.SIG_SHA256: string(hashlib.sha256(main).hexdigest()),
        tags.SIG_SIZE: int32(len(main + payload)),
        tags.SIG_MD5: binary(hashlib.md5(main + payload, usedforsecurity=False).digest()),
    }
    first = header(signed, tags.REGION_SIGNATURES)
    return rpm()[:LEAD_SIZE] + first + bytes(-len(first) % 8) + main + payload


def _forged() -> Iterator[Upload]:
    """Something odd in each text: some of it is taken, and then must not break what clients read."""
    number = 0
    for tag in _TEXTS:
        for odd in _ODD:
            number += 1
            named = {tags.NAME: string(f"forged{number}"), tag: string(b"forged" + odd + b"x")}
            yield Upload("rpm: texts", f"tag {tag} with {odd!r}", RPM, rpm(named))
    for odd in _ODD:
        for what, values in (
            ("dependency", dependencies(tags.REQUIRES, (b"a" + odd, 8, b"1" + odd))),
            ("path", files(b"/etc/a" + odd + b"b")),
            ("change", {1080: int32(1), 1081: strings(b"a" + odd), 1082: strings(b"b" + odd)}),
        ):
            number += 1
            body = rpm({tags.NAME: string(f"forged{number}"), **values})
            yield Upload("rpm: texts", f"a {what} with {odd!r}", RPM, body)
    for name in (b"", b".", b"..", b"-x", b"a" * 300, b"a/b", b"/a", b"a b", b"a\nb"):
        for tag in _IDENTITY:
            yield Upload("rpm: texts", f"tag {tag} is {name[:20]!r}", RPM, rpm({tag: string(name)}))


def _contradictions() -> Iterator[Upload]:
    """Tags of other types, lists of other lengths, indices that lead nowhere, digests of something else, bombs."""
    wrong = {
        "a number for a name": {tags.NAME: int32(1)},
        "two names": {tags.NAME: strings("a", "b")},
        "no name": {tags.NAME: None},
        "no version": {tags.VERSION: None},
        "no architecture": {tags.ARCH: None},
        "an epoch of text": {tags.EPOCH: string("1")},
        "directories beyond the end": {**files("/a/b"), tags.DIR_INDEXES: int32(7)},
        "directories far beyond": {**files("/a/b"), tags.DIR_INDEXES: int32(0xFFFFFFFF)},
        "fewer directories than names": {**files("/a/b", "/c/d"), tags.DIR_INDEXES: int32(0)},
        "fewer modes than names": {**files("/a/b", "/c/d"), tags.FILE_MODES: int16(1)},
        "flags without names": {tags.REQUIRES[1]: int32(8)},
        "fewer flags than names": {tags.REQUIRES[0]: strings("a", "b"), tags.REQUIRES[1]: int32(8)},
        "half a million dependencies": {
            tags.REQUIRES[0]: Value(tags.STRING_ARRAY, 500_000, b"a\0" * 500_000),
            tags.REQUIRES[1]: Value(tags.INT32, 500_000, bytes(2_000_000)),
            tags.REQUIRES[2]: Value(tags.STRING_ARRAY, 500_000, b"1\0" * 500_000),
        },
        "half a million paths": {
            tags.BASE_NAMES: Value(tags.STRING_ARRAY, 500_000, b"a\0" * 500_000),
            tags.DIR_INDEXES: Value(tags.INT32, 500_000, bytes(2_000_000)),
            tags.DIR_NAMES: strings("/" + "d" * 4000 + "/"),
        },
        "200,000 paths of 4 KB": {
            tags.BASE_NAMES: Value(tags.STRING_ARRAY, 200_000, b"a\0" * 200_000),
            tags.DIR_INDEXES: Value(tags.INT32, 200_000, bytes(800_000)),
            tags.FILE_MODES: Value(tags.INT16, 200_000, bytes(400_000)),
            tags.FILE_FLAGS: Value(tags.INT32, 200_000, bytes(800_000)),
            tags.DIR_NAMES: strings("/" + "d" * 4000 + "/"),
        },
        "a description of 30 MB": {tags.DESCRIPTION: string(b"x" * 30_000_000)},
        "a summary of 9 MB": {tags.SUMMARY: string(b"&" * 9_000_000)},
    }
    for name, values in wrong.items():
        yield Upload("rpm: contradictions", name, RPM, rpm(values))
    for name, signatures in {
        "another SHA-1": {tags.SIG_SHA1: string("0" * 40)},
        "another SHA-256": {tags.SIG_SHA256: string("0" * 64)},
        "another MD5": {tags.SIG_MD5: binary(bytes(16))},
        "another size": {tags.SIG_SIZE: int32(1)},
        "a SHA-256 of text": {tags.SIG_SHA256: string("x" * 64)},
        "no digest at all": {tags.SIG_SHA1: None, tags.SIG_SHA256: None, tags.SIG_MD5: None, tags.SIG_SIZE: None},
        "a signature that is none": {tags.SIG_RSA: binary(b"\x99" * 600)},
        "a signature of 100 KB": {tags.SIG_PGP: binary(b"\x88" * 100_000)},
    }.items():
        yield Upload("rpm: contradictions", name, RPM, rpm(signatures=signatures))
    yield Upload("rpm: contradictions", "another payload", RPM, rpm({tags.PAYLOAD_SHA256: strings("0" * 64)}))


def _mutant(chance: Random, body: bytes) -> bytes:
    """A package whose main header has been tampered with, its digests put right."""
    _, main = read_headers(reader(body), len(body))
    changed = bytearray(main.raw)
    entries = struct.unpack_from(">I", changed, 8)[0]
    for _ in range(chance.choice([1, 1, 2, 4])):
        record = _INTRO + _RECORD * chance.randrange(entries)
        match chance.randrange(5):
            case 0:
                at = record + 4 * chance.randrange(4)
                struct.pack_into(">I", changed, at, chance.choice(_EXTREMES))
            case 1:
                changed[record + chance.randrange(_RECORD)] ^= 1 << chance.randrange(8)
            case 2:
                other = _INTRO + _RECORD * chance.randrange(entries)
                changed[record : record + 16], changed[other : other + 16] = (
                    changed[other : other + 16],
                    changed[record : record + 16],
                )
            case 3:
                at = chance.randrange(_INTRO + _RECORD * entries, len(changed))
                changed[at] = chance.choice([0, 0xFF, 0x2F, 0x0A, changed[at] ^ 1 << chance.randrange(8)])
            case _:
                struct.pack_into(">I", changed, chance.choice([8, 12]), chance.choice(_EXTREMES))
    return _around(bytes(changed), body[main.end :])


def _broken(chance: Random, body: bytes) -> bytes:
    """Bytes changed, taken out or put in, anywhere."""
    changed = bytearray(body)
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.randrange(len(changed))
        match chance.randrange(3):
            case 0:
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                del changed[at : at + chance.choice([1, 2, 64])]
            case _:
                changed[at:at] = chance.randbytes(chance.choice([1, 2, 64]))
    return bytes(changed)
