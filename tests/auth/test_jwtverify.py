"""Tokens of others: what is believed, and what is not whoever signs it."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import jwt
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.jwk import KeySet, parse_jwks, parse_public_keys, secret_keys
from pkgd.auth.jwks import StaticKeys
from pkgd.auth.jwtverify import MAX_TOKEN, TokenRules, Verifier, read_token
from pkgd.errors import TokenRefused
from tests.auth.issuing import ISSUER, NOW, claims, hand_made, jwk, jwks, key, pem, token
from tests.properties import bounded

RULES = TokenRules(ISSUER, ("pkg.example.com",))
SECRET = b"0123456789abcdef0123456789abcdef"


class NoKeys:
    """An issuer that publishes none."""

    async def keys(self) -> None:
        """None."""

    async def newer(self, than: KeySet, kid: str | None) -> None:
        """None."""


class VerifyCase(SynchronousTestCase):
    """A verifier with the keys `a` of every kind."""

    def setUp(self) -> None:
        """The usual rules."""
        self.keys = parse_jwks(jwks(*(jwk(kind, "a") for kind in ("RS256", "ES256", "EdDSA"))))
        self.verifier = Verifier(StaticKeys(self.keys), RULES)

    def verify(self, text: str, verifier: Verifier | None = None) -> Any:
        """The claims."""
        return self.successResultOf(Deferred.fromCoroutine((verifier or self.verifier).verify(text, NOW)))

    def refuse(self, text: str, verifier: Verifier | None = None) -> str:
        """Why it is not believed."""
        failure = self.failureResultOf(Deferred.fromCoroutine((verifier or self.verifier).verify(text, NOW)))
        failure.trap(TokenRefused)
        error: Any = failure.value
        self.assertEqual(str(error), "the token is not valid")
        return str(error.reason)


class SignatureTests(VerifyCase):
    """Who has signed."""

    def test_signed(self) -> None:
        """A token that one of the keys has signed, each in its own ways."""
        for kind in ("RS256", "ES256", "EdDSA"):
            self.assertEqual(self.verify(token(kind))["sub"], "alice")
        for algorithm in ("RS384", "RS512", "PS256", "PS384", "PS512"):
            self.verify(jwt.encode(claims(), key(), algorithm))

    def test_other_key(self) -> None:
        """The same name, but another's signature."""
        self.assertIn("not signed", self.refuse(token(name="b", headers={"kid": "a"})))

    def test_none(self) -> None:
        """`none` in any spelling, with and without a signature."""
        for algorithm in ("none", "None", "NONE", "nOnE", ""):
            for signature in (b"", b"x"):
                header = json.dumps({"alg": algorithm, "kid": "a"}).encode()
                self.refuse(hand_made(header, json.dumps(claims()).encode(), signature))

    def test_key_confusion(self) -> None:
        """A public key in any form is nobody's secret."""
        for secret in (pem(), pem().strip(), json.dumps(jwk()).encode(), b"", b"a"):
            for algorithm, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
                head = hand_made(json.dumps({"alg": algorithm, "kid": "a"}).encode(), json.dumps(claims()).encode())
                signed = head.rpartition(".")[0]
                forged = hmac.new(secret, signed.encode(), digest).digest()
                text = signed + hand_made(b"", b"", forged)[1:]
                for keys in (self.keys, parse_public_keys(pem())):
                    rules = TokenRules(ISSUER, algorithms=frozenset(["HS256", "HS512", "RS256"]))
                    self.refuse(text, Verifier(StaticKeys(keys), rules))

    def test_secret(self) -> None:
        """A shared secret verifies HMAC, and nothing else."""
        rules = TokenRules(algorithms=frozenset(["HS256", "RS256"]))
        verifier = Verifier(StaticKeys(secret_keys(SECRET)), rules)

        self.verify(jwt.encode(claims(), SECRET, "HS256"), verifier)
        self.refuse(jwt.encode(claims(), SECRET[::-1], "HS256"), verifier)
        self.refuse(token(), verifier)

    def test_algorithms(self) -> None:
        """What is not allowed is refused although the key could."""
        verifier = Verifier(StaticKeys(self.keys), TokenRules(algorithms=frozenset(["PS256"])))

        self.verify(jwt.encode(claims(), key(), "PS256"), verifier)
        self.assertIn("not allowed", self.refuse(token(), verifier))

    def test_changed(self) -> None:
        """One character more, less or another in any place."""
        good = token("EdDSA")
        for at in range(0, len(good), 7):
            other = "A" if good[at] != "A" else "B"
            self.refuse(good[:at] + other + good[at + 1 :])
        for text in (good[:-1], good + "A", good + "=", good + "\n", f" {good}", good + ".x", good.replace(".", "..")):
            self.refuse(text)

    def test_pointers(self) -> None:
        """A header that brings a key, points to one, or wants to be understood."""
        for name, value in (
            ("jku", "https://evil.example/jwks"),
            ("x5u", "https://evil.example/x"),
            ("jwk", jwk("RS256", "b")),
            ("x5c", ["MII"]),
            ("crit", ["exp"]),
            ("zip", "DEF"),
        ):
            self.assertIn("must not have", self.refuse(token(headers={name: value})))
        for kid in (5, "k" * 300, ["a"]):
            header = json.dumps({"alg": "RS256", "kid": kid}).encode()
            self.refuse(hand_made(header, json.dumps(claims()).encode()))

    def test_without_keys(self) -> None:
        """Where an issuer publishes none, a token is believed only for where it comes from, if at all."""
        unsigned = hand_made(b'{"alg":"RS256"}', json.dumps(claims()).encode())

        self.assertIn("no keys", self.refuse(unsigned, Verifier(NoKeys(), RULES)))
        self.assertEqual(self.verify(unsigned, Verifier(NoKeys(), RULES, trusts_channel=True))["sub"], "alice")
        expired = hand_made(b'{"alg":"RS256"}', json.dumps(claims(exp=1)).encode())
        self.refuse(expired, Verifier(NoKeys(), RULES, trusts_channel=True))
        self.refuse(unsigned, Verifier(StaticKeys(self.keys), RULES, trusts_channel=True))


