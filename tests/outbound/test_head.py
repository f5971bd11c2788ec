"""The heads of answers: whole, bounded, and understood in one way only."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import UpstreamCorrupt
from pkgd.outbound.head import MAX_INTERIM, MAX_LINE, MAX_LINES, ResponseHead
from tests.properties import bounded

LIMIT = 64 * 1024
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def head(*fields: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """A head with these fields."""
    return b"\r\n".join([status, *fields, b"", b""])


class ResponseHeadTests(SynchronousTestCase):
    """`ResponseHead.feed`."""

    def feed(self, data: bytes, limit: int = LIMIT) -> bytes | None:
        """All of it at once."""
        return ResponseHead("quay.io", limit).feed(data)

    def assert_corrupt(self, data: bytes, reason: str, limit: int = LIMIT) -> None:
        """It is refused, and for this reason."""
        error = self.assertRaises(UpstreamCorrupt, self.feed, data, limit)

        self.assertEqual((error.host, error.reason), ("quay.io", reason), data[:100])

    def test_whole(self) -> None:
        """A whole head is passed on as it is, with what comes behind it."""
        self.assertEqual(self.feed(OK), OK)
        self.assertEqual(self.feed(OK + b"body\r\n\r\n"), OK + b"body\r\n\r\n")

    @bounded
    @given(st.integers(0, len(OK)), st.integers(0, len(OK)))
    def test_in_pieces(self, one: int, other: int) -> None:
        """It does not matter how a head is cut into pieces; until it is whole, there is nothing."""
        first, last = sorted([one, other])
        found = ResponseHead("quay.io", LIMIT)
        pieces = [found.feed(OK[:first]), found.feed(OK[first:last]), found.feed(OK[last:] + b"x")]

        # Whoever has got the head feeds no more, so only the first result counts.
        whole = next(piece for piece in pieces if piece is not None)
        self.assertEqual(whole.removesuffix(b"x"), OK)

    def test_bytewise(self) -> None:
        """A head that comes byte by byte is whole with its last one."""
        found = ResponseHead("quay.io", LIMIT)
        answers = [found.feed(OK[at : at + 1]) for at in range(len(OK))]

        self.assertEqual(answers, [None] * (len(OK) - 1) + [OK])

    def test_line_feeds(self) -> None:
        """A line feed alone ends a line, as it does for the parser behind."""
        data = b"HTTP/1.1 200 OK\nContent-Length: 2\n\n"

        self.assertEqual(self.feed(data), data)

    def test_status_lines(self) -> None:
        """HTTP/1.0 and 1.1 are spoken, with any reason or none."""
        for status in [
            b"HTTP/1.0 200 OK",
            b"HTTP/1.1 404",
            b"HTTP/1.1 599 ",
            b"HTTP/1.1 200 \xc3\xa4 b",
            b"HTTP/1.1 307 T",
        ]:
            self.assertEqual(self.feed(head(status=status)), head(status=status))

    def test_other_protocols(self) -> None:
        """Everything else is no HTTP."""
        for status in [
            *[
                b"",
                b"HTTP/1.1",
                b"HTTP/1.1 ",
                b"HTTP/2.0 200 OK",
                b"HTTP/1.2 200 OK",
                b"HTTP/0.9 200 OK",
                b"http/1.1 200 OK",
            ],
            *[b"HTTP/1.1 +200 OK", b"HTTP/1.1 2_0 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 600 OK"],
            *[b"HTTP/1.1 000 OK", b"HTTP/1.1  200 OK", b"HTTP/1.1\t200 OK", b" HTTP/1.1 200 OK", b"HTTP/1.1 -20 OK"],
            *[
                b"HTTP/1.1 200 O\0K",
                b"HTTP/1.1 200 O\rK",
                b"HTTP/1.1 \xb2\xb0\xb0 OK",
                b"ICY 200 OK",
                b"SSH-2.0-OpenSSH_9.2",
            ],
            *[b"220 mail.example.com ESMTP", b"<html>", b"+OK", b"\x15\x03\x01\x00\x02\x02\x16"],
        ]:
            self.assert_corrupt(head(status=status), "does not answer in HTTP/1.1")

    def test_fields(self) -> None:
        """Fields have a name that is a token, and values without control characters."""
        fields = [
            b"A:b",
            b"A: b",
            b"A:\tb \t",
            b"A:",
            b"x-1_!#$%&'*+.^`|~: \xff\xe4\"(),;:<>",
            b"Content-Type: a/b; c=d",
        ]

        self.assertEqual(self.feed(head(*fields)), head(*fields))

    def test_malformed_fields(self) -> None:
        """What is no field is refused, folded lines with it."""
        for field in [
            *[
                b"A",
                b":",
                b": b",
                b"A : b",
                b" A: b",
                b"A: b\r\n c",
                b"A: b\r\n\tc",
                b"A b: c",
                b"A\xe4: b",
                b"\xe4: b",
            ],
            *[b"A: b\0", b"A: b\rc", b"A: \x01", b"A: b\x7f", b"A\0: b", b"A\r: b", b"(A): b", b"A@: b", b"A\x0b: b"],
        ]:
            self.assert_corrupt(head(field), "sends a malformed response head")

    def test_framing(self) -> None:
        """One length, repeated or not, or chunks."""
        for fields in [
            [b"Content-Length: 0"],
            [b"CONTENT-LENGTH: 007 "],
            [b"Content-Length: 5", b"content-length: 5"],
            [b"Content-Length: 999999999999999999"],
            [b"Transfer-Encoding: Chunked"],
            [],
        ]:
            self.assertEqual(self.feed(head(*fields)), head(*fields))

    def test_ambiguous_framing(self) -> None:
        """What two readers could take for two lengths is refused."""
        for fields in [
            *[[b"Content-Length: " + value] for value in [b"", b"+5", b"-5", b"5,5", b"5, 5", b"0x5", b"5 5", b"5_0"]],
            *[[b"Content-Length: " + value] for value in [b"\xb2", b"5;", b"1e3", b"9" * 19, b"5.0"]],
            [b"Content-Length: 5", b"Content-Length: 6"],
            [b"Content-Length: 5", b"Content-Length: 05"],
            [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
            *[[b"Transfer-Encoding: " + value] for value in [b"", b"identity", b"gzip", b"gzip, chunked", b"xchunked"]],
            *[[b"Transfer-Encoding: " + value] for value in [b"chunked, chunked", b"chunked;a=b", b"chunked,"]],
            [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
            [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
        ]:
            self.assert_corrupt(head(*fields), "sends a malformed response head")

    def test_chunks_are_modern(self) -> None:
        """HTTP/1.0 has no transfer encodings."""
        data = head(b"Transfer-Encoding: chunked", status=b"HTTP/1.0 200 OK")

        self.assert_corrupt(data, "sends a malformed response head")

    def test_interim(self) -> None:
        """Interim answers are left out, alone or together with the final one, in any pieces."""
        self.assertEqual(self.feed(CONTINUE + HINTS + OK + b"x"), OK + b"x")
        found = ResponseHead("quay.io", LIMIT)

        self.assertEqual([found.feed(CONTINUE), found.feed(HINTS[:30]), found.feed(HINTS[30:] + OK)], [None, None, OK])

    def test_malformed_interim(self) -> None:
        """An interim answer is checked as any other."""
        self.assert_corrupt(head(b"A b", status=b"HTTP/1.1 100 Continue") + OK, "sends a malformed response head")

    def test_endless_interim(self) -> None:
        """Only so many interim answers are taken."""
        self.assertEqual(self.feed(CONTINUE * MAX_INTERIM + OK), OK)
        self.assert_corrupt(CONTINUE * (MAX_INTERIM + 1) + OK, "does not come to an answer")

    def test_switching(self) -> None:
        """Nobody has asked for another protocol."""
        self.assert_corrupt(head(status=b"HTTP/1.1 101 Switching Protocols"), "does not come to an answer")

    def test_too_large(self) -> None:
        """More bytes than the limit are refused, whether the head ends behind it or never."""
        data = head(b"A: " + b"b" * 100)
        self.assertEqual(self.feed(data + b"body" * 100, limit=len(data)), data + b"body" * 100)

        for cut in [data, data[:-1], data[:-2] + b"A: b\r\n\r\n", b"A" * len(data)]:
            self.assert_corrupt(cut, "sends a response head that is too large", limit=len(data) - 2)

    def test_too_large_altogether(self) -> None:
        """Interim answers count towards the limit."""
        self.assertEqual(self.feed(HINTS + OK, limit=len(HINTS + OK)), OK)
        self.assert_corrupt(HINTS + OK, "sends a response head that is too large", limit=len(HINTS + OK) - 1)

    def test_too_many_lines(self) -> None:
        """More fields than the limit are refused, however short."""
        self.assertIsNotNone(self.feed(head(*[b"A:"] * MAX_LINES)))
        self.assert_corrupt(head(*[b"A:"] * (MAX_LINES + 1)), "sends a response head that is too large")

    def test_too_long_lines(self) -> None:
        """Longer lines than the parser behind takes are refused."""
        self.assertIsNotNone(self.feed(head(b"A:" + b"b" * (MAX_LINE - 2))))
        self.assert_corrupt(head(b"A:" + b"b" * (MAX_LINE - 1)), "sends a response head that is too large")

    @bounded
    @given(st.binary(max_size=60) | st.text("HTP/1.0 29\r\n:a", max_size=60).map(str.encode))
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes are waited on, refused, or a head."""
        try:
            found = self.feed(data)
        except UpstreamCorrupt:
            return
        self.assertTrue(found is None or found.startswith(b"HTTP/1."))
