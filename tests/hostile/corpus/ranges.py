"""Range on reads and Content-Range on chunks."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.case import BLOB, SESSION, Case, case, get, shown, sized

_BLOB = b"/v2/hostile/app/blobs/" + BLOB
_PART, _NONE, _ANY = "206", "416", "200 206 400 416"
_RANGES: dict[bytes, str] = {
    b"bytes=0-0": _PART,
    b"bytes=0-": _PART,
    b"bytes=-1": _PART,
    b"bytes=-99999999": "206 200",
    b"bytes=0-99999999999999999999999": "206 200 416",
    b"bytes=65535-": _PART,
    b"bytes=65536-": _NONE,
    b"bytes=99999999-": _NONE,
    b"bytes=18446744073709551616-": "416 400 200",
    b"bytes=-0": "416 200 400",
    b"bytes=5-2": "416 200 400",
    b"bytes=": _ANY,
    b"bytes": _ANY,
    b"bytes=-": _ANY,
    b"bytes=--1": _ANY,
    b"bytes=-1-5": _ANY,
    b"bytes=+0-5": _ANY,
    b"bytes=0x0-0x5": _ANY,
    b"bytes=a-b": _ANY,
    b"bytes=0-a": _ANY,
    b"bytes=0.5-1.5": _ANY,
    b"bytes=0 - 5": _ANY,
    b"bytes= 0-5": _ANY,
    b"bytes = 0-5": _ANY,
    b"bytes:0-5": _ANY,
    b"Bytes=0-5": _ANY,
    b"items=0-5": "200 416 400",
    b"none": "200 416 400",
    b"=0-5": "200 416 400",
    b"bytes=0-5,": _ANY,
    b"bytes=,0-5": _ANY,
    b"bytes=,": _ANY,
    b"bytes=0-5;6-7": _ANY,
    b"bytes=0-0,2-2": _ANY,
    b"bytes=0-0,99999999-": _ANY,
    b"bytes=" + b"0-," * 100 + b"0-": _ANY,
    b"bytes=" + b"0-," * 1300 + b"0-": _ANY,
    b"bytes=" + b",".join(b"%d-" % n for n in range(1200)): _ANY,
    b"bytes=" + b",".join(b"%d-%d" % (n, n) for n in range(0, 2400, 2)): _ANY,
    b"bytes=" + b"1" * 5000 + b"-": "416 400 200 431",
    b"bytes=\xef\xbc\x90-5": _ANY,
    b"bytes=\xd9\xa0-5": _ANY,
    b"bytes=0\xb2-5": _ANY,
    b"bytes=0-5\x80": _ANY,
    b"": _ANY,
}
_CONTENT_RANGES = (
    b"bytes 0-4/5",
    b"bytes 0-4",
    b"bytes=0-4",
    b"0-4/5",
    b"0-4/*",
    b"0-",
    b"-4",
    b"-",
    b"4",
    b"",
    b"a-b",
    b"0-b",
    b"4-0",
    b"0--4",
    b"-0-4",
    b"+0-4",
    b"0-+4",
    b"0x0-0x4",
    b"0 - 4",
    b"0_0-4",
    b"0.0-4.0",
    b"0-4,5-9",
    b"0-3",
    b"0-5",
    b"0-99999999999999999999",
    b"1-5",
    b"5-9",
    b"99999999999999999999-99999999999999999999",
    b"1" * 5000 + b"-" + b"2" * 5000,
    b"\xef\xbc\x90-\xef\xbc\x94",
    b"\xd9\xa0-\xd9\xa4",
    b"0\xb2-4",
    b"0-4\x80",
)


def cases() -> Iterator[Case]:
    """Reads, then chunks; a chunk in the wrong place changes nothing."""
    for value, expected in _RANGES.items():
        yield case("range", shown(value) or "empty", expected, get(_BLOB, b"Range: " + value))
    yield case("range", "two fields", "200 206 400 416", get(_BLOB, b"Range: bytes=0-1", b"Range: bytes=2-3"))
    yield case("range", "If-Range", "200 206", get(_BLOB, b"Range: bytes=0-1", b'If-Range: "x"'))
    yield case(
        "range",
        "of a manifest",
        "200 206 416",
        get(b"/v2/hostile/app/manifests/latest", b"Range: bytes=5-2", b"Accept: */*"),
    )
    for value in _CONTENT_RANGES:
        for method, query in ((b"PATCH", b""), (b"PUT", b"?digest=sha256:" + b"0" * 64)):
            line = b"%b %b%b HTTP/1.1" % (method, SESSION, query)
            name = f"{method.decode()} {shown(value) or 'empty'}"
            yield case("content-range", name, "400 416", sized(line, b"hello", b"Content-Range: " + value))
    line = b"PATCH " + SESSION + b" HTTP/1.1"
    both = (b"Content-Range: 0-4", b"Content-Range: 5-9")
    yield case("content-range", "two fields", "400 416", sized(line, b"hello", *both))
    yield case("content-range", "good", "202", sized(line, b"hello", b"Content-Range: 0-4"))
