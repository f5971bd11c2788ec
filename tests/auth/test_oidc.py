"""A provider as its client: where it is, what it is sent, and which of its answers are believed."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qs, urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.oidc import MAX_AGE, MAX_ANSWER, PAUSE, SECONDS, Refusal
from pkgd.errors import AuthUnavailable, TokenRefused, UpstreamUnavailable
from tests.auth.issuing import ISSUER, NOW, Reply, jwk, jwks, token
from tests.auth.providing import CLIENT, CONFIGURATION, DEVICE, KEYS, TOKEN, USERINFO, FakeProvider

DOWN = UpstreamUnavailable("idp.example.com", "cannot be reached")


class ProviderCase(SynchronousTestCase):
    """One that is there."""

    def setUp(self) -> None:
        """Nobody has asked it yet."""
        self.clock = Clock()
        self.clock.advance(NOW)
        self.use()

    def use(self, **settings: Any) -> None:
        """Make it."""
        self.fake = FakeProvider(self.clock, **settings)
        self.provider = self.fake.provider

    def get(self, work: Any) -> Any:
        """What a coroutine returns."""
        return self.successResultOf(Deferred.fromCoroutine(work))

    def refused(self, kind: type[Exception], work: Any) -> None:
        """A coroutine fails."""
        self.failureResultOf(Deferred.fromCoroutine(work), kind)

    def redeem(self) -> Any:
        """What a code stands for."""
        return self.get(self.provider.redeem_code("code", "verifier", "nonce"))

    def not_believed(self) -> None:
        """What the provider says of a code is not believed."""
        self.refused(TokenRefused, self.provider.redeem_code("code", "verifier", "nonce"))


class FindingTests(ProviderCase):
    """Where it is."""

    def look(self) -> str:
        """Look, and say how it is."""
        self.get(self.provider.look())
        return self.provider.state()

    def test_found(self) -> None:
        """It is degraded until it has been found; then it is asked once an hour."""
        self.assertEqual(self.provider.state(), "degraded")
        self.assertEqual([self.look(), self.look()], ["ok", "ok"])
        self.clock.advance(MAX_AGE - 1)
        self.look()
        self.assertEqual(len(self.fake.web.asked), 1)
        self.clock.advance(1)
        self.look()
        self.assertEqual(len(self.fake.web.asked), 2)

    def test_down(self) -> None:
        """As long as it is down it is asked again, though not at once; nobody gets to it meanwhile."""
        self.fake.web.answers[CONFIGURATION] = DOWN
        self.assertEqual([self.look(), self.look()], ["degraded", "degraded"])
        self.refused(AuthUnavailable, self.provider.authorization_url("s", "n", "c"))
        self.assertEqual(len(self.fake.web.asked), 1)
        self.clock.advance(PAUSE)
        self.fake.say(CONFIGURATION, **self.fake.document())

        self.assertEqual(self.look(), "ok")

    def test_down_later(self) -> None:
        """Where it was is believed while it is down."""
        self.look()
        self.fake.web.answers[CONFIGURATION] = DOWN
        self.clock.advance(MAX_AGE)

        self.assertEqual(self.look(), "degraded")
        self.get(self.provider.authorization_url("s", "n", "c"))

    def test_hostile_document(self) -> None:
        """A document of another issuer, without an endpoint, or with one that has no TLS, is none."""
        for changes in (
            {"issuer": "https://evil.example"},
            {"token_endpoint": None},
            {"authorization_endpoint": 7},
            {"token_endpoint": "http://idp.example.com/token"},
            {"authorization_endpoint": "javascript:alert(1)"},
            {"authorization_endpoint": "https://idp.example.com/a b"},
            {"authorization_endpoint": "https://idp.example.com/\r\nX: y"},
            {"userinfo_endpoint": "ftp://idp.example.com/"},
        ):
            self.use()
            self.fake.say(CONFIGURATION, **self.fake.document(**changes))
            self.assertEqual(self.look(), "degraded", str(changes))


class CodeTests(ProviderCase):
    """Codes of browsers."""

    def test_authorization_url(self) -> None:
        """A browser takes along what comes back with it, and the challenge of PKCE."""
        url = urlsplit(self.get(self.provider.authorization_url("st", "no", "ch")))

        self.assertEqual((url.netloc, url.path), ("idp.example.com", "/auth"))
        self.assertEqual(
            {name: values[0] for name, values in parse_qs(url.query).items()},
            {
                "response_type": "code",
                "client_id": CLIENT,
                "redirect_uri": "https://pkg.example.com/auth/callback",
                "scope": "openid profile",
                "state": "st",
                "nonce": "no",
                "code_challenge": "ch",
                "code_challenge_method": "S256",
            },
        )

    def test_query_of_its_own(self) -> None:
        """An endpoint that has a query keeps it."""
        self.fake.say(CONFIGURATION, **self.fake.document(authorization_endpoint=f"{ISSUER}/auth?tenant=a"))

        self.assertTrue(self.get(self.provider.authorization_url("s", "n", "c")).startswith(f"{ISSUER}/auth?tenant=a&"))

    def test_redeemed(self) -> None:
        """A code is sent with its verifier, and the secret in the header, as a form has it."""
        self.assertEqual(self.redeem()["preferred_username"], "alice")

        (form,) = self.fake.forms(TOKEN)
        self.assertEqual(
            form,
            {
                "grant_type": "authorization_code",
                "code": "code",
                "redirect_uri": "https://pkg.example.com/auth/callback",
                "code_verifier": "verifier",
                "client_id": CLIENT,
            },
        )
        at = self.fake.web.asked.index(("POST", TOKEN))
        shown = self.fake.web.sent[at][0]["Authorization"].removeprefix("Basic ")
        self.assertEqual(b64decode(shown), b"pkgd:s%25cret")

    def test_public_client(self) -> None:
        """Without a secret none is sent."""
        self.use(secret=None)
        self.redeem()

        self.assertNotIn("Authorization", self.fake.web.sent[-2][0])

    def test_secret_in_form(self) -> None:
        """A provider that does not know the client by the header gets the secret in the form, and so from then on."""
        self.fake.say(TOKEN, 401, error="invalid_client")
        self.assertEqual(self.redeem(), Refusal("invalid_client"))
        self.assertEqual([one.get("client_secret") for one in self.fake.forms(TOKEN)], [None, "s%cret"])

    def test_refusal(self) -> None:
        """What the provider refuses is told by its word; a sentence of its is none."""
        self.fake.say(TOKEN, 400, error="invalid_grant", error_description="<script>")
        self.assertEqual(self.redeem(), Refusal("invalid_grant"))
        self.fake.say(TOKEN, 400, error="<script>alert(1)</script>")
        self.assertEqual(self.redeem(), Refusal("invalid_request"))

    def test_not_believed(self) -> None:
        """No token, another login's, another client's, another issuer's, an old one: none lets anybody in."""
        for changes in (
            {"nonce": "other"},
            {"nonce": None},
            {"nonce": 7},
            {"aud": "other"},
            {"aud": [CLIENT, "other"]},
            {"azp": "other"},
            {"iss": "https://evil.example"},
            {"exp": int(NOW)},
            {"exp": None},
            {"sub": None},
            {"sub": 7},
        ):
            self.use()
            self.fake.let_in(**changes)
            self.not_believed()
        for text in (None, "", "a.b.c", token("ES256", "b", aud=CLIENT, nonce="nonce"), self.fake.id_token()[:-4]):
            self.use()
            self.fake.say(TOKEN, id_token=text)
            self.not_believed()

    def test_several_audiences(self) -> None:
        """A token for several is believed if it is for us in the end."""
        self.fake.let_in(aud=["other", CLIENT], azp=CLIENT)

        self.assertEqual(self.redeem()["sub"], "alice")

    def test_rotated(self) -> None:
        """Another key of the provider's is looked for when a token has it."""
        self.redeem()
        self.clock.advance(31)
        self.fake.web.answers[KEYS] = Reply(body=jwks(jwk("ES256", "b")))
        self.fake.say(TOKEN, id_token=token("ES256", "b", aud=CLIENT, nonce="nonce"))

        self.assertEqual(self.redeem()["sub"], "alice")

    def test_no_answer(self) -> None:
        """What is no answer is nobody's word: a failure, a redirect, rubbish, too much, or too late."""
        for reply in (DOWN, Reply(500), Reply(302, location="/"), Reply(body=b"<html>"), Reply(body=b"[]")):
            self.fake.web.answers[TOKEN] = reply
            self.refused(AuthUnavailable, self.provider.redeem_code("code", "verifier", "nonce"))
        self.fake.web.answers[TOKEN] = Reply(body=b" " * (MAX_ANSWER + 1))
        self.refused(AuthUnavailable, self.provider.redeem_code("code", "verifier", "nonce"))
        self.fake.web.answers[TOKEN] = Deferred
        waiting = Deferred.fromCoroutine(self.provider.redeem_code("code", "verifier", "nonce"))
        self.clock.advance(SECONDS)
        self.failureResultOf(waiting, AuthUnavailable)


