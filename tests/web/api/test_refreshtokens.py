"""`/api/v1/refresh-tokens`: whose refresh tokens who may see and end; and what one then buys."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.apikeys import ApiKeys
from pkgd.auth.keymaking import KeyLimits
from pkgd.auth.model import Identity
from pkgd.auth.refresh import StoredRefreshTokens
from pkgd.auth.rules import Admins, RulePolicy
from pkgd.web.api.keys import KeyApiParts, KeysApi
from pkgd.web.api.refreshtokens import RefreshTokenApiParts, RefreshTokensApi
from tests.accounts import open_accounts
from tests.web.auth.fixtures import AuthEdge, basic

TOKENS = "/api/v1/refresh-tokens"
ALICE, BOB = basic("alice", "secret"), basic("bob", "other")


class RefreshTokensCase(SynchronousTestCase):
    """The edge with users, refresh tokens and an administrator, bob."""

    def setUp(self) -> None:
        """Each of them has logged in once."""
        self.accounts = open_accounts(self)
        keys = ApiKeys(self.accounts, lambda: self.edge.clock.seconds())
        tokens = StoredRefreshTokens(self.accounts, lambda: self.edge.clock.seconds())
        policy = RulePolicy(admins=Admins(frozenset(["bob"])))
        self.edge = AuthEdge(self, policy, tokens=[keys], refresh=tokens)
        self.audited: list[tuple[str, str | None, Any]] = []
        gate: Any = self.edge.gate
        gate._audit = self
        root: Any = self.edge.root
        limits = KeyLimits(90 * 86400.0, 365 * 86400.0)
        root._accounts = [
            RefreshTokensApi(RefreshTokenApiParts(self.edge.gate, tokens)),
            KeysApi(KeyApiParts(self.edge.gate, keys, limits, self.edge.clock.seconds)),
        ]
        self.texts = [self.log_in(one) for one in (ALICE, BOB)]

    def record(self, action: str, identity: Identity, resource: str, **detail: Any) -> None:
        """See `Audit`."""
        self.audited.append((action, identity.principal.name, detail["owner"]))

    def log_in(self, headers: dict[str, str]) -> str:
        """A refresh token, got as docker gets it."""
        query = "/auth/token?service=pkg.example.com&offline_token=true&client_id=docker"
        text: str = self.edge.call("GET", query, headers).json["refresh_token"]
        return text

    def redeem(self, text: str) -> int:
        """What an access token for it is answered."""
        form = {"grant_type": "refresh_token", "refresh_token": text, "service": "pkg.example.com"}
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.edge.call("POST", "/auth/token", kind, urlencode(form).encode()).status

    def listed(self, headers: dict[str, str], query: str = "") -> list[dict[str, Any]]:
        """What is listed."""
        found: list[dict[str, Any]] = self.edge.call("GET", TOKENS + query, headers).json["refresh_tokens"]
        return found


class RefreshTokensTests(RefreshTokensCase):
    """Who may what."""

    def test_listed(self) -> None:
        """Everybody sees his own, without secret; administrators everybody's, if they want to see them."""
        (mine,) = self.listed(ALICE)
        self.assertEqual((mine["owner"], mine["client"], mine["service"]), ("alice", "docker", "pkg.example.com"))
        self.assertEqual([one["owner"] for one in self.listed(BOB)], ["bob"])
        answer = self.edge.call("GET", f"{TOKENS}?all=true", BOB)
        self.assertEqual({one["owner"] for one in answer.json["refresh_tokens"]}, {"alice", "bob"})
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        for text in self.texts:
            self.assertNotIn(text[6:].encode(), answer.body)
        self.assertEqual(self.edge.call("GET", f"{TOKENS}?all=true", ALICE).status, 403)

    def test_revoked(self) -> None:
        """One that is ended buys nothing any more, the others go on, and it is noted who has done it."""
        (mine,), (other,) = self.listed(ALICE), self.listed(BOB)
        self.assertEqual([self.redeem(one) for one in self.texts], [200, 200])

        self.assertEqual(self.edge.call("DELETE", f"{TOKENS}/{other['id']}", ALICE).status, 404)
        self.assertEqual(self.edge.call("DELETE", f"{TOKENS}/{mine['id']}", ALICE).status, 204)
        self.assertEqual(self.edge.call("DELETE", f"{TOKENS}/{mine['id']}", ALICE).status, 404)

        self.assertEqual([self.redeem(one) for one in self.texts], [401, 200])
        self.assertEqual(self.audited, [("revoke-refresh-token", "alice", "alice")])

    def test_administrator(self) -> None:
        """An administrator ends anybody's."""
        (mine,) = self.listed(ALICE)
        self.assertEqual(self.edge.call("DELETE", f"{TOKENS}/{mine['id']}", BOB).status, 204)

        self.assertEqual(self.redeem(self.texts[0]), 401)
        self.assertEqual(self.audited, [("revoke-refresh-token", "bob", "alice")])

    def test_narrow(self) -> None:
        """Nobody ends a login with what is narrower than it: an access token, or a key for some repositories."""
        (mine,) = self.listed(ALICE)
        token = self.edge.bearer("alice", "secret", "repository:a:pull")
        self.assertIn(self.edge.call("DELETE", f"{TOKENS}/{mine['id']}", token).status, (401, 403))
        self.assertIn(self.edge.call("GET", TOKENS, token).status, (401, 403))
        wish = b'{"allow": [{"resources": ["**"], "actions": ["pull", "push", "delete"]}]}'
        for user in (ALICE, BOB):
            key = basic("x", self.edge.call("POST", "/api/v1/keys", user, wish).json["key"])
            self.assertEqual(self.edge.call("DELETE", f"{TOKENS}/{mine['id']}", key).status, 404)
        self.assertEqual(self.redeem(self.texts[0]), 200)

    def test_anonymous(self) -> None:
        """Without credentials there is a challenge that curl and browsers answer."""
        for method, path in (("GET", TOKENS), ("DELETE", f"{TOKENS}/{'0' * 16}")):
            answer = self.edge.call(method, path, {})
            self.assertEqual((answer.status, (answer.header("WWW-Authenticate") or "")[:5]), (401, "Basic"))

    def test_paths(self) -> None:
        """There is nothing else there."""
        for method, path, status in (
            ("POST", TOKENS, 405),
            ("GET", f"{TOKENS}/{'0' * 16}", 405),
            ("DELETE", f"{TOKENS}/%00", 400),
            ("DELETE", f"{TOKENS}/a/b", 404),
            ("DELETE", f"{TOKENS}/{'x' * 300}", 404),
            ("DELETE", f"{TOKENS}/{'0' * 16}", 404),
            ("GET", f"{TOKENS}x", 404),
        ):
            self.assertEqual(self.edge.call(method, path, ALICE).status, status, path[:60])

    def test_damaged(self) -> None:
        """If it cannot be written down, the answer says so."""
        (mine,) = self.listed(ALICE)
        self.successResultOf(self.accounts.run(lambda t: t.execute("DROP TABLE refresh_token") and None))

        self.assertEqual(self.edge.call("DELETE", f"{TOKENS}/{mine['id']}", ALICE).status, 500)
