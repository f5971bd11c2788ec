"""The protection of secret keys by a passphrase."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp.protection import is_stub, protect, unprotect
from tests.formats.openpgp.keyfiles import flipped
from tests.properties import bounded

_NUMBERS = b"\0\x10\xab\xcd"
_SALT, _IV = b"saltsalt", bytes(range(16))


def sha1(data: bytes) -> bytes:
    """A digest."""
    return hashlib.sha1(data, usedforsecurity=False).digest()


def protected(specifier: bytes, key: bytes, cipher: int = 7, usage: int = 254) -> bytes:
    """The numbers, encrypted with a key, as another program would have written them."""
    checksum = sha1(_NUMBERS) if usage == 254 else (sum(_NUMBERS) & 0xFFFF).to_bytes(2, "big")
    encryptor = Cipher(AES(key), CFB(_IV)).encryptor()
    return bytes([usage, cipher]) + specifier + _IV + encryptor.update(_NUMBERS + checksum)


class UnprotectedTests(SynchronousTestCase):
    """Secret numbers without a passphrase."""

    def test_golden(self) -> None:
        """They stand there as they are, with the sum of their octets behind them."""
        data = protect(_NUMBERS, None, b"", b"")

        self.assertEqual(data, b"\0" + _NUMBERS + b"\x01\x88")
        self.assertEqual(unprotect(data, None), _NUMBERS)

    def test_needless_passphrase(self) -> None:
        """A passphrase that isn't needed doesn't matter."""
        self.assertEqual(unprotect(protect(_NUMBERS, None, b"", b""), "secret"), _NUMBERS)

    def test_damaged(self) -> None:
        """A wrong sum is refused, and so is nothing at all."""
        for data in (b"\0" + _NUMBERS + b"\x01\x89", b"\0", b"\0\x01", b""):
            self.assertRaises(InvalidKey, unprotect, data, None)


class SpecifierTests(SynchronousTestCase):
    """How a passphrase becomes a key (RFC 4880, 3.7.1)."""

    def test_simple(self) -> None:
        """Simple: the hash of the passphrase."""
        key = hashlib.sha256(b"secret").digest()[:16]

        self.assertEqual(unprotect(protected(b"\x00\x08", key), "secret"), _NUMBERS)

    def test_salted(self) -> None:
        """Salted: the salt comes before the passphrase."""
        key = sha1(_SALT + b"secret")[:16]

        self.assertEqual(unprotect(protected(b"\x01\x02" + _SALT, key), "secret"), _NUMBERS)

    def test_iterated(self) -> None:
        """Iterated: both again and again, until so many octets have been hashed, be it in the middle."""
        whole = (_SALT + b"secret") * 80
        key = hashlib.sha512(whole[:1088]).digest()[:32]

        self.assertEqual(unprotect(protected(b"\x03\x0a" + _SALT + b"\x01", key, cipher=9), "secret"), _NUMBERS)

    def test_iterated_at_least_once(self) -> None:
        """A passphrase that is longer than the count is hashed whole."""
        passphrase = "x" * 3000
        key = hashlib.sha256(_SALT + passphrase.encode()).digest()[:16]

        self.assertEqual(unprotect(protected(b"\x03\x08" + _SALT + b"\x00", key), passphrase), _NUMBERS)

    def test_long_key(self) -> None:
        """A hash that is shorter than the key is followed by a second one, that begins with a zero octet."""
        key = sha1(b"secret") + sha1(b"\0secret")[:4]

        self.assertEqual(unprotect(protected(b"\x00\x02", key, cipher=8), "secret"), _NUMBERS)

    def test_checksum(self) -> None:
        """Instead of a SHA-1 there may be a sum of octets behind the numbers."""
        key = hashlib.sha256(b"secret").digest()[:16]

        self.assertEqual(unprotect(protected(b"\x00\x08", key, usage=255), "secret"), _NUMBERS)

    def test_not_ascii(self) -> None:
        """A passphrase is UTF-8."""
        key = hashlib.sha256("Grüße".encode()).digest()[:16]

        self.assertEqual(unprotect(protected(b"\x00\x08", key), "Grüße"), _NUMBERS)


class ProtectedTests(SynchronousTestCase):
    """What we write, and what is refused."""

    def setUp(self) -> None:
        """Protected numbers."""
        self.data = protect(_NUMBERS, "secret", _SALT, _IV)

    def test_form(self) -> None:
        """AES-256, the most rounds of SHA-512 there can be, and a SHA-1 within."""
        self.assertEqual(self.data[:13], b"\xfe\x09\x03\x0a" + _SALT + b"\xff")
        self.assertNotIn(_NUMBERS, self.data)

    def test_round_trip(self) -> None:
        """The passphrase opens it."""
        self.assertEqual(unprotect(self.data, "secret"), _NUMBERS)

    def test_wrong(self) -> None:
        """Another one doesn't, nor does none, nor an empty one; and the passphrase is not in the message."""
        for passphrase in ("Secret-canary", "", None):
            error = self.assertRaises(InvalidKey, unprotect, self.data, passphrase)

            self.assertIn("passphrase", error.message)
            self.assertNotIn("canary", error.message)

    def test_changed(self) -> None:
        """A changed octet of the secret is noticed."""
        self.assertRaises(InvalidKey, unprotect, flipped(self.data, len(self.data) - 21), "secret")

    def test_unsupported(self) -> None:
        """Other ciphers than AES, other specifiers and hashes, and authenticated encryption are refused."""
        for data in (b"\xfe\x03\x00\x08", b"\xfe\x07\x02\x08", b"\xfe\x07\x00\x63", b"\xfd\x09\x02\x00", b"\x09\x00"):
            self.assertRaises(InvalidKey, unprotect, data + bytes(60), "secret")

    def test_stub(self) -> None:
        """Where GnuPG has left the secret out there is none, whatever the passphrase."""
        for data in (b"\xff\x00\x65\x00GNU\x01", b"\xfe\x07\x65\x08GNU\x02\x10" + bytes(16)):
            self.assertTrue(is_stub(data))
            self.assertIsNone(unprotect(data, None))
        self.assertFalse(is_stub(self.data))

    @bounded
    @given(
        st.sampled_from([b"", b"\0", b"\xfe\x07\0\x08", b"\xff\x09\x01\x02", b"\xfe\x09\x03\x0a12345678\0"]),
        st.binary(),
    )
    def test_any_bytes(self, begin: bytes, rest: bytes) -> None:
        """Whatever the bytes are: numbers, nothing or `InvalidKey`."""
        try:
            found = unprotect(begin + rest, "secret")
        except InvalidKey:
            return
        self.assertTrue(found is None or isinstance(found, bytes))
