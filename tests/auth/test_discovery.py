"""Where issuers publish their keys, and what else they may answer there."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.discovery import MAX_DOCUMENT, SECONDS, Issuers
from pkgd.auth.jwks import Published
from pkgd.errors import Upstream, UpstreamTimeout, UpstreamUnavailable
from tests.auth.issuing import ISSUER, Reply, Web, jwk, jwks

KEYS = f"{ISSUER}/keys"
CONFIGURATION = f"{ISSUER}/.well-known/openid-configuration"
BARE = f"{ISSUER}/.well-known/jwks.json"


def document(**members: Any) -> Reply:
    """A discovery document."""
    return Reply(body=json.dumps({"issuer": ISSUER, "jwks_uri": KEYS, **members}).encode())


class DiscoveryTests(SynchronousTestCase):
    """One issuer in a web."""

    def setUp(self) -> None:
        """It has published its keys."""
        self.web = Web()
        self.clock = Clock()
        self.issuers = Issuers(self.web, self.clock)  # type: ignore[arg-type]
        self.web.answers = {CONFIGURATION: document(), KEYS: Reply(body=jwks(jwk("EdDSA")))}

    def found(self, asking: Coroutine[Any, Any, Published]) -> list[str | None] | None:
        """The names of the keys, or None if it is certain that there are none."""
        keys = self.successResultOf(Deferred.fromCoroutine(asking)).keys
        return None if keys is None else [one.kid for one in keys.keys]

    def failed(self, asking: Coroutine[Any, Any, Published]) -> str:
        """Why there are no keys."""
        failure = self.failureResultOf(Deferred.fromCoroutine(asking))
        failure.trap(Upstream)
        return str(failure.value)

    def test_keys_at(self) -> None:
        """A JWK set, for as long as Cache-Control says."""
        for stated, age in (
            ("public, max-age=600", 600.0),
            ("", None),
            ("no-store, max-age=5", 0.0),
            ("max-age=x", None),
        ):
            self.web.answers[KEYS] = Reply(body=jwks(jwk("EdDSA")), cache_control=stated)
            published = self.successResultOf(Deferred.fromCoroutine(self.issuers.keys_at(KEYS)))
            self.assertEqual(published.max_age, age)

    def test_no_keys_at(self) -> None:
        """No redirect is followed; what is no set, or too large, is refused."""
        for reply in (
            Reply(302, location="https://evil.example/"),
            Reply(404),
            Reply(500),
            Reply(body=b"<html>"),
            Reply(body=jwks()),
            Reply(body=b" " * (MAX_DOCUMENT + 1)),
        ):
            self.web.answers[KEYS] = reply
            self.failed(self.issuers.keys_at(KEYS))
            self.assertTrue(reply.closed)
        self.assertEqual({url for _, url in self.web.asked}, {KEYS})

    def test_slow(self) -> None:
        """An answer is there in some seconds, or not at all."""
        self.web.answers[KEYS] = Deferred
        asking = Deferred.fromCoroutine(self.issuers.keys_at(KEYS))
        self.clock.advance(SECONDS - 0.1)
        self.assertNoResult(asking)
        self.clock.advance(0.2)
        self.failureResultOf(asking, UpstreamTimeout)

    def test_keys_of(self) -> None:
        """The document leads to the keys."""
        self.assertEqual(self.found(self.issuers.keys_of(ISSUER)), ["a"])

    def test_foreign_document(self) -> None:
        """A document of another issuer, or one that leads to keys without TLS or to no URL, is refused."""
        for members in (
            {"issuer": ISSUER + "/"},
            {"issuer": None},
            {"jwks_uri": "http://idp.example.com/keys"},
            {"jwks_uri": "file:///etc/passwd"},
            {"jwks_uri": "https://[x"},
            {"jwks_uri": "https://a\n.example"},
            {"jwks_uri": None},
        ):
            self.web.answers[CONFIGURATION] = document(**members)
            self.failed(self.issuers.keys_of(ISSUER))
        self.assertNotIn(("GET", KEYS), self.web.asked)

    def test_plain(self) -> None:
        """Where plain HTTP is spoken anyway, keys of the same origin may come by it."""
        here = "http://127.0.0.1:9000"
        self.web.answers = {
            f"{here}/.well-known/openid-configuration": document(issuer=here, jwks_uri=f"{here}/keys"),
            f"{here}/keys": Reply(body=jwks(jwk("EdDSA"))),
        }
        self.assertEqual(self.found(self.issuers.keys_of(here)), ["a"])

    def test_beside(self) -> None:
        """Beside a back end's URL, one of two places has them."""
        url = f"{ISSUER}/v1/login?x=y"
        self.assertEqual(self.found(self.issuers.keys_beside(url)), ["a"])

        self.web.answers = {BARE: Reply(body=jwks(jwk("EdDSA", "b")))}
        self.assertEqual(self.found(self.issuers.keys_beside(url)), ["b"])

    def test_nothing_beside(self) -> None:
        """That there are none is certain only if both places say so; an application's page says so, too."""
        for reply in (Reply(404), Reply(401), Reply(302), Reply(200, b"<html>", "text/html; charset=utf-8")):
            self.web.answers = {CONFIGURATION: reply, BARE: reply}
            self.assertIsNone(self.found(self.issuers.keys_beside(ISSUER)))

    def test_uncertain_beside(self) -> None:
        """An error, an absent server, or a broken document is no proof that there are none."""
        gone = UpstreamUnavailable("idp.example.com", "cannot be reached")
        for reply in (Reply(500), Reply(503), Reply(429), Reply(body=b"{"), Reply(body=b"{}"), gone):
            self.web.answers = {CONFIGURATION: reply, BARE: Reply(404)}
            self.failed(self.issuers.keys_beside(ISSUER))
            self.web.answers = {CONFIGURATION: Reply(404), BARE: reply}
            self.failed(self.issuers.keys_beside(ISSUER))