class UserinfoTests(ProviderCase):
    """Claims that the ID token does not have."""

    def setUp(self) -> None:
        """The ID token has no name."""
        super().setUp()
        self.use(claims=("preferred_username",))
        self.fake.let_in(preferred_username=None)
        self.fake.say(USERINFO, sub="alice", preferred_username="alice", aud="other")

    def test_asked(self) -> None:
        """They are asked for with the access token; what the ID token says counts before."""
        found = self.redeem()

        self.assertEqual((found["preferred_username"], found["aud"]), ("alice", CLIENT))
        self.assertEqual(self.fake.web.sent[-1][0]["Authorization"], "Bearer access")

    def test_not_needed(self) -> None:
        """Where the ID token has them, nobody is asked."""
        self.fake.let_in()
        self.redeem()

        self.assertNotIn(("GET", USERINFO), self.fake.web.asked)

    def test_another_subject(self) -> None:
        """Those of another subject are not believed, nor an error."""
        self.fake.say(USERINFO, sub="bob", preferred_username="alice")
        self.not_believed()
        self.fake.say(USERINFO, 401, error="invalid_token")
        self.not_believed()

    def test_hostile_access_token(self) -> None:
        """An access token that is no header's value is not sent."""
        self.fake.say(TOKEN, id_token=self.fake.id_token(preferred_username=None), access_token="a\r\nX: y")

        self.assertNotIn("preferred_username", self.redeem())


