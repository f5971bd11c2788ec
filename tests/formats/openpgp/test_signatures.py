"""Signatures: written, and read again."""

from __future__ import annotations

import hashlib
import struct
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp import (
    PrivateKey,
    cleartext,
    dearmored,
    detached,
    read_private_key,
    rpm_header_signature,
    signed_by,
    text_signed_by,
)
from pkgd.formats.openpgp.material import PublicMaterial, public_of
from pkgd.formats.openpgp.packets import SIGNATURE, Fields, Packet, mpi, read_packets
from pkgd.formats.openpgp.signaturepackets import BINARY, read_signature, trailer
from pkgd.formats.openpgp.signatures import sign, subpacket
from tests.formats.openpgp.keyfiles import NOW, flipped, key, key_file
from tests.formats.openpgp.made import BEGUN, secret
from tests.properties import bounded, brief

_KEYS = ("pkgd-rsa3072", "pkgd-ed25519", "gpg-rsa2048", "gpg-subkey")
_HEAD = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"
_TAIL = b"-----BEGIN PGP SIGNATURE-----\n\n"


def rsa_signature(digest: int, content: bytes, version: int = 4, kind: int = BINARY, named: int = 1) -> bytes:
    """A signature by the RSA key with another hash, version, type or algorithm's name, as others would make it."""
    found = key("pkgd-rsa3072")
    assert isinstance(found.secret, rsa.RSAPrivateKey)
    algorithm: hashes.HashAlgorithm = {
        2: hashes.SHA1(),  # noqa: S303
        8: hashes.SHA256(),
        9: hashes.SHA384(),
        10: hashes.SHA512(),
    }[digest]
    stated = subpacket(2, struct.pack(">I", NOW))
    head = bytes([version, kind, named, digest]) + struct.pack(">H", len(stated)) + stated
    whole = content + trailer(head)
    numbers = found.secret.sign(whole, padding.PKCS1v15(), algorithm)
    start = hashlib.new(algorithm.name, whole).digest()[:2]
    return Packet(SIGNATURE, head + b"\0\0" + start + mpi(int.from_bytes(numbers, "big"))).encode()


class DetachedTests(SynchronousTestCase):
    """Detached signatures: `Release.gpg`, `repomd.xml.asc`."""

    def test_form(self) -> None:
        """An armor with a binary signature with SHA-512, made now, that names its key in both ways."""
        for name in _KEYS:
            found = key(name)
            packets = read_packets(dearmored(detached([found], b"data", NOW)))
            signature = read_signature(packets[0].body)

            self.assertEqual([one.tag for one in packets], [SIGNATURE])
            self.assertEqual((signature.kind, signature.hash, signature.created), (BINARY, 10, NOW))
            self.assertEqual(signature.stated[33], b"\x04" + found.signer.fingerprint)
            self.assertEqual(signature.issuer, found.signer.key_id)

    def test_golden(self) -> None:
        """Ed25519 signatures don't depend on chance: this one was accepted by gpgv."""
        self.assertEqual(
            hashlib.sha256(detached([key("pkgd-ed25519")], b"data\n", NOW)).hexdigest(),
            "10151e06d775a38a8ebc1403ae9819e475e02a48a38651c03cc82eec4f1b6506",
        )

    def test_several_keys(self) -> None:
        """The signatures of several keys are in one armor, in their order, and each verifies by itself."""
        keys = [key("pkgd-rsa3072"), key("pkgd-ed25519")]
        armor = detached(keys, b"data", NOW)

        self.assertEqual(armor.count(b"BEGIN"), 1)
        self.assertEqual(
            [read_signature(one.body).issuer for one in read_packets(dearmored(armor))],
            [one.signer.key_id for one in keys],
        )
        for one in keys:
            self.assertEqual(signed_by(dearmored(armor), b"data", [one.signer]), one.signer)

    def test_time(self) -> None:
        """A clock that has gone back a little makes no signature that is older than its key."""
        found = key("pkgd-ed25519")
        packet = read_packets(dearmored(detached([found], b"data", found.created - 60)))[0]

        self.assertEqual(read_signature(packet.body).created, found.created)

    def test_useless_keys(self) -> None:
        """A key that has expired, or that the clock says is of next year, signs nothing, in no way."""
        gone = read_private_key(key_file("gpg-expired"))
        for found, now in ((gone, NOW), (key("pkgd-ed25519"), NOW - 365 * 86400)):
            for attempt in (
                lambda key=found, now=now: detached([key], b"", now),
                lambda key=found, now=now: cleartext([key], b"", now),
                lambda key=found, now=now: rpm_header_signature(key, b"", now),
            ):
                self.assertIn(found.fingerprint, self.assertRaises(InvalidKey, attempt).message)

    def test_rpm_header(self) -> None:
        """An rpm's signature is the packet alone."""
        packet = rpm_header_signature(key("pkgd-rsa3072"), b"header", NOW)

        self.assertEqual([one.tag for one in read_packets(packet)], [SIGNATURE])
        self.assertTrue(signed_by(packet, b"header", [key("pkgd-rsa3072").signer]))

    @brief
    @given(st.binary(max_size=200))
    def test_any_data(self, data: bytes) -> None:
        """Whatever is signed is verified, and nothing else is."""
        found = key("pkgd-ed25519")
        signature = dearmored(detached([found], data, NOW))

        self.assertEqual(signed_by(signature, data, [found.signer]), found.signer)
        self.assertIsNone(signed_by(signature, data + b"\0", [found.signer]))


