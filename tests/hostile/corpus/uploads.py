"""Upload sessions: ids that are none, sessions of others, and endings that don't fit."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.case import BLOB, CONFIG, SESSION, SESSION_ELSEWHERE, Case, case, get, request, shown, sized

_IDS = (
    b"x",
    b"0",
    b"..",
    b"%2e%2e",
    b"../../../../etc/passwd",
    b"%2e%2e%2f%2e%2e%2fpkgd.yaml",
    b"..%5c..%5c",
    b"%2fetc%2fpasswd",
    b"%00",
    b"a%00b",
    b"a%0ab",
    b"a.json",
    b".json",
    b"00000000-0000-0000-0000-000000000000",
    b"00000000-0000-0000-0000-00000000000g",
    b"00000000-0000-0000-0000-000000000000.json",
    b"00000000000000000000000000000000",
    b"{00000000-0000-0000-0000-000000000000}",
    b"urn:uuid:00000000-0000-0000-0000-000000000000",
    b"00000000-0000-0000-0000-000000000000/",
    b"00000000-0000-0000-0000-000000000000/x",
    b"00000000-0000-0000-0000-000000000000%20",
    b"00000000-0000-0000-0000-000000000000%0a",
    b"*",
    b"%2a",
    b"a" * 300,
    b"a" * 5000,
    b"%ff",
    b"%c3%a9",
    b"tmp",
    b"%EF%BC%90",
    b"sha256:" + b"0" * 64,
)
_METHODS = (b"GET", b"PATCH", b"PUT", b"DELETE")
_ENDINGS = {
    b"": "400",
    b"?": "400",
    b"?digest": "400",
    b"?digest=": "400",
    b"?digest=sha256": "400",
    b"?digest=sha256:": "400",
    b"?digest=sha256:" + b"0" * 64: "400",
    b"?digest=sha512:" + b"0" * 128: "400",
    b"?digest=md5:" + b"0" * 32: "400",
    b"?digest=sha256:" + b"0" * 64 + b"%00": "400",
    b"?digest=../../etc/passwd": "400",
    b"?digest=%ff": "400",
    b"?Digest=" + CONFIG: "400",
    b"?digest=" + BLOB: "400",
    b"?digest=" + CONFIG + b"&digest": "400",
}


def cases() -> Iterator[Case]:
    """Unknown ids are 404, and a good session is not lost through a bad ending."""
    for upload in _IDS:
        for method in _METHODS:
            query = b"?digest=" + CONFIG if method == b"PUT" else b""
            line = b"%b /v2/hostile/app/blobs/uploads/%b%b HTTP/1.1" % (method, upload, query)
            data = sized(line, b"{}") if method in (b"PATCH", b"PUT") else request(line)
            yield case("upload id", f"{method.decode()} {shown(upload)}", "400 404", data)
    for query, expected in _ENDINGS.items():
        line = b"PUT " + SESSION + query + b" HTTP/1.1"
        yield case("upload", f"PUT {shown(query) or 'without a query'}", expected, sized(line, b"hello"))
    yield from _elsewhere()


def _elsewhere() -> Iterator[Case]:
    """A session belongs to its repository: under another one it does not exist."""
    for method in _METHODS:
        line = b"%b %b HTTP/1.1" % (method, SESSION_ELSEWHERE + (b"?digest=" + CONFIG if method == b"PUT" else b""))
        data = sized(line, b"{}") if method in (b"PATCH", b"PUT") else request(line)
        yield case("upload", f"{method.decode()} under another repository", "404", data)
    yield case("upload", "status with a stray query", "204", get(SESSION + b"?digest=nonsense&x=%ff"))
    yield case("upload", "cancel", "204", request(b"DELETE " + SESSION + b" HTTP/1.1"))
    yield case("upload", "POST to a session", "405 404 400", sized(b"POST " + SESSION + b" HTTP/1.1", b""))
    yield case("upload", "HEAD of a session", "204 405 404", request(b"HEAD " + SESSION + b" HTTP/1.1"))
    finish = b"PUT " + SESSION + b"?digest=" + CONFIG + b" HTTP/1.1"
    yield case("upload", "good", "201", sized(finish, b"{}"))
    yield case(
        "upload",
        "unknown algorithm",
        "400 202",
        sized(b"POST /v2/hostile/app/blobs/uploads/?digest-algorithm=md5 HTTP/1.1", b""),
    )
