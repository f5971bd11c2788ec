"""Repository names, digests and tags that the grammar does not allow."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.case import Case, case, get, request, shown, sized

_NAMES = (
    b"Upper/case",
    b"-leading",
    b"trailing-",
    b".leading",
    b"trailing.",
    b"_leading",
    b"trailing_",
    b"a..b",
    b"a___b",
    b"a._b",
    b"a-_b",
    b"a/-b",
    b"a/b-",
    b"a/_b",
    b"__mirror__/docker.io/library/alpine",
    b"__spool__/uploads",
    b"=blobs",
    b"a/=manifests",
    b"a%0a",
    b"%0aa",
    b"a%0d%0aX:y",
    b"a%20b",
    b"a+b",
    b"a:b",
    b"a@b",
    b"a*",
    b"*",
    b"a~b",
    b"a!b",
    b"a'b",
    b"a%22b",
    b"a$b",
    b"a;b",
    b"a,b",
    b"a%7cb",
    b"a%60id%60",
    b"$(id)",
    b"a%00",
    b"a%00.txt",
    b"%C3%A4",
    b"%e2%80%8b",
    b"a%cc%88",
    b"%ef%bc%a1",
    b"a" * 256,
    b"a/" * 128 + b"a",
    b"a/" * 1000 + b"a",
    b"a" * 5000,
)
_NAME_ROUTES = (
    b"GET /v2/%b/tags/list",
    b"GET /v2/%b/manifests/latest",
    b"POST /v2/%b/blobs/uploads/",
    b"PUT /v2/%b/manifests/latest",
)
_DIGESTS = (
    b"sha256:",
    b"sha256",
    b"sha256:abc",
    b"sha256:baddigeststring",
    b"sha256:" + b"A" * 64,
    b"sha256:" + b"g" * 64,
    b"sha256:" + b"0" * 63,
    b"sha256:" + b"0" * 65,
    b"sha256:" + b"0" * 5000,
    b"SHA256:" + b"0" * 64,
    b"sha512:" + b"0" * 64,
    b"sha256:" + b"0" * 128,
    b"md5:" + b"0" * 32,
    b"sha1:" + b"0" * 40,
    b"sha384:" + b"0" * 96,
    b":" + b"0" * 64,
    b"::",
    b"sha256::" + b"0" * 63,
    b"sha256:sha256:" + b"0" * 64,
    b"sha256-" + b"0" * 64 + b":",
    b"sha256+b64:" + b"0" * 64,
    b"sha256:" + b"0" * 62 + b"%2e%2e",
    b"sha256:%2e%2e",
    b"sha256:" + b"0" * 60 + b"%00%00",
    b"sha256:" + b"0" * 63 + b"%0a",
    b"sha256:" + b"0" * 64 + b"%0a",
    b"sha256:" + b"0" * 64 + b"%20",
    b"%20sha256:" + b"0" * 64,
    b"sha256:" + b"%ef%bc%90" * 64,
    b"..%3a" + b"0" * 64,
)
_DIGEST_ROUTES = (
    (b"GET /v2/hostile/app/blobs/%b", "400 404"),
    (b"HEAD /v2/hostile/app/blobs/%b", "400 404"),
    (b"DELETE /v2/hostile/app/blobs/%b", "400 404"),
    (b"GET /v2/hostile/app/manifests/%b", "400 404"),
    (b"GET /v2/hostile/app/referrers/%b", "400 404"),
    (b"POST /v2/hostile/app/blobs/uploads/?digest=%b", "400"),
    (b"POST /v2/hostile/app/blobs/uploads/?mount=%b&from=hostile/app", "400 202"),
)
_TAGS = (
    b".leading",
    b"-leading",
    b"a" * 129,
    b"a" * 5000,
    b"a%20b",
    b"a%0a",
    b"%0a",
    b"a%00",
    b"a%2fb",
    b"a+b",
    b"a@b",
    b"a!b",
    b"a~b",
    b"a$b",
    b"a*",
    b"*",
    b"a;b",
    b"a,b",
    b"a'b",
    b"a%22b",
    b"%c3%a4",
    b"a%7f",
    b"%EF%BC%A1",
    b"",
    b".",
    b"..",
    b"...",
)
_TAG_ROUTES = (
    b"GET /v2/hostile/app/manifests/%b",
    b"HEAD /v2/hostile/app/manifests/%b",
    b"DELETE /v2/hostile/app/manifests/%b",
)


def cases() -> Iterator[Case]:
    """400 or 404 for each, whatever the route."""
    for route in _NAME_ROUTES:
        for name in _NAMES:
            line = route % name + b" HTTP/1.1"
            yield case("name", shown(line, 200), "400 404 414", request(line, b"Content-Length: 0"))
    for route, expected in _DIGEST_ROUTES:
        for digest in _DIGESTS:
            line = route % digest + b" HTTP/1.1"
            yield case("digest", shown(line, 200), expected, request(line, b"Content-Length: 0"))
    for digest in _DIGESTS:
        line = b"PUT /v2/hostile/app/manifests/%b HTTP/1.1" % digest
        if b":" in digest:
            yield case("digest", shown(line, 200), "400 404", sized(line, b"{}"))
    for route in _TAG_ROUTES:
        for tag in _TAGS:
            line = route % tag + b" HTTP/1.1"
            yield case("tag", shown(line, 200), "400 404", request(line))
    for tag in _TAGS:
        line = b"PUT /v2/hostile/app/manifests/%b HTTP/1.1" % tag
        yield case("tag", shown(line, 200), "400 404", sized(line, b"{}"))
    yield case("tag", "128 bytes", "404", get(b"/v2/hostile/app/manifests/" + b"a" * 128))
