"""`/api/v1/keys`: whose keys who may see, make and revoke; and what a key then opens."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.apikeys import ApiKeys
from pkgd.auth.keymaking import KeyLimits
from pkgd.auth.model import Identity
from pkgd.auth.rules import Admins, RulePolicy
from pkgd.web.api.keys import KeyApiParts, KeysApi
from tests.accounts import open_accounts
from tests.web.auth.fixtures import AuthEdge, basic
from tests.web.messages import Response

KEYS = "/api/v1/keys"
ALICE, BOB = basic("alice", "secret"), basic("bob", "other")


class KeysCase(SynchronousTestCase):
    """The edge with users, keys and an administrator."""

    def setUp(self) -> None:
        """There are no keys yet."""
        self.accounts = open_accounts(self)
        self.keys = ApiKeys(self.accounts, lambda: self.edge.clock.seconds())
        self.edge = AuthEdge(self, RulePolicy(admins=Admins(frozenset(["bob"]))), tokens=[self.keys])
        self.audited: list[tuple[str, str | None, Any]] = []
        gate: Any = self.edge.gate
        gate._audit = self
        limits = KeyLimits(90 * 86400.0, 365 * 86400.0)
        parts = KeyApiParts(self.edge.gate, self.keys, limits, self.edge.clock.seconds)
        root: Any = self.edge.root
        root._accounts = [KeysApi(parts)]

    def record(self, action: str, identity: Identity, resource: str, **detail: Any) -> None:
        """See `Audit`: note what has been done."""
        self.audited.append((action, identity.principal.name, detail["owner"]))

    def make(self, headers: dict[str, str] | None = None, **body: Any) -> Response:
        """Ask for a key."""
        return self.edge.call("POST", KEYS, ALICE if headers is None else headers, json.dumps(body).encode())

    def key(self, headers: dict[str, str] | None = None, **body: Any) -> dict[str, str]:
        """The header with a new key."""
        return basic("anything", self.make(headers, **body).json["key"])

    def listed(self, headers: dict[str, str], query: str = "") -> list[str]:
        """Whose keys are listed."""
        return [one["owner"] for one in self.edge.call("GET", KEYS + query, headers).json["keys"]]


class LifeTests(KeysCase):
    """From making to revoking."""

    def test_made(self) -> None:
        """The answer has the key, once, and is not to be kept by anybody on the way."""
        answer = self.make(label="laptop", allow=[{"resources": ["oci:a/**"], "actions": ["pull"]}])

        self.assertEqual((answer.status, answer.header("Cache-Control")), (201, "no-store"))
        found = answer.json
        self.assertEqual(
            {name: found[name] for name in ("owner", "label", "allow", "networks", "last_used", "made_with")},
            {
                "owner": "alice",
                "label": "laptop",
                "allow": [{"resources": ["oci:a/**"], "actions": ["pull"]}],
                "networks": [],
                "last_used": None,
                "made_with": None,
            },
        )
        self.assertEqual(found["key"][5:13], found["id"])
        listed = self.edge.call("GET", KEYS, ALICE)
        self.assertEqual(listed.json["user"], "alice")
        self.assertNotIn("key", listed.json["keys"][0])
        self.assertNotIn(found["key"][14:57].encode(), listed.body)

    def test_used(self) -> None:
        """It opens what its owner may, behind Basic with any name, behind Bearer, and at the token service."""
        text = self.make().json["key"]

        for headers in (basic("x", text), basic("", text), {"Authorization": f"Bearer {text}"}):
            self.assertEqual(self.edge.call("GET", "/v2/", headers).status, 200)
            self.assertEqual(self.edge.call("GET", "/rpm/main/repodata/repomd.xml", headers).status, 200)
        token = self.edge.bearer("x", text, "repository:a:pull")
        self.assertEqual(self.edge.call("GET", "/v2/a/tags/list", token).status, 404)
        self.assertIsNotNone(self.edge.call("GET", KEYS, ALICE).json["keys"][0]["last_used"])

    def test_narrowed(self) -> None:
        """It opens nothing that it is not meant for, though its owner may; nor do tokens that it buys."""
        headers = self.key(allow=[{"resources": ["rpm:main"], "actions": ["pull"]}])

        self.assertEqual(self.edge.call("GET", "/rpm/main/repodata/repomd.xml", headers).status, 200)
        self.assertEqual(self.edge.call("PUT", "/rpm/main/a.rpm", headers, b"x").status, 403)
        self.assertEqual(self.edge.call("GET", "/apt/main/dists/stable/InRelease", headers).status, 403)
        self.assertIn(self.edge.call("GET", "/v2/a/tags/list", headers).status, (403, 404))
        query = "/auth/token?scope=repository:a:push"
        self.assertEqual(self.edge.call("GET", query, headers).json["scope"], "")

    def test_revoked(self) -> None:
        """From the next request on it opens nothing, nor do the tokens that it has bought."""
        text = self.make().json["key"]
        headers, token = basic("x", text), self.edge.bearer("x", text, "repository:a:pull")
        self.assertEqual(self.edge.call("DELETE", f"{KEYS}/{text[5:13]}", ALICE).status, 204)

        self.assertEqual(self.edge.call("GET", "/v2/", headers).status, 401)
        self.assertEqual(self.edge.call("GET", "/v2/a/tags/list", token).status, 401)
        self.assertEqual(self.edge.call("DELETE", f"{KEYS}/{text[5:13]}", ALICE).status, 404)
        self.assertEqual(self.listed(ALICE), [])

    def test_expired(self) -> None:
        """Nor does one that is over."""
        headers = self.key(expires_in=60)
        self.edge.clock.advance(60)

        self.assertEqual(self.edge.call("GET", "/v2/", headers).status, 401)

    def test_audited(self) -> None:
        """Who has made and revoked keys is noted."""
        text = self.make(BOB, robot="ci").json["key"]
        self.edge.call("DELETE", f"{KEYS}/{text[5:13]}", BOB)

        self.assertEqual(self.audited, [("create-key", "bob", "robot:ci"), ("revoke-key", "bob", "robot:ci")])


class RightsTests(KeysCase):
    """Whose keys are whose."""

    def test_own(self) -> None:
        """Everybody sees and revokes his own; administrators everybody's, if they want to see them."""
        mine, other = self.make().json["id"], self.make(BOB).json["id"]

        self.assertEqual((self.listed(ALICE), self.listed(BOB)), (["alice"], ["bob"]))
        self.assertEqual(self.listed(BOB, "?all=true"), ["alice", "bob"])
        self.assertEqual(self.edge.call("GET", f"{KEYS}?all=true", ALICE).status, 403)
        self.assertEqual(self.edge.call("DELETE", f"{KEYS}/{other}", ALICE).status, 404)
        self.assertEqual(self.edge.call("DELETE", f"{KEYS}/{mine}", BOB).status, 204)

    def test_anonymous(self) -> None:
        """Without credentials there is a challenge that curl and browsers answer."""
        for method, path in (("GET", KEYS), ("POST", KEYS), ("DELETE", f"{KEYS}/abcdefgh")):
            answer = self.edge.call(method, path, {})
            self.assertEqual((answer.status, (answer.header("WWW-Authenticate") or "")[:5]), (401, "Basic"))

    def test_robots(self) -> None:
        """Administrators make keys for robots, and nobody else does."""
        self.assertEqual(self.make(BOB, robot="ci", groups=["dev"]).json["owner"], "robot:ci")
        self.assertEqual(self.make(robot="ci").status, 403)
        self.assertEqual(self.make(groups=["dev"]).status, 400)

    def test_tokens(self) -> None:
        """An access token makes no keys, which would outlive it."""
        token = self.edge.bearer("alice", "secret", "repository:a:pull")

        self.assertIn(self.make(token).status, (401, 403))
        self.assertEqual(self.keys.list(), [])

    def test_with_a_key(self) -> None:
        """A key makes keys, none of which is wider, and revokes itself and those; not its owner's others."""
        other = self.make().json["id"]
        headers = self.key(allow=[{"resources": ["rpm:main"], "actions": ["pull"]}])
        child = self.make(headers, label="child")

        self.assertEqual((child.status, child.json["owner"], child.json["allow"]), (201, "alice", None))
        self.assertEqual(child.json["made_with"], self.keys.list()[1].id)
        of_child = basic("x", child.json["key"])
        self.assertEqual(self.edge.call("GET", "/rpm/main/repodata/repomd.xml", of_child).status, 200)
        self.assertEqual(self.edge.call("PUT", "/rpm/main/a.rpm", of_child, b"x").status, 403)
        self.assertEqual(self.edge.call("DELETE", f"{KEYS}/{other}", headers).status, 404)
        self.assertEqual(self.edge.call("DELETE", f"{KEYS}/{child.json['id']}", headers).status, 204)
        self.assertEqual(self.edge.call("DELETE", f"{KEYS}/{child.json['made_with']}", headers).status, 204)

    def test_admins_key(self) -> None:
        """An administrator's key is one, unless it is narrowed."""
        wide, narrow = self.key(BOB), self.key(BOB, allow=[{"resources": ["**"], "actions": ["pull", "delete"]}])

        self.assertEqual(self.make(wide, robot="ci").status, 201)
        self.assertEqual(self.make(narrow, robot="ci").status, 403)
        self.assertEqual(self.edge.call("GET", f"{KEYS}?all=true", narrow).status, 403)


