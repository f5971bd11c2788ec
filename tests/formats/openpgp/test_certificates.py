"""Certificates: what they vouch for, what may sign, and until when."""

from __future__ import annotations

import struct
import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp import Certificate, dearmored, read_certificates
from pkgd.formats.openpgp.packets import SIGNATURE, USER_ID, Packet, read_packets
from pkgd.formats.openpgp.signatures import subpacket
from tests.formats.openpgp.keyfiles import NOW, flipped, key, key_file
from tests.formats.openpgp.made import BEGUN, CERTIFY, SIGN, Maker, lifetime, secret
from tests.properties import brief

_YEAR = 365 * 86400


class CertificateCase(SynchronousTestCase):
    """A certificate that grows packet by packet."""

    def setUp(self) -> None:
        """A primary key."""
        self.maker = Maker()

    def read(self) -> Certificate:
        """The certificate as we read it."""
        return Certificate.of(self.maker.packets)

    def refused(self) -> str:
        """Why it is refused."""
        return self.assertRaises(InvalidKey, self.read).message


class NameTests(CertificateCase):
    """User names."""

    def test_vouched_for(self) -> None:
        """A name needs a signature of the primary key over just this name."""
        self.maker.name("bob")
        self.maker.packets[1] = Packet(USER_ID, b"eve")

        self.assertIn("vouches for no user name", self.refused())

    def test_by_another(self) -> None:
        """A name that only others have certified is none."""
        self.maker.name("bob", by=2)

        self.assertIn("vouches for no user name", self.refused())

    def test_none(self) -> None:
        """A key without a name is refused."""
        self.assertIn("vouches for no user name", self.refused())

    def test_sha1(self) -> None:
        """A name certified with SHA-1 is none: clients refuse such keys."""
        self.assertIn("SHA-1", self.assertRaises(InvalidKey, read_certificates, self.public("gpg-sha1")).message)

    def test_latest(self) -> None:
        """Of several names the one that was certified last counts."""
        self.maker.name("old", BEGUN)
        self.maker.name("new", BEGUN + 2)
        self.maker.name("between", BEGUN + 1)

        self.assertEqual(self.read().user_id, "new")

    def test_primary(self) -> None:
        """One that says that it is the primary one counts before younger ones."""
        self.maker.primary_name("bob")
        self.maker.name("young", BEGUN + 5)

        self.assertEqual(self.read().user_id, "bob")

    def test_revoked(self) -> None:
        """A revoked name neither counts nor is published."""
        self.maker.name("old", BEGUN)
        self.maker.certified("old", 0x30, BEGUN + 1)
        self.maker.name("new", BEGUN)

        self.assertEqual(self.read().user_id, "new")
        self.assertNotIn(b"old", self.read().encode())

    def test_certified_again(self) -> None:
        """A name that was certified again after it had been revoked counts."""
        self.maker.name("bob", BEGUN)
        self.maker.certified("bob", 0x30, BEGUN + 1)
        self.maker.certified("bob", 0x13, BEGUN + 2)

        self.assertEqual(self.read().user_id, "bob")

    def test_renamed_by_gnupg(self) -> None:
        """So it is with GnuPG's."""
        self.assertEqual(key("gpg-renamed").user_id, "new name <b@example.test>")

    def test_not_utf8(self) -> None:
        """A name in another encoding can be shown all the same."""
        self.maker.name("bob")
        name = b"M\xfcller"
        self.maker.packets.append(Packet(USER_ID, name))
        self.maker.signed(0x13, b"\xb4" + struct.pack(">I", len(name)) + name, BEGUN + 1)

        self.assertEqual(self.read().user_id, "M\ufffdller")

    def public(self, name: str) -> bytes:
        """The public packets of a secret key file."""
        tags = {5: 6}
        packets = read_packets(dearmored(key_file(name)))
        primary = packets[0]
        size = 6 + 2 + 256 + 2 + 3
        return b"".join(
            [Packet(tags[primary.tag], primary.body[:size]).encode(), *(one.encode() for one in packets[1:])]
        )


