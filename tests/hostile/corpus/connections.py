"""What is no HTTP/1.1 at all, and clients that leave in the middle."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.hostile.case import BLOB, SESSION, Case, HalfClose, Pause, Reset, case, get, request, sized

_TLS_HELLO = bytes.fromhex(
    "16030100c6010000c20303" + "5a" * 32 + "20" + "a5" * 32 + "0010130113021303c02bc02fc02cc030cca9cca80100"
    "0069000000160014000011" + "6c6f63616c686f73742e6578616d706c65" + "000a00080006001d00170018"
)
_FOREIGN: dict[str, bytes] = {
    "TLS hello": _TLS_HELLO,
    "TLS hello, cut": _TLS_HELLO[:40],
    "TLS alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "SSLv2 hello": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"\x01" * 35,
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "HTTP/0.9": b"GET /v2/\r\n",
    "HTTP/0.9 with an empty line": b"GET /v2/\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "SMTP": b"EHLO localhost\r\nMAIL FROM:<a@b>\r\n",
    "FTP": b"USER anonymous\r\nPASS x\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n",
    "memcached": b"stats\r\n",
    "PROXY v1": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get(b"/v2/"),
    "PROXY v2": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + b"\x7f\x00\x00\x01" * 2 + b"\x00\x50" * 2 + get(b"/v2/"),
    "SOCKS 4": b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00",
    "SOCKS 5": b"\x05\x01\x00",
    "RTSP": b"DESCRIBE rtsp://localhost/v2/ RTSP/1.0\r\nCSeq: 1\r\n\r\n",
    "an HTTP answer": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "an RPM": b"\xed\xab\xee\xdb\x03\x00\x00\x00",
    "NULs": b"\x00" * 1000,
    "0xff": b"\xff" * 1000,
    "100 KiB of NULs": b"\x00" * 100_000,
    "line ends": b"\r\n" * 20,
    "1000 line ends": b"\r\n" * 1000,
    "LFs": b"\n" * 1000,
    "CRs": b"\r" * 1000,
    "spaces": b" " * 1000,
    "tabs": b"\t" * 1000 + b"\r\n\r\n",
}


def cases() -> Iterator[Case]:
    """A refusal or a closed connection; and nobody who leaves is missed."""
    for name, data in _FOREIGN.items():
        yield case("foreign", name, "400 405 414 431 501 505 closed", data, HalfClose())
    for seed in range(40):
        rng = random.Random(seed)
        yield case(
            "foreign",
            f"random bytes {seed}",
            "400 405 414 431 501 505 closed",
            rng.randbytes(rng.choice((3, 50, 3000))),
            HalfClose(),
        )
    yield case("foreign", "nothing", "closed", HalfClose())
    yield case("empty lines", "one", "200", b"\r\n" + get(b"/v2/"))
    for count in (2, 10, 1000):
        yield case("empty lines", f"{count}", "200 400 closed", b"\r\n" * count + get(b"/v2/"))
    yield case("empty lines", "LF", "200 400 closed", b"\n" + get(b"/v2/"))
    yield case("empty lines", "between requests", "200, 200", get(b"/v2/") + b"\r\n" + get(b"/v2/"))
    yield from _departures()


def _departures() -> Iterator[Case]:
    manifest = sized(b"PUT /v2/hostile/app/manifests/x HTTP/1.1", b"{" * 1000)
    patch = sized(b"PATCH " + SESSION + b" HTTP/1.1", b"x" * 100_000)
    blob = get(b"/v2/hostile/app/blobs/" + BLOB)
    chunked = request(b"PATCH " + SESSION + b" HTTP/1.1", b"Transfer-Encoding: chunked", body=b"ffff\r\nabc")
    for name, data in {"manifest": manifest, "chunk": patch, "blob": blob, "chunked": chunked}.items():
        for part in (0.1, 0.5, 0.9, 0.999):
            cut = data[: max(1, int(len(data) * part))]
            yield case("departure", f"reset after {part} of a {name}", "closed", cut, Pause(0.02), Reset())
            yield case("departure", f"end after {part} of a {name}", "closed 400 408", cut, HalfClose())
        yield case("departure", f"reset after a {name}", "closed 200 202 400 404", data, Reset())
        yield case("departure", f"end after a {name}", "closed 200 202 400 404", data, HalfClose())
    yield case("departure", "reset at once", "closed", Reset())
    for number in range(10):
        yield case(
            "departure",
            f"reset of 50 pipelined blobs {number}",
            "closed 200",
            blob * 50,
            Pause(0.005 * number),
            Reset(),
        )