class HostileTests(KeysCase):
    """What is refused."""

    def test_bodies(self) -> None:
        """What is no order is 400, whatever it is."""
        for body in (
            b"",
            b"[]",
            b"{",
            b'{"label": 1}',
            b'{"label": "\\u0000"}',
            b'{"unknown": 1}',
            b'{"expires_in": "90d"}',
            b'{"expires_in": 1e400}',
            b'{"expires_in": -1}',
            b'{"allow": []}',
            b'{"allow": [{"resources": [], "actions": ["pull"]}]}',
            b'{"allow": [{"resources": ["oci:*"], "actions": ["all"]}]}',
            b'{"networks": ["x"]}',
            b'{"owner": "bob"}',
            b"\xff",
            b"[" * 60000,
        ):
            self.assertEqual(self.edge.call("POST", KEYS, ALICE, body).status, 400, body[:60])
        self.assertEqual(self.edge.call("POST", KEYS, ALICE, b" " * 65537).status, 413)
        self.assertEqual(self.keys.list(), [])

    def test_paths(self) -> None:
        """There is nothing else there."""
        for method, path, status in (
            ("PUT", KEYS, 405),
            ("GET", f"{KEYS}/abcdefgh", 405),
            ("DELETE", f"{KEYS}/%00", 400),
            ("DELETE", f"{KEYS}/a/b", 404),
            ("DELETE", f"{KEYS}/{'x' * 300}", 404),
            ("GET", f"{KEYS}x", 404),
        ):
            self.assertEqual(self.edge.call(method, path, ALICE).status, status, path[:60])

    def test_keys(self) -> None:
        """Wrong keys open nothing, and no other source is asked about them."""
        text = self.make().json["key"]
        hashed = len(self.edge.wall.hashing.checked)
        wrong = [text[:-1], text + "x", text.lower(), "pkgd_", "pkgd_x", text[:14] + "A" * 43 + text[-7:], text * 9]

        for one in wrong:
            self.assertEqual(self.edge.call("GET", "/v2/", basic("alice", one)).status, 401, one)
        self.assertEqual(len(self.edge.wall.hashing.checked), hashed)

    def test_too_many(self) -> None:
        """One owner has only so many."""
        row = None
        for _ in range(200):
            row = self.make()
        assert row is not None
        self.assertEqual((row.status, self.make().status), (201, 400))

    def test_full_disk(self) -> None:
        """If the key cannot be kept, there is none, and the answer says so."""
        self.successResultOf(self.accounts.run(lambda t: t.execute("DROP TABLE api_key") and None))

        self.assertEqual(self.make().status, 500)
        self.assertEqual(self.keys.list(), [])