class SigningTests(CertificateCase):
    """What may sign."""

    def test_primary(self) -> None:
        """The primary key, if it says so, or if it doesn't say what it is for."""
        for flags in (SIGN, b"\x03", b""):
            maker = Maker()
            maker.name("bob", flags=flags)

            self.assertEqual(Certificate.of(maker.packets).usable_keys(NOW), (maker.primary,))

    def test_not_primary(self) -> None:
        """Not the primary key that is for certifying."""
        self.maker.name("bob", flags=CERTIFY)

        self.assertEqual(self.read().usable_keys(NOW), ())

    def test_subkeys(self) -> None:
        """The youngest subkey comes first, the primary key last."""
        self.maker.name("bob", flags=b"\x03")
        old, new = self.maker.subkey(2, BEGUN), self.maker.subkey(3, BEGUN + 9)

        self.assertEqual(self.read().usable_keys(NOW), (new, old, self.maker.primary))

    def test_encryption(self) -> None:
        """A subkey for something else is left out, and not published either."""
        self.maker.name("bob")
        subkey = self.maker.subkey(2, flags=b"\x0c")

        self.assertEqual(self.read().signing, ())
        self.assertNotIn(subkey.body, self.read().encode())

    def test_foreign(self) -> None:
        """A subkey that has not signed the primary key in turn may belong to somebody else: it is left out."""
        for cross in (b"", Maker(5).cross(2), self.maker.cross(2, kind=0x18), self.maker.cross(3)):
            maker = Maker()
            maker.name("bob")
            maker.subkey(2, cross=cross)

            self.assertEqual(Certificate.of(maker.packets).signing, ())

    def test_long_subpackets(self) -> None:
        """Subpackets are read whose length takes two octets or five."""
        for size in ("c0c5", "ff00000185"):
            maker = Maker()
            maker.name("bob", flags=b"", further=bytes.fromhex(size) + b"\x14" + bytes(388) + subpacket(27, CERTIFY))

            self.assertEqual(Certificate.of(maker.packets).signing, ())

    def test_not_bound(self) -> None:
        """A subkey that the primary key has not bound is left out."""
        self.maker.name("bob")
        subkey = self.maker.subkey(2)
        del self.maker.packets[-1]
        self.maker.bound(subkey, 0x18, BEGUN, subpacket(27, SIGN), by=3)

        self.assertEqual(self.read().signing, ())

    def test_direct_signature(self) -> None:
        """What a name's signature doesn't say may be said of the key itself."""
        self.maker.signed(0x1F, b"", further=subpacket(27, SIGN) + lifetime(_YEAR))
        self.maker.name("bob", flags=b"")

        self.assertEqual(self.read().signing[0].expires, BEGUN + _YEAR)
        self.assertEqual(self.read().usable_keys(BEGUN + 1), (self.maker.primary,))


