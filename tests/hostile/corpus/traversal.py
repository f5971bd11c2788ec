"""Paths that try to leave the tree: every way to write `..`, times every way to write `/`."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.case import Case, case, get, request, shown

_DOTS = (
    b"..",
    b"%2e%2e",
    b"%2E%2e",
    b".%2e",
    b"%2e.",
    b"%252e%252e",
    b"%25252e%25252e",
    b"%c0%ae%c0%ae",
    b"%c0%2e%c0%2e",
    b"%e0%80%ae%e0%80%ae",
    b"%f0%80%80%ae%f0%80%80%ae",
    b"%uff0e%uff0e",
    b"%ef%bc%8e%ef%bc%8e",
    b"\xef\xbc\x8e\xef\xbc\x8e",
    b"..%00",
    b"%00..",
    b"..;",
    b"..;x=y",
    b"..%20",
    b"..%09",
    b"...",
    b".",
    b"%2e",
)
_SLASHES = (
    b"/",
    b"//",
    b"%2f",
    b"%2F",
    b"%252f",
    b"%255c",
    b"\\",
    b"%5c",
    b"%5C",
    b"\\/",
    b"%c0%af",
    b"%c1%9c",
    b"%e0%80%af",
    b"%u2215",
    b"%ef%bc%8f",
    b"%00/",
    b"/%00/",
    b"/./",
)
_PLACES = (
    b"/v2/%b%b%b%betc%bpasswd",
    b"/v2/hostile/app/blobs/%b%b%b%bmanifests%blatest",
)
_OTHER_PLACES = (
    b"/%b/%b/etc/passwd",
    b"/v2/%b/%b/hostile/app/manifests/latest",
    b"/v2/hostile/%b/hostile/app/tags/%b/list",
    b"/v2/hostile/app/manifests/%b/%b",
    b"/v2/hostile/app/referrers/%b/%b",
    b"/v2/hostile/app/blobs/uploads/%b/%b",
    b"/apt/main/pool/%b/%b/keys/token.pem",
    b"/rpm/main/Packages/%b/%b/index.sqlite",
    b"/auth/%b/%b/state",
)
_WRITES = (b"PUT", b"DELETE", b"HEAD")


def cases() -> Iterator[Case]:
    """All of them are refused."""
    for place in _PLACES:
        for dots in _DOTS:
            for slash in _SLASHES:
                target = place % (dots, slash, dots, slash, slash)
                yield case("traversal", shown(target, 200), "400 404", get(target))
    for place in _OTHER_PLACES:
        for dots in _DOTS:
            target = place % (dots, dots)
            yield case("traversal", shown(target, 200), "400 404", get(target))
    for method in _WRITES:
        for dots in _DOTS:
            line = b"%b /v2/hostile/%b/app/manifests/latest HTTP/1.1" % (method, dots)
            yield case("traversal", shown(line, 200), "400 404", request(line, b"Content-Length: 0"))
