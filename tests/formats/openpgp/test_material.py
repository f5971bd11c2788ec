"""Key material: RSA and Ed25519."""

from __future__ import annotations

import struct

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp.material import public_of, read_public, read_secret, secret_numbers
from pkgd.formats.openpgp.packets import Fields, mpi
from tests.formats.openpgp.keyfiles import key
from tests.properties import bounded

_ED25519 = bytes.fromhex("092b06010401da470f01")


def rsa_body(bits: int, version: int = 4, algorithm: int = 1) -> Fields:
    """The public body of an RSA key whose modulus has so many bits."""
    return Fields(struct.pack(">BIB", version, 0, algorithm) + mpi(1 << (bits - 1)) + mpi(65537))


class PublicTests(SynchronousTestCase):
    """The public part of a key packet."""

    def test_round_trip(self) -> None:
        """Its body is what was read, and stays behind the secret part."""
        for name in ("pkgd-rsa3072", "pkgd-ed25519"):
            public, fields = key(name).signer, Fields(key(name).signer.body + b"more")

            self.assertEqual(read_public(fields), public)
            self.assertEqual(fields.rest, b"more")

    def test_fingerprint(self) -> None:
        """The fingerprint is GnuPG's."""
        self.assertEqual(key("gpg-rsa2048").fingerprint, "29bd7370d058e8e7acf9807bc3fc5da12cd4d76a")
        self.assertEqual(key("gpg-renamed").fingerprint, "b17859aa967ea1dae82c562b1682434f1777288d")

    def test_key_id(self) -> None:
        """The key id is the end of the fingerprint."""
        signer = key("pkgd-ed25519").signer

        self.assertEqual((len(signer.key_id), signer.key_id), (8, signer.fingerprint[12:]))

    def test_sizes(self) -> None:
        """RSA is accepted from 2048 bits, as clients do, up to 8192."""
        for bits in (2048, 3072, 8192):
            self.assertEqual(read_public(rsa_body(bits)).algorithm, 1)
        for bits in (1024, 2047, 8193, 65535):
            self.assertRaises(InvalidKey, read_public, rsa_body(bits))

    def test_unsupported(self) -> None:
        """Other versions, algorithms and curves are refused."""
        for version in (2, 3, 5, 6):
            self.assertRaises(InvalidKey, read_public, rsa_body(2048, version))
        for algorithm in (2, 16, 17, 18, 19, 27):
            self.assertRaises(InvalidKey, read_public, rsa_body(2048, algorithm=algorithm))
        other_curve = struct.pack(">BIB", 4, 0, 22) + _ED25519[:-1] + b"\x02" + mpi(1)
        self.assertRaises(InvalidKey, read_public, Fields(other_curve))

    @bounded
    @given(st.binary(max_size=400), st.sampled_from([1, 3, 22]))
    def test_any_bytes(self, data: bytes, algorithm: int) -> None:
        """Whatever the bytes are: a key that fails to verify, or `InvalidKey`."""
        try:
            public = read_public(Fields(struct.pack(">BIB", 4, 0, algorithm) + data))
        except InvalidKey:
            return
        self.assertFalse(public.verifies(mpi(5) + mpi(7), 10, bytes(64)))


class SecretTests(SynchronousTestCase):
    """The secret part."""

    def test_round_trip(self) -> None:
        """It is read as it was written."""
        for name in ("pkgd-rsa3072", "pkgd-ed25519", "gpg-rsa2048"):
            found = key(name)
            numbers = secret_numbers(found.secret)

            self.assertEqual(secret_numbers(read_secret(found.signer, Fields(numbers))), numbers)

    def test_order_of_primes(self) -> None:
        """The smaller prime comes first, with its inverse modulo the other (RFC 4880, 5.5.3)."""
        secret = key("pkgd-rsa3072").secret
        fields = Fields(secret_numbers(secret))
        _, p, q, u = (fields.mpi() for _ in range(4))

        self.assertTrue(p < q)
        self.assertEqual(p * u % q, 1)
        self.assertTrue(fields.at_end)

    def test_leading_zeros(self) -> None:
        """A secret or a point that begins with zeros is shorter as a number, and filled up again."""
        secret = Ed25519PrivateKey.from_private_bytes(b"\0" * 3 + b"\x55" * 29)

        self.assertEqual(secret_numbers(secret)[:2], struct.pack(">H", 29 * 8 - 1))
        again = read_secret(public_of(secret, 0), Fields(secret_numbers(secret)))
        self.assertEqual(secret_numbers(again), secret_numbers(secret))

    def test_other_key(self) -> None:
        """A secret part that belongs to another public part is refused."""
        for one, other in (("pkgd-ed25519", "gpg-renamed"), ("pkgd-rsa3072", "gpg-rsa2048")):
            self.assertRaises(InvalidKey, read_secret, key(one).signer, Fields(secret_numbers(key(other).secret)))

    def test_damaged(self) -> None:
        """Numbers that are no key, or too few, are refused."""
        for name in ("pkgd-rsa3072", "pkgd-ed25519"):
            for numbers in (b"", mpi(0) * 4, mpi(1) * 4, mpi(1 << 300) * 4, mpi(1 << 3000) * 4):
                self.assertRaises(InvalidKey, read_secret, key(name).signer, Fields(numbers))

    def test_exchanged_numbers(self) -> None:
        """An RSA key whose secret exponent does not fit its primes is refused."""
        secret = key("pkgd-rsa3072").secret
        assert isinstance(secret, rsa.RSAPrivateKey)
        numbers = secret.private_numbers()
        wrong = mpi(numbers.d ^ 2) + mpi(numbers.p) + mpi(numbers.q) + mpi(1)

        self.assertRaises(InvalidKey, read_secret, key("pkgd-rsa3072").signer, Fields(wrong))
