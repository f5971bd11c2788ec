"""What a package says of its own bytes, and whether it is true."""

from __future__ import annotations

import hashlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats import rpmtags as tags
from pkgd.formats.rpm import PayloadHasher, PayloadHashes, RpmPackage, read_rpm, verify_digests
from tests.formats.rpms import Value, binary, int32, int64, reader, rpm, string, strings
from tests.properties import bounded

PAYLOAD = bytes(range(256)) * 20


def read(data: bytes) -> RpmPackage:
    """Read a package."""
    return read_rpm(reader(data), len(data))


def streamed(data: bytes, *pieces: int) -> PayloadHashes | None:
    """What is found of a file that comes in pieces that end there."""
    hasher = PayloadHasher()
    for begin, end in zip((0, *pieces), (*pieces, len(data)), strict=True):
        hasher.update(memoryview(data)[begin:end])
    return hasher.hashes()


class PayloadHasherTests(SynchronousTestCase):
    """Hashing what streams by."""

    data = rpm(payload=PAYLOAD)

    def test_whole(self) -> None:
        """It finds header and payload, and hashes them as the package's digests cover them."""
        package = read(self.data)

        self.assertEqual(
            streamed(self.data),
            PayloadHashes(
                header_start=package.header_start,
                header_end=package.header_end,
                size=len(self.data),
                payload_sha256=hashlib.sha256(PAYLOAD).hexdigest(),
                md5=hashlib.md5(self.data[package.header_start :], usedforsecurity=False).hexdigest(),
            ),
        )

    def test_bytes(self) -> None:
        """Pieces may be single bytes."""
        self.assertEqual(streamed(self.data, *range(1, len(self.data))), streamed(self.data))

    @bounded
    @given(st.lists(st.integers(0, len(data)), max_size=8))
    def test_pieces(self, pieces: list[int]) -> None:
        """However a file is cut, the result is the same."""
        self.assertEqual(streamed(self.data, *sorted(pieces)), streamed(self.data))

    def test_short(self) -> None:
        """A file that ends before its payload has no result; an empty payload is one."""
        end = read(self.data).header_end
        for size in (0, 96, 111, 112, end - 1):
            self.assertIsNone(streamed(self.data[:size]))
        empty = streamed(self.data[:end])

        self.assertEqual(empty and empty.payload_sha256, hashlib.sha256().hexdigest())

    @bounded
    @given(st.binary(max_size=300))
    def test_anything(self, data: bytes) -> None:
        """Other files do no harm."""
        found = streamed(data)

        self.assertTrue(found is None or found.size == len(data))


class VerifyTests(SynchronousTestCase):
    """Comparing with what a package states."""

    def verify(self, data: bytes) -> None:
        """Verify by what streamed by, and by reading; both must agree."""
        package = read(data)
        outcomes = []
        for hashes in (streamed(data), None):
            try:
                verify_digests(reader(data), package, hashes)
                outcomes.append("")
            except InvalidPackage as error:
                outcomes.append(error.message)
        self.assertEqual(outcomes[0], outcomes[1])
        if outcomes[0]:
            raise InvalidPackage(outcomes[0])

    def assert_wrong(self, values: dict[int, Value | None] | None = None, **more: Any) -> None:
        """A package with these values can be read, but is not what it says."""
        self.assertRaises(InvalidPackage, self.verify, rpm(values, **more))

    def test_right(self) -> None:
        """A package as rpmbuild makes it is right."""
        self.verify(rpm(payload=PAYLOAD))

    def test_header(self) -> None:
        """A change of the header is noticed by either of its digests."""
        for tag, wrong in ((tags.SIG_SHA256, "0" * 64), (tags.SIG_SHA1, "0" * 40), (tags.SIG_SHA3_256, "0" * 64)):
            self.assert_wrong(signatures={tag: string(wrong)})

    def test_payload(self) -> None:
        """A change of the payload is noticed by any of its digests."""
        only_md5 = rpm({tags.PAYLOAD_SHA256: None}, payload=PAYLOAD)

        self.assert_wrong({tags.PAYLOAD_SHA256: strings("0" * 64)})
        self.assert_wrong({tags.PAYLOAD_SHA512: string("0" * 128)})
        self.assert_wrong({tags.PAYLOAD_SHA3_256: string("0" * 64)})
        self.assert_wrong(signatures={tags.SIG_MD5: binary(bytes(16))})
        self.verify(only_md5)
        self.assertRaises(InvalidPackage, self.verify, only_md5[:-1] + b"x")

    def test_size(self) -> None:
        """So is a payload that is cut or goes on, even where there is no other digest."""
        silent = {tags.SIG_MD5: None, tags.SIG_SHA1: None, tags.SIG_SHA256: None}
        data = rpm({tags.PAYLOAD_SHA256: None}, signatures=silent, payload=PAYLOAD)

        self.verify(data)
        self.assertRaises(InvalidPackage, self.verify, data[:-1])
        self.assertRaises(InvalidPackage, self.verify, data + b"\0")
        self.assert_wrong(signatures={tags.SIG_LONG_SIZE: int64(1), tags.SIG_SIZE: None})

    def test_rpm_6(self) -> None:
        """Packages of rpm 6 have other digests, and the payload's size in the header."""
        legacy = {tags.SIG_SIZE: None, tags.SIG_MD5: None, tags.SIG_SHA1: None, tags.SIG_ARCHIVE_SIZE: None}
        values: dict[int, Value | None] = {
            tags.RPM_FORMAT: int32(6),
            tags.PAYLOAD_SIZE: int64(len(PAYLOAD)),
            tags.PAYLOAD_SHA512: string(hashlib.sha512(PAYLOAD).hexdigest()),
            tags.PAYLOAD_SHA3_256: string(hashlib.sha3_256(PAYLOAD).hexdigest()),
        }

        self.verify(rpm(values, signatures=legacy, payload=PAYLOAD))
        self.assert_wrong({**values, tags.PAYLOAD_SIZE: int64(1)}, signatures=legacy, payload=PAYLOAD)

    def test_upper_case(self) -> None:
        """Digests may be in upper case."""
        self.verify(rpm({tags.PAYLOAD_SHA256: strings(hashlib.sha256(PAYLOAD).hexdigest().upper())}, payload=PAYLOAD))

    def test_none(self) -> None:
        """A package that states nothing is what it says."""
        stated = (tags.SIG_SHA1, tags.SIG_SHA256, tags.SIG_SIZE, tags.SIG_MD5)
        self.verify(rpm({tags.PAYLOAD_SHA256: None}, signatures=dict.fromkeys(stated)))

    def test_malformed(self) -> None:
        """What is no digest makes the package invalid."""
        for value in ("", "0" * 63, "0" * 65, "g" * 64, "ä" * 32):
            self.assertRaises(InvalidPackage, read, rpm({tags.PAYLOAD_SHA256: strings(value)}))
            self.assertRaises(InvalidPackage, read, rpm(signatures={tags.SIG_SHA256: string(value)}))
        self.assertRaises(InvalidPackage, read, rpm({tags.PAYLOAD_SHA256: strings("0" * 64, "0" * 64)}))

    def test_other_file(self) -> None:
        """Hashes of another file are not believed."""
        data, other = rpm(payload=PAYLOAD), rpm(payload=PAYLOAD + b"x")

        verify_digests(reader(data), read(data), streamed(other))
