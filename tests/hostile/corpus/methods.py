"""Methods: unknown ones, misspelt ones, and known ones where they don't belong."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.case import Case, case, request, shown

_UNKNOWN = (
    b"TRACE TRACK DEBUG OPTIONS CONNECT PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK SEARCH REPORT PURGE LINK "
    b"UNLINK BIND ACL MERGE SOURCE SUBSCRIBE NOTIFY QUERY PRI FOO GETT GE G X 1 get Get gET post pUt delete head patch"
).split()
_MALFORMED = (
    b"G(T",
    b"G)T",
    b"G<T",
    b"G@T",
    b"G,T",
    b"G;T",
    b"G:T",
    b"G\\T",
    b'"GET"',
    b"G/T",
    b"G[T]",
    b"G?T",
    b"G=T",
    b"{GET}",
    b"G\x00T",
    b"G\x01T",
    b"G\tT",
    b"G\x0bT",
    b"G\x0cT",
    b"G\x1bT",
    b"G\x7fT",
    b"G\x80T",
    b"G\xc3\x89T",
    b"\xff\xfe",
    b"GET\r",
    b"\rGET",
    b"\x00GET",
    b"\xef\xbb\xbfGET",
    b"GET\xc2\xa0",
)
_TARGETS = (b"/v2/", b"/v2/hostile/app/manifests/latest", b"/health")
_MISPLACED = {
    b"/v2/": b"PUT POST PATCH DELETE",
    b"/v2/_catalog": b"PUT POST PATCH DELETE",
    b"/v2/hostile/app/tags/list": b"PUT POST PATCH DELETE",
    b"/v2/hostile/app/manifests/latest": b"POST PATCH",
    b"/v2/hostile/app/blobs/sha256:" + b"0" * 64: b"PUT POST PATCH",
    b"/v2/hostile/app/blobs/uploads/": b"PUT PATCH DELETE",
    b"/v2/hostile/app/referrers/sha256:" + b"0" * 64: b"PUT POST PATCH DELETE",
    b"/health": b"PUT POST PATCH DELETE",
    b"/ready": b"PUT POST PATCH DELETE",
    b"/": b"PUT POST PATCH DELETE",
}


def cases() -> Iterator[Case]:
    """405 or 501 for what is a token, 400 for what is none."""
    for target in _TARGETS:
        for method in _UNKNOWN:
            yield case("method", f"{method.decode()} {target.decode()}", "405 501 400", _bare(method, target))
    for method in _MALFORMED:
        yield case("method", f"malformed {shown(method)}", "400 501 closed", _bare(method, b"/v2/"))
    for length in (100, 1000, 8000, 60_000, 100_000):
        yield case("method", f"{length} bytes long", "400 405 414 431 501", _bare(b"A" * length, b"/v2/"))
    for target, methods in _MISPLACED.items():
        for method in methods.split():
            yield case("method", f"misplaced {method.decode()} {target.decode()}", "405 404 400", _bare(method, target))


def _bare(method: bytes, target: bytes) -> bytes:
    return request(b"%b %b HTTP/1.1" % (method, target), b"Content-Length: 0")
