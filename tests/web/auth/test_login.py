"""Logging in by a provider, as browsers and commands do; a real one is in `tests.oidc`."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.apikeys import ApiKeys
from pkgd.auth.audit import Audit
from pkgd.auth.disabled import DisabledUsers
from pkgd.auth.keymaking import KeyLimits
from pkgd.auth.oidcusers import ClaimNames, OidcUsers
from pkgd.auth.refresh import StoredRefreshTokens
from pkgd.auth.sessions import LIFETIME, Sessions
from pkgd.blocking import InlineBlocking
from pkgd.logfile import FLUSH_SECONDS, LogFile
from pkgd.web.api.keys import KeyApiParts, KeysApi
from pkgd.web.api.refreshtokens import RefreshTokenApiParts, RefreshTokensApi
from pkgd.web.api.users import UserApiParts, UsersApi
from pkgd.web.auth.browsers import BrowserSessions
from pkgd.web.auth.login import LOGIN_SECONDS, LoginApi, LoginParts
from pkgd.web.outside import Outside
from pkgd.web.ui.page import KeysPage
from tests.accounts import open_accounts
from tests.auth.providing import CONFIGURATION, TOKEN, FakeProvider
from tests.web.auth.fixtures import URL, AuthEdge
from tests.web.messages import Response, Row, each

PAGE = {"X-Pkgd": "1", "Origin": URL}


def refused(clause: str, method: str, target: str, status: int, body: bytes = b"", **more: Any) -> Row:
    """What ends in an error."""
    return Row(clause, method, target, status, body=body, **more)


class LoginCase(SynchronousTestCase):
    """The edge with a provider whose users in `dev` are let in."""

    def setUp(self) -> None:
        """Make it."""
        self.edge = AuthEdge(self)
        self.fake = FakeProvider(self.edge.clock)
        accounts = open_accounts(self)
        now = self.edge.clock.seconds
        self.keys = ApiKeys(accounts, now)
        self.sessions, self.refresh = Sessions(accounts, now), StoredRefreshTokens(accounts, now)
        users = OidcUsers(ClaimNames("preferred_username", "groups", frozenset(["dev"])), self.keys, self.sessions)
        outside = Outside(URL)
        self.log: str = self.mktemp()
        file = LogFile(self.edge.clock, InlineBlocking(), self.log, "audit log")
        file.open()
        self.addCleanup(file.close)
        audit = Audit(file, now)
        parts = LoginParts(self.fake.provider, users, self.sessions, self.refresh, outside, now, audit)
        browsers = BrowserSessions(self.sessions, outside)
        root: Any = self.edge.root
        root._logins, root._page = LoginApi(parts), KeysPage()
        root._accounts = [
            RefreshTokensApi(RefreshTokenApiParts(self.edge.gate, self.refresh, browsers)),
            KeysApi(KeyApiParts(self.edge.gate, self.keys, KeyLimits(90.0, 365.0), now, browsers)),
            UsersApi(UserApiParts(self.edge.gate, DisabledUsers(accounts, now), browsers)),
        ]

    def audited(self) -> list[tuple[str, str | None, str | None]]:
        """Action, user and resource of each line of the audit log."""
        self.edge.clock.advance(FLUSH_SECONDS)
        with open(self.log, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        self.assertEqual([one for one in lines if not one["address"]], [])
        return [(one["action"], one["user"], one.get("resource")) for one in lines]

    def begin(self, query: str = "") -> tuple[dict[str, str], dict[str, str]]:
        """Go to the provider: what the browser takes along, and the header with its cookie."""
        answer = self.edge.call("GET", f"/auth/login{query}", {})
        self.assertEqual(answer.status, 302, answer.body)
        query = urlsplit(answer.header("Location") or "").query
        return {name: values[0] for name, values in parse_qs(query).items()}, self.cookie(answer, "__Host-pkgd-login")

    def cookie(self, answer: Response, name: str) -> dict[str, str]:
        """The header with a cookie that an answer sets."""
        (value,) = [one.partition(";")[0] for one in answer.all("Set-Cookie") if one.startswith(f"{name}=")]
        return {"Cookie": value}

    def come_back(self, query: str = "") -> Response:
        """Log in and come back."""
        taken, cookie = self.begin(query)
        self.fake.let_in(nonce=taken["nonce"])
        return self.edge.call("GET", f"/auth/callback?code=c&state={taken['state']}", cookie)

    def log_in(self) -> dict[str, str]:
        """The header with a session."""
        return self.cookie(self.come_back(), "__Host-pkgd")


class BrowserTests(LoginCase):
    """A browser."""

    def test_logged_in(self) -> None:
        """It goes to the provider and comes back, to the path that it wanted, with a session."""
        answer = self.come_back("?redirect=/ui/keys?a=b")

        self.assertEqual((answer.status, answer.header("Location")), (303, "/ui/keys?a=b"))
        self.assertEqual(len(answer.all("Set-Cookie")), 2)
        found = self.edge.call("GET", "/api/v1/keys", {**self.cookie(answer, "__Host-pkgd"), "X-Pkgd": "1"})
        self.assertEqual((found.status, found.json["user"]), (200, "alice"))

    def test_verifier(self) -> None:
        """The verifier that the code is redeemed with is the one of the challenge, and never seen by the browser."""
        taken, _ = self.begin()
        self.come_back()

        self.assertEqual(taken["code_challenge_method"], "S256")
        self.assertNotIn(self.fake.forms(TOKEN)[0]["code_verifier"], taken.values())

    def test_once(self) -> None:
        """A state is good once, whatever becomes of it, for some minutes, and for its own browser."""
        taken, cookie = self.begin()
        path = f"/auth/callback?code=c&state={taken['state']}"
        self.fake.let_in(nonce=taken["nonce"])
        self.assertEqual(self.edge.call("GET", path, {}).status, 401)
        self.assertEqual(self.edge.call("GET", path, cookie).status, 401)

        taken, cookie = self.begin()
        self.edge.clock.advance(LOGIN_SECONDS)
        self.assertEqual(self.edge.call("GET", f"/auth/callback?code=c&state={taken['state']}", cookie).status, 401)
        self.assertEqual(self.fake.forms(TOKEN), [])

    def test_refused(self) -> None:
        """What the provider refuses, or says of another login, lets nobody in; who is not in the groups is told."""
        taken, cookie = self.begin()
        self.fake.say(TOKEN, 400, error="invalid_grant")
        answer = self.edge.call("GET", f"/auth/callback?code=c&state={taken['state']}", cookie)
        self.assertEqual((answer.status, answer.all("Set-Cookie")), (401, []))

        taken, cookie = self.begin()
        self.fake.let_in(nonce="another")
        answer = self.edge.call("GET", f"/auth/callback?code=c&state={taken['state']}", cookie)
        self.assertEqual((answer.status, answer.all("Set-Cookie")), (401, []))

        taken, cookie = self.begin()
        self.fake.let_in(nonce=taken["nonce"], groups=["ops"])
        answer = self.edge.call("GET", f"/auth/callback?code=c&state={taken['state']}", cookie)
        self.assertEqual((answer.status, answer.all("Set-Cookie")), (403, []))

    def test_audited(self) -> None:
        """Who logs in stands in the audit log, and who is not let in, with his name if there is one."""
        self.come_back()
        taken, cookie = self.begin()
        self.fake.let_in(nonce=taken["nonce"], groups=["ops"], preferred_username="bob")
        self.edge.call("GET", f"/auth/callback?code=c&state={taken['state']}", cookie)
        taken, cookie = self.begin()
        self.fake.let_in(nonce=taken["nonce"], preferred_username=5)
        self.edge.call("GET", f"/auth/callback?code=c&state={taken['state']}", cookie)

        self.assertEqual(
            self.audited(), [("login", "alice", "session"), ("fail-login", "bob", None), ("fail-login", None, None)]
        )

    def test_page(self) -> None:
        """A browser that is refused shows a page that runs nothing, and repeats nothing as markup."""
        html = {"Accept": "text/html,application/xhtml+xml;q=0.9"}
        taken, cookie = self.begin()
        self.fake.let_in(nonce=taken["nonce"], groups=["ops"], preferred_username="<b>ob")
        path = f"/auth/callback?code=c&state={taken['state']}"
        for target, headers, status, text in (
            (path, cookie, 403, "&lt;b&gt;ob is in none of the groups"),
            (path, cookie, 401, "the login has failed"),
            ("/auth/callback?code=%3Cscript%3E", {}, 401, "the login has failed"),
            ("/auth/login?redirect=//evil.example", {}, 400, "a path of this server is needed"),
        ):
            answer = self.edge.call("GET", target, {**headers, **html})
            self.assertEqual(
                (answer.status, answer.header("Content-Type")), (status, "text/html; charset=utf-8"), target
            )
            self.assertIn("default-src 'none'", answer.header("Content-Security-Policy") or "")
            self.assertIn(text, answer.body.decode())
            self.assertNotIn(b"<script", answer.body)
            self.assertNotIn(b"<b>", answer.body)

        self.fake.web.answers.clear()
        self.fake.provider._metadata = None
        self.edge.clock.advance(4000)
        answer = self.edge.call("GET", "/auth/login", html)
        self.assertEqual((answer.status, answer.header("Retry-After") is None), (503, False))
        self.assertIn(b"<h1>", answer.body)
        self.assertNotIn(b"<h1>", self.edge.call("GET", "/auth/callback", {"Accept": "application/json"}).body)
        self.assertNotIn(b"<h1>", self.edge.call("POST", "/auth/device", html).body)

    def test_session_replaced(self) -> None:
        """A login ends the session that the browser had."""
        old = self.log_in()
        taken, cookie = self.begin()
        self.fake.let_in(nonce=taken["nonce"])
        both = {"Cookie": f"{old['Cookie']}; {cookie['Cookie']}"}
        self.edge.call("GET", f"/auth/callback?code=c&state={taken['state']}", both)

        self.assertEqual(self.edge.call("GET", "/api/v1/keys", {**old, "X-Pkgd": "1"}).status, 401)

    def test_logout(self) -> None:
        """A page of ours logs out, and no other site's does."""
        session = self.log_in()
        self.assertEqual(self.edge.call("POST", "/auth/logout", session, b"").status, 403)
        self.assertEqual(self.edge.call("POST", "/auth/logout", {**session, **PAGE}, b"").status, 204)

        self.assertEqual(self.edge.call("GET", "/api/v1/keys", {**session, "X-Pkgd": "1"}).status, 401)

    def test_targets(self) -> None:
        """A browser goes to a path of ours, and nowhere else."""
        for good in ("/", "/ui/keys", "/ui/keys?a=b&c=/d"):
            self.begin(f"?redirect={good}".replace("&", "%26"))
        bad = [
            "//evil.example",
            "https://evil.example",
            "/%5Cevil",
            "evil",
            "/a%0D%0Ab",
            "/%2F%2Fevil",
            "/a%23b",
            "/%C3%A9",
        ]
        for one in [*bad, "/a&redirect=/b", "%00", "/\\evil.example", "javascript:alert(1)"]:
            status = self.edge.call("GET", f"/auth/login?redirect={one}", {}).status
            self.assertEqual(status, 400, one)

    def test_down(self) -> None:
        """Without the provider a login is told to come back."""
        self.fake.web.answers.pop(CONFIGURATION)

        self.assertEqual(self.edge.call("GET", "/auth/login", {}).status, 503)


