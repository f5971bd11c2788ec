"""Secret keys: read as GnuPG exports them, and exported."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp import (
    dearmored,
    detached,
    generate_key,
    read_certificates,
    read_private_key,
    read_private_keys,
    signed_by,
)
from pkgd.formats.openpgp.material import secret_numbers
from pkgd.formats.openpgp.packets import SECRET_KEY, SECRET_SUBKEY, Packet, read_packets
from tests.formats.openpgp.keyfiles import NOW, PASSPHRASE, flipped, key, key_file
from tests.properties import brief

_READABLE = ("pkgd-rsa3072", "pkgd-ed25519", "gpg-rsa2048", "gpg-subkey", "gpg-subkey-only", "gpg-renamed")
_PROTECTED = ("gpg-rsa2048-passphrase", "gpg-ed25519-passphrase")
_SALT, _IV = b"saltsalt", bytes(16)


class ReadTests(SynchronousTestCase):
    """Reading key files."""

    def refused(self, data: bytes, passphrase: str | None = None) -> str:
        """Why a key is refused."""
        return self.assertRaises(InvalidKey, read_private_key, data, passphrase, NOW).message

    def test_usable(self) -> None:
        """What is read signs."""
        for name in (*_READABLE, *_PROTECTED):
            signature = dearmored(detached([key(name)], b"data", NOW))

            self.assertEqual(signed_by(signature, b"data", [key(name).signer]), key(name).signer, name)

    def test_binary(self) -> None:
        """Armor is not needed."""
        self.assertEqual(read_private_key(dearmored(key_file("gpg-subkey"))).signer, key("gpg-subkey").signer)

    def test_subkey(self) -> None:
        """A subkey signs, where there is one, whether the primary key's secret is in the file or not."""
        for name in ("gpg-subkey", "gpg-subkey-only"):
            self.assertNotEqual(key(name).signer, key(name).certificate.primary)
            self.assertEqual(key(name).certificate, read_certificates(key_file("gpg-subkey-public"))[0])

    def test_passphrase(self) -> None:
        """A missing or wrong passphrase is said to be so, and never shown."""
        for name in _PROTECTED:
            self.assertIn("has a passphrase", self.refused(key_file(name)))
            message = self.refused(key_file(name), "wrong-canary")
            self.assertIn("the passphrase is wrong", message)
            self.assertNotIn("canary", message)

    def test_useless(self) -> None:
        """Keys that clients would refuse, or that may not sign, are refused with the reason."""
        for name, reason in (
            ("gpg-expired", "it has expired"),
            ("gpg-revoked", "it is revoked"),
            ("gpg-sha1", "SHA-1"),
            ("gpg-certify-only", "it may not sign"),
            ("gpg-subkey-revoked", "it may not sign"),
            ("gpg-subkey-public", "no secret key"),
        ):
            self.assertIn(reason, self.refused(key_file(name)))

    def test_time(self) -> None:
        """Whether it has expired depends on when one looks; without a time nobody looks."""
        self.assertEqual(read_private_key(key_file("gpg-expired"), None, 1_580_000_000).expires, 1_609_372_800)
        self.assertEqual(read_private_key(key_file("gpg-expired")).expires, 1_609_372_800)

    def test_stub_only(self) -> None:
        """A file without any secret that signs is refused, and where it may be is said."""
        packets = read_packets(dearmored(key_file("gpg-subkey-only")))
        stub = packets[0].body[51:]
        self.assertIn(b"GNU", stub)
        subkey = Packet(SECRET_SUBKEY, packets[3].body[:51] + stub)

        self.assertIn("elsewhere", self.refused(b"".join(one.encode() for one in [*packets[:3], subkey, *packets[4:]])))

    def test_several(self) -> None:
        """Every key of a file is read; where one is asked for, there must be one."""
        data = key_file("pkgd-ed25519") + key_file("gpg-renamed")

        self.assertEqual(
            [one.fingerprint for one in read_private_keys(data)],
            [key("pkgd-ed25519").fingerprint, key("gpg-renamed").fingerprint],
        )
        self.assertIn("more than one", self.refused(data))

    def test_public_beside(self) -> None:
        """Public keys in the same file don't matter."""
        data = key("pkgd-rsa3072").public_armor + key_file("pkgd-ed25519") + key_file("gpg-subkey-public")

        self.assertEqual(read_private_key(data).fingerprint, key("pkgd-ed25519").fingerprint)

    def test_one_useless(self) -> None:
        """One key that is of no use is reason enough to refuse a file: nobody would notice that it is missing."""
        self.assertIn("it is revoked", self.refused(key_file("pkgd-ed25519") + key_file("gpg-revoked")))

    def test_too_many(self) -> None:
        """There is a limit, for each may cost a second."""
        self.assertIn("more than", self.refused(key_file("gpg-ed25519-passphrase") * 17, "wrong"))

    def test_mixed_up(self) -> None:
        """The secret part of another key is refused."""
        one, other = (read_packets(dearmored(key_file(name))) for name in ("pkgd-ed25519", "gpg-renamed"))
        mixed = Packet(SECRET_KEY, one[0].body[:51] + other[0].body[51:])

        self.assertIn("does not belong", self.refused(b"".join(part.encode() for part in [mixed, *one[1:]])))

    def test_no_key(self) -> None:
        """What is no key is refused."""
        for data in (b"", b"hello", key("pkgd-ed25519").public_armor, detached([key("pkgd-ed25519")], b"", NOW)):
            self.assertIn("not a usable OpenPGP key", self.refused(data))

    def test_damaged(self) -> None:
        """A changed bit makes a key unusable, or leaves it the same."""
        data = dearmored(key_file("pkgd-ed25519"))
        for position in range(len(data)):
            try:
                found = read_private_key(flipped(data, position))
            except InvalidKey:
                continue
            self.assertEqual(secret_numbers(found.secret), secret_numbers(key("pkgd-ed25519").secret), position)

    @brief
    @given(st.binary(max_size=300), st.integers(0, 400))
    def test_any_bytes(self, data: bytes, position: int) -> None:
        """Whatever the bytes are, within a key or alone: `InvalidKey`, or the same key."""
        good = dearmored(key_file("gpg-subkey"))
        for hostile in (data, good[:position] + data, good[:position] + data + good[position + len(data) :]):
            try:
                found = read_private_keys(hostile, "secret", NOW)
            except InvalidKey:
                continue
            self.assertEqual(found[0].certificate.primary, key("gpg-subkey").certificate.primary)