class ExpiryTests(CertificateCase):
    """Until when."""

    def test_never(self) -> None:
        """A key that doesn't say never expires."""
        self.maker.name("bob", flags=SIGN)

        self.assertEqual(self.read().signing[0].expires, 0)
        self.assertTrue(self.read().usable_keys(1 << 40))

    def test_expires(self) -> None:
        """A key is good until that second, and not in it."""
        self.maker.name("bob", flags=SIGN, further=lifetime(_YEAR))
        end = BEGUN + _YEAR

        self.assertEqual(self.read().usable_keys(end - 1), (self.maker.primary,))
        self.assertEqual(self.read().usable_keys(end), ())
        self.assertEqual(self.read().signing[0].problem(end), "it has expired")

    def test_prolonged(self) -> None:
        """The latest signature about a name counts, whichever stands first."""
        self.maker.name("bob", BEGUN + 5, SIGN, lifetime(2 * _YEAR))
        self.maker.certified("bob", 0x13, BEGUN, subpacket(27, SIGN) + lifetime(_YEAR))

        self.assertEqual(self.read().signing[0].expires, BEGUN + 2 * _YEAR)

    def test_subkey(self) -> None:
        """A subkey expires by itself, or with its primary key."""
        self.maker.name("bob", flags=CERTIFY, further=lifetime(2 * _YEAR))
        self.maker.subkey(2, further=lifetime(_YEAR))
        self.maker.subkey(3, BEGUN + 1, further=lifetime(3 * _YEAR))

        self.assertEqual([one.expires for one in self.read().signing], [BEGUN + 2 * _YEAR, BEGUN + _YEAR])

    def test_signature_expires(self) -> None:
        """With a certification that expires, the key does."""
        self.maker.name("bob", flags=SIGN, further=subpacket(3, struct.pack(">I", 60)))

        self.assertEqual(self.read().signing[0].expires, BEGUN + 60)

    def test_from_the_future(self) -> None:
        """A key that is younger than the clock cannot sign; some minutes don't matter."""
        self.maker.name("bob", flags=SIGN)

        self.assertEqual(self.read().usable_keys(BEGUN - 86400), ())
        self.assertEqual(self.read().usable_keys(BEGUN - 60), (self.maker.primary,))


class RevocationTests(CertificateCase):
    """What has been taken back."""

    def test_key(self) -> None:
        """Nothing of a revoked key may sign, and the revocation is published."""
        self.maker.signed(0x20, b"", BEGUN + 5)
        revocation = self.maker.packets[-1]
        self.maker.name("bob", flags=SIGN)
        self.maker.subkey(2)

        self.assertTrue(self.read().revoked)
        self.assertEqual(self.read().signing, ())
        self.assertIn(revocation, self.read().packets)

    def test_by_another(self) -> None:
        """Nobody else can revoke a key."""
        self.maker.signed(0x20, b"", BEGUN + 5, by=2)
        self.maker.name("bob", flags=SIGN)

        self.assertFalse(self.read().revoked)

    def test_sha1(self) -> None:
        """A revocation counts though it is made with SHA-1."""
        self.maker.signed(0x20, b"", BEGUN + 5)
        body = self.maker.packets[-1].body
        self.maker.packets[-1] = Packet(SIGNATURE, body[:3] + b"\x02" + body[4:])
        self.maker.name("bob", flags=SIGN)

        self.assertTrue(self.read().revoked)

    def test_subkey(self) -> None:
        """A revoked subkey may not sign; the others may, and the revocation is published."""
        self.maker.name("bob")
        other, revoked = self.maker.subkey(2), self.maker.subkey(3)
        self.maker.bound(revoked, 0x28, BEGUN + 1)

        self.assertEqual(self.read().usable_keys(NOW), (other,))
        self.assertIn(self.maker.packets[-1], self.read().packets)

    def test_by_gnupg(self) -> None:
        """So it is with GnuPG's."""
        for name, problem in (("gpg-revoked", "it is revoked"), ("gpg-expired", "it has expired")):
            self.assertIn(problem, self.assertRaises(InvalidKey, key, name).message)


class PublishedTests(CertificateCase):
    """What a certificate is published with."""

    def test_own(self) -> None:
        """What GnuPG has exported of a simple key is published as it is."""
        found = key("gpg-rsa2048").certificate

        self.assertEqual([one.tag for one in found.packets], [6, 13, 2])

    def test_reduced(self) -> None:
        """Signatures of others, older ones, photographs and what stands behind them stay out."""
        self.maker.name("bob", BEGUN, SIGN)
        old = self.maker.packets[-1]
        self.maker.certified("bob", 0x13, BEGUN + 1, subpacket(27, SIGN))
        self.maker.certified("bob", 0x10, BEGUN + 2, by=7)
        self.maker.packets.append(Packet(17, b"photograph"))
        self.maker.certified("bob", 0x13, BEGUN + 3)
        packets = self.read().packets

        self.assertEqual([one.tag for one in packets], [6, 13, 2])
        self.assertNotIn(old, packets)
        self.assertEqual(self.read().signing[0].material, self.maker.primary)

    def test_stable(self) -> None:
        """What is published is read as what it was."""
        self.maker.primary_name("bob")
        self.maker.name("else", flags=SIGN)
        self.maker.subkey(2)

        self.assertEqual(read_certificates(self.read().encode()), [self.read()])

    def test_notes_of_gnupg(self) -> None:
        """GnuPG's own notes between the packets don't matter."""
        self.maker.name("bob")
        expected = self.read()
        self.maker.packets[2:2] = [Packet(12, b"\0\0")]

        self.assertEqual(self.read(), expected)