class SessionTests(LoginCase):
    """What a session is good for."""

    def test_keys(self) -> None:
        """Pages of ours list, make and revoke keys."""
        session = self.log_in()
        made = self.edge.call("POST", "/api/v1/keys", {**session, **PAGE}, b'{"label": "x"}')

        self.assertEqual((made.status, made.json["owner"]), (201, "alice"))
        path = f"/api/v1/keys/{made.json['id']}"
        self.assertEqual(self.edge.call("DELETE", path, {**session, **PAGE}).status, 204)

    def test_other_sites(self) -> None:
        """No other site can make the browser send what is needed; nor does a cookie alone do anything."""
        session = self.log_in()
        for more in (
            {},
            {"X-Pkgd": "1"},
            {"Origin": URL},
            {"X-Pkgd": "1", "Origin": "https://evil.example"},
            {"X-Pkgd": "1", "Origin": "null"},
            {"X-Pkgd": "1", "Origin": URL + ".evil.example"},
            {"X-Pkgd": "0", "Origin": URL},
        ):
            answer = self.edge.call("POST", "/api/v1/keys", {**session, **more}, b"{}")
            self.assertEqual(answer.status, 403, str(more))
        self.assertEqual(self.edge.call("GET", "/api/v1/keys", session).status, 403)
        self.assertEqual(self.keys.list(), [])

    def test_nothing_else(self) -> None:
        """It opens no repository, and buys no tokens."""
        session = self.log_in()

        for path in ("/v2/", "/apt/main/dists/stable/InRelease", "/api/v1/packages?repository=apt:main"):
            self.assertEqual(self.edge.call("GET", path, {**session, **PAGE}).status, 401, path)

    def test_over(self) -> None:
        """A page whose session is over is told so, without making the browser ask for a password."""
        session = self.log_in()
        self.edge.clock.advance(LIFETIME)

        for headers in ({**session, "X-Pkgd": "1"}, {"X-Pkgd": "1"}):
            answer = self.edge.call("GET", "/api/v1/keys", headers)
            self.assertEqual((answer.status, answer.header("WWW-Authenticate")), (401, None))
        self.assertIsNotNone(self.edge.call("GET", "/api/v1/keys", {}).header("WWW-Authenticate"))


