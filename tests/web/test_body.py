"""The framing of bodies, decoded in place, however the bytes were cut on their way."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import MalformedHttp
from pkgd.web.body import MAX_CHUNK_LINE, MAX_TRAILERS, ChunkedDecoder, Decoder, LengthDecoder, decoder_for
from tests.properties import bounded


@define
class Outcome:
    """What a decoder made of a stream: its payload, what was behind the end, and how it ended."""

    payload: bytes = b""
    rest: bytes = b""
    done: bool = False
    refusal: MalformedHttp | None = field(default=None, eq=False)


def decode(decoder: Decoder, pieces: Iterable[bytes]) -> Outcome:
    """Feed pieces to a decoder as a channel does, until the body ends; what comes behind is rest."""
    outcome = Outcome(done=decoder.done)
    for piece in pieces:
        if outcome.done:
            outcome.rest += piece
            continue
        view = memoryview(bytearray(piece))
        try:
            count = decoder.decode(view)
        except MalformedHttp as error:
            outcome.refusal = error
            break
        outcome.payload += bytes(view[:count])
        outcome.rest += decoder.rest
        outcome.done = decoder.done
    return outcome


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The bytes, cut at these places; every piece has at least one."""
    ends = sorted({place % len(data) for place in places} | {len(data)}) if data else []
    starts = [0, *ends]
    return [piece for piece in (data[start:end] for start, end in zip(starts, ends, strict=False)) if piece]


