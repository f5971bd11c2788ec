"""`/api/v1/users`: who may say that somebody is not let in; and what then happens to what he has."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.apikeys import ApiKeys
from pkgd.auth.disabled import DisabledUsers
from pkgd.auth.keymaking import KeyLimits
from pkgd.auth.model import Identity
from pkgd.auth.refresh import StoredRefreshTokens
from pkgd.auth.rules import Admins, RulePolicy
from pkgd.web.api.keys import KeyApiParts, KeysApi
from pkgd.web.api.users import UserApiParts, UsersApi
from tests.accounts import open_accounts
from tests.web.auth.fixtures import AuthEdge, basic
from tests.web.messages import Response

USERS = "/api/v1/users"
ALICE, BOB = basic("alice", "secret"), basic("bob", "other")
TOKEN = "/auth/token?service=pkg.example.com"


class UsersCase(SynchronousTestCase):
    """The edge with users, keys, refresh tokens and an administrator, bob."""

    def setUp(self) -> None:
        """Nobody is disabled."""
        self.accounts = open_accounts(self)
        self.users = DisabledUsers(self.accounts, self.seconds)
        self.keys = ApiKeys(self.accounts, self.seconds, lambda row: row.owner not in self.users)
        tokens = StoredRefreshTokens(self.accounts, self.seconds)
        policy = RulePolicy(admins=Admins(frozenset(["bob"])))
        self.edge = AuthEdge(self, policy, tokens=[self.keys], refresh=tokens, disabled=self.users)
        self.audited: list[tuple[str, str | None, str]] = []
        gate: Any = self.edge.gate
        gate._audit = self
        root: Any = self.edge.root
        limits = KeyLimits(90 * 86400.0, 365 * 86400.0)
        root._accounts = [
            KeysApi(KeyApiParts(self.edge.gate, self.keys, limits, self.seconds)),
            UsersApi(UserApiParts(self.edge.gate, self.users)),
        ]

    def seconds(self) -> float:
        """The time."""
        now: float = self.edge.clock.seconds()
        return now

    def record(self, action: str, identity: Identity, resource: str, **detail: Any) -> None:
        """See `Audit`."""
        self.audited.append((action, identity.principal.name, resource))

    def disable(self, user: str, headers: dict[str, str] | None = None) -> Response:
        """Ask for somebody not to be let in."""
        return self.ask("disable", {"user": user}, headers)

    def enable(self, user: str, headers: dict[str, str] | None = None) -> Response:
        """Ask for somebody to be let in again."""
        return self.ask("enable", {"user": user}, headers)

    def ask(self, what: str, body: dict[str, str], headers: dict[str, str] | None) -> Response:
        """Ask for something; by default as bob."""
        return self.edge.call("POST", f"{USERS}/{what}", BOB if headers is None else headers, json.dumps(body).encode())

    def listed(self) -> list[str]:
        """Who is disabled."""
        return [one["user"] for one in self.edge.call("GET", f"{USERS}/disabled", BOB).json["disabled"]]


class LifeTests(UsersCase):
    """What somebody has, and what it is worth."""

    def test_everything(self) -> None:
        """Password, key, access and refresh token open nothing; all but the last do again, once he is enabled."""
        key = basic("x", self.edge.call("POST", "/api/v1/keys", ALICE, b"{}").json["key"])
        bearer = self.edge.bearer("alice", "secret")
        text = self.edge.call("GET", f"{TOKEN}&offline_token=true", ALICE).json["refresh_token"]
        form = urlencode({"grant_type": "refresh_token", "refresh_token": text, "service": "pkg.example.com"}).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}

        def worth() -> list[int]:
            shown = [self.edge.call("GET", "/v2/", one).status for one in (ALICE, key, bearer)]
            return [*shown, self.edge.call("POST", "/auth/token", kind, form).status]

        self.assertEqual(worth(), [200] * 4)
        self.assertEqual(self.disable("alice").status, 204)
        self.assertEqual(worth(), [401] * 4)
        (row,) = self.edge.call("GET", "/api/v1/keys?all=true", BOB).json["keys"]
        self.assertTrue(row["suspended"])
        self.assertEqual(self.enable("alice").status, 204)
        self.assertEqual(worth(), [200, 200, 200, 401])

    def test_listed(self) -> None:
        """Who is, since when; and it is noted who has changed that."""
        for name in ("zoe", "a/b", "robot:ci", "Ä ö&x=1"):
            self.assertEqual(self.disable(name).status, 204)
        self.assertEqual(self.disable("zoe").status, 204)
        answer = self.edge.call("GET", f"{USERS}/disabled", BOB)
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        self.assertEqual(self.listed(), ["a/b", "robot:ci", "zoe", "Ä ö&x=1"])
        self.assertRegex(answer.json["disabled"][0]["since"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")

        for name in ("a/b", "Ä ö&x=1"):
            self.assertEqual(self.enable(name).status, 204)
        self.assertEqual(self.listed(), ["robot:ci", "zoe"])
        name = "user:Ä ö&x=1"
        self.assertEqual(self.audited[3:6:2], [("disable-user", "bob", name), ("enable-user", "bob", name)])
        self.assertEqual(len(self.audited), 6)


class RefusalTests(UsersCase):
    """Who may not, and what cannot be."""

    def test_no_administrator(self) -> None:
        """Users may not, not even see who is; nor may a key or token of an administrator's that is not meant for it."""
        wish = b'{"allow": [{"resources": ["oci:**"], "actions": ["pull", "push", "delete"]}]}'
        key = basic("x", self.edge.call("POST", "/api/v1/keys", BOB, wish).json["key"])
        token = self.edge.bearer("bob", "other", "repository:a:pull")
        for headers in (ALICE, key, token):
            statuses = (
                self.edge.call("GET", f"{USERS}/disabled", headers).status,
                self.disable("zoe", headers).status,
                self.enable("zoe", headers).status,
            )
            self.assertTrue(set(statuses) <= {401, 403}, statuses)
        self.assertEqual(self.listed(), [])

    def test_anonymous(self) -> None:
        """Without credentials there is a challenge that curl answers."""
        answer = self.disable("alice", {})

        self.assertEqual((answer.status, (answer.header("WWW-Authenticate") or "")[:5]), (401, "Basic"))

    def test_oneself(self) -> None:
        """Nobody locks himself out by a slip."""
        self.assertEqual(self.disable("bob").status, 400)

    def test_wrong(self) -> None:
        """What is no name, no JSON, or too much is refused, with the reason."""
        for body in (b"", b"{", b"[]", b'{"user": 1}', b'{"user": "a", "x": 1}', b"{" * 4000, b'{"user": "\\ud800"}'):
            self.assertEqual(self.edge.call("POST", f"{USERS}/disable", BOB, body).status, 400, body[:20])
        self.assertEqual(self.disable("x" * 5000).status, 413)
        for name in ("", "x" * 257, "a\nb"):
            self.assertEqual((self.disable(name).status, self.enable(name).status), (400, 400), name)
        self.assertEqual(self.enable("alice").status, 404)
        self.assertEqual(self.listed(), [])

    def test_paths(self) -> None:
        """There is nothing else there."""
        for method, path, status in (
            ("PUT", f"{USERS}/disable", 405),
            ("GET", f"{USERS}/enable", 405),
            ("GET", USERS, 404),
            ("GET", f"{USERS}/alice", 404),
            ("GET", f"{USERS}x", 404),
        ):
            self.assertEqual(self.edge.call(method, path, BOB).status, status, path)

    def test_damaged(self) -> None:
        """If it cannot be written down, the answer says so, and it is not so."""
        self.successResultOf(self.accounts.run(lambda t: t.execute("DROP TABLE disabled_user") and None))

        self.assertEqual(self.disable("alice").status, 500)
        self.assertEqual(self.edge.call("GET", "/v2/", ALICE).status, 200)
