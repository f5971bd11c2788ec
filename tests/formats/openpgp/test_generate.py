"""New keys."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp import ALGORITHMS, generate_key, read_certificates, read_private_key
from pkgd.formats.openpgp.packets import PUBLIC_KEY, SIGNATURE, USER_ID, Fields
from pkgd.formats.openpgp.signaturepackets import KEY_FLAGS, KEY_LIFETIME, read_signature
from tests.formats.openpgp.keyfiles import NOW, key


class GenerateTests(SynchronousTestCase):
    """One primary key, one user name, one signature."""

    def test_shape(self) -> None:
        """These packets and no others, for rpm and apt want it simple."""
        made = generate_key("ed25519", "somebody <a@example.test>", NOW)

        self.assertEqual([one.tag for one in made.certificate.packets], [PUBLIC_KEY, USER_ID, SIGNATURE])
        self.assertEqual((made.user_id, made.created, made.expires), ("somebody <a@example.test>", NOW, 0))

    def test_vouches_for_itself(self) -> None:
        """The user name is certified, or the certificate could not be read."""
        made = generate_key("ed25519", "somebody", NOW)

        self.assertEqual(read_certificates(made.public_armor), [made.certificate])

    def test_signature(self) -> None:
        """It is made with SHA-512, says that the key certifies and signs, and not that it expires."""
        signature = read_signature(generate_key("ed25519", "somebody", NOW).certificate.packets[2].body)

        self.assertEqual((signature.hash, signature.created, signature.stated[KEY_FLAGS]), (10, NOW, b"\x03"))
        self.assertNotIn(KEY_LIFETIME, signature.stated)

    def test_nothing_critical(self) -> None:
        """No subpacket is critical: rpm refuses keys with such."""
        fields = Fields(generate_key("ed25519", "somebody", NOW).certificate.packets[2].body)
        fields.take(4)
        hashed = Fields(fields.take(fields.number(2)))
        while not hashed.at_end:
            self.assertFalse(hashed.take(hashed.number(1))[0] & 0x80)

    def test_rsa(self) -> None:
        """RSA keys have the same shape; this one was made once."""
        made = key("pkgd-rsa3072")

        self.assertEqual([one.tag for one in made.certificate.packets], [PUBLIC_KEY, USER_ID, SIGNATURE])
        self.assertEqual((made.signer.algorithm, made.created), (1, 1_790_000_000))

    def test_different(self) -> None:
        """Two keys are two keys."""
        one, other = (generate_key("ed25519", "somebody", NOW) for _ in range(2))

        self.assertNotEqual(one.fingerprint, other.fingerprint)

    def test_exported(self) -> None:
        """The export is read as the same key."""
        made = generate_key("ed25519", "Grüße", NOW)
        again = read_private_key(made.export(None, b"", b""), None, NOW)

        self.assertEqual((again.certificate, again.user_id), (made.certificate, "Grüße"))

    def test_algorithms(self) -> None:
        """Others are refused, and the message names those that there are."""
        error = self.assertRaises(InvalidKey, generate_key, "rsa1024", "somebody", NOW)

        for algorithm in ALGORITHMS:
            self.assertIn(algorithm, error.message)

    def test_user_name(self) -> None:
        """A user name is a line of text that can be shown."""
        for name in ("", "a\nb", "a\0", "\x1b[1m", "x" * 2000, "\ud800"):
            self.assertRaises(InvalidKey, generate_key, "ed25519", name, NOW)
