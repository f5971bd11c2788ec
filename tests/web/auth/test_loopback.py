"""Logging in for a command on the browser's machine; with a real browser it is in `tests.oidc`."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit

from pkgd.auth.pending import challenge_of
from pkgd.web.auth.loopback import CODE_SECONDS
from tests.accounts import result
from tests.web.auth.test_login import LoginCase
from tests.web.messages import Response

STATE, VERIFIER = "s" * 43, "v" * 43
GOOD = {"port": "40001", "state": STATE, "code_challenge": challenge_of(VERIFIER)}


class LoopbackTests(LoginCase):
    """A command that has named the page."""

    def open(self, **changes: str) -> Response:
        """Open the page that the command names."""
        return self.edge.call("GET", f"/auth/loopback?{urlencode({**GOOD, **changes})}", {})

    def show(self, groups: list[str] | None = None) -> Response:
        """Log in, and come back to be shown the link."""
        begun = self.open()
        taken = {name: one[0] for name, one in parse_qs(urlsplit(begun.header("Location") or "").query).items()}
        self.fake.let_in(nonce=taken["nonce"], **({} if groups is None else {"groups": groups}))
        cookie = self.cookie(begun, "__Host-pkgd-login")
        return self.edge.call("GET", f"/auth/callback?code=c&state={taken['state']}", cookie)

    def link(self, page: Response) -> str:
        """Where the link leads."""
        (place,) = re.findall(r'href="([^"]+)"', page.body.decode())
        return unescape(place)

    def code(self) -> str:
        """A code."""
        return parse_qs(urlsplit(self.link(self.show())).query)["code"][0]

    def redeem(self, code: str, verifier: str = VERIFIER) -> Response:
        """What the command gets for its code."""
        form = urlencode({"code": code, "code_verifier": verifier}).encode()
        return self.edge.call("POST", "/auth/loopback/token", {}, form)

    def test_logged_in(self) -> None:
        """The provider sends the browser back to us, we show a link to the command, and its code is a refresh token."""
        page = self.show()
        self.assertEqual((page.status, page.header("Cache-Control")), (200, "no-store"))
        self.assertIn("alice", page.body.decode())
        self.assertNotIn("__Host-pkgd=", str(page.all("Set-Cookie")))
        place = urlsplit(self.link(page))
        query = parse_qs(place.query)
        self.assertEqual((place.scheme, place.netloc, place.path), ("http", "127.0.0.1:40001", "/"))
        self.assertEqual(query["state"], [STATE])

        answer = self.redeem(query["code"][0])

        self.assertEqual((answer.status, answer.json["user"]), (200, "alice"))
        found = result(self, self.refresh.redeem(answer.json["refresh_token"], "pkg.example.com"))
        self.assertEqual((found.principal.name, found.via), ("alice", "oidc"))
        self.assertEqual(self.audited(), [("login", "alice", "refresh-token")])

    def test_page(self) -> None:
        """The page runs nothing, is framed by nobody, goes nowhere by itself, and tells no other site of itself."""
        page = self.show()
        policy = page.header("Content-Security-Policy") or ""

        for part in ("default-src 'none'", "frame-ancestors 'none'", "form-action 'none'"):
            self.assertIn(part, policy)
        self.assertEqual(page.header("Referrer-Policy"), "no-referrer")
        self.assertIsNone(page.header("Location"))

    def test_once(self) -> None:
        """A code is good once, for the one who has begun, and for a minute; a wrong try ends it."""
        code = self.code()
        self.assertEqual(self.redeem(code).status, 200)
        self.assertEqual(self.redeem(code).json, {"error": "invalid_grant"})
        for verifier in ("w" * 43, "v" * 42, "v" * 129, "ü" * 43):
            code = self.code()
            self.assertEqual(self.redeem(code, verifier).status, 400, verifier)
            self.assertEqual(self.redeem(code).status, 400, verifier)
        code = self.code()
        self.edge.clock.advance(CODE_SECONDS)
        self.assertEqual(self.redeem(code).status, 400)

    def test_not_let_in(self) -> None:
        """Who is in none of the allowed groups gets no link."""
        page = self.show(groups=[])

        self.assertEqual(page.status, 403)
        self.assertNotIn("127.0.0.1", page.body.decode())

    def test_hostile_links(self) -> None:
        """A link leads to a port of this machine, and has nothing in it that could be anything else."""
        for changes in (
            {"port": "80"},
            {"port": "1023"},
            {"port": "65536"},
            {"port": "040001"},
            {"port": "40001@evil.example"},
            {"port": "40001/x"},
            {"port": "-1"},
            {"port": ""},
            {"port": "４０００１"},
            {"state": ""},
            {"state": "short"},
            {"state": "s" * 129},
            {"state": '"><script>alert(1)</script>'},
            {"state": "s" * 20 + "\r\nX: y"},
            {"code_challenge": ""},
            {"code_challenge": "c" * 44},
            {"code_challenge": "c" * 42 + "="},
        ):
            self.assertEqual(self.open(**changes).status, 400, changes)
        twice = self.edge.call("GET", f"/auth/loopback?{urlencode(GOOD)}&port=40002", {})
        self.assertEqual(twice.status, 400)
        self.assertEqual(self.open().status, 302)

    def test_hostile_forms(self) -> None:
        """What is no form, or lacks a field, is said to be so; methods are what they are."""
        for body in (b"", b"code=x", b"code=x&code=y&code_verifier=z", b"\xff"):
            self.assertEqual(self.edge.call("POST", "/auth/loopback/token", {}, body).status, 400, body)
        self.assertEqual(self.edge.call("POST", "/auth/loopback/token", {}, b"a" * 65537).status, 413)
        self.assertEqual(self.edge.call("GET", "/auth/loopback/token", {}).status, 405)
        self.assertEqual(self.edge.call("POST", "/auth/loopback", {}, b"").status, 405)
