"""Request targets and request lines that are no good."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.case import BLOB, Case, case, get, request, shown

_CONTROLS = (*range(0x21), 0x7F)
_INVALID_UTF8 = (
    b"%ff",
    b"%fe%ff",
    b"%80",
    b"%c3%28",
    b"%c3",
    b"%e2%82",
    b"%e2%28%a1",
    b"%ed%a0%80",
    b"%ed%b0%80",
    b"%f0%28%8c%bc",
    b"%f4%90%80%80",
    b"%f8%88%80%80%80",
    b"%fc%84%80%80%80%80",
    b"%c0%80",
    b"%",
    b"%4",
    b"%zz",
    b"%2",
    b"%%",
    b"%25",
    b"%u0041",
)
_ODD_CHARACTERS = b"\"<>^`{|}[]'()!*$,@~+=&"
_LENGTHS = {
    8_000: "404 400",
    9_000: "414",
    16_000: "414",
    33_000: "414",
    60_000: "414",
    80_000: "414 431",
    1 << 20: "414 431",
}
_LINES = {
    b"GET http://localhost/v2/ HTTP/1.1": "200 400",
    b"GET HTTP://LOCALHOST/v2/ HTTP/1.1": "200 400",
    b"GET http://localhost HTTP/1.1": "200 400 404",
    b"GET http://localhost/v2/../v2/ HTTP/1.1": "400 404",
    b"GET http://evil.example/v2/ HTTP/1.1": "200 400 404 421",
    b"GET http://user:pass@localhost/v2/ HTTP/1.1": "400 200",
    b"GET http://localhost@evil.example/v2/ HTTP/1.1": "400 404 421 200",
    b"GET http://localhost:99999/v2/ HTTP/1.1": "400 200",
    b"GET http:///v2/ HTTP/1.1": "400 404",
    b"GET http:/v2/ HTTP/1.1": "400 404",
    b"GET http: HTTP/1.1": "400 404",
    b"GET https://localhost/v2/ HTTP/1.1": "200 400 421",
    b"GET ftp://localhost/v2/ HTTP/1.1": "400 404 421",
    b"GET file:///etc/passwd HTTP/1.1": "400 404",
    b"GET gopher://localhost:70/_ HTTP/1.1": "400 404 421",
    b"GET javascript:alert(1) HTTP/1.1": "400 404",
    b"GET localhost:80 HTTP/1.1": "400 404",
    b"GET localhost/v2/ HTTP/1.1": "400 404",
    b"GET v2/ HTTP/1.1": "400 404",
    b"GET * HTTP/1.1": "400 404 405",
    b"OPTIONS * HTTP/1.1": "200 204 400 404 405 501",
    b"OPTIONS ** HTTP/1.1": "400 404 405 501",
    b"CONNECT localhost:80 HTTP/1.1": "400 404 405 501",
    b"CONNECT 169.254.169.254:80 HTTP/1.1": "400 404 405 501",
    b"CONNECT /v2/ HTTP/1.1": "400 404 405 501",
    b"GET ? HTTP/1.1": "400 404",
    b"GET # HTTP/1.1": "400 404",
    b"GET /v2/# HTTP/1.1": "400 404 200",
    b"GET /v2/#/../../etc/passwd HTTP/1.1": "400 404 200",
    b"GET //v2/ HTTP/1.1": "400 404",
    b"GET ///v2/// HTTP/1.1": "400 404",
    b"GET /v2// HTTP/1.1": "400 404",
    b"GET //evil.example/v2/ HTTP/1.1": "400 404",
    b"GET //evil.example/%2e%2e HTTP/1.1": "400 404",
    b"GET /\\evil.example HTTP/1.1": "400 404",
    b"GET /%5cevil.example HTTP/1.1": "400 404",
    b"GET /V2/ HTTP/1.1": "404 400",
    b"GET /%76%32/ HTTP/1.1": "400 404 200",
    b"GET /v2/;jsessionid=1 HTTP/1.1": "400 404",
    b"GET /v2;/ HTTP/1.1": "400 404",
    b"GET /v1/ HTTP/1.1": "404 400",
    b"GET  HTTP/1.1": "400 closed",
    b"GET HTTP/1.1": "400 closed",
    b"GET": "400 closed",
    b"": "400 closed",
    b" ": "400 closed",
    b"GET  /v2/ HTTP/1.1": "400",
    b"GET /v2/  HTTP/1.1": "400",
    b"GET /v2/ HTTP/1.1 ": "400",
    b" GET /v2/ HTTP/1.1": "400",
    b"GET\t/v2/\tHTTP/1.1": "400",
    b"GET /v2/ HTTP/1.1 HTTP/1.1": "400",
    b"GET /v2/ /etc/passwd HTTP/1.1": "400",
    b"GET /v2/\xa0HTTP/1.1": "400 closed",
    b"GET /v2/ HTTP/2.0": "400 505",
    b"GET /v2/ HTTP/3.0": "400 505",
    b"GET /v2/ HTTP/1.2": "200 400 505",
    b"GET /v2/ HTTP/1.9": "200 400 505",
    b"GET /v2/ HTTP/1.10": "400 505",
    b"GET /v2/ HTTP/11.1": "400 505",
    b"GET /v2/ HTTP/01.1": "400 505",
    b"GET /v2/ HTTP/1.01": "400 505",
    b"GET /v2/ HTTP/1": "400 505",
    b"GET /v2/ HTTP/1.": "400 505",
    b"GET /v2/ HTTP/.1": "400 505",
    b"GET /v2/ HTTP/": "400 505",
    b"GET /v2/ HTTP": "400 505",
    b"GET /v2/ http/1.1": "400 505",
    b"GET /v2/ HTTP/1.1x": "400 505",
    b"GET /v2/ HTTP/1,1": "400 505",
    b"GET /v2/ HTTP/-1.1": "400 505",
    b"GET /v2/ HTTP/0.9": "400 505",
    b"GET /v2/ HTTP/0.0": "400 505",
    b"GET /v2/ HTTP/9.9": "400 505",
    b"GET /v2/ HTTP/99999999999999999999.1": "400 505",
    b"GET /v2/ HTTP\x001.1": "400 505 closed",
    b"GET /v2/ HTTPS/1.1": "400 505",
    b"GET /v2/ ICY/1.1": "400 505",
    b"GET /v2/ RTSP/1.0": "400 505",
    b"GET /v2/ SIP/2.0": "400 505",
}


def cases() -> Iterator[Case]:
    """Honest spellings first, then the bad ones."""
    yield from _honest()
    for line, expected in _LINES.items():
        yield case("request line", shown(line), expected, request(line))
    for byte in _CONTROLS:
        raw, encoded = b"/v2/hostile%bapp/tags/list" % bytes([byte]), b"/v2/hostile%%%02xapp/tags/list" % byte
        yield case("target", f"raw {byte:#04x}", "400 closed", get(raw))
        yield case("target", f"encoded {byte:#04x}", "400 404", get(encoded))
        yield case(
            "target",
            f"encoded {byte:#04x} at the end",
            "400 404",
            get(b"/v2/hostile/app/manifests/latest%%%02x" % byte),
        )
    for byte in range(0x80, 0x100, 5):
        yield case("target", f"raw {byte:#04x}", "400 404", get(b"/v2/hostile%b/tags/list" % bytes([byte])))
    for character in _ODD_CHARACTERS:
        target = b"/v2/hostile%capp/tags/list" % character
        yield case("target", shown(target), "400 404", get(target))
    for sequence in _INVALID_UTF8:
        for target in (b"/v2/hostile%b/tags/list", b"/v2/hostile/app/manifests/%b", b"/%b", b"/apt/main/%b"):
            yield case("target", shown(target % sequence), "400 404", get(target % sequence))
    for length, expected in _LENGTHS.items():
        yield case("target", f"{length} bytes long", expected, get(b"/v2/" + b"a" * length + b"/tags/list"))
        yield case("target", f"query of {length} bytes", f"{expected} 200", get(b"/v2/?" + b"a" * length))
    yield case("target", "4000 parts", "400 404 414", get(b"/v2/" + b"a/" * 4000 + b"tags/list"))
    yield case("target", "part of 300 bytes", "400 404", get(b"/v2/" + b"a" * 300 + b"/tags/list"))


def _honest() -> Iterator[Case]:
    yield case("honest", "ping", "200", get(b"/v2/"))
    yield case("honest", "ping with a query", "200", get(b"/v2/?"))
    yield case("honest", "encoded colon", "200", get(b"/v2/hostile/app/blobs/" + BLOB.replace(b":", b"%3A")))
    yield case("honest", "blob", "200", get(b"/v2/hostile/app/blobs/" + BLOB))
    yield case("honest", "manifest", "200", get(b"/v2/hostile/app/manifests/latest", b"Accept: */*"))
    yield case("honest", "HEAD of a manifest", "200", request(b"HEAD /v2/hostile/app/manifests/latest HTTP/1.1"))
    yield case("honest", "HTTP/1.0", "200", request(b"GET /v2/ HTTP/1.0"))
    yield case("honest", "HTTP/1.0 without Host", "200", request(b"GET /v2/ HTTP/1.0", host=None))