class CleartextTests(SynchronousTestCase):
    """Clear-signed texts: `InRelease`."""

    def sign(self, text: bytes, *keys: PrivateKey) -> bytes:
        """The message."""
        return cleartext(keys or (key("pkgd-ed25519"),), text, NOW)

    def assert_written(self, text: bytes, written: bytes) -> None:
        """So a text is framed, and it verifies."""
        message = self.sign(text)

        self.assertEqual(message[: message.index(_TAIL)], _HEAD + written)
        self.assertTrue(message.endswith(b"\n-----END PGP SIGNATURE-----\n"))
        self.assertEqual(text_signed_by(message, [key("pkgd-ed25519").signer]), key("pkgd-ed25519").signer)

    def test_lines(self) -> None:
        """The text stands there as it is; there is no empty line before the signature."""
        self.assert_written(b"a\n b\n", b"a\n b\n")

    def test_no_final_line_end(self) -> None:
        """A text without a final line end is given one, which isn't signed: both are the same."""
        self.assert_written(b"a\nb", b"a\nb\n")
        self.assertEqual(self.sign(b"a\nb"), self.sign(b"a\nb\n"))

    def test_empty(self) -> None:
        """No text is an empty line."""
        self.assert_written(b"", b"\n")
        self.assert_written(b"\n", b"\n")

    def test_empty_lines(self) -> None:
        """Empty lines at the beginning and the end are kept."""
        self.assert_written(b"\n\na\n\n\n", b"\n\na\n\n\n")

    def test_dashes(self) -> None:
        """Lines that begin with a dash are escaped, so that no line looks like the end."""
        self.assert_written(b"-\n- a\n-----BEGIN PGP SIGNATURE-----\n -\n", b"- -\n- - a\n- " + _TAIL[:-1] + b" -\n")

    def test_white_space(self) -> None:
        """White space at the ends of lines is kept, and not signed (RFC 4880, 7.1)."""
        self.assert_written(b"a \t\nb\r\n", b"a \t\nb\r\n")
        ends = [message.partition(_TAIL)[2] for message in (self.sign(b"a \t\nb\r\n"), self.sign(b"a\nb\n"))]
        self.assertEqual(ends[0], ends[1])

    def test_canonical(self) -> None:
        """What is hashed has CR LF between its lines, and none at its end."""
        message = self.sign(b"a \n- b\n")
        signature = read_signature(read_packets(dearmored(message[message.index(_TAIL) :]))[0].body)

        self.assertEqual(signature.kind, 1)
        self.assertTrue(signature.made_by(key("pkgd-ed25519").signer, b"a\r\n- b"))

    def test_golden(self) -> None:
        """This message was accepted by gpgv."""
        self.assertEqual(
            hashlib.sha256(self.sign(b"Suite: stable\n- x \n")).hexdigest(),
            "ae07da8bd9d32bea1dc5349b745b2add200dd13fc5100cb0be57934d62569caa",
        )

    def test_several_keys(self) -> None:
        """Several keys make one armor."""
        keys = [key("pkgd-rsa3072"), key("pkgd-ed25519")]
        message = self.sign(b"a\n", *keys)

        self.assertEqual(message.count(_TAIL), 1)
        for one in keys:
            self.assertEqual(text_signed_by(message, [one.signer]), one.signer)

    @bounded
    @given(st.lists(st.sampled_from([b"-", b" ", b"\t", b"\r", b"\n", b"a", b"From ", b"\xff", _TAIL, _HEAD])))
    def test_any_text(self, pieces: list[bytes]) -> None:
        """Whatever the text is: it verifies, and it ends where its armor begins."""
        message = self.sign(b"".join(pieces))

        self.assertTrue(text_signed_by(message, [key("pkgd-ed25519").signer]))
        self.assertEqual(sum(line == _TAIL.strip() for line in message.split(b"\n")), 1)