@each(
    [
        refused("A login is a GET", "POST", "/auth/login", 405, headers={"Allow": "GET"}),
        refused("A device code is a POST", "GET", "/auth/device", 405, headers={"Allow": "POST"}),
        refused("A form has its field", "POST", "/auth/device/token", 400),
        refused("Once", "POST", "/auth/device/token", 400, b"device_code=a&device_code=b"),
        refused("It is a form", "POST", "/auth/revoke", 400, b"\xff"),
        refused("Of some size", "POST", "/auth/revoke", 413, b"token=" + b"a" * 65536),
        refused("An unknown code is over", "POST", "/auth/device/token", 400, b"device_code=x"),
        refused("A state is given once", "GET", "/auth/callback?state=a&state=b", 400),
        refused("There is nothing else", "GET", "/auth/other", 404),
        Row("The page is there", "GET", "/ui/keys", 200, headers={"Content-Type": "text/html; charset=utf-8"}),
        Row("With its script", "GET", "/ui/keys.js", 200, headers={"X-Content-Type-Options": "nosniff"}),
        Row("And its style", "HEAD", "/ui/keys.css", 200),
        refused("Pages are read", "POST", "/ui/keys", 405, headers={"Allow": "GET, HEAD"}),
        refused("There is no other", "GET", "/ui/other", 404),
    ]
)
class RequestTests(LoginCase):
    """One request."""


class PageTests(LoginCase):
    """The page for keys."""

    def test_policy(self) -> None:
        """It may run its own script and ask this server, and nothing else; nobody may frame it."""
        policy = self.edge.call("GET", "/ui/keys", {}).header("Content-Security-Policy") or ""
        for part in ("default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"):
            self.assertIn(part, policy)
        self.assertNotIn("unsafe", policy)

    def test_nothing_inline(self) -> None:
        """It has no script or style in itself, and its script makes no markup of what users have written."""
        html = self.edge.call("GET", "/ui/keys", {}).body.decode()
        script = self.edge.call("GET", "/ui/keys.js", {}).body.decode()

        for part in ("onclick", "<style", "javascript:", "style="):
            self.assertNotIn(part, html)
        self.assertEqual(html.count("<script"), html.count("<script src="))
        for part in ("innerHTML", "insertAdjacentHTML", "document.write", "eval("):
            self.assertNotIn(part, script)