class SecrecyTests(SynchronousTestCase):
    """Secrets don't get into logs."""

    def test_repr(self) -> None:
        """Neither `repr` nor `str` shows any of the secret."""
        for name in (*_READABLE, *_PROTECTED):
            shown = f"{key(name)!r} {key(name)}"
            numbers = secret_numbers(key(name).secret)

            self.assertNotIn("secret=", shown)
            for form in (numbers[2:34].hex(), repr(numbers[2:10])[2:-1], str(int.from_bytes(numbers[2:34], "big"))):
                self.assertNotIn(form, shown)

    def test_public(self) -> None:
        """What is published holds none of it."""
        for name in _READABLE:
            found = key(name)

            self.assertNotIn(secret_numbers(found.secret)[2:34], dearmored(found.public_armor))
            self.assertRaises(InvalidKey, read_private_key, found.public_armor)


class ExportTests(SynchronousTestCase):
    """Exporting keys."""

    def test_again(self) -> None:
        """What is exported without a passphrase is read as the same key."""
        for name in (*_READABLE, *_PROTECTED):
            again = read_private_key(key(name).export(None, b"", b""), None, NOW)

            self.assertEqual((again.certificate, again.signing), (key(name).certificate, key(name).signing), name)
            self.assertEqual(secret_numbers(again.secret), secret_numbers(key(name).secret))

    def test_passphrase(self) -> None:
        """With a passphrase, it is needed."""
        exported = key("gpg-subkey").export("secret", _SALT, _IV)

        self.assertEqual(read_private_key(exported, "secret").signer, key("gpg-subkey").signer)
        for wrong in (None, "Secret"):
            self.assertRaises(InvalidKey, read_private_key, exported, wrong)
        self.assertNotIn(secret_numbers(key("gpg-subkey").secret)[2:], dearmored(exported))

    def test_other_secrets(self) -> None:
        """Of a key that signs by a subkey, the primary secret is left out, as GnuPG leaves it out."""
        packets = read_packets(dearmored(key("gpg-subkey").export(None, b"", b"")))

        self.assertEqual(packets[0].tag, SECRET_KEY)
        self.assertTrue(packets[0].body.endswith(b"\xff\x00\x65\x00GNU\x01"))

    def test_public_armor(self) -> None:
        """The public key is in armor that rpm and apt know by its first line."""
        armor = key("pkgd-ed25519").public_armor

        self.assertTrue(armor.startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n"))
        self.assertEqual(read_certificates(armor), [key("pkgd-ed25519").certificate])

    def test_passphrase_of_test_keys(self) -> None:
        """The test keys' passphrase is the only one that opens them."""
        self.assertTrue(read_private_key(key_file(_PROTECTED[1]), PASSPHRASE))
        self.assertRaises(InvalidKey, read_private_key, key_file(_PROTECTED[1]), PASSPHRASE + " ")

    def test_time(self) -> None:
        """A passphrase costs less than a second or two: the daemon's start waits for it."""
        data, begun = generate_key("ed25519", "bob", NOW).export("secret", _SALT, _IV), time.process_time()

        read_private_key(data, "secret")

        self.assertLess(time.process_time() - begun, 5)
