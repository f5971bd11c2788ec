"""Authorization headers: Basic and Bearer as they are specified, and nothing else."""

from __future__ import annotations

from base64 import b64encode

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.credentials import Basic, Bearer, looks_like_jwt, parse_authorization
from pkgd.errors import Unauthenticated


def basic(text: str | bytes) -> bytes:
    """The header for `user:password`."""
    return b"Basic " + b64encode(text if isinstance(text, bytes) else text.encode("utf-8"))


class BasicTests(SynchronousTestCase):
    """RFC 7617."""

    def test_pair(self) -> None:
        """The name ends at the first colon, the password has the rest; both are UTF-8."""
        for user, password in (("alice", "secret"), ("alice", "a:b:c"), ("älice", "pässwört ✓"), ("", ""), ("a", "")):
            self.assertEqual(parse_authorization(basic(f"{user}:{password}")), Basic(user, password))

    def test_scheme(self) -> None:
        """The scheme's case does not matter, nor do spaces around its value."""
        for header in (b"basic YTpi", b"BASIC YTpi", b"Basic  YTpi "):
            self.assertEqual(parse_authorization(header), Basic("a", "b"))

    def test_long(self) -> None:
        """A password of 5,000 characters is one, for a back end may have such."""
        self.assertEqual(parse_authorization(basic("a:" + "x" * 5000)), Basic("a", "x" * 5000))

    def test_refused(self) -> None:
        """What is broken is refused, with a reason that has nothing of it."""
        headers = [basic("nocolon"), basic(b"a:\xff"), basic("a:b\x00"), basic("a\n:b"), basic("a:\x7f"), b"Basic a"]
        headers += [b"Basic", b"Basic ", b"Basic YTpi!", b"Basic YT pi", b"Basic YTpi=", basic("u" * 257 + ":b")]
        headers += [basic("a:" + "x" * 30_000)]
        for header in headers:
            error = self.assertRaises(Unauthenticated, parse_authorization, header)
            self.assertNotIn("YT", error.message)

    def test_shown(self) -> None:
        """No representation has a secret in it."""
        self.assertNotIn("secret", repr([Basic("alice", "secret"), Bearer("secret")]))


class BearerTests(SynchronousTestCase):
    """RFC 6750."""

    def test_token(self) -> None:
        """A token is taken as it is."""
        self.assertEqual(parse_authorization(b"bearer pkgd_a-b.c~d+/=="), Bearer("pkgd_a-b.c~d+/=="))

    def test_refused(self) -> None:
        """What is no token, or another scheme, is refused."""
        for header in (
            b"Bearer",
            b"Bearer ",
            b"Bearer a b",
            b"Bearer \xff",
            b"Bearer =",
            b"Digest a",
            b"",
            b"x" * 30_000,
        ):
            self.assertRaises(Unauthenticated, parse_authorization, header)


class FormTests(SynchronousTestCase):
    """Passwords that are none."""

    def test_jwt(self) -> None:
        """A compact JWS of at most 12 KiB looks like one, signed or not; nothing else does."""
        for text in ("eyJh.eyJz.c2ln", "eyJh.eyJz.", "eyJ.e.x"):
            self.assertTrue(looks_like_jwt(text), text)
        for text in ("", "secret", "eyJh.eyJz", "a.b.c", "eyJh.eyJz.c.d", "eyJh.eyJz.c ", "eyJ." + "e" * 13_000 + ".x"):
            self.assertFalse(looks_like_jwt(text), text)
