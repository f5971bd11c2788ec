"""Cookies: one that is ours, or none."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.web.cookies import SESSION, cookie_of, forget_cookie, set_cookie
from tests.web.recorder import recorded


class CookieTests(SynchronousTestCase):
    """One header."""

    def read(self, header: str) -> str | None:
        """The session in it."""
        request, _ = recorded(headers={"Cookie": header})
        return cookie_of(request, SESSION)

    def test_read(self) -> None:
        """It is found among others."""
        self.assertEqual(self.read("__Host-pkgd=abc"), "abc")
        self.assertEqual(self.read("a=b; __Host-pkgd=abc;c=d; __Host-pkgd-login=x"), "abc")

    def test_none(self) -> None:
        """What we have never set is none; of two nobody knows which one is ours."""
        for header in (
            "",
            "__host-pkgd=abc",
            "x__Host-pkgd=abc",
            "__Host-pkgd",
            "__Host-pkgd=",
            '__Host-pkgd="abc"',
            "__Host-pkgd=a b",
            "__Host-pkgd=é",
            f"__Host-pkgd={'a' * 65}",
            "__Host-pkgd=abc; __Host-pkgd=abc",
        ):
            self.assertIsNone(self.read(header), header)

    def test_set(self) -> None:
        """It is for this host, over TLS, not for scripts, nor sent when another site changes something here."""
        self.assertEqual(
            set_cookie(SESSION, "abc", 60),
            b"Set-Cookie: __Host-pkgd=abc; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax\r\n",
        )
        self.assertIn(b"=; Path=/; Max-Age=0;", forget_cookie(SESSION))
