"""`pkgd login` and `pkgd logout`, against what a pkgd may answer; a real one is in `tests.oidc`."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.pending import challenge_of
from pkgd.errors import ConfigError
from pkgd.login.command import HERE_SECONDS, Browser, log_in, log_out
from pkgd.login.credentials import CredentialsFile, Login

CODE = {
    "device_code": "handle",
    "user_code": "AB-CD",
    "verification_uri": "https://idp.example.com/go",
    "interval": 5,
    "expires_in": 30,
}
TOKEN = {"refresh_token": "refresh", "user": "alice"}
PENDING = (400, {"error": "authorization_pending"})


class FakeCallback:
    """A port at which a browser comes back with a code, or nobody does."""

    port = 40001

    def __init__(self) -> None:
        self.brings: str | None = "code"
        self.seconds = 0.0

    def wait(self, code_in: Callable[[str], str | None], seconds: float) -> str | None:
        """See `Callback`."""
        self.seconds = seconds
        return self.brings


class CommandTests(SynchronousTestCase):
    """One server."""

    def setUp(self) -> None:
        """Nobody has logged in yet."""
        self.file = CredentialsFile(os.path.join(os.path.abspath(self.mktemp()), "credentials.json"))
        self.output = io.StringIO()
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.waits: list[float] = []
        self.callback = FakeCallback()
        self.browser = Browser(
            "https://pkg.example.com:443", self.post, self.waits.append, self.output, lambda: self.callback
        )

    def post(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """The next answer; the last one again and again."""
        self.asked.append((path, form))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def log_in(self, *answers: tuple[int, dict[str, Any]]) -> None:
        """Log in to who answers so."""
        self.answers = list(answers)
        log_in(self.browser, "pkg.example.com", self.file)

    def fails(self, *answers: tuple[int, dict[str, Any]]) -> str:
        """Why that cannot be done; nothing is kept then."""
        error = self.assertRaises(ConfigError, self.log_in, *answers)
        self.assertEqual(self.file.read(), {})
        return error.message

    def test_logged_in(self) -> None:
        """The page and the code are shown, and what comes of it is kept and not shown."""
        self.log_in((200, CODE), PENDING, (200, TOKEN))

        self.assertEqual(self.file.read(), {"pkg.example.com": Login("<token>", "refresh", "alice")})
        self.assertEqual(self.asked[1:], [("/auth/device/token", {"device_code": "handle"})] * 2)
        self.assertIn("https://idp.example.com/go", self.output.getvalue())
        self.assertIn("AB-CD", self.output.getvalue())
        self.assertNotIn("refresh", self.output.getvalue())

    def test_complete_page(self) -> None:
        """A page that has the code in it is preferred."""
        self.log_in((200, {**CODE, "verification_uri_complete": "https://idp.example.com/AB-CD"}), (200, TOKEN))

        self.assertIn("https://idp.example.com/AB-CD\n", self.output.getvalue())

    def test_pace(self) -> None:
        """It asks as often as it may, slower if it is told so, until the code is over."""
        self.assertIn("in time", self.fails((200, CODE), PENDING, (400, {"error": "slow_down"}), PENDING))
        self.assertEqual(self.waits, [5, 5, 10, 10])

    def test_refused(self) -> None:
        """A no, a code that is over, and any other answer end it with a reason."""
        self.assertIn("refused", self.fails((200, CODE), (400, {"error": "access_denied"})))
        self.assertIn("in time", self.fails((200, CODE), (400, {"error": "expired_token"})))
        denied = {"errors": [{"message": "alice is in none of the groups\x1b[2J"}]}
        self.assertIn("none of the groups?[2J (403)", self.fails((200, CODE), (403, denied)))
        self.assertIn("(500)", self.fails((200, CODE), (500, {})))

    def test_here(self) -> None:
        """Where there are no device codes, a page is named, and the code that a browser brings is redeemed."""
        self.log_in((400, {}), (200, TOKEN))

        self.assertEqual(self.file.read(), {"pkg.example.com": Login("<token>", "refresh", "alice")})
        ((_, _), (path, form)) = self.asked
        self.assertEqual((path, form["code"]), ("/auth/loopback/token", "code"))
        place = re.search(r"https://\S+", self.output.getvalue())
        assert place is not None
        self.assertIn("port=40001&state=", place[0])
        self.assertIn(f"code_challenge={challenge_of(form['code_verifier'])}", place[0])
        self.assertNotIn(form["code_verifier"], self.output.getvalue())
        self.assertEqual(self.callback.seconds, HERE_SECONDS)

    def test_here_in_vain(self) -> None:
        """Nobody comes, the code is refused, or there is no port: each is said."""
        denied = {"errors": [{"message": "alice is in none of the groups"}]}
        self.assertIn("none of the groups (403)", self.fails((400, {}), (403, denied)))
        self.assertIn("(400)", self.fails((400, {}), (400, {"error": "invalid_grant"})))
        self.callback.brings = None
        self.assertIn("in time", self.fails((400, {})))

        def no_port() -> Any:
            raise OSError(98, "Address already in use")

        self.browser = evolve(self.browser, listen=no_port)
        self.assertIn("no port", self.fails((400, {})))

    def test_no_provider(self) -> None:
        """A pkgd whose users don't log in so is told apart."""
        self.assertIn("make an API key", self.fails((404, {})))

    def test_logged_out(self) -> None:
        """The refresh token ends there, and then here; if it cannot, it is kept."""
        self.file.put("pkg.example.com", Login("<token>", "refresh", "alice"))
        self.answers = [(503, {})]
        self.assertRaises(ConfigError, log_out, self.browser, "pkg.example.com", self.file)
        self.assertIn("pkg.example.com", self.file.read())
        self.answers = [(200, {})]
        log_out(self.browser, "pkg.example.com", self.file)

        self.assertEqual(self.file.read(), {})
        self.assertEqual(self.asked[-1], ("/auth/revoke", {"token": "refresh"}))
        self.assertRaises(ConfigError, log_out, self.browser, "pkg.example.com", self.file)

    def test_password(self) -> None:
        """What docker has stored is nobody else's business: it is forgotten here."""
        self.file.put("pkg.example.com", Login("bob", "password"))
        log_out(self.browser, "pkg.example.com", self.file)

        self.assertEqual((self.asked, self.file.read()), ([], {}))
