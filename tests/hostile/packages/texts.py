"""Sources, uploads of several files, and documents beside packages, each tampered with."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from random import Random

from tests.hostile.packages.upload import EXTRA, INCOMING, SOURCE, Upload

__all__ = ["PART", "PART_NAME", "texts"]

PART_NAME = "tampered_1.0.tar.xz"
PART = b"\xfd7zXZ\0 whatever it is"
"""A file of the source, which is there before its .dsc comes."""
_HASHES = {name: hashlib.new(name, PART).hexdigest() for name in ("md5", "sha1", "sha256")}
_DSC = f"""\
Format: 3.0 (native)
Source: tampered
Binary: tampered
Architecture: all
Version: 1.0
Maintainer: Tests <tests@example.org>
Standards-Version: 4.6.2
Package-List:
 tampered deb utils optional arch=all
Checksums-Sha1:
 {_HASHES["sha1"]} {len(PART)} {PART_NAME}
Checksums-Sha256:
 {_HASHES["sha256"]} {len(PART)} {PART_NAME}
Files:
 {_HASHES["md5"]} {len(PART)} {PART_NAME}
"""
_CHANGES = f"""\
Format: 1.8
Date: Mon, 03 Nov 2025 10:00:00 +0000
Source: tampered
Architecture: source
Version: 1.0
Distribution: stable
Urgency: medium
Maintainer: Tests <tests@example.org>
Changes:
 tampered (1.0) stable; urgency=medium
 .
   * A version.
Checksums-Sha1:
 {_HASHES["sha1"]} {len(PART)} missing_1.0.tar.xz
Checksums-Sha256:
 {_HASHES["sha256"]} {len(PART)} missing_1.0.tar.xz
Files:
 {_HASHES["md5"]} {len(PART)} utils optional missing_1.0.tar.xz
"""
_ODD = (
    *("\0", "\r", "\x0b", "\x85", "\u2028", "\n\n", "\n", "\n ", " ", ":", "..", "/", "../../etc/passwd", "\\", "%2f"),
    *("9" * 5000, "-1", "0x4", "\nDirectory: pool", "\nPackage: evil", "\n-----BEGIN PGP SIGNATURE-----", "\ufeff"),
)
_CLEAR = """\
-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA512

{text}-----BEGIN PGP SIGNATURE-----

AAAA
-----END PGP SIGNATURE-----
"""
_COMPS = b"<comps><group><id>a</id><name>b</name></group></comps>"
_LAUGHS = b'<!DOCTYPE comps [<!ENTITY a0 "ha">%b]><comps>&a9;</comps>' % b"".join(
    b'<!ENTITY a%d "%b">' % (number, b"&a%d;" % (number - 1) * 10) for number in range(1, 10)
)


def texts(chance: Random) -> Iterator[Upload]:
    """All of them; the same for the same chance."""
    for kind, good, path in (
        ("dsc", _DSC, f"{SOURCE}tampered_1.0.dsc"),
        ("changes", _CHANGES, f"{INCOMING}tampered_1.0_source.changes"),
    ):
        for number in range(250):
            yield Upload(f"{kind}: mutants", f"mutant {number}", path, _tampered(chance, good))
        for cut in range(0, len(good) - 200, 16):
            yield Upload(f"{kind}: cut", f"the first {cut} characters", path, good[:cut].encode())
        for name, text in _signed(good).items():
            yield Upload(f"{kind}: signed", name, path, text)
    for name in ("comps.xml", "updateinfo.xml", "modules.yaml"):
        for what, body in _documents().items():
            yield Upload("documents", f"{name}: {what}", f"{EXTRA}{name}", body)


def _tampered(chance: Random, good: str) -> bytes:
    lines = good.splitlines(keepends=True)
    for _ in range(chance.choice([1, 1, 2, 3])):
        at = chance.randrange(len(lines))
        line, cut = lines[at], chance.randrange(len(lines[at]) + 1)
        match chance.randrange(4):
            case 0:
                lines[at] = line[:cut] + chance.choice(_ODD) + line[cut:]
            case 1:
                lines[at] = line + line
            case 2:
                lines[at] = line[:cut]
            case _:
                lines.insert(at, f"{chance.choice(['Files', 'Filename', 'SHA256', 'Source', ' x'])}: x\n")
    return "".join(lines).encode("utf-8", "surrogatepass")


def _signed(good: str) -> dict[str, bytes]:
    """Clear-signed, with something outside, or half."""
    whole = _CLEAR.format(text=good)
    broken = {
        "no end": whole.partition("-----END")[0],
        "no signature": whole.partition("-----BEGIN PGP SIGNATURE")[0],
        "text before": "Source: evil\n\n" + whole,
        "text behind": whole + "\nSource: evil\n",
        "twice": whole + whole,
        "within": whole.replace("Source: tampered", "-----BEGIN PGP SIGNED MESSAGE-----\n\nSource: tampered"),
        "another armor": whole.replace("SIGNED MESSAGE", "PUBLIC KEY BLOCK"),
        "a header that is none": whole.replace("Hash: SHA512", "Hash: SHA512\nX: y"),
        "lines of 5 MB": good + "Description: " + "x" * 5_000_000 + "\n",
        "a million lines": good + "X:\n" + " a\n" * 1_000_000,
    }
    return {name: text.encode() for name, text in broken.items()}


def _documents() -> dict[str, bytes]:
    """No documents, or bombs."""
    return {
        "nothing": b"",
        "text": b"no document",
        "another root": b"<html/>",
        "cut": _COMPS[:20],
        "twice": _COMPS + _COMPS,
        "entities": _LAUGHS,
        "an entity from outside": b'<!DOCTYPE comps [<!ENTITY x SYSTEM "file:///etc/passwd">]><comps>&x;</comps>',
        "NUL": b"<comps>\0</comps>",
        "an encoding that there is not": b'<?xml version="1.0" encoding="x"?><comps/>',
        "UTF-16 without a mark": "<comps/>".encode("utf-16-le"),
        "deep": b"<comps>" + b"<a>" * 500_000,
        "wide": b"<comps>" + b"<a/>" * 4_000_000,
        "one long text": b"<comps>" + b"x" * 60_000_000,
        "one long attribute": b'<comps a="' + b"x" * 60_000_000,
        "half a gzip": gzip.compress(_COMPS)[:-9],
        "a gzip with something behind": gzip.compress(_COMPS) + b"x",
        "a bomb": gzip.compress(bytes(200 << 20), 1),
        "a bomb of gzips": gzip.compress(_COMPS) * 1000,
        "no UTF-8": b"document: modulemd\n\xff",
        "a document of 70 MB": b"<comps>" + b" " * 70_000_000 + b"</comps>",
    }