class DeviceTests(ProviderCase):
    """Device codes."""

    def test_code(self) -> None:
        """There is one, if the provider gives any."""
        self.fake.say(DEVICE, device_code="d", user_code="U")
        found = self.get(self.provider.authorize_device())

        self.assertEqual((found["user_code"], self.fake.forms(DEVICE)[0]["scope"]), ("U", "openid profile"))

    def test_none(self) -> None:
        """Or there is none: without an endpoint, or if this client may not."""
        self.fake.say(DEVICE, 400, error="unauthorized_client")
        self.assertIsNone(self.get(self.provider.authorize_device()))
        self.use()
        self.fake.say(CONFIGURATION, **self.fake.document(device_authorization_endpoint=None))
        self.assertIsNone(self.get(self.provider.authorize_device()))

    def test_redeemed(self) -> None:
        """It stands for claims once somebody has logged in; no browser has a nonce there."""
        self.fake.say(TOKEN, 400, error="authorization_pending")
        self.assertEqual(self.get(self.provider.redeem_device("d")), Refusal("authorization_pending"))
        self.fake.let_in(nonce=None)
        self.assertEqual(self.get(self.provider.redeem_device("d"))["sub"], "alice")
        self.assertEqual(json.dumps(self.fake.forms(TOKEN)[0]["device_code"]), '"d"')
