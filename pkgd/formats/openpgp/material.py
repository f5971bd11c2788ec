"""The key material of the two algorithms: RSA, and Ed25519 as version 4 has it (RFC 4880, 5.5; draft-koch-eddsa)."""

from __future__ import annotations

import hashlib
import struct

from attrs import frozen
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp.packets import Fields, mpi

__all__ = ["ED25519", "RSA", "PublicMaterial", "Secret", "public_of", "read_public", "read_secret", "secret_numbers"]

RSA = 1
_RSA_SIGN = 3
ED25519 = 22

_CURVE = bytes.fromhex("2b06010401da470f01")
# Signatures that are accepted of others are made with these (RFC 4880, 9.4); SHA-1 and below are not.
HASHES = {8: ("sha256", hashes.SHA256()), 9: ("sha384", hashes.SHA384()), 10: ("sha512", hashes.SHA512())}

Secret = rsa.RSAPrivateKey | Ed25519PrivateKey


@frozen
class PublicMaterial:
    """A version 4 public key packet's content."""

    created: int
    algorithm: int
    numbers: bytes

    @property
    def body(self) -> bytes:
        """The packet's body."""
        return b"\x04" + struct.pack(">IB", self.created, self.algorithm) + self.numbers

    @property
    def name(self) -> str:
        """The algorithm as `generate_key` names it."""
        if self.algorithm == ED25519:
            return "ed25519"
        return f"rsa{Fields(self.numbers).mpi().bit_length()}"

    @property
    def hashed(self) -> bytes:
        """What stands for the key in everything that is hashed."""
        return b"\x99" + struct.pack(">H", len(self.body)) + self.body

    @property
    def fingerprint(self) -> bytes:
        """The version 4 fingerprint."""
        return hashlib.sha1(self.hashed, usedforsecurity=False).digest()

    @property
    def key_id(self) -> bytes:
        """The last eight bytes of the fingerprint."""
        return self.fingerprint[-8:]

    def verifies(self, numbers: bytes, algorithm: int, digest: bytes) -> bool:
        """Whether these are the numbers of a signature of the digest by this key.

        :param algorithm: the hash's number in OpenPGP.
        """
        fields = Fields(numbers)
        try:
            if self.algorithm == ED25519:
                point = Fields(self.numbers[1 + len(_CURVE) :]).mpi().to_bytes(33, "big")[1:]
                signature = fields.mpi().to_bytes(32, "big") + fields.mpi().to_bytes(32, "big")
                Ed25519PublicKey.from_public_bytes(point).verify(signature, digest)
            else:
                own = Fields(self.numbers)
                n, e = own.mpi(), own.mpi()
                signature = fields.mpi().to_bytes((n.bit_length() + 7) // 8, "big")
                key = rsa.RSAPublicNumbers(e, n).public_key()
                key.verify(signature, digest, padding.PKCS1v15(), utils.Prehashed(HASHES[algorithm][1]))
        except (InvalidSignature, InvalidKey, OverflowError, ValueError):
            return False
        return True


def read_public(fields: Fields) -> PublicMaterial:
    """Read the public part of a key packet.

    :raises InvalidKey: if it is of another version or algorithm, or too weak.
    """
    if fields.number(1) != 4:
        raise InvalidKey("", "only version 4 keys are supported")
    created, algorithm = fields.number(4), fields.number(1)
    start = fields.position
    if algorithm in (RSA, _RSA_SIGN):
        bits = fields.mpi().bit_length()
        fields.mpi()
        if not 2048 <= bits <= 8192:
            raise InvalidKey("", f"RSA with {bits} bits is not supported")
    elif algorithm == ED25519:
        if fields.take(fields.number(1)) != _CURVE:
            raise InvalidKey("", "of the elliptic curves only Ed25519 is supported")
        fields.mpi()
    else:
        raise InvalidKey("", f"the public key algorithm {algorithm} is not supported")
    end, fields.position = fields.position, start
    return PublicMaterial(created, algorithm, fields.take(end - start))


def public_of(secret: Secret, created: int) -> PublicMaterial:
    """The public part of a key."""
    if isinstance(secret, Ed25519PrivateKey):
        point = b"\x40" + secret.public_key().public_bytes_raw()
        numbers = bytes([len(_CURVE)]) + _CURVE + mpi(int.from_bytes(point, "big"))
        return PublicMaterial(created, ED25519, numbers)
    public = secret.public_key().public_numbers()
    return PublicMaterial(created, RSA, mpi(public.n) + mpi(public.e))


def secret_numbers(secret: Secret) -> bytes:
    """The secret part of a key packet, unprotected and without its checksum."""
    if isinstance(secret, Ed25519PrivateKey):
        return mpi(int.from_bytes(secret.private_bytes_raw(), "big"))
    numbers = secret.private_numbers()
    # OpenPGP has u = 1/p mod q with p < q; elsewhere it is 1/q mod p.
    p, q = sorted((numbers.p, numbers.q))
    return mpi(numbers.d) + mpi(p) + mpi(q) + mpi(pow(p, -1, q))


def read_secret(public: PublicMaterial, fields: Fields) -> Secret:
    """Read the secret part that belongs to a public one.

    :raises InvalidKey: if they don't belong together.
    """
    secret: Secret
    try:
        if public.algorithm == ED25519:
            secret = Ed25519PrivateKey.from_private_bytes(fields.mpi().to_bytes(32, "big"))
        else:
            own = Fields(public.numbers)
            n, e = own.mpi(), own.mpi()
            d, p, q = fields.mpi(), fields.mpi(), fields.mpi()
            fields.mpi()
            numbers = rsa.RSAPrivateNumbers(
                p,
                q,
                d,
                rsa.rsa_crt_dmp1(d, p),
                rsa.rsa_crt_dmq1(d, q),
                rsa.rsa_crt_iqmp(p, q),
                rsa.RSAPublicNumbers(e, n),
            )
            secret = numbers.private_key()
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        raise InvalidKey("", "the secret key is damaged") from error
    if public_of(secret, public.created).numbers != public.numbers:
        raise InvalidKey("", "the secret key does not belong to the public one")
    return secret
