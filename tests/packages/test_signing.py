"""Who signs what is published."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import InlineBlocking
from pkgd.errors import SigningError
from pkgd.formats.openpgp import (
    PrivateKey,
    cleartext,
    dearmored,
    detached,
    read_certificates,
    read_private_key,
    signed_by,
    text_signed_by,
)
from pkgd.packages.signing import NativeSigner, Signer, verified
from tests.formats.openpgp.keyfiles import NOW, key, key_file

T = TypeVar("T")


class SigningCase(SynchronousTestCase):
    """A clock, and keys."""

    def setUp(self) -> None:
        """Two keys, one older than the other."""
        self.now = float(NOW)
        self.old, self.young = key("pkgd-ed25519"), key("gpg-renamed")

    def signer(self, *keys: PrivateKey) -> Signer:
        """A signer with these keys."""
        return NativeSigner.of(InlineBlocking(), keys, lambda: self.now)

    def result(self, work: Coroutine[Any, Any, T]) -> T:
        """What comes out."""
        return self.successResultOf(Deferred.fromCoroutine(work))

    def failure(self, work: Coroutine[Any, Any, Any]) -> str:
        """Why it could not be signed."""
        return self.failureResultOf(Deferred.fromCoroutine(work), SigningError).value.message


class NativeTests(SigningCase):
    """Keys in memory."""

    def test_clearsign(self) -> None:
        """A text is clear-signed."""
        message = self.result(self.signer(self.old).clearsign(b"Suite: stable\n"))

        self.assertTrue(message.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----\n"))
        self.assertEqual(text_signed_by(message, [self.old.signer]), self.old.signer)

    def test_detach(self) -> None:
        """A signature is detached, and in armor."""
        signature = self.result(self.signer(self.old).detach(b"data"))

        self.assertTrue(signature.startswith(b"-----BEGIN PGP SIGNATURE-----\n"))
        self.assertEqual(signed_by(dearmored(signature), b"data", [self.old.signer]), self.old.signer)

    def test_all_keys(self) -> None:
        """Every key signs, in the order given, so that whoever knows one of them is content."""
        signer = self.signer(self.old, self.young)
        message, signature = self.result(signer.clearsign(b"a\n")), self.result(signer.detach(b"a\n"))

        self.assertEqual(signature, detached([self.old, self.young], b"a\n", NOW))
        self.assertEqual(message, cleartext([self.old, self.young], b"a\n", NOW))

    def test_public_keys(self) -> None:
        """All of their public keys are in one armor: apt reads the first of a file only."""
        armor = self.signer(self.old, self.young).public_keys()

        self.assertEqual(armor.count(b"BEGIN PGP PUBLIC KEY BLOCK"), 1)
        self.assertEqual(
            [one.fingerprint for one in read_certificates(armor)], [self.old.fingerprint, self.young.fingerprint]
        )

    def test_no_key(self) -> None:
        """Without a key there is no signer."""
        self.assertRaises(SigningError, self.signer)

    def test_expired(self) -> None:
        """A key that has expired signs no longer; the others do."""
        gone = read_private_key(key_file("gpg-expired"))

        self.assertEqual(
            self.result(self.signer(gone, self.old).detach(b"a")), self.result(self.signer(self.old).detach(b"a"))
        )

    def test_all_expired(self) -> None:
        """If every key has expired, nothing is signed, and the key is named."""
        gone = read_private_key(key_file("gpg-expired"))
        reason = self.failure(self.signer(gone).detach(b"a"))

        self.assertIn(gone.fingerprint, reason)
        self.assertIn("it has expired", reason)

    def test_expires_while_running(self) -> None:
        """The clock is looked at each time."""
        gone = read_private_key(key_file("gpg-expired"))
        signer = self.signer(gone)
        self.now = gone.expires - 1
        self.result(signer.detach(b"a"))
        self.now = gone.expires

        self.failure(signer.detach(b"a"))

    def test_damaged_key(self) -> None:
        """A secret that isn't the public key's makes signatures that nobody could verify: they don't leave."""
        damaged = evolve(self.old, secret=self.young.secret)

        self.assertIn("is not one of the key", self.failure(self.signer(damaged).detach(b"a")))
        self.assertIn("is not one of the key", self.failure(self.signer(self.young, damaged).clearsign(b"a\n")))

    def test_repr(self) -> None:
        """A signer shows no secret."""
        self.assertNotIn("Private", repr(self.signer(self.old)).replace("PrivateKey(certificate", ""))


class VerifiedTests(SigningCase):
    """What a back end has made is verified before it is handed out."""

    def assert_refused(self, signed: bytes, content: bytes, *keys: PrivateKey) -> None:
        """It is not handed out."""
        certificates = [one.certificate for one in keys or (self.old,)]
        self.assertRaises(SigningError, verified, signed, content, certificates, NOW)

    def test_good(self) -> None:
        """What is right is handed out as it is."""
        for signed in (cleartext([self.old], b"a \nb", NOW), detached([self.old], b"a \nb", NOW)):
            self.assertEqual(verified(signed, b"a \nb", [self.old.certificate], NOW), signed)

    def test_every_key(self) -> None:
        """Every key has to have signed."""
        self.assert_refused(detached([self.old], b"a", NOW), b"a", self.old, self.young)
        self.assert_refused(cleartext([self.young], b"a", NOW), b"a", self.old, self.young)

    def test_other_content(self) -> None:
        """Other content is not what was to be signed."""
        self.assert_refused(detached([self.old], b"b", NOW), b"a")
        self.assert_refused(cleartext([self.old], b"b\n", NOW), b"a\n")

    def test_no_signature(self) -> None:
        """What is no signature at all, is not handed out."""
        for signed in (b"", b"a\n", self.old.public_armor, b"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n"):
            self.assert_refused(signed, b"a")

    def test_expired(self) -> None:
        """Nor what a key has signed that has expired since."""
        gone = read_private_key(key_file("gpg-expired"))

        self.assert_refused(detached([gone], b"a", gone.expires - 1), b"a", gone)
