"""Content-Length, Transfer-Encoding and chunks that two readers could understand differently.

Most are sent as a PATCH to an open upload session, where the honest answer is 202: a 202 for one of these would be
a body whose end was guessed.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.case import SESSION, Case, Flood, HalfClose, case, request, shown

_PATCH = b"PATCH " + SESSION + b" HTTP/1.1"
_CHUNKED = b"Transfer-Encoding: chunked"
_CHUNK = b"5\r\nhello\r\n0\r\n\r\n"

_LENGTHS: dict[bytes, str] = {
    b"5": "202",
    b" 5": "202",
    b"5 ": "202",
    b"\t5": "202",
    b"+5": "400",
    b"-5": "400",
    b"-0": "400",
    b"0x5": "400",
    b"0b101": "400",
    b"5.0": "400",
    b"5e0": "400",
    b"5,5": "400",
    b"5, 5": "400",
    b"5;5": "400",
    b"5 5": "400",
    b"5_0": "400",
    b"5\x0b": "400",
    b"5\x00": "400",
    b"\x0c5": "400",
    b"": "400",
    b"five": "400",
    b"NaN": "400",
    b"Infinity": "400",
    b"'5'": "400",
    b'"5"': "400",
    b"\xef\xbc\x95": "400",
    b"\xd9\xa5": "400",
    b"\xb2": "400",
    b"00000000005": "202 400",
    b"9223372036854775808": "400 413 507",
    b"18446744073709551621": "400 413",
    b"99999999999999999999999999": "400 413",
    b"9" * 1000: "400 413",
    b"9" * 5000: "400 413",
}
_PAIRS: dict[str, tuple[bytes, ...]] = {
    "length twice": (b"Content-Length: 5", b"Content-Length: 5"),
    "length twice, different": (b"Content-Length: 5", b"Content-Length: 6"),
    "length twice, first zero": (b"Content-Length: 0", b"Content-Length: 5"),
    "length twice, other case": (b"Content-Length: 5", b"content-length: 5"),
    "length then chunked": (b"Content-Length: 15", _CHUNKED),
    "chunked then length": (_CHUNKED, b"Content-Length: 15"),
    "length zero and chunked": (b"Content-Length: 0", _CHUNKED),
    "bad length and chunked": (b"Content-Length: x", _CHUNKED),
    "space before the colon": (b"Content-Length : 5",),
    "tab before the colon": (b"Content-Length\t: 5",),
    "folded length": (b"Content-Length:", b" 5"),
    "folded chunked": (b"Transfer-Encoding:", b" chunked"),
    "chunked, space before the colon": (b"Transfer-Encoding : chunked",),
    "chunked behind a bare LF": (b"X: y\nTransfer-Encoding: chunked",),
    "length behind a bare LF": (b"X: y\nContent-Length: 5",),
    "length behind a bare CR": (b"X: y\rContent-Length: 5",),
    "length behind a NUL": (b"X: y\x00Content-Length: 5",),
    "leading space": (b" Content-Length: 5",),
    "chunked twice": (_CHUNKED, _CHUNKED),
    "chunked and identity": (_CHUNKED, b"Transfer-Encoding: identity"),
    "identity and chunked": (b"Transfer-Encoding: identity", _CHUNKED),
    "identity and length": (b"Transfer-Encoding: identity", b"Content-Length: 5"),
}
_ENCODINGS: dict[bytes, str] = {
    b"chunked": "202",
    b"Chunked": "202 400",
    b"CHUNKED": "202 400",
    b"\tchunked": "202",
    b"chunked ": "202",
    b"identity": "400 501",
    b"gzip": "400 501",
    b"gzip, chunked": "400 501",
    b"chunked, gzip": "400 501",
    b"chunked, chunked": "400 501",
    b"chunked, identity": "400 501",
    b"identity, chunked": "400 501",
    b"xchunked": "400 501",
    b"chunkedx": "400 501",
    b"chunked;q=1": "400 501",
    b"chunked,": "400 501 202",
    b",chunked": "400 501 202",
    b"\x0bchunked": "400 501",
    b"chunked\x0b": "400 501",
    b"chunked\x00": "400 501",
    b"\x00chunked": "400 501",
    b"chunk ed": "400 501",
    b'"chunked"': "400 501",
    b"'chunked'": "400 501",
    b"": "400 501",
    b"chunke\xc4\x91": "400 501",
    b"\xe2\x84\xaahunked": "400 501",
    b"chunked\rX: y": "400 501",
    b"trailers": "400 501",
}
_GOOD_CHUNKS: dict[str, bytes] = {
    "one": _CHUNK,
    "none": b"0\r\n\r\n",
    "extension": b"5;name=value\r\nhello\r\n0\r\n\r\n",
    "quoted extension": b'5;name="a;b"\r\nhello\r\n0\r\n\r\n',
    "capital hex": b"A\r\nhellohello\r\n0\r\n\r\n",
    "one trailer": b"5\r\nhello\r\n0\r\nX-Checksum: 1\r\n\r\n",
}
_ODD_CHUNKS: dict[str, bytes] = {
    "leading zeros": b"0000000005\r\nhello\r\n0\r\n\r\n",
    "hundred zeros": b"0" * 100 + b"5\r\nhello\r\n0\r\n\r\n",
    "space after the size": b"5 \r\nhello\r\n0\r\n\r\n",
    "many zeros at the end": b"5\r\nhello\r\n0000000000000000\r\n\r\n",
    "trailer Content-Length": b"5\r\nhello\r\n0\r\nContent-Length: 99\r\n\r\n",
    "trailer Transfer-Encoding": b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "trailer Host": b"5\r\nhello\r\n0\r\nHost: evil.example\r\n\r\n",
    "trailer without a colon": b"5\r\nhello\r\n0\r\nno colon\r\n\r\n",
    "trailer with a NUL": b"5\r\nhello\r\n0\r\nX: \x00\r\n\r\n",
    "trailer folded": b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n",
    "open quote in an extension": b'5;a="\r\nhello\r\n0\r\n\r\n',
    "extension with a NUL": b"5;\x00\r\nhello\r\n0\r\n\r\n",
    "extension with a bare CR": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
}
_BAD_CHUNKS: dict[str, bytes] = {
    "bare LF after the size": b"5\nhello\r\n0\r\n\r\n",
    "bare CR after the size": b"5\rhello\r\n0\r\n\r\n",
    "bare LF after the data": b"5\r\nhello\n0\r\n\r\n",
    "bare LF in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "0X": b"0X5\r\nhello\r\n0\r\n\r\n",
    "plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "minus zero": b"-0\r\n\r\n",
    "underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "space before the size": b" 5\r\nhello\r\n0\r\n\r\n",
    "tab before the size": b"\t5\r\nhello\r\n0\r\n\r\n",
    "vertical tab": b"5\x0b\r\nhello\r\n0\r\n\r\n",
    "NUL": b"5\x00\r\nhello\r\n0\r\n\r\n",
    "empty size": b"\r\nhello\r\n0\r\n\r\n",
    "only an extension": b";x\r\nhello\r\n0\r\n\r\n",
    "letters": b"xyz\r\nhello\r\n0\r\n\r\n",
    "hex and more": b"5g\r\nhello\r\n0\r\n\r\n",
    "two sizes": b"5 5\r\nhello\r\n0\r\n\r\n",
    "full-width digit": b"\xef\xbc\x95\r\nhello\r\n0\r\n\r\n",
    "arabic digit": b"\xd9\xa5\r\nhello\r\n0\r\n\r\n",
    "2^64": b"10000000000000000\r\nhello\r\n0\r\n\r\n",
    "2^64+5": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "2^128": b"1" + b"0" * 32 + b"\r\nhello\r\n0\r\n\r\n",
    "thousand digits": b"f" * 1000 + b"\r\nhello\r\n0\r\n\r\n",
    "digits without end": b"f" * 100_000,
    "size without end": b"5" + b" " * 100_000,
    "no CRLF after the data": b"5\r\nhello0\r\n\r\n",
    "longer than the size": b"5\r\nhello world\r\n0\r\n\r\n",
    "shorter than the size": b"6\r\nhello\r\n0\r\n\r\n",
    "extension of 20 KiB": b"5;" + b"x" * 20_000 + b"\r\nhello\r\n0\r\n\r\n",
    "extension of 1 MiB": b"5;" + b"x" * (1 << 20) + b"\r\nhello\r\n0\r\n\r\n",
    "trailers of 100 KiB": b"0\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    "10000 trailers": b"0\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
    "another request for a size": b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
}
_CUT_CHUNKS: dict[str, bytes] = {
    "after the size": b"5\r\n",
    "in the data": b"5\r\nhel",
    "after the data": b"5\r\nhello",
    "before the last chunk": b"5\r\nhello\r\n",
    "in the last chunk": b"5\r\nhello\r\n0\r\n",
    "in the trailers": b"5\r\nhello\r\n0\r\nX: y\r\n",
    "of 2 GiB": b"80000000\r\nhello",
    "of 8 EiB": b"7fffffffffffffff\r\nhello",
}


def cases() -> Iterator[Case]:
    """Headers first, then chunks."""
    for value, expected in _LENGTHS.items():
        yield case("length", shown(value) or "empty", expected, _patch(b"Content-Length: " + value, body=b"hello"))
    for name, fields in _PAIRS.items():
        yield case("framing", name, "400 501", _patch(*fields, body=_CHUNK))
        ping = request(b"GET /v2/ HTTP/1.1", *fields, body=_CHUNK)
        yield case("framing", f"{name}, of a GET", "400 501", ping)
    for value, expected in _ENCODINGS.items():
        field = b"Transfer-Encoding: " + value
        yield case("encoding", shown(value) or "empty", expected, _patch(field, body=_CHUNK))
    line = b"PATCH " + SESSION + b" HTTP/1.0"
    yield case("encoding", "chunked in HTTP/1.0", "400", request(line, _CHUNKED, body=_CHUNK))
    yield case(
        "encoding",
        "underscore is another header",
        "202",
        _patch(b"Transfer_Encoding: chunked", b"Content-Length: 5", body=b"hello"),
    )
    yield from _chunks()


def _chunks() -> Iterator[Case]:
    for name, body in _GOOD_CHUNKS.items():
        yield case("chunks", f"good, {name}", "202", _patch(_CHUNKED, body=body))
    for name, body in _ODD_CHUNKS.items():
        yield case("chunks", f"odd, {name}", "202 400", _patch(_CHUNKED, body=body))
    for name, body in _BAD_CHUNKS.items():
        yield case("chunks", f"bad, {name}", "400 413 431", _patch(_CHUNKED, body=body))
    for name, body in _CUT_CHUNKS.items():
        yield case("chunks", f"cut {name}", "closed 400 408", _patch(_CHUNKED, body=body), HalfClose())
    head, tiny = _patch(_CHUNKED), b"1\r\nx\r\n"
    yield case("chunks", "20000 of one byte", "202", head, Flood(tiny * 100, 200), b"0\r\n\r\n")
    extended = b"1;" + b"e" * 4000 + b"\r\nx\r\n"
    yield case("chunks", "2000 with extensions of 4 KiB", "202 400 413", head, Flood(extended, 2000), b"0\r\n\r\n")
    yield case(
        "chunks",
        "trailers of 16 MiB",
        "400 413 431",
        head,
        b"0\r\n",
        Flood(b"X-Flood: yyyyyyyyyyyyyyyyyyyy\r\n" * 512, 1024),
    )


def _patch(*headers: bytes, body: bytes = b"") -> bytes:
    return request(_PATCH, *headers, body=body)
