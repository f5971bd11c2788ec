"""Signatures of packages: those that are there, and the one that is put there."""

from __future__ import annotations

import base64
import hashlib

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats import rpmtags as tags
from pkgd.formats.rpm import RpmPackage, read_headers, read_rpm, rewrite, verify_digests
from pkgd.formats.rpmsignature import Signature
from tests.formats.rpms import Value, binary, int32, int64, reader, rpm, string, strings

RSA, EDDSA = 1, 22


def packet(algorithm: int, size: int = 60, version: int = 4) -> bytes:
    """A signature packet, as far as anybody looks here: new format, binary document, SHA-512."""
    body = bytes([version, 0, algorithm, 10]) + bytes(size)
    return bytes([0xC2, len(body)]) + body


def old_packet(algorithm: int, length_type: int) -> bytes:
    """The same in the old format, whose length has 1, 2 or 4 bytes."""
    body = bytes([4, 0, algorithm, 10]) + bytes(300 if length_type else 60)
    return bytes([0x88 | length_type]) + len(body).to_bytes((1, 2, 4)[length_type], "big") + body


def read(data: bytes) -> RpmPackage:
    """Read a package."""
    return read_rpm(reader(data), len(data))


def signed(data: bytes, signature: bytes) -> bytes:
    """The package with the signature put in."""
    beginning, rest = rewrite(reader(data), len(data), signature)
    return beginning + data[rest:]


class ReadTests(SynchronousTestCase):
    """Signatures that are there."""

    def test_none(self) -> None:
        """Most packages that are uploaded have none."""
        self.assertEqual(read(rpm()).signatures, ())

    def test_kinds(self) -> None:
        """All are read, base64 decoded, with what they cover."""
        values: dict[int, Value | None] = {
            tags.SIG_RSA: binary(b"rsa"),
            tags.SIG_GPG: binary(b"gpg"),
            tags.SIG_OPENPGP: strings(base64.b64encode(b"one"), base64.b64encode(b"two")),
        }

        self.assertEqual(
            read(rpm(signatures=values)).signatures,
            (Signature(b"one", False), Signature(b"two", False), Signature(b"rsa", False), Signature(b"gpg", True)),
        )


