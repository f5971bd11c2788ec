"""Query strings: paging, security parameters given twice, and what is no query at all."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.case import BLOB, CONFIG, SESSION, Case, case, get, request, shown, sized

_LISTS = (b"/v2/hostile/app/tags/list", b"/v2/_catalog", b"/v2/hostile/app/referrers/" + BLOB)
_NUMBERS: dict[bytes, str] = {
    b"0": "200",
    b"1": "200",
    b"1000": "200",
    b"1000000000000": "200 400",
    b"18446744073709551616": "200 400",
    b"-1": "400",
    b"-0": "400",
    b"+1": "400",
    b"%2B1": "400",
    b"1.5": "400",
    b"1e3": "400",
    b"0x10": "400",
    b"1_0": "400",
    b"abc": "400",
    b"": "400 200",
    b"%20": "400",
    b"1%20": "400",
    b"1%00": "400",
    b"1%0a": "400",
    b"%EF%BC%91": "400",
    b"%D9%A1": "400",
    b"%C2%B2": "400",
    b"NaN": "400",
    b"Infinity": "400",
    b"null": "400",
    b"[]": "400",
    b"1,2": "400",
    b"1;2": "400",
    b"9" * 5000: "400 200 414",
}
_LASTS = (
    b"zzz",
    b"../../etc/passwd",
    b"%2e%2e%2f",
    b"%00",
    b"%0d%0aX-Injected:%20yes",
    b"%ff%fe",
    b"%ed%a0%80",
    b"",
    b"%",
    b"%zz",
    b"a" * 4000,
    b"%22%3e%3cscript%3e",
    b"'%20OR%201=1%20--",
    b"\xff",
)
_ODD_QUERIES = (
    b"?",
    b"??",
    b"&",
    b"&&&&",
    b"=",
    b"==",
    b"=1",
    b"n",
    b"n=1&n",
    b"n=1&n=1",
    b"n=1&n=2",
    b"N=1",
    b"n=1;last=a",
    b"%6e=1",
    b"n%3d1",
    b"n[]=1",
    b"n=1#fragment",
    b"n=1?n=2",
    b"n=1%26n=2",
    b"x=" + b"%41" * 1000,
    b"&".join([b"x=y"] * 1500),
    b"&" * 4000,
    b"%" * 1000,
    b"%u0041=1",
)
_TWICE = (
    (b"POST", b"/v2/hostile/app/blobs/uploads/?digest=" + CONFIG + b"&digest=" + BLOB),
    (b"POST", b"/v2/hostile/app/blobs/uploads/?digest=" + CONFIG + b"&digest=" + CONFIG),
    (b"POST", b"/v2/hostile/app/blobs/uploads/?mount=" + CONFIG + b"&mount=" + BLOB + b"&from=hostile/app"),
    (b"POST", b"/v2/hostile/app/blobs/uploads/?mount=" + CONFIG + b"&from=hostile/app&from=other/app"),
    (b"PUT", SESSION + b"?digest=" + CONFIG + b"&digest=" + BLOB),
    (b"PUT", SESSION + b"?digest=" + CONFIG + b"&DIGEST=&digest=" + CONFIG),
)
_MOUNTS = (
    b"mount=" + BLOB + b"&from=no/such/repository",
    b"mount=" + BLOB + b"&from=",
    b"mount=" + BLOB + b"&from=../../etc",
    b"mount=" + BLOB + b"&from=%2e%2e%2fhostile%2fapp",
    b"mount=" + BLOB + b"&from=UPPER",
    b"mount=" + BLOB + b"&from=%00",
    b"mount=" + BLOB + b"&from=%ff",
    b"mount=&from=hostile/app",
    b"mount&from",
    b"from=hostile/app",
    b"mount=sha256:" + b"0" * 64 + b"&from=hostile/app",
)
_UPSTREAMS = (
    b"127.0.0.1",
    b"localhost",
    b"169.254.169.254",
    b"[::1]",
    b"0x7f.1",
    b"2130706433",
    b"user:pass@docker.io",
    b"docker.io/../..",
    b"docker.io%00",
    b"docker.io%0d%0aX:y",
    b"%ff",
    b"http://docker.io",
    b"..",
    b"a" * 300,
    b"",
)


def cases() -> Iterator[Case]:
    """Lists, then uploads, then the upstream parameter."""
    for target in _LISTS:
        for value, expected in _NUMBERS.items():
            either = f"{expected} 200 400" if b"referrers" in target else expected
            yield case("query", shown(target[:30] + b"?n=" + value), either, get(target + b"?n=" + value))
        for value in _LASTS:
            yield case("query", shown(target[:30] + b"?last=" + value), "200 400", get(target + b"?n=2&last=" + value))
    for query in _ODD_QUERIES:
        yield case("query", f"odd {shown(query)}", "200 400", get(b"/v2/hostile/app/tags/list?" + query))
    for method, target in _TWICE:
        body = b"{}" if b"digest" in target else b""
        yield case("query", f"twice {shown(target, 160)}", "400", sized(method + b" " + target + b" HTTP/1.1", body))
    for query in _MOUNTS:
        line = b"POST /v2/hostile/mounts/blobs/uploads/?" + query + b" HTTP/1.1"
        yield case("query", shown(query, 120), "202 400", request(line, b"Content-Length: 0"))
    for upstream in _UPSTREAMS:
        target = b"/v2/library/no-such-thing/manifests/latest?ns=" + upstream
        yield case("query", f"ns={shown(upstream)}", "400 404", get(target))
        line = b"GET /v2/library/no-such-thing/manifests/latest HTTP/1.1"
        yield case(
            "query", f"X-Registry-Host {shown(upstream)}", "400 404", request(line, b"X-Registry-Host: " + upstream)
        )
    yield case("query", "ns twice", "400 404", get(b"/v2/library/alpine/manifests/latest?ns=docker.io&ns=quay.io"))
    many = b"&".join(b"tag=t%d" % number for number in range(200))
    line = b"PUT /v2/hostile/app/manifests/" + CONFIG + b"?" + many + b" HTTP/1.1"
    yield case("query", "200 tag parameters", "400 414", sized(line, b"{}"))
