"""Header fields: how they are written, how many there are, and how long."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.case import Case, Flood, HalfClose, case, request, shown

_PING = b"GET /v2/ HTTP/1.1"
_BAD_FIELDS = (
    b"X Y: z",
    b"X\tY: z",
    b"X : y",
    b"X\t: y",
    b": y",
    b":",
    b"X",
    b"X;y",
    b"X(y): z",
    b"X,Y: z",
    b"X/Y: z",
    b'"X": y',
    b"X@Y: z",
    b"X[]: y",
    b"X{}: y",
    b"X=Y: z",
    b"X\\Y: z",
    b"X<Y>: z",
    b"X?: y",
    b"X\x00: y",
    b"X\x01: y",
    b"X\x7f: y",
    b"X\x80: y",
    b"X\xc3\x89: y",
    b"\x00: y",
    b"X: y\x00z",
    b"X: \x00",
    b"X: y\rz",
    b"X: y\nZ: z",
    b"X: y\n Z: z",
    b"X: y\r",
    b"X: y\r\r",
    b"\rX: y",
    b"X: y\x0bz",
    b"X: y\x0cz",
    b"X: y\x1bz",
    b"X: y\x7fz",
)
_GOOD_FIELDS = (
    b"X:",
    b"X: ",
    b"X:y",
    b"X:\ty\t",
    b"X: y z\tw",
    b"X: \xe9t\xe9",
    b"X: " + "日本".encode(),
    b"!#$%&'*+-.^_`|~09Az: y",
    b"X: y",
    b"X" * 200 + b": y",
    b"X: " + b"y" * 7000,
    b"Accept: " + b"a/b," * 1000,
    b"Accept: */*;q=NaN",
    b"Cookie: a=b; c",
    b"Cookie: =;=;;;===",
    b"Authorization: ",
    b"Authorization: Basic",
    b"Authorization: Basic ====",
    b"Authorization: Basic " + b"QQ" * 3000,
    b"Authorization: Bearer a.b.c",
    b"Authorization: \xff\xfe",
    b'If-None-Match: "',
    b'If-None-Match: W/"", *, "a',
    b"If-Modified-Since: yesterday",
    b"If-Modified-Since: Thu, 31 Feb 99999 25:61:61 GMT",
    b"If-Match: *",
    b"Upgrade: h2c",
    b"Upgrade: websocket",
    b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    b"Connection: Upgrade, HTTP2-Settings",
    b"Connection: Host",
    b"Connection: " + b"close," * 500,
    b"X-Forwarded-For: 127.0.0.1, \xff, <script>, 999.999.999.999",
    b"X-Forwarded-For: " + b"1," * 2000,
    b'X-Forwarded-For: "; DROP TABLE',
    b"X-Forwarded-Proto: javascript",
    b"X-Forwarded-Host: evil.example",
    b"X-Forwarded-Host: a..b",
    b'Forwarded: for="[::1";proto=',
    b"X-Original-URL: /metrics",
    b"X-Rewrite-URL: /metrics",
    b"X-HTTP-Method-Override: DELETE",
    b"Range: bytes=0-",
    b"TE: trailers, deflate;q=0.5",
    b"Trailer: Content-Length",
    b"Content-Encoding: gzip",
    b"Content-Type: multipart/form-data; boundary=" + b"b" * 300,
    b"Accept-Encoding: " + b"gzip;q=0.001," * 300,
    b"User-Agent: () { :;}; echo vulnerable",
    b"User-Agent: ${jndi:ldap://127.0.0.1/a}",
    b"User-Agent: %s%s%s%n",
    b'User-Agent: "quoted\\" \x09',
    b"Referer: \x80\x81",
)
_FOLDS: dict[str, tuple[bytes, ...]] = {
    "space": (b"X: y", b" z"),
    "tab": (b"X: y", b"\tz"),
    "empty first": (b"X:", b" y"),
    "only a space": (b"X: y", b" "),
    "first line": (b" X: y",),
    "to hide a header": (b"X: y", b" Transfer-Encoding: chunked"),
}


def cases() -> Iterator[Case]:
    """Syntax, then size."""
    for field in _BAD_FIELDS:
        yield case("header", f"bad {shown(field)}", "400 closed", request(_PING, field))
    for field in _GOOD_FIELDS:
        yield case("header", f"good {shown(field)}", "200", request(_PING, field))
    for byte in (*range(0x01, 0x09), *range(0x0E, 0x20)):
        yield case("header", f"value with {byte:#04x}", "400", request(_PING, b"X: a%cb" % byte))
    for name, fields in _FOLDS.items():
        yield case("header", f"folded, {name}", "400", request(_PING, *fields))
    yield from _line_ends()
    yield from _sizes()


def _line_ends() -> Iterator[Case]:
    for name, data in {
        "bare LF throughout": b"GET /v2/ HTTP/1.1\nHost: localhost\n\n",
        "bare LF after the request line": b"GET /v2/ HTTP/1.1\nHost: localhost\r\n\r\n",
        "bare LF after a header": b"GET /v2/ HTTP/1.1\r\nHost: localhost\n\r\n",
        "bare LF as the empty line": b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\n",
        "bare CR throughout": b"GET /v2/ HTTP/1.1\rHost: localhost\r\r",
        "CR CR LF": b"GET /v2/ HTTP/1.1\r\r\nHost: localhost\r\r\n\r\n",
        "LF CR": b"GET /v2/ HTTP/1.1\n\rHost: localhost\n\r\n\r",
        "NEL": b"GET /v2/ HTTP/1.1\xc2\x85Host: localhost\r\n\r\n",
    }.items():
        yield case("header", name, "400 closed", data, HalfClose())


def _sizes() -> Iterator[Case]:
    for count, expected in {90: "200", 99: "200", 120: "431", 1000: "431", 5000: "431"}.items():
        fields = [b"X-%d: y" % number for number in range(count - 1)]
        yield case("header", f"{count} headers", expected, request(_PING, *fields))
        yield case("header", f"{count} equal headers", expected, request(_PING, *[b"X: y"] * (count - 1)))
    for size, expected in {20_000: "200", 60_000: "200", 70_000: "431", 200_000: "431", 1 << 20: "431"}.items():
        yield case("header", f"one of {size} bytes", expected, request(_PING, b"X: " + b"y" * size))
        fields = [b"X-%d: " % number + b"y" * (size // 50) for number in range(50)]
        yield case("header", f"fifty of {size} bytes together", expected, request(_PING, *fields))
    yield case("header", "name of 100 KiB", "400 431", request(_PING, b"X" * 100_000 + b": y"))
    yield case(
        "header", "16 MiB without an end", "400 431", _PING + b"\r\n", Flood(b"X: " + b"y" * 16_384 + b"\r\n", 1024)
    )
    yield case("header", "16 MiB in one line", "400 431", _PING + b"\r\nX: ", Flood(b"y" * 16_384, 1024))
    yield case("header", "16 MiB of request line", "400 414 431", b"GET /v2/", Flood(b"y" * 16_384, 1024))
    yield case("header", "16 MiB of method", "400 414 431 501", Flood(b"y" * 16_384, 1024))