class RewriteTests(SynchronousTestCase):
    """A signature that is put there."""

    def test_only_change(self) -> None:
        """Nothing else changes: header, payload, and what the package says of them."""
        data = rpm(payload=b"the payload")
        result = signed(data, packet(RSA))
        before, after = read(data), read(result)

        self.assertEqual(result[after.header_start :], data[before.header_start :])
        self.assertEqual(after.signatures, (Signature(packet(RSA), False),))
        self.assertEqual((after.digests, after.archive_size), (before.digests, before.archive_size))
        verify_digests(reader(result), after)

    def test_place(self) -> None:
        """The header begins at a multiple of eight, however long the signature is."""
        for size in range(50, 60):
            self.assertEqual(read(signed(rpm(), packet(EDDSA, size))).header_start % 8, 0)

    def test_tags(self) -> None:
        """RSA has its own tag, everything else the other; both formats of packets are understood."""
        expected = {
            packet(RSA): tags.SIG_RSA,
            packet(EDDSA): tags.SIG_DSA,
            packet(27, version=6): tags.SIG_DSA,
            old_packet(RSA, 0): tags.SIG_RSA,
            old_packet(EDDSA, 1): tags.SIG_DSA,
            old_packet(RSA, 2): tags.SIG_RSA,
        }
        for signature, tag in expected.items():
            result = signed(rpm(), signature)
            header, _ = read_headers(reader(result), len(result))
            self.assertEqual(header.binary(tag), signature)

    def test_replaces(self) -> None:
        """Signatures that were there are gone."""
        values: dict[int, Value | None] = {
            tags.SIG_DSA: binary(b"dsa"),
            tags.SIG_PGP: binary(b"pgp"),
            tags.SIG_GPG: binary(b"gpg"),
            tags.SIG_OPENPGP: strings(base64.b64encode(b"one")),
        }
        result = read(signed(rpm(signatures=values), packet(RSA)))

        self.assertEqual([signature.packet for signature in result.signatures], [packet(RSA)])

    def test_again(self) -> None:
        """Signing anew is signing once."""
        self.assertEqual(signed(signed(rpm(), packet(EDDSA)), packet(RSA)), signed(rpm(), packet(RSA)))

    def test_reserved(self) -> None:
        """Where space is reserved the file keeps its length and the header its place."""
        data = rpm(signatures={tags.SIG_RESERVED_SPACE: binary(bytes(4000))})
        beginning, rest = rewrite(reader(data), len(data), packet(RSA))
        twice = signed(beginning + data[rest:], packet(EDDSA, 61))

        self.assertEqual(len(beginning), rest)
        self.assertEqual(len(twice), len(data))

    def test_too_little_reserved(self) -> None:
        """Too little space is given up."""
        result = signed(rpm(signatures={tags.SIG_RESERVED_SPACE: binary(bytes(8))}), packet(RSA, 180))
        header, _ = read_headers(reader(result), len(result))

        self.assertNotIn(tags.SIG_RESERVED_SPACE, header)

    def test_other_values(self) -> None:
        """Everything else in the signature header stays, aligned as it has to be."""
        values: dict[int, Value | None] = {
            tags.SIG_LONG_SIZE: None,
            tags.SIG_LONG_ARCHIVE_SIZE: int64(5),
            tags.SIG_ARCHIVE_SIZE: None,
            tags.SIG_FILE_SIGNATURES: strings("a", "bc"),
            tags.SIG_FILE_SIGNATURE_LENGTH: int32(7),
        }
        result = signed(rpm(signatures=values), packet(RSA, 61))
        header, _ = read_headers(reader(result), len(result))

        self.assertEqual(header.strings(tags.SIG_FILE_SIGNATURES), [b"a", b"bc"])
        self.assertEqual(header.number(tags.SIG_FILE_SIGNATURE_LENGTH), 7)
        self.assertEqual(header.number(tags.SIG_LONG_ARCHIVE_SIZE), 5)

    def test_rpm_6(self) -> None:
        """Packages of rpm 6 get it where rpm 6 looks, too, and their space is reserved under another tag."""
        legacy = dict.fromkeys((tags.SIG_SIZE, tags.SIG_MD5, tags.SIG_SHA1, tags.SIG_ARCHIVE_SIZE))
        data = rpm({tags.RPM_FORMAT: int32(6)}, signatures={**legacy, tags.SIG_RESERVED: binary(bytes(4000))})
        result = signed(data, packet(EDDSA))

        self.assertEqual([one.packet for one in read(result).signatures], [packet(EDDSA)] * 2)
        self.assertEqual(len(result), len(data))

    def test_no_payload_digest(self) -> None:
        """What says nothing of its payload cannot be signed by its header: rpm would not take it."""
        with self.assertRaisesRegex(InvalidPackage, "no digest of its payload"):
            signed(rpm({tags.PAYLOAD_SHA256: None}), packet(RSA))

    def test_no_signature(self) -> None:
        """What is no signature is not put there."""
        for wrong in (b"", b"\xc2", b"\xc2\x01\x04", packet(99), packet(RSA, version=3), b"\xc6" + packet(RSA)[1:]):
            self.assertRaises(InvalidPackage, signed, rpm(), wrong)

    def test_signature_of_header(self) -> None:
        """What has to be signed are the bytes of the header, as they lie in the file."""
        data = rpm()
        package = read(data)
        digest = hashlib.sha256(data[package.header_start : package.header_end]).hexdigest()

        self.assertEqual(package.digests.header["sha256"], digest)
        self.assertRaises(InvalidPackage, read, rpm(signatures={tags.SIG_SHA256: string(digest[1:])}))
