"""Keys of others: which are taken, and what each is for."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.jwk import MAX_KEYS, parse_jwks, parse_public_keys, secret_keys
from tests.auth.issuing import jwk, jwks, key, pem

RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


class SetTests(SynchronousTestCase):
    """JWK sets."""

    def test_kinds(self) -> None:
        """What a key is for follows from its kind."""
        cases = {"RS256": RSA, "ES256": ("ES256",), "ES384": ("ES384",), "ES512": ("ES512",), "EdDSA": ("EdDSA",)}
        found = parse_jwks(jwks(*(jwk(kind, kind) for kind in cases)))

        self.assertEqual({one.kid: one.algorithms for one in found.keys}, cases)

    def test_algorithm(self) -> None:
        """A key that names an algorithm is for that alone, if it can be."""
        found = parse_jwks(jwks(jwk("RS256", "a", alg="PS256"), jwk("RS256", "b", alg="HS256"), jwk("EdDSA", "c")))

        self.assertEqual([(one.kid, one.algorithms) for one in found.keys], [("a", ("PS256",)), ("c", ("EdDSA",))])

    def test_left_out(self) -> None:
        """Keys for encryption, secrets, private keys, weak and strange ones are not there."""
        good = jwk("EdDSA", "good")
        secret = {"kty": "oct", "k": "A" * 43, "kid": "x"}
        bad = [
            secret,
            {**secret, "alg": "HS256"},
            jwk("RS256", "a", use="enc"),
            jwk("RS256", "a", key_ops=["sign"]),
            jwk("RS256", "a", key_ops="verify"),
            jwk("RS256", "a", d="AQAB"),
            jwk("1024", "weak"),
            jwk("RS256", "a", n="A" * 5000),
            jwk("RS256", "a", e="AQ"),
            jwk("RS256", "a", n=5),
            jwk("RS256", "a", kid=5),
            jwk("RS256", "a", kid="k" * 300),
            jwk("ES256", "a", crv="secp256k1"),
            jwk("ES256", "a", x="AAAA"),
            jwk("EdDSA", "a", crv="X25519"),
            {"kty": "RSA"},
            {},
            "x",
        ]
        for one in bad:
            found = parse_jwks(json.dumps({"keys": [one, good]}).encode())
            self.assertEqual([each.kid for each in found.keys], ["good"], one)

    def test_refused(self) -> None:
        """What is no set, has too many keys or none that is of use."""
        for data in (b"", b"[]", b"{}", b'{"keys": {}}', jwks(), jwks({"kty": "oct"}), jwks(*[jwk()] * (MAX_KEYS + 1))):
            self.assertRaises(ValueError, parse_jwks, data)

    def test_suitable(self) -> None:
        """A token's `kid` chooses; without one, or of keys without, the kind does."""
        found = parse_jwks(jwks(jwk("RS256", "a"), jwk("RS256", "b"), jwk("EdDSA", "c", kid=None)))

        for kid, algorithm, names in (
            ("a", "RS256", ["a"]),
            (None, "RS256", ["a", "b"]),
            ("z", "RS256", []),
            ("z", "EdDSA", [None]),
            ("a", "HS256", []),
            ("a", "none", []),
        ):
            self.assertEqual([one.kid for one in found.suitable(kid, algorithm)], names)


class FileTests(SynchronousTestCase):
    """Keys in files."""

    def test_pem(self) -> None:
        """Public keys, one after the other."""
        found = parse_public_keys(b"comment\n" + pem("ES256") + b"\n" + pem("EdDSA"))

        self.assertEqual([one.algorithms for one in found.keys], [("ES256",), ("EdDSA",)])

    def test_refused(self) -> None:
        """A file without keys, with a weak or broken one, or with a private one."""
        for data in (
            b"",
            b"x",
            pem("1024", "weak"),
            pem() + b"-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----",
        ):
            self.assertRaises(ValueError, parse_public_keys, data)
        self.assertTrue(key())

    def test_secret(self) -> None:
        """A secret is for HMAC, as far as it is long enough."""
        for size, algorithms in ((32, ("HS256",)), (63, ("HS256", "HS384")), (64, ("HS256", "HS384", "HS512"))):
            self.assertEqual(secret_keys(b"s" * size).keys[0].algorithms, algorithms)
        self.assertRaises(ValueError, secret_keys, b"s" * 31)
        self.assertNotIn("sss", repr(secret_keys(b"s" * 32).keys[0]))
