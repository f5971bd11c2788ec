"""Text out of clear-signed messages, and nothing else with it."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats.clearsigned import signed_text
from tests.properties import bounded

MESSAGE = b"""-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA512

Source: hello
- -dash

second
-----BEGIN PGP SIGNATURE-----

iQIzBAEBCgAdFiEE
-----END PGP SIGNATURE-----
"""


class SignedTextTests(SynchronousTestCase):
    """RFC 9580, 7."""

    def test_text(self) -> None:
        """Armour goes, escaped dashes come back, empty lines stay."""
        self.assertEqual(signed_text(MESSAGE), b"Source: hello\n-dash\n\nsecond\n")

    def test_unsigned(self) -> None:
        """What isn't signed is returned as it is."""
        self.assertEqual(signed_text(b"Source: hello\n"), b"Source: hello\n")

    def test_headers(self) -> None:
        """A message may have no header, or several; spaces behind the armour are nothing."""
        self.assertEqual(signed_text(MESSAGE.replace(b"Hash: SHA512\n", b"")), signed_text(MESSAGE))
        self.assertEqual(signed_text(MESSAGE.replace(b"Hash:", b"Hash: SHA256\nHash:")), signed_text(MESSAGE))
        self.assertEqual(signed_text(MESSAGE.replace(b"-----\n", b"-----  \n")), signed_text(MESSAGE))

    def test_more_than_the_message(self) -> None:
        """Anything before or behind it, a second message, and another header are refused or no message."""
        self.assertEqual(signed_text(b"X: y\n" + MESSAGE), b"X: y\n" + MESSAGE)
        for bad in (
            MESSAGE + b"X: y\n",
            MESSAGE + MESSAGE,
            MESSAGE + b"\n\n\nx",
            MESSAGE.replace(b"Hash: SHA512", b"Source: other"),
            MESSAGE.replace(b"MESSAGE-----", b"MESSAGE-----x"),
            MESSAGE.replace(b"iQI", b"-----END PGP SIGNATURE-----\niQI"),
        ):
            self.assertRaises(InvalidPackage, signed_text, bad)

    def test_cut(self) -> None:
        """A message without text or without the end of its signature is refused."""
        lines = MESSAGE.splitlines(keepends=True)
        for end in range(1, len(lines)):
            self.assertRaises(InvalidPackage, signed_text, b"".join(lines[:end]))

    def test_dashes(self) -> None:
        """A dash that is not escaped is refused: some take it for armour."""
        self.assertRaises(InvalidPackage, signed_text, MESSAGE.replace(b"- -dash", b"-dash"))

    @bounded
    @given(st.lists(st.sampled_from([*MESSAGE.splitlines(), b"x", b"-", b" "])))
    def test_any_lines(self, lines: list[bytes]) -> None:
        """Whatever it is fed, it answers or refuses."""
        with contextlib.suppress(InvalidPackage):
            signed_text(b"\n".join(lines))
