"""ASCII armor."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp import armored, dearmored
from tests.properties import bounded, brief

_HELLO = b"-----BEGIN PGP SIGNATURE-----\n\naGVsbG8=\n=WmEp\n-----END PGP SIGNATURE-----\n"


class ArmoredTests(SynchronousTestCase):
    """Armor is written as GnuPG writes it."""

    def test_golden(self) -> None:
        """There is an empty line before the text, and a checksum behind it."""
        expected = b"-----BEGIN PGP SIGNATURE-----\n\naGVsbG8=\n=R/WK\n-----END PGP SIGNATURE-----\n"

        self.assertEqual(armored(b"hello", "SIGNATURE"), expected)

    def test_lines(self) -> None:
        """A line has 64 characters at most."""
        lines = armored(bytes(200), "PUBLIC KEY BLOCK").splitlines()

        self.assertEqual(max(len(line) for line in lines[1:-1]), 64)

    @bounded
    @given(st.binary(max_size=300))
    def test_round_trip(self, data: bytes) -> None:
        """What is armored is read again."""
        self.assertEqual(dearmored(armored(data, "PRIVATE KEY BLOCK")), data)


class DearmoredTests(SynchronousTestCase):
    """Armor is read as it is found."""

    def setUp(self) -> None:
        """A block."""
        self.block = armored(b"hello", "SIGNATURE")

    def assert_refused(self, data: bytes) -> None:
        """It is no usable key."""
        self.assertRaises(InvalidKey, dearmored, data)

    def test_packets(self) -> None:
        """Packets, which begin with the highest bit set, are returned as they are, whatever is in them."""
        data = b"\x99\x00" + self.block

        self.assertEqual(dearmored(data), data)

    def test_text(self) -> None:
        """What has no armor is returned as it is."""
        self.assertEqual(dearmored(b"hello\n"), b"hello\n")

    def test_several(self) -> None:
        """The packets of several blocks are one sequence; text around and between them doesn't matter."""
        self.assertEqual(dearmored(b"one:\n" + self.block + b"two:\n" + self.block), b"hellohello")

    def test_headers(self) -> None:
        """Armor may have headers."""
        data = self.block.replace(b"-----\n\n", b"-----\nVersion: GnuPG v2\nComment: x: y\n\n", 1)

        self.assertEqual(dearmored(data), b"hello")

    def test_carriage_returns(self) -> None:
        """Line ends of Windows, and a byte order mark, are put up with."""
        self.assertEqual(dearmored(b"\xef\xbb\xbf" + self.block.replace(b"\n", b"\r\n")), b"hello")

    def test_no_checksum(self) -> None:
        """The checksum may be missing (RFC 9580, 6.1)."""
        self.assertEqual(dearmored(self.block.replace(b"=R/WK\n", b"")), b"hello")

    def test_wrong_checksum(self) -> None:
        """A checksum that is there has to be right."""
        self.assert_refused(_HELLO)

    def test_damaged(self) -> None:
        """Without an empty line or its end, with other characters or text behind the checksum, it is damaged."""
        for found, instead in (
            (b"-----\n\n", b"-----\n"),
            (b"aGVsbG8=", b"aGVsbG8"),
            (b"aGVs", b"aG!s"),
            (b"=R/WK\n", b"=R/WK\nAAAA\n"),
            (b"aGVsbG8=\n=R/WK\n", b"aGVs\n=R/WK\nbG8=\n"),
            (b"=R/WK\n", b"=R/\n"),
            (b"-----END PGP SIGNATURE-----", b""),
            (b"END PGP SIGNATURE", b"END PGP PUBLIC KEY BLOCK"),
        ):
            self.assert_refused(self.block.replace(found, instead))

    def test_indented(self) -> None:
        """A line that only looks like the beginning, as in a text, is none."""
        data = b" " + self.block

        self.assertEqual(dearmored(data), data)

    def test_too_long(self) -> None:
        """There is a limit, armored or not."""
        self.assert_refused(b"x" * (1 << 22))
        self.assert_refused(b"\x99" * (1 << 22))

    def test_time(self) -> None:
        """The longest file of beginnings without an end is refused in the time that reading it takes."""
        for line in (b"-----BEGIN PGP SIGNATURE-----\n", b"-----BEGIN PGP SIGNATURE-----\n\n", b"a: b\n"):
            data = b"-----BEGIN PGP SIGNATURE-----\n" + line * ((1 << 21) // len(line) - 1)
            begun = time.process_time()

            self.assert_refused(data)

            self.assertLess(time.process_time() - begun, 5)

    @brief
    @given(st.lists(st.sampled_from([*_HELLO.splitlines(keepends=True), b"a: b\n", b"\n", b"=\n", b"AAAA"])))
    def test_any_lines(self, lines: list[bytes]) -> None:
        """Whatever order lines come in: packets, or `InvalidKey`."""
        try:
            found = dearmored(b"".join(lines))
        except InvalidKey:
            return
        self.assertIsInstance(found, bytes)
