"""Large bodies where none belongs, and bodies that a form parser would choke on."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.case import BLOB, Case, Flood, case, request

_MEGABYTE = 1 << 20
_PIECE = b"&a=b%20%41" * 6554
_REFUSED_ROUTES = (
    (b"PUT", b"/v2/"),
    (b"POST", b"/v2/hostile/app/tags/list"),
    (b"POST", b"/v2/hostile/app/manifests/latest"),
    (b"PUT", b"/v2/UPPER/manifests/latest"),
    (b"PUT", b"/v2/hostile/app/blobs/uploads/no-such-session?digest=" + BLOB),
    (b"PATCH", b"/v2/hostile/app/blobs/uploads/no-such-session"),
    (b"POST", b"/v2/hostile/app/blobs/uploads/?digest=nonsense"),
    (b"PUT", b"/no/such/route"),
    (b"POST", b"/health"),
    (b"POST", b"/"),
    (b"POST", b"/apt/main/no-such-thing"),
)
_READING_ROUTES = (
    (b"GET", b"/v2/"),
    (b"GET", b"/v2/hostile/app/tags/list"),
    (b"GET", b"/v2/hostile/app/blobs/" + BLOB),
    (b"GET", b"/health"),
    (b"HEAD", b"/v2/hostile/app/manifests/latest"),
)
_FORMS = {
    "form": b"Content-Type: application/x-www-form-urlencoded",
    "multipart": b"Content-Type: multipart/form-data; boundary=x",
    "octets": b"Content-Type: application/octet-stream",
}
_REFUSED = "400 404 405 411 413"
_READ = "200 400 411 413"


def cases() -> Iterator[Case]:
    """A refusal reaches a client that is still sending, and a body announced but not sent holds nothing up."""
    for method, target in _REFUSED_ROUTES:
        for kind, field in _FORMS.items():
            name = f"16 MiB {kind}: {method.decode()} {target.decode()}"
            yield case("body", name, _REFUSED, _head(method, target, len(_PIECE) * 256, field), Flood(_PIECE, 256))
        name = f"10 GiB announced: {method.decode()} {target.decode()}"
        yield case("body", name, _REFUSED, _head(method, target, 10 << 30), Flood(_PIECE, 16))
        yield case(
            "body", f"none sent: {method.decode()} {target.decode()}", _REFUSED, _head(method, target, _MEGABYTE)
        )
        chunked = request(b"%b %b HTTP/1.1" % (method, target), b"Transfer-Encoding: chunked")
        chunk = b"%x\r\n%b\r\n" % (len(_PIECE), _PIECE)
        name = f"16 MiB chunked: {method.decode()} {target.decode()}"
        yield case("body", name, _REFUSED, chunked, Flood(chunk, 256), b"0\r\n\r\n")
    for method, target in _READING_ROUTES:
        name = f"{method.decode()} {target.decode()}"
        yield case("body", f"16 MiB: {name}", _READ, _head(method, target, len(_PIECE) * 256), Flood(_PIECE, 256))
        yield case("body", f"10 GiB announced: {name}", _READ, _head(method, target, 10 << 30), Flood(_PIECE, 16))
        yield case("body", f"5 bytes: {name}", _READ, _head(method, target, 5) + b"hello")
    start = _head(b"POST", b"/v2/hostile/app/blobs/uploads/", len(_PIECE) * 64)
    yield case("body", "4 MiB with the start of a session", "202 400 413", start, Flood(_PIECE, 64))
    delete = _head(b"DELETE", b"/v2/hostile/app/manifests/no-such-tag", len(_PIECE) * 64)
    yield case("body", "4 MiB with a DELETE", "404 400 413", delete, Flood(_PIECE, 64))


def _head(method: bytes, target: bytes, length: int, *fields: bytes) -> bytes:
    return request(b"%b %b HTTP/1.1" % (method, target), b"Content-Length: %d" % length, *fields)
