"""Host fields: HTTP/1.1 wants exactly one, and a valid one."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.case import Case, case, request, shown

_GOOD = (
    b"localhost",
    b"LOCALHOST:23000",
    b"127.0.0.1",
    b"127.0.0.1:5000",
    b"[::1]",
    b"[::1]:5000",
    b"registry.example.com.",
)
_EITHER = (
    b"my_host",
    b"localhost:",
    b"-a.example",
    b"%6cocalhost",
    b"1.2.3.4.5",
    b"0x7f.1",
    b"[::ffff:127.0.0.1]",
    b"localhost:65536",
    b"[::1]:",
    b"[fe80::1%25eth0]",
)
_BAD = (
    b"",
    b" ",
    b"a" * 64,
    b"a" * 64 + b".example",
    b"x." + b"b" * 70 + b".example",
    b".".join([b"a" * 60] * 5),
    b"a..b",
    b".a",
    b"..",
    b".",
    b"a b",
    b"a\tb",
    b"a,b",
    b"localhost, localhost",
    b"localhost/evil",
    b"localhost?x",
    b"localhost#x",
    b"localhost\\x",
    b"user@localhost",
    b"user:pass@localhost",
    b"@localhost",
    b"localhost@",
    b"localhost:abc",
    b"localhost:-1",
    b"localhost:+80",
    b"localhost:80:80",
    b"localhost:8 0",
    b"localhost: 80",
    b"localhost:0x50",
    b"localhost:" + b"8" * 5000,
    b"localhost:\xef\xbc\x98",
    b"[::1",
    b"::1]",
    b"::1",
    b"[]",
    b"[::g]",
    b"[::1]x",
    b"[127.0.0.1]",
    b"b\xc3\xbccher.example",
    b"\xff\xfe",
    b"localhost\x00",
    b"localhost\x00.evil.example",
    b"local\x01host",
    b"localhost\x7f",
    b"<script>",
    b'"localhost"',
    b"'localhost'",
    b"localhost;x",
    b"{localhost}",
    b"localhost|x",
    b"http://localhost",
    b"//localhost",
    b"*",
    b"*.example.com",
    b"%00",
    b"%0d%0aX: y",
    b"localhost\rX: y",
    b"a" * 5000,
)
_COMBINATIONS: dict[str, tuple[bytes, ...]] = {
    "two equal": (b"Host: localhost", b"Host: localhost"),
    "two different": (b"Host: localhost", b"Host: evil.example"),
    "two, one empty": (b"Host: localhost", b"Host:"),
    "three": (b"Host: a", b"Host: b", b"Host: c"),
    "two spellings": (b"Host: localhost", b"hOST: evil.example"),
    "none": (),
    "only X-Forwarded-Host": (b"X-Forwarded-Host: localhost",),
    "space before the colon": (b"Host : localhost",),
    "folded": (b"Host:", b" localhost"),
    "folded value": (b"Host: localhost", b" .evil.example"),
    "leading space": (b" Host: localhost",),
    "without a colon": (b"Host localhost",),
    "underscore": (b"Host_: localhost",),
}


def cases() -> Iterator[Case]:
    """A good Host is served, a bad one is 400."""
    for value in _GOOD:
        yield case("host", f"good {shown(value)}", "200", _ping(b"Host: %b" % value))
    for value in _EITHER:
        yield case("host", f"odd {shown(value)}", "200 400", _ping(b"Host: %b" % value))
    for value in _BAD:
        yield case("host", f"bad {shown(value)}", "400", _ping(b"Host: %b" % value))
    for name, fields in _COMBINATIONS.items():
        yield case("host", name, "400", _ping(*fields))
    yield case("host", "HTTP/1.0, two", "400", request(b"GET /v2/ HTTP/1.0", b"Host: a", b"Host: b", host=None))
    yield case("host", "HTTP/1.0, bad", "400 200", request(b"GET /v2/ HTTP/1.0", b"Host: a..b", host=None))


def _ping(*fields: bytes) -> bytes:
    return request(b"GET /v2/ HTTP/1.1", *fields, host=None)
