"""Who has signed a package of rpm: what is taken for a signature, and what is refused, with the reason."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidKey, InvalidPackage
from pkgd.formats import rpmtags as tags
from pkgd.formats.openpgp import Certificate, read_private_key, rpm_header_signature
from pkgd.formats.openpgp.packets import SIGNATURE, Packet, mpi, read_packets
from pkgd.formats.openpgp.signatures import sign, subpacket
from pkgd.formats.rpm import read_rpm
from pkgd.formats.rpmverify import verify_signatures
from tests.formats.openpgp.keyfiles import NOW, flipped, key, key_file
from tests.formats.rpms import Value, binary, reader, rpm
from tests.properties import brief

_OURS, _RSA, _OTHER = "pkgd-ed25519", "pkgd-rsa3072", "gpg-renamed"
_TAGS = {_OURS: tags.SIG_DSA, _OTHER: tags.SIG_DSA, _RSA: tags.SIG_RSA}
_UNSIGNED = rpm()


def _content(whole: bool = False, data: bytes = _UNSIGNED) -> bytes:
    """What of the package is signed."""
    package = read_rpm(reader(data), len(data))
    return data[package.header_start : None if whole else package.header_end]


def _signed(name: str, content: bytes | None = None, now: int = NOW) -> bytes:
    return rpm_header_signature(key(name), _content() if content is None else content, now)


class VerifyTests(SynchronousTestCase):
    """`verify_signatures`."""

    def signers(self, data: bytes, certificates: list[Certificate] | None = None, now: int = NOW) -> frozenset[str]:
        """Who has signed a package, if two keys are known."""
        known = [key(_OURS).certificate, key(_RSA).certificate] if certificates is None else certificates
        return verify_signatures(reader(data), read_rpm(reader(data), len(data)), known, now)

    def refused(self, signatures: dict[int, Value | None], **more: object) -> str:
        """Why a package with these signatures is refused."""
        return self.assertRaises(InvalidPackage, self.signers, rpm(signatures=signatures), **more).message

    def test_a_signature_of_the_header(self) -> None:
        """By either kind of key."""
        for name in (_OURS, _RSA):
            data = rpm(signatures={_TAGS[name]: binary(_signed(name))})
            self.assertEqual(self.signers(data), {key(name).fingerprint})

    def test_signatures_of_header_and_payload(self) -> None:
        """As rpm made them before 4.14: alone, and beside one of the header."""
        whole = binary(_signed(_RSA, _content(whole=True)))
        self.assertEqual(self.signers(rpm(signatures={tags.SIG_PGP: whole})), {key(_RSA).fingerprint})
        both = rpm(signatures={tags.SIG_PGP: whole, tags.SIG_DSA: binary(_signed(_OURS))})
        self.assertEqual(self.signers(both), {key(_RSA).fingerprint, key(_OURS).fingerprint})

    def test_one_bad_signature_is_enough(self) -> None:
        """rpm refuses such a package, whatever else it has."""
        good = {tags.SIG_DSA: binary(_signed(_OURS))}
        self.assertIn("not of these bytes", self.refused({**good, tags.SIG_PGP: binary(_signed(_RSA))}))
        self.assertIn("not of these bytes", self.refused({**good, tags.SIG_RSA: binary(_signed(_RSA, b"other"))}))

    def test_no_signature(self) -> None:
        """It is said so."""
        self.assertIn("not signed", self.refused({}))

    def test_an_unknown_key(self) -> None:
        """It is named."""
        why = self.refused({tags.SIG_DSA: binary(_signed(_OTHER))})
        self.assertIn(key(_OTHER).signer.key_id.hex(), why)
        self.assertIn("not by a key of this repository", why)

    def test_a_forged_issuer(self) -> None:
        """Another key's signature in our name, in every place where a name may stand."""
        ours, other = key(_OURS).signer, key(_OTHER)
        (packet,) = read_packets(_signed(_OTHER))
        body = packet.body.replace(other.signer.key_id, ours.key_id).replace(other.signer.fingerprint, ours.fingerprint)
        why = self.refused({tags.SIG_DSA: binary(Packet(SIGNATURE, body).encode())})
        self.assertIn("not of these bytes", why)
        # Only in the part that isn't signed.
        body = packet.body.replace(subpacket(16, other.signer.key_id), subpacket(16, ours.key_id))
        self.assertIn("not by a key", self.refused({tags.SIG_DSA: binary(Packet(SIGNATURE, body).encode())}))

    def test_a_changed_header(self) -> None:
        """With all digests made to fit, so that only the signature tells."""
        changed = rpm(
            {tags.VERSION: Value(tags.STRING, 1, b"1.1\0")}, signatures={tags.SIG_DSA: binary(_signed(_OURS))}
        )
        message = self.assertRaises(InvalidPackage, self.signers, changed).message
        self.assertIn("not of these bytes", message)

    @brief
    @given(st.data())
    def test_any_changed_bit_of_a_signature(self, data: st.DataObject) -> None:
        """Is noticed, unless it is in the length of its own packet's header form."""
        packet = _signed(_OURS)
        hint = packet.index(subpacket(16, key(_OURS).signer.key_id))
        at = data.draw(st.integers(0, len(packet) - 1).filter(lambda one: not hint - 2 <= one < hint + 10))
        self.refused({tags.SIG_DSA: binary(flipped(packet, at))})

    def test_expired_and_revoked_keys(self) -> None:
        """By now, whatever they were when they signed."""
        signer = read_private_key(key_file("gpg-expired"), None, 1_580_000_000)
        expired = [signer.certificate]
        signature = rpm_header_signature(signer, _content(), 1_580_000_000)
        data = rpm(signatures={tags.SIG_DSA: binary(signature), tags.SIG_RSA: None})
        self.assertEqual(len(self.signers(data, expired, 1_580_000_100)), 1)
        self.assertIn("it has expired", self.refused({tags.SIG_DSA: binary(signature)}, certificates=expired))
        with self.assertRaises(InvalidKey):
            key("gpg-revoked")
        revoked = Certificate(key(_OURS).certificate.primary, "", (), (), revoked=True)
        why = self.refused({tags.SIG_DSA: binary(_signed(_OURS))}, certificates=[revoked])
        self.assertIn("revoked", why)

    def _made(self, kind: int = 0, now: int = NOW, further: bytes = b"") -> Value:
        own = key(_OURS)
        return binary(sign(own.secret, own.signer, kind, _content(), now, further))

    def test_times(self) -> None:
        """An expired signature, one from the future, one that is older than its key."""
        lifetime = subpacket(3, struct.pack(">I", 60))
        self.assertTrue(self.signers(rpm(signatures={tags.SIG_DSA: self._made(further=lifetime)}), now=NOW + 59))
        self.assertIn("expired", self.refused({tags.SIG_DSA: self._made(further=lifetime)}, now=NOW + 60))
        self.assertIn("future", self.refused({tags.SIG_DSA: self._made(now=NOW + 4000)}))
        self.assertIn("older than the key", self.refused({tags.SIG_DSA: self._made(now=key(_OURS).created - 1)}))

    def test_what_is_no_signature_of_a_package(self) -> None:
        """Other types, hashes that clients refuse, several packets, none, and noise."""
        self.assertIn("not one of a package", self.refused({tags.SIG_DSA: self._made(kind=1)}))
        (packet,) = read_packets(_signed(_OURS))
        weak = Packet(SIGNATURE, packet.body[:3] + b"\x02" + packet.body[4:]).encode()
        self.assertIn("SHA-256", self.refused({tags.SIG_DSA: binary(weak)}))
        for data in (_signed(_OURS) * 2, b"\x00", b"\xc2\x01\x04", Packet(13, b"name").encode(), b"\xc2\x02\x03\x00"):
            self.refused({tags.SIG_DSA: binary(data)})
        self.assertIn("cannot be read", self.refused({tags.SIG_DSA: binary(Packet(SIGNATURE, mpi(5)).encode())}))

    def test_a_header_that_says_nothing_of_the_payload(self) -> None:
        """Its signature does not cover the payload; one of header and payload does."""
        bare = {tags.PAYLOAD_SHA256: None}
        header = _content(data=rpm(bare))
        data = rpm(bare, signatures={tags.SIG_DSA: binary(_signed(_OURS, header))})
        message = self.assertRaises(InvalidPackage, self.signers, data).message
        self.assertIn("does not cover the payload", message)
        whole = _content(whole=True, data=rpm(bare))
        data = rpm(bare, signatures={tags.SIG_PGP: binary(_signed(_RSA, whole))})
        self.assertEqual(self.signers(data), {key(_RSA).fingerprint})