class ClaimTests(VerifyCase):
    """What a token must say."""

    def test_times(self) -> None:
        """It expires, soon enough, and has begun, but for half a minute."""
        now = int(NOW)
        for good in (
            {"nbf": now + 29, "iat": now + 29},
            {"iat": now - 3600, "exp": now + 1},
            {"iat": None},
            {"iat": now, "exp": now + 86400},
            {"exp": NOW + 600.5},
        ):
            self.verify(token(**good))
        for bad in (
            {"exp": None},
            {"exp": now},
            {"exp": now - 1},
            {"nbf": now + 31},
            {"iat": now + 31},
            {"iat": now, "exp": now + 86401},
            {"iat": now - 86400, "exp": now + 1},
            {"iat": None, "exp": now + 2 * 86400},
            {"iat": 0, "exp": now + 1},
            {"exp": "9999999999"},
            {"exp": True},
            {"exp": [now + 5]},
            {"exp": 1e300},
            {"exp": 10**400},
            {"nbf": "x"},
            {"iat": {}},
        ):
            self.refuse(token(**bad))

    def test_issuer(self) -> None:
        """To the letter."""
        for issuer in (
            None,
            "",
            ISSUER + "/",
            ISSUER.upper(),
            "https://idp.example",
            ISSUER + ".evil.example",
            [ISSUER],
        ):
            text = jwt.PyJWS().encode(json.dumps(claims(iss=issuer)).encode(), key(), "RS256")
            self.assertIn("somebody else's", self.refuse(text))

    def test_audience(self) -> None:
        """One of those that are ours is among the token's."""
        self.verify(token(aud=["other", "pkg.example.com"]))
        for audience in (
            None,
            "",
            "other",
            "pkg.example.com.evil",
            [],
            ["pkg.example.co"],
            {"pkg.example.com": 1},
            [["x"]],
        ):
            text = jwt.PyJWS().encode(json.dumps(claims(aud=audience)).encode(), key(), "RS256")
            self.assertIn("for somebody else", self.refuse(text))

    def test_ambiguous(self) -> None:
        """A payload or header that two readers would read differently, though it is signed."""
        for payload in (b'{"exp":1,"exp":9999999999}', b'{"sub":"\\ud800"}', b"[]", b"", b"\xff"):
            self.refuse(jwt.PyJWS().encode(payload, key(), "RS256"))
        self.refuse(hand_made(b'{"alg":"RS256","alg":"none"}', json.dumps(claims()).encode()))


class FormTests(VerifyCase):
    """What is no token."""

    def test_large(self) -> None:
        """One that is too large is not even taken apart."""
        self.assertIn("too large", self.refuse("a" * (MAX_TOKEN + 1)))
        self.assertIn("too large", self.refuse(token(more="x" * MAX_TOKEN)))

    @bounded
    @given(st.text(max_size=60) | st.binary(max_size=40).map(lambda data: hand_made(data, data)))
    def test_anything(self, text: str) -> None:
        """Whatever comes, it is refused in words that have nothing of it."""
        try:
            read_token(text)
        except TokenRefused as error:
            self.assertLess(len(error.reason), 60)