class TextSignedByTests(SynchronousTestCase):
    """Clear-signed messages of others."""

    def setUp(self) -> None:
        """A message."""
        self.signer = key("pkgd-ed25519").signer
        self.message = cleartext([key("pkgd-ed25519")], b"a\nb\n", NOW)

    def test_changed(self) -> None:
        """Another text is not what was signed."""
        for found, instead in (
            (b"a\nb", b"a\nc"),
            (b"a\nb", b"a\n\nb"),
            (b"\na\n", b"\n\na\n"),
            (b"b\n--", b"b\nc\n--"),
        ):
            self.assertIsNone(text_signed_by(self.message.replace(found, instead, 1), [self.signer]))

    def test_around(self) -> None:
        """A message with something before or behind it is refused, for one might read what nobody signed."""
        for message in (b"x\n" + self.message, self.message + b"x\n", self.message * 2):
            self.assertIsNone(text_signed_by(message, [self.signer]))

    def test_binary_signature(self) -> None:
        """A signature of another type is none of a text."""
        armor = detached([key("pkgd-ed25519")], b"a\r\nb", NOW)

        self.assertIsNone(text_signed_by(self.message[: self.message.index(_TAIL)] + armor, [self.signer]))

    def test_not_signed(self) -> None:
        """A text that isn't signed, or not as one, is signed by nobody."""
        for message in (b"", b"a\n", _HEAD, _HEAD + b"a\n", _HEAD + b"a\n" + _TAIL):
            self.assertIsNone(text_signed_by(message, [self.signer]))

    @bounded
    @given(st.lists(st.sampled_from([_HEAD, _TAIL, b"a\n", b"=\n", b"-----END PGP SIGNATURE-----\n", b"- x\n", b"-"])))
    def test_any_lines(self, pieces: list[bytes]) -> None:
        """Whatever the lines are: nobody has signed them."""
        self.assertIsNone(text_signed_by(b"".join(pieces), [self.signer]))