def encode(chunks: Iterable[bytes]) -> bytes:
    """A chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks if chunk) + b"0\r\n\r\n"


class LengthDecoderTests(SynchronousTestCase):
    """A body of known length ends there, and what follows belongs to the next request."""

    def test_exact(self) -> None:
        """The payload is the bytes themselves; nothing is left."""
        self.assertEqual(decode(LengthDecoder(5), [b"he", b"llo"]), Outcome(b"hello", b"", True))

    def test_rest(self) -> None:
        """What stands behind the body is handed back."""
        self.assertEqual(decode(LengthDecoder(5), [b"helloGET /"]), Outcome(b"hello", b"GET /", True))

    def test_incomplete(self) -> None:
        """A body that is short is not done."""
        self.assertEqual(decode(LengthDecoder(5), [b"hell"]), Outcome(b"hell"))

    def test_empty(self) -> None:
        """A body of no bytes is done before any arrives."""
        self.assertTrue(LengthDecoder(0).done)

    @bounded
    @given(st.integers(0, 40), st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=6))
    def test_any_cut(self, length: int, data: bytes, places: list[int]) -> None:
        """However the bytes are cut, the first `length` are the payload and the others the rest."""
        found = decode(LengthDecoder(length), cut(data, places))

        self.assertEqual(found, Outcome(data[:length], data[length:], len(data) >= length))


class ChunkedDecoderTests(SynchronousTestCase):
    """A chunked body (RFC 9112, 7.1)."""

    def assert_refused(self, data: bytes) -> None:
        """The framing is refused with 400, in one piece as byte by byte."""
        for pieces in ([data], cut(data, range(len(data)))):
            refusal = decode(ChunkedDecoder(), pieces).refusal
            self.assertEqual(refusal and refusal.status, 400, data)

    def test_chunks(self) -> None:
        """The chunks' contents are the payload; what follows the last line is the rest."""
        found = decode(ChunkedDecoder(), [b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET /"])

        self.assertEqual(found, Outcome(b"hello world", b"GET /", True))

    def test_sizes(self) -> None:
        """A size is hex in either case, leading zeros included, up to 16 digits."""
        for size in (b"a", b"A", b"0a", b"000000000000000A"):
            self.assertEqual(decode(ChunkedDecoder(), [size + b"\r\n0123456789\r\n0\r\n\r\n"]).payload, b"0123456789")

    def test_last_chunk(self) -> None:
        """Any number of zeros is the last chunk."""
        self.assertEqual(decode(ChunkedDecoder(), [b"0000\r\n\r\n"]), Outcome(done=True))

    def test_malformed_sizes(self) -> None:
        """Signs, prefixes, white space, other digits, nothing or too much is no size."""
        sizes = [
            b"",
            b" ",
            b"-1",
            b"+5",
            b"0x5",
            b"5 ",
            b" 5",
            b"5\t",
            b"g",
            b"5,5",
            b"5_0",
            b"\xb2",
            b"5\x00",
            b"1" * 17,
            b"0" * 17,
        ]
        for size in sizes:
            self.assert_refused(size + b"\r\nhello\r\n0\r\n\r\n")

    def test_extensions(self) -> None:
        """Extensions are ignored, quoted ones too; controls in them are refused."""
        for line in (b"5;a", b"5;a=b", b'5;a="b;c"', b"5 ;a", b"5\t;a=b", b"5;\xe9", b"5;a\tb"):
            self.assertEqual(decode(ChunkedDecoder(), [line + b"\r\nhello\r\n0\r\n\r\n"]).payload, b"hello")
        for line in (b"5;a\x00", b"5;a\x0b", b"5;\x7f", b"5;a\rb"):
            self.assert_refused(line + b"\r\nhello\r\n0\r\n\r\n")

    def test_bare_line_ends(self) -> None:
        """Every line ends with CRLF: a bare LF or CR is refused wherever one could stand."""
        for data in (
            b"5\nhello\r\n0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello\r\n0\n\r\n",
            b"5\r\nhello\r\n0\r\n\n",
        ):
            self.assert_refused(data)
        for data in (b"5\r\r\nhello", b"5;\r\r\nhello", b"5\r\nhello\r\r\n", b"0\r\na\rb: c\r\n\r\n"):
            self.assert_refused(data)

    def test_wrong_size(self) -> None:
        """A chunk whose size does not fit its content is refused, be it too long or too short."""
        self.assert_refused(b"4\r\nhello\r\n0\r\n\r\n")
        self.assert_refused(b"6\r\nhello\r\n0\r\n\r\n")

    def test_trailers(self) -> None:
        """Trailers are read over; the body ends at the empty line."""
        found = decode(ChunkedDecoder(), [b"0\r\nDigest: x\r\nY: z\r\n\r\nrest"])

        self.assertEqual(found, Outcome(b"", b"rest", True))

    def test_limits(self) -> None:
        """A line of the framing, and all trailers together, are bounded."""
        line = b"5;" + b"a" * (MAX_CHUNK_LINE - 2)
        trailers = b"0\r\n" + (b"a: " + b"b" * 95 + b"\r\n") * (MAX_TRAILERS // 100)

        self.assertEqual(decode(ChunkedDecoder(), [line + b"\r\nhello\r\n0\r\n\r\n"]).payload, b"hello")
        self.assert_refused(line + b"a\r\nhello")
        self.assert_refused(b"5" * 5000)
        self.assertTrue(decode(ChunkedDecoder(), [trailers + b"\r\n"]).done)
        self.assert_refused(trailers + b"a: " + b"b" * 95 + b"\r\n\r\n")

    def test_huge_chunk(self) -> None:
        """A chunk may announce more than any machine has; only what arrives is counted."""
        found = decode(ChunkedDecoder(), [b"ffffffffffffffff\r\nhello"])

        self.assertEqual(found, Outcome(b"hello"))

    @bounded
    @given(
        st.lists(st.binary(max_size=30), max_size=5), st.binary(max_size=10), st.lists(st.integers(0, 200), max_size=8)
    )
    def test_any_cut(self, chunks: list[bytes], rest: bytes, places: list[int]) -> None:
        """However a body is chunked and then cut, the payload is the same, and so is what follows it."""
        found = decode(ChunkedDecoder(), cut(encode(chunks) + rest, places))

        self.assertEqual(found, Outcome(b"".join(chunks), rest, True))


PARTS = st.sampled_from(
    [
        b"5\r\n",
        b"hello",
        b"\r\n",
        b"0\r\n",
        b"\r\n\r\n",
        b"a;x=y\r\n",
        b"\n",
        b"\r",
        b"zz",
        b"5",
        b"0",
        b";",
        b" ",
        b"\0",
    ]
    + [b"1\r\nx\r\n", b"X: y\r\n", b"f" * 16, b"\r\n0\r\n\r\n", b";" + b"e" * 600, b"GET / HTTP/1.1\r\n"]
)
STREAMS = st.binary(max_size=60) | st.lists(PARTS, max_size=12).map(b"".join)


class HostileBytesTests(SynchronousTestCase):
    """Any bytes decode or are refused, and how they were cut makes no difference."""

    @bounded
    @given(STREAMS, st.lists(st.integers(0, 2000), max_size=8))
    def test_any_bytes(self, data: bytes, places: list[int]) -> None:
        """Pieces decode to what the whole decodes to; where both are refused, more may have been delivered before."""
        whole, pieces = decode(ChunkedDecoder(), [data]), decode(ChunkedDecoder(), cut(data, places))

        self.assertEqual(whole.refusal is None, pieces.refusal is None)
        if whole.refusal is None:
            self.assertEqual(whole, pieces)
        self.assertTrue(pieces.payload.startswith(whole.payload))

    @bounded
    @given(STREAMS)
    def test_payload_is_no_longer(self, data: bytes) -> None:
        """Payload and rest are parts of what has arrived, never more."""
        found = decode(ChunkedDecoder(), [data])

        self.assertLessEqual(len(found.payload) + len(found.rest), len(data))
        self.assertTrue(data.endswith(found.rest))


class DecoderForTests(SynchronousTestCase):
    """The head's length chooses the decoder."""

    def test_choice(self) -> None:
        """A number is a body of that length; none is a chunked body."""
        self.assertIsInstance(decoder_for(None), ChunkedDecoder)
        self.assertEqual(decode(decoder_for(3), [b"abcd"]), Outcome(b"abc", b"d", True))
