"""Keys that verify the tokens of others, and sets of them (RFC 7517): each says itself for which algorithms it is.

What a key is for follows from its kind, never from a token: no public key can be taken for the secret of an HMAC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import jwt
from attrs import field, frozen
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from pkgd.auth.strictjson import parse_object

__all__ = ["ALGORITHMS", "Key", "KeySet", "parse_jwks", "parse_public_keys", "secret_keys"]

MAX_KEYS = 64
RSA_BITS = range(2048, 8193)
# What a modulus of the largest size has in base64, and a little more: what is longer is not even turned into a number.
_MAX_MEMBER = 2048
_MAX_KID = 256

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}
# RFC 7518, 3.2: a secret is at least as long as the hash.
_HMAC = ((32, "HS256"), (48, "HS384"), (64, "HS512"))

ALGORITHMS = frozenset([*_RSA, "ES256", "ES384", "ES512", "EdDSA"])
"""What may be signed with; HMAC only where a secret is configured, and then nothing else."""


@frozen
class Key:
    """A key, what it is called, and the algorithms that it may verify."""

    material: Any = field(repr=False)
    algorithms: tuple[str, ...]
    kid: str | None = None

    def suits(self, kid: str | None, algorithm: str) -> bool:
        """Whether a token that names this key, or none, may be signed by it."""
        return algorithm in self.algorithms and (kid is None or self.kid is None or self.kid == kid)


@frozen(eq=False)
class KeySet:
    """Keys of one issuer, as of one time."""

    keys: Sequence[Key]

    def suitable(self, kid: str | None, algorithm: str) -> list[Key]:
        """The keys that may have signed a token."""
        return [one for one in self.keys if one.suits(kid, algorithm)]

    def knows(self, kid: str | None) -> bool:
        """Whether there is a key of this name."""
        return any(one.kid == kid for one in self.keys)


def parse_jwks(data: bytes) -> KeySet:
    """Read a JWK set; keys for other purposes, and of kinds that are not used here, are left out.

    :raises ValueError: if it is none, has too many keys, or none that can be used.
    """
    entries = parse_object(data).get("keys")
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise ValueError(f"this is no set of at most {MAX_KEYS} keys")
    found = [key for entry in entries if isinstance(entry, dict) and (key := _of_jwk(entry)) is not None]
    if not found:
        raise ValueError("there is no key in it that can verify signatures")
    return KeySet(found)


def parse_public_keys(data: bytes) -> KeySet:
    """Read public keys and certificates in PEM; of a certificate, only its key counts.

    :raises ValueError: if there are none, or one cannot be used.
    """
    found = [_of_public(_load(block)) for block in _blocks(data)]
    if not found or len(found) > MAX_KEYS or None in found:
        raise ValueError("PEM with public keys is needed: RSA from 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519")
    return KeySet([one for one in found if one is not None])


def secret_keys(secret: bytes) -> KeySet:
    """A shared secret.

    :raises ValueError: if it is too short.
    """
    algorithms = tuple(name for size, name in _HMAC if len(secret) >= size)
    if not algorithms:
        raise ValueError(f"a secret of at least {_HMAC[0][0]} bytes is needed")
    return KeySet([Key(secret, algorithms)])


def _of_jwk(entry: dict[str, Any]) -> Key | None:
    kid, algorithm, operations = entry.get("kid"), entry.get("alg"), entry.get("key_ops")
    if kid is not None and (not isinstance(kid, str) or len(kid) > _MAX_KID):
        return None
    if entry.get("use", "sig") != "sig" or (operations is not None and "verify" not in _words(operations)):
        return None
    # A private key that somebody has published vouches for nothing; "oct" is a secret, and none if it is published.
    if entry.get("kty") not in ("RSA", "EC", "OKP") or "d" in entry:
        return None
    if any(isinstance(one, str) and len(one) > _MAX_MEMBER for name, one in entry.items() if name in ("n", "e", "x")):
        return None
    try:
        members = {name: one for name, one in entry.items() if name in ("kty", "crv", "n", "e", "x", "y")}
        key = _of_public(jwt.PyJWK(members).key, kid)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    if key is None or algorithm is None:
        return key
    return Key(key.material, (algorithm,), kid) if algorithm in key.algorithms else None


def _of_public(public: Any, kid: str | None = None) -> Key | None:
    match public:
        case RSAPublicKey() if public.key_size in RSA_BITS:
            return Key(public, _RSA, kid)
        case EllipticCurvePublicKey() if public.curve.name in _CURVES:
            return Key(public, _CURVES[public.curve.name], kid)
        case Ed25519PublicKey():
            return Key(public, ("EdDSA",), kid)
    return None


def _words(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else ()


def _blocks(data: bytes) -> list[bytes]:
    """The PEM blocks of a file."""
    begin = b"-----BEGIN "
    return [begin + rest for rest in data.split(begin)[1:]]


def _load(block: bytes) -> Any:
    try:
        if block.startswith(b"-----BEGIN CERTIFICATE"):
            return load_pem_x509_certificate(block).public_key()
        return load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm):
        return None
