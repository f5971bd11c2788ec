"""Access tokens: what is in one, and everything that is none."""

from __future__ import annotations

import jwt
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Action, Identity, Principal, oci
from pkgd.auth.scopes import parse_scopes
from pkgd.auth.tokenkeys import Algorithm, TokenKey
from pkgd.auth.tokens import AccessTokens, TokenSettings
from pkgd.errors import InvalidRequest, Unauthenticated
from tests.auth.fixtures import keys
from tests.auth.hostile import Forger

SETTINGS = TokenSettings("https://pkg.example.com", "pkg.example.com")
ALICE = Identity(Principal("alice", frozenset(["team", "other"])), "htpasswd", "stamp")
SCOPES = parse_scopes(["repository:team/app:pull,push"])


class TokenCase(SynchronousTestCase):
    """Keys, and the time."""

    def setUp(self) -> None:
        """Noon of some day."""
        self.clock = Clock()
        self.clock.advance(1_750_000_000.0)
        self.keys = keys(self.clock)
        self.tokens = AccessTokens(self.keys, SETTINGS, self.clock.seconds)

    def refused(self, token: str) -> str:
        """The token is none; returns why."""
        error: Unauthenticated = self.assertRaises(Unauthenticated, self.tokens.verify, token)
        return error.reason


class MintTests(TokenCase):
    """What a token carries."""

    def test_round(self) -> None:
        """It comes back as who it was given to, capped to its scopes, whatever signs it."""
        algorithms: tuple[Algorithm, ...] = ("EdDSA", "ES256", "HS256")
        for algorithm in algorithms:
            self.keys.use([TokenKey.generate(algorithm)])
            found = self.tokens.verify(self.tokens.mint(ALICE, SCOPES).text)

            self.assertEqual((found.principal, found.via, found.stamp), (ALICE.principal, "htpasswd", "stamp"))
            self.assertTrue(found.covers(oci("team/app", Action.PUSH)))
            self.assertFalse(found.covers(oci("team/app", Action.DELETE)))
            self.assertEqual(found.expires, self.clock.seconds() + 300)

    def test_too_long(self) -> None:
        """One that would not be accepted back is not made."""
        scopes = parse_scopes([f"repository:{number}{'a' * 110}:pull" for number in range(60)])

        self.assertRaises(InvalidRequest, self.tokens.mint, ALICE, scopes)
        self.tokens.verify(self.tokens.mint(ALICE, scopes[:20]).text)

    def test_claims(self) -> None:
        """It has what distribution's specification asks for, and is good half a minute before it was made."""
        made = self.tokens.mint(ALICE, SCOPES)

        payload = jwt.decode(made.text, options={"verify_signature": False})

        now = int(self.clock.seconds())
        self.assertEqual(payload.pop("jti").isalnum(), True)
        self.assertEqual(
            payload,
            {
                "iss": "https://pkg.example.com",
                "aud": "pkg.example.com",
                "sub": "alice",
                "iat": now,
                "nbf": now - 30,
                "exp": now + 300,
                "access": [{"type": "repository", "name": "team/app", "actions": ["pull", "push"]}],
                "via": "htpasswd",
                "stamp": "stamp",
                "grp": ["other", "team"],
            },
        )
        self.assertEqual((made.issued, made.expires_in), (now, 300))

    def test_groups(self) -> None:
        """Only groups and claims that the policy names are carried on."""
        settings = TokenSettings("i", "a", groups=frozenset(["team"]), claims=frozenset(["ref"]))
        tokens = AccessTokens(self.keys, settings, self.clock.seconds)
        claims = {"ref": "main", "project": "x", "paths": ("a", "b")}
        workload = Identity(Principal("ci", frozenset(["team", "other"]), "https://ci", claims), "workload:https://ci")

        found = tokens.verify(tokens.mint(workload, []).text).principal

        self.assertEqual(found, Principal("ci", frozenset(["team"]), "https://ci", {"ref": "main"}))

    def test_anonymous(self) -> None:
        """Nobody's token is nobody's, and was presented all the same."""
        found = self.tokens.verify(self.tokens.mint(Identity(Principal(address="192.0.2.7")), SCOPES).text)

        self.assertEqual((found.principal, found.via, found.presented), (Principal(), "anonymous", True))

    def test_end(self) -> None:
        """It ends with what vouches for its owner, though clients are told a minute at least."""
        soon = Identity(Principal("ci"), "workload:x", expires=self.clock.seconds() + 20)
        made = self.tokens.mint(soon, [])
        self.assertEqual((self.tokens.verify(made.text).expires, made.expires_in), (soon.expires, 60))

        self.clock.advance(20)

        self.assertEqual(self.refused(made.text), "the token has expired")


class TimeTests(TokenCase):
    """When a token is good."""

    def test_expiry(self) -> None:
        """Up to its last second, and no longer."""
        text = self.tokens.mint(ALICE, SCOPES).text
        self.clock.advance(299)
        self.tokens.verify(text)
        self.clock.advance(1)
        self.assertEqual(self.refused(text), "the token has expired")

    def test_future(self) -> None:
        """Before its time it is not, but for clocks that differ by half a minute."""
        text = self.tokens.mint(ALICE, SCOPES).text
        self.clock.advance(-30)
        self.tokens.verify(text)
        self.clock.advance(-31)
        self.assertEqual(self.refused(text), "the token is not valid yet")


class KeyTests(TokenCase):
    """Which keys count."""

    def test_rotation(self) -> None:
        """What the key before has signed is good; what the one before that has is not."""
        text = self.tokens.mint(ALICE, SCOPES).text
        self.keys.use([TokenKey.generate("EdDSA")])
        self.tokens.verify(text)
        self.keys.use([TokenKey.generate("EdDSA")])
        self.refused(text)

    def test_other_server(self) -> None:
        """A token of another name of ours, signed by the same key, is for that one."""
        for settings in (TokenSettings("https://other", "pkg.example.com"), TokenSettings(SETTINGS.issuer, "other")):
            other = AccessTokens(self.keys, settings, self.clock.seconds)
            self.assertEqual(self.refused(other.mint(ALICE, SCOPES).text), "the token is for another server")

    def test_header(self) -> None:
        """What PyJWT writes is what is recognised."""
        algorithms: tuple[Algorithm, ...] = ("EdDSA", "ES256", "HS256")
        for algorithm in algorithms:
            self.keys.use([TokenKey.generate(algorithm)])
            self.assertTrue(self.tokens.recognises(self.tokens.mint(ALICE, SCOPES).text))


class HostileTests(TokenCase):
    """Tokens that others have made."""

    def test_none_accepted(self) -> None:
        """Not one of them is taken for ours, and each is an ordinary refusal."""
        forger = Forger(self.keys, SETTINGS, self.clock.seconds())
        for name, token in forger.tokens():
            with self.subTest(name):
                self.refused(token)
        self.assertGreater(len(list(forger.tokens())), 400)

    def test_good(self) -> None:
        """The forger's own model of a good one is good: it is the changes that make the others bad."""
        forger = Forger(self.keys, SETTINGS, self.clock.seconds())

        self.assertEqual(self.tokens.verify(forger.good()).principal.name, "admin")
