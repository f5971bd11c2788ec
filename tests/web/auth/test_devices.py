"""Logging in by a device code, as commands do; a real provider is in `tests.oidc`."""

from __future__ import annotations

import json
from typing import Any

from tests.accounts import result
from tests.auth.issuing import ISSUER
from tests.auth.providing import DEVICE, TOKEN
from tests.web.auth.test_login import LoginCase
from tests.web.messages import Response


class DeviceTests(LoginCase):
    """Commands."""

    def setUp(self) -> None:
        """The provider gives codes."""
        super().setUp()
        self.fake.say(
            DEVICE, device_code="theirs", user_code="AB-CD", verification_uri=f"{ISSUER}/go", expires_in=600, interval=5
        )

    def start(self) -> dict[str, Any]:
        """A new code."""
        answer = self.edge.call("POST", "/auth/device", {}, b"")
        self.assertEqual(answer.status, 200, answer.body)
        found: dict[str, Any] = answer.json
        return found

    def ask(self, code: str) -> Response:
        """Whether somebody has logged in."""
        return self.edge.call("POST", "/auth/device/token", {}, f"device_code={code}".encode())

    def test_logged_in(self) -> None:
        """Who logs in elsewhere gets a refresh token here; the provider's own code is never shown."""
        code = self.start()
        self.assertEqual((code["user_code"], code["verification_uri"]), ("AB-CD", f"{ISSUER}/go"))
        self.assertNotIn("theirs", json.dumps(code))
        self.fake.let_in(nonce=None)
        self.edge.clock.advance(5)
        answer = self.ask(code["device_code"])

        self.assertEqual((answer.status, answer.json["user"]), (200, "alice"))
        self.assertEqual(self.fake.forms(TOKEN)[0]["device_code"], "theirs")
        found = result(self, self.refresh.redeem(answer.json["refresh_token"], "pkg.example.com"))
        self.assertEqual((found.principal.name, found.via), ("alice", "oidc"))
        self.assertEqual(self.ask(code["device_code"]).json["error"], "expired_token")

    def test_pace(self) -> None:
        """The provider is asked no more often than it likes, however often a client asks."""
        code = self.start()["device_code"]
        self.fake.say(TOKEN, 400, error="authorization_pending")
        for _ in range(3):
            self.assertEqual(self.ask(code).json, {"error": "authorization_pending"})
        self.assertEqual(len(self.fake.forms(TOKEN)), 0)
        self.edge.clock.advance(5)
        self.fake.say(TOKEN, 400, error="slow_down")
        self.assertEqual(self.ask(code).json, {"error": "slow_down"})
        self.edge.clock.advance(5)
        self.ask(code)

        self.assertEqual(len(self.fake.forms(TOKEN)), 1)

    def test_denied(self) -> None:
        """A no ends it; so does somebody who is not let in."""
        code = self.start()["device_code"]
        self.edge.clock.advance(5)
        self.fake.say(TOKEN, 400, error="access_denied")
        self.assertEqual(self.ask(code).json, {"error": "access_denied"})
        self.assertEqual(self.ask(code).json, {"error": "expired_token"})

        code = self.start()["device_code"]
        self.edge.clock.advance(5)
        self.fake.let_in(nonce=None, groups=[])
        self.assertEqual(self.ask(code).status, 403)

    def test_none(self) -> None:
        """Without device codes there is a word on what else can be done."""
        self.fake.say(DEVICE, 400, error="unauthorized_client")
        answer = self.edge.call("POST", "/auth/device", {}, b"")

        self.assertEqual(answer.status, 400)
        self.assertIn("/ui/keys", answer.json["errors"][0]["message"])

    def test_too_often(self) -> None:
        """Nobody makes the provider busy: from one address there are only so many codes a minute."""
        statuses = [self.edge.call("POST", "/auth/device", {}, b"").status for _ in range(61)]
        self.assertEqual((set(statuses[:60]), statuses[60]), ({200}, 429))
        self.edge.clock.advance(1)
        self.assertEqual(self.edge.call("POST", "/auth/device", {}, b"").status, 200)

    def test_hostile_code(self) -> None:
        """A code that makes no sense is none."""
        for changes in (
            {"interval": "5"},
            {"expires_in": -1},
            {"device_code": 7},
            {"user_code": None},
            {"interval": True},
        ):
            good = {"device_code": "d", "user_code": "u", "verification_uri": "v", "expires_in": 600}
            self.fake.say(DEVICE, **{**good, **changes})
            self.assertEqual(self.edge.call("POST", "/auth/device", {}, b"").status, 503, str(changes))

    def test_revoked(self) -> None:
        """Whoever has a refresh token may end it; that it was none is not said."""
        self.fake.let_in(nonce=None)
        code = self.start()["device_code"]
        self.edge.clock.advance(5)
        token = self.ask(code).json["refresh_token"]
        for text in (token, token, "rubbish"):
            self.assertEqual(self.edge.call("POST", "/auth/revoke", {}, f"token={text}".encode()).status, 200)

        found = result(self, self.refresh.redeem(token, "pkg.example.com"))
        self.assertNotIn("alice", str(found))
