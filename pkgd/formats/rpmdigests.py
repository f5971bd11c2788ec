"""What a package says of its own bytes, and whether it is true.

The signature header has digests of the header, and of header and payload together; the header has digests of the
payload as it lies in the file. To check the payload's, all of the file has to be read; so they are computed while
it streams by, by `PayloadHasher`, which finds the offsets itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from pkgd.errors import InvalidPackage
from pkgd.formats import rpmtags as tags
from pkgd.formats.rpmheader import Header, ReadAt, read_exactly

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["Digested", "Digests", "PayloadHasher", "PayloadHashes", "read_digests", "verify_digests"]

_LEAD_SIZE = 96
_INTRO_SIZE = 16
_BLOCK = 1024 * 1024
_HEX = re.compile(r"[0-9a-fA-F]+")
_HEADER_DIGESTS = {"sha1": tags.SIG_SHA1, "sha256": tags.SIG_SHA256, "sha3_256": tags.SIG_SHA3_256}
_PAYLOAD_DIGESTS = {"sha256": tags.PAYLOAD_SHA256, "sha512": tags.PAYLOAD_SHA512, "sha3_256": tags.PAYLOAD_SHA3_256}


@frozen
class Digests:
    """What a package states: digests by their algorithm, in lower-case hex, where it has them.

    `md5` and `size` are of header and payload together, `payload_size` of the payload.
    """

    header: Mapping[str, str]
    payload: Mapping[str, str]
    md5: str | None
    size: int | None
    payload_size: int | None


@frozen
class PayloadHashes:
    """What `PayloadHasher` found: where header and payload begin, where the file ends, and their hashes."""

    header_start: int
    header_end: int
    size: int
    payload_sha256: str
    md5: str


class Digested(Protocol):
    """What is needed of a package here."""

    @property
    def digests(self) -> Digests: ...
    @property
    def size(self) -> int: ...
    @property
    def header_start(self) -> int: ...
    @property
    def header_end(self) -> int: ...


class PayloadHasher:
    """Hashes an rpm's header and payload while the whole file streams by.

    It follows the sizes in both headers without a look at anything else: whether it is an rpm at all shows when
    the file is read.
    """

    def __init__(self) -> None:
        self._size = 0
        # Offsets of the signature header, the header, and the payload, as far as they are known.
        self._offsets = [_LEAD_SIZE]
        self._intro = bytearray()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next piece of the file, of any length."""
        view = memoryview(data)
        begin, self._size = self._size, self._size + len(view)
        while len(self._offsets) < 3 and self._take_intro(view, begin):
            pass
        for hashed, offset in zip((self._md5, self._sha256), self._offsets[1:], strict=False):
            if offset < self._size:
                hashed.update(view[max(0, offset - begin) :])

    def _take_intro(self, view: memoryview, begin: int) -> bool:
        """Collect the intro of the next header; True if it was completed, which says where the next one is."""
        at = self._offsets[-1]
        missing = at + len(self._intro) - begin
        if missing >= len(view):
            return False
        self._intro += view[missing : at + _INTRO_SIZE - begin]
        if len(self._intro) < _INTRO_SIZE:
            return False
        entries, data = int.from_bytes(self._intro[8:12], "big"), int.from_bytes(self._intro[12:16], "big")
        end = at + _INTRO_SIZE + 16 * entries + data
        self._offsets.append(end + -end % 8 if len(self._offsets) == 1 else end)
        self._intro.clear()
        return True

    def hashes(self) -> PayloadHashes | None:
        """What was found, or None if the file ended before its payload."""
        if len(self._offsets) < 3 or self._size < self._offsets[2]:
            return None
        _, start, end = self._offsets
        return PayloadHashes(start, end, self._size, self._sha256.hexdigest(), self._md5.hexdigest())


def read_digests(signature: Header, header: Header) -> Digests:
    """Read what a package states, its signature header having passed `check_signature_tags`.

    :raises InvalidPackage: if it is not what rpm would take for a digest.
    """
    return Digests(
        header=_stated(signature, _HEADER_DIGESTS),
        payload=_stated(header, _PAYLOAD_DIGESTS),
        md5=signature.binary(tags.SIG_MD5).hex() or None,
        size=signature.number(tags.SIG_LONG_SIZE) or signature.number(tags.SIG_SIZE),
        payload_size=header.number(tags.PAYLOAD_SIZE),
    )


def _stated(header: Header, wanted: Mapping[str, int]) -> dict[str, str]:
    found = {}
    for algorithm, tag in wanted.items():
        if tag not in header:
            continue
        value = header.text(tag) if header.count(tag) == 1 else ""
        length = 2 * hashlib.new(algorithm, usedforsecurity=False).digest_size
        if len(value) != length or not _HEX.fullmatch(value):
            raise InvalidPackage(header.what, f"tag {tag} is not one {algorithm} digest")
        found[algorithm] = value.lower()
    return found


def verify_digests(read_at: ReadAt, package: Digested, hashes: PayloadHashes | None = None) -> None:
    """Check everything that a package states of header and payload.

    :param hashes: what a `PayloadHasher` found while the file was written; without it, and for packages of rpm 6,
        which have more digests, the file is read.
    :raises InvalidPackage: if the file is not what the package says.
    """
    digests = package.digests
    start, end, size = package.header_start, package.header_end, package.size
    for stated, actual in ((digests.size, size - start), (digests.payload_size, size - end)):
        if stated is not None and stated != actual:
            raise InvalidPackage("package", f"{actual} bytes are where it has {stated}: cut short, or added to")
    header = read_exactly(read_at, start, end - start, "header")
    for algorithm, value in digests.header.items():
        if hashlib.new(algorithm, header, usedforsecurity=False).hexdigest() != value:
            raise InvalidPackage("header", f"its {algorithm} differs from that in the signature header")
    stated_md5 = {} if digests.md5 is None else {"md5": digests.md5}
    found: dict[str, str] = {}
    if hashes is not None and (hashes.header_start, hashes.header_end, hashes.size) == (start, end, size):
        found = {"sha256": hashes.payload_sha256, "md5": hashes.md5}
    wanted = {**digests.payload, **stated_md5}
    found |= _hash_file(read_at, start, end, size, [algorithm for algorithm in wanted if algorithm not in found])
    for algorithm, value in wanted.items():
        if found[algorithm] != value:
            where = "header" if algorithm in digests.payload else "signature header"
            raise InvalidPackage("payload", f"its {algorithm} differs from that in the {where}")


def _hash_file(read_at: ReadAt, start: int, end: int, size: int, algorithms: Sequence[str]) -> dict[str, str]:
    """Hash the file once with all the algorithms: md5 from the header on, the others from the payload on."""
    if not algorithms:
        return {}
    hashers: dict[str, _Hash] = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    at = start
    while at < size:
        block = read_exactly(read_at, at, min(_BLOCK, (end if at < end else size) - at), "payload")
        for name, hashed in hashers.items():
            if name == "md5" or at >= end:
                hashed.update(block)
        at += len(block)
    return {name: hashed.hexdigest() for name, hashed in hashers.items()}