class FileTests(CertificateCase):
    """Key files."""

    def test_several(self) -> None:
        """Every certificate is read, from one armor or several."""
        data = key_file("gpg-subkey-public") + key("pkgd-ed25519").public_armor

        self.assertEqual(
            [one.fingerprint for one in read_certificates(data)],
            [key("gpg-subkey").fingerprint, key("pkgd-ed25519").fingerprint],
        )

    def test_some_useless(self) -> None:
        """Such as cannot be used are left out, as long as one can."""
        data = self.maker.encode() + key("pkgd-ed25519").certificate.encode()

        self.assertEqual(read_certificates(data), [key("pkgd-ed25519").certificate])

    def test_none(self) -> None:
        """A file without any is refused with the reason."""
        for data in (b"", b"hello", self.maker.encode(), key_file("pkgd-ed25519")):
            self.assertRaises(InvalidKey, read_certificates, data)

    def test_damaged(self) -> None:
        """A changed bit anywhere makes it unusable: nothing in it goes unverified."""
        self.maker.name("bob", flags=SIGN)
        data, good = self.maker.encode(), self.read()
        for position in range(len(data)):
            try:
                found = read_certificates(flipped(data, position))
            except InvalidKey:
                continue
            # What isn't hashed: the issuer's key id, a hint.
            self.assertEqual(found[0].signing, good.signing, position)

    @brief
    @given(st.lists(st.tuples(st.sampled_from([2, 6, 13, 14, 17, 12, 5, 7]), st.binary(max_size=80))))
    def test_any_packets(self, pairs: list[tuple[int, bytes]]) -> None:
        """Whatever packets follow: a certificate without their keys, or `InvalidKey`."""
        maker = Maker()
        maker.name("bob", flags=SIGN)
        known = Certificate.of(maker.packets)
        data = maker.encode() + b"".join(Packet(*pair).encode() for pair in pairs)
        try:
            found = read_certificates(data)
        except InvalidKey:
            return
        self.assertEqual(found[0].signing, known.signing)

    def test_time(self) -> None:
        """The largest file of signatures is read in bounded time, whether they claim to be ours or not."""
        self.maker.name("bob", flags=SIGN)
        begun = time.process_time()
        self.maker.packets += [self.maker.packets[-1]] * 4000
        self.assertIn("signatures", self.refused())
        other = Maker()
        other.name("bob", flags=SIGN)
        other.certified("bob", 0x10, BEGUN, by=9)
        other.packets += [other.packets[-1]] * 4000

        self.assertEqual(Certificate.of(other.packets).usable_keys(NOW), (other.primary,))
        self.assertLess(time.process_time() - begun, 5)

    def test_hostile_subpackets(self) -> None:
        """A signature full of the smallest subpackets is read in bounded time."""
        head = bytes([4, 0x13, 22, 10]) + struct.pack(">H", 65534) + b"\x01\x63" * 32767
        begun = time.process_time()
        self.maker.name("bob", flags=SIGN)
        self.maker.packets += [Packet(SIGNATURE, head + b"\0\0\0\0")] * 14

        self.assertTrue(self.read().signing)
        self.assertLess(time.process_time() - begun, 5)

    def test_keys_differ(self) -> None:
        """The keys of these tests are different ones, or they would show nothing."""
        self.assertNotEqual(secret(1).public_key().public_bytes_raw(), secret(2).public_key().public_bytes_raw())
