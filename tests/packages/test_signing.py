"""Who signs: native keys in files, and GnuPG's."""

from __future__ import annotations

import os
import shutil
import subprocess

from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from pkgd.blocking import InlineBlocking
from pkgd.errors import SigningFailed
from pkgd.formats.openpgp import dearmored, generate_key, read_certificates, signed_by, text_signed_by
from pkgd.packages.signing import GnupgSigner, KeyFile, NativeSigner
from tests.packages.fixtures import NOW, result

TEXT = b"Origin: Test\n- dashed\n"


def materials(armored: bytes) -> list:
    """What verifies, of armored keys."""
    return [material for one in read_certificates(armored) for material in one.usable_keys(NOW)]


class NativeTests(SynchronousTestCase):
    """A key in a file."""

    def setUp(self) -> None:
        """No file yet."""
        self.path = os.path.join(self.mktemp(), "keys", "default.asc")
        os.makedirs(os.path.dirname(os.path.dirname(self.path)))
        self.clock = Clock()
        self.clock.advance(NOW)

    def started(self, may_make: bool = True, passphrase: str | None = None) -> NativeSigner:
        """A signer that is as ready as it gets."""
        file = KeyFile(name="default", path=self.path, algorithm="ed25519", passphrase=passphrase, may_make=may_make)
        signer = NativeSigner(file, InlineBlocking(), self.clock)
        result(signer.start())
        return signer

    def write(self, data: bytes) -> None:
        """Put something into the file."""
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path, "wb") as file:
            file.write(data)

    def test_made_once(self) -> None:
        """The first start makes the key, the next uses it."""
        first, second = self.started(), self.started()

        self.assertEqual(first.public_keys(), second.public_keys())
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)

    def test_signatures(self) -> None:
        """What it signs, its public keys verify."""
        signer = self.started()
        keys = materials(signer.public_keys())

        self.assertIsNotNone(text_signed_by(result(signer.clearsign(TEXT)), keys))
        self.assertIsNotNone(signed_by(dearmored(result(signer.detach(TEXT))), TEXT, keys))
        self.assertIsNone(signed_by(dearmored(result(signer.detach(TEXT))), TEXT + b"x", keys))

    def test_headers(self) -> None:
        """It signs headers of rpm packages, and knows those signatures again."""
        signer = self.started()
        packet = result(signer.sign_header(b"header"))

        self.assertIsNotNone(signed_by(packet, b"header", materials(signer.public_keys())))
        self.assertTrue(signer.is_ours(packet))
        other = generate_key("ed25519", "other", NOW)
        self.write(other.export(None, bytes(8), bytes(16)))
        self.assertFalse(self.started().is_ours(packet))

    def test_several(self) -> None:
        """All keys of a file sign: for the time of a rotation there are two."""
        keys = [generate_key("ed25519", name, NOW) for name in ("old", "new")]
        self.write(b"".join(dearmored(one.export(None, bytes(8), bytes(16))) for one in keys))
        signer = self.started()

        signed = result(signer.clearsign(TEXT))

        self.assertEqual(len(read_certificates(signer.public_keys())), 2)
        for one in keys:
            self.assertIsNotNone(text_signed_by(signed, materials(one.public_armor)))

    def test_passphrase(self) -> None:
        """A protected key needs its passphrase; without it nothing is signed."""
        self.started(passphrase="open sesame")

        self.assertTrue(result(self.started(passphrase="open sesame").detach(TEXT)))
        for wrong in (None, "sesame"):
            signer = self.started(passphrase=wrong)
            self.assertRaises(SigningFailed, result, signer.detach(TEXT))

    def test_not_made(self) -> None:
        """A file that the configuration names is not made up."""
        signer = self.started(may_make=False)

        self.assertFalse(os.path.exists(self.path))
        self.assertRaises(SigningFailed, signer.public_keys)
        self.assertRaises(SigningFailed, result, signer.clearsign(TEXT))

    def test_damaged(self) -> None:
        """A file that is no key is left alone, and nothing is signed."""
        self.write(b"no key")

        self.assertRaises(SigningFailed, result, self.started().detach(TEXT))
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), b"no key")


class GnupgTests(SynchronousTestCase):
    """A key in a GnuPG home."""

    def test_signatures(self) -> None:
        """What GnuPG signs, its public key verifies; a key that it doesn't have signs nothing."""
        if shutil.which("gpg") is None:
            raise SkipTest("there is no gpg here")
        # Short, for the agent's socket is in it.
        home = os.path.join("/tmp", f"pkgd-test-{os.getpid()}")
        os.mkdir(home, 0o700)
        self.addCleanup(shutil.rmtree, home, True)
        self.addCleanup(subprocess.run, ["gpgconf", "--homedir", home, "--kill", "all"], check=False)
        make = ["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", "", "--quick-gen-key"]
        subprocess.run([*make, "t@example.org", "ed25519", "sign", "never"], check=True, capture_output=True)
        listed = subprocess.run(
            ["gpg", "--homedir", home, "--list-keys", "--with-colons"], check=True, capture_output=True, text=True
        ).stdout
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
        signer = GnupgSigner(fingerprint, "gpg", home, None, InlineBlocking())
        result(signer.start())

        keys = [one for found in read_certificates(signer.public_keys()) for one in found.usable_keys(2**31)]

        self.assertIsNotNone(text_signed_by(result(signer.clearsign(TEXT)), keys))
        self.assertIsNotNone(signed_by(dearmored(result(signer.detach(TEXT))), TEXT, keys))
        absent = GnupgSigner("A1" * 20, "gpg", home, None, InlineBlocking())
        result(absent.start())
        self.assertRaises(SigningFailed, result, absent.detach(TEXT))