class SignedByTests(SynchronousTestCase):
    """Binary signatures of others."""

    def setUp(self) -> None:
        """The key that has signed, and others."""
        self.rsa = key("pkgd-rsa3072").signer
        self.known = [key("pkgd-ed25519").signer, key("gpg-rsa2048").signer, self.rsa]

    def signer(self, signature: bytes, content: bytes = b"data") -> PublicMaterial | None:
        """Who has signed."""
        return signed_by(signature, content, self.known)

    def test_hashes(self) -> None:
        """SHA-256, SHA-384 and SHA-512 count."""
        for number in (8, 9, 10):
            self.assertEqual(self.signer(rsa_signature(number, b"data")), self.rsa)

    def test_sha1(self) -> None:
        """SHA-1 does not, though the signature is right."""
        self.assertIsNone(self.signer(rsa_signature(2, b"data")))

    def test_versions(self) -> None:
        """Version 3, and whatever comes, does not."""
        for version in (2, 3, 5, 6):
            self.assertIsNone(self.signer(rsa_signature(8, b"data", version)))

    def test_kinds(self) -> None:
        """A signature of another type, such as of a text or a key, is none of a file."""
        for kind in (0x01, 0x02, 0x10, 0x13, 0x18):
            self.assertIsNone(self.signer(rsa_signature(8, b"data", kind=kind)))

    def test_unknown(self) -> None:
        """A signature by a key that isn't known is nobody's."""
        stranger = sign(secret(9), public_of(secret(9), BEGUN), BINARY, b"data", NOW)

        self.assertIsNone(self.signer(stranger))
        self.assertEqual(self.signer(stranger + rsa_signature(8, b"data")), self.rsa)

    def test_claimed(self) -> None:
        """One that names a known key but was made by another is nobody's."""
        claimed = sign(secret(9), key("pkgd-ed25519").signer, BINARY, b"data", NOW)

        self.assertIsNone(self.signer(claimed))

    def test_other_algorithm(self) -> None:
        """One that names another algorithm than its key's is nobody's."""
        self.assertIsNone(self.signer(rsa_signature(8, b"data", named=22)))

    def test_not_packets(self) -> None:
        """What is no signature is nobody's."""
        for data in (b"", b"hello", Packet(13, b"bob").encode(), Packet(SIGNATURE, b"").encode()):
            self.assertIsNone(self.signer(data))

    def test_changed(self) -> None:
        """A changed bit of what counts makes it nobody's."""
        good = rpm_header_signature(key("pkgd-ed25519"), b"data", NOW)
        fields = Fields(read_packets(good)[0].body)
        fields.take(4)
        hashed = 2 + 6 + fields.number(2)

        for position in [*range(2, hashed), *range(hashed + 12, len(good))]:
            self.assertIsNone(self.signer(flipped(good, position)), position)

    @bounded
    @given(st.binary(max_size=120), st.sampled_from([b"", b"\x04\x00\x01\x08", b"\x04\x00\x16\x0a", b"\x03\x05\x00"]))
    def test_any_bytes(self, data: bytes, begin: bytes) -> None:
        """Whatever the bytes are: nobody has signed."""
        self.assertIsNone(self.signer(Packet(SIGNATURE, begin + data).encode()))
        self.assertIsNone(self.signer(data))

    def test_time(self) -> None:
        """A file full of signatures over large content is judged in bounded time."""
        signatures = rsa_signature(8, b"other") * 2000
        begun = time.process_time()

        self.assertIsNone(self.signer(signatures, bytes(1 << 22)))

        self.assertLess(time.process_time() - begun, 5)

    def test_many(self) -> None:
        """Of a file with more signatures than anybody makes only the first are looked at."""
        stranger = sign(secret(9), public_of(secret(9), BEGUN), BINARY, b"data", NOW)

        self.assertEqual(self.signer(stranger * 15 + rsa_signature(8, b"data")), self.rsa)
        self.assertIsNone(self.signer(stranger * 16 + rsa_signature(8, b"data")))

    def test_numbers(self) -> None:
        """Numbers of any size are refused, not tripped over."""
        body = read_packets(rpm_header_signature(key("pkgd-ed25519"), b"data", NOW))[0].body
        fields = Fields(body)
        fields.take(4)
        fields.take(fields.number(2))
        fields.take(fields.number(2) + 2)
        for numbers in (b"", mpi(0), mpi(0) * 2, mpi(1 << 4000) * 2, b"\xff\xff"):
            self.assertIsNone(self.signer(Packet(SIGNATURE, body[: fields.position] + numbers).encode()))
        self.assertTrue(self.signer(Packet(SIGNATURE, body).encode()))
