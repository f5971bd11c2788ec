"""Several requests on one connection: honest pipelining, smuggling, and `Expect`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.hostile.case import SESSION, AwaitContinue, Case, Pause, case, get, request, shown, sized

_PING = get(b"/v2/")
_INNER = get(b"/health")
_CHUNKED = b"Transfer-Encoding: chunked"
_REFUSED_LINES = {
    b"PUT /v2/UPPER/manifests/latest HTTP/1.1": "400 404",
    b"PUT /v2/hostile/app/manifests/latest HTTP/1.1": "400",
    b"POST /v2/hostile/app/tags/list HTTP/1.1": "405 404 400",
    b"PUT /no/such/route HTTP/1.1": "404 405",
    b"POST /health HTTP/1.1": "405 404",
    b"FOO /v2/ HTTP/1.1": "405 501 400",
    b"PATCH /v2/hostile/app/blobs/uploads/no-such-session HTTP/1.1": "404 400",
    b"POST /v2/hostile/app/blobs/uploads/?digest=nonsense HTTP/1.1": "400",
    b"GET /v2/hostile/app/manifests/no-such-tag HTTP/1.1": "404 400 413",
    b"GET /v2/ HTTP/1.1": "200 400 413",
    b"HEAD /v2/hostile/app/manifests/latest HTTP/1.1": "200 400 413",
    b"DELETE /v2/hostile/app/manifests/no-such-tag HTTP/1.1": "404 400 413",
}
_FRAMINGS: dict[str, tuple[bytes, ...]] = {
    "length and chunked": (b"Content-Length: %d", _CHUNKED),
    "chunked and length": (_CHUNKED, b"Content-Length: %d"),
    "chunked, wrong": (b"Content-Length: %d", b"Transfer-Encoding: xchunked"),
    "chunked, tabbed": (b"Content-Length: %d", b"Transfer-Encoding:\tchunked"),
    "chunked, folded": (b"Content-Length: %d", b"Transfer-Encoding:", b" chunked"),
    "chunked, spaced": (b"Content-Length: %d", b"Transfer-Encoding : chunked"),
    "chunked, after a CR": (b"Content-Length: %d", b"X: y\rTransfer-Encoding: chunked"),
    "chunked, after a LF": (b"Content-Length: %d", b"X: y\nTransfer-Encoding: chunked"),
    "chunked, quoted": (b"Content-Length: %d", b'Transfer-Encoding: "chunked"'),
    "two lengths": (b"Content-Length: 0", b"Content-Length: %d"),
    "two lengths, the other way": (b"Content-Length: %d", b"Content-Length: 0"),
    "length list": (b"Content-Length: 0, %d",),
    "length plus": (b"Content-Length: +%d",),
    "length spaced": (b"Content-Length : %d",),
    "length negative": (b"Content-Length: -%d",),
}
_TAILS = {
    "plain": _INNER,
    "after a last chunk": b"0\r\n\r\n" + _INNER,
    "in a chunk": b"%x\r\n%b\r\n0\r\n\r\n" % (len(_INNER), _INNER),
}


def cases() -> Iterator[Case]:
    """Exactly as many answers as there are requests."""
    yield from _pipelines()
    for line, expected in _REFUSED_LINES.items():
        yield case("smuggling", f"length: {shown(line)}", expected, sized(line, _INNER))
        chunked = request(line, _CHUNKED, body=_TAILS["in a chunk"])
        yield case("smuggling", f"chunked: {shown(line)}", expected, chunked)
        yield case(
            "smuggling",
            f"late body: {shown(line)}",
            expected,
            sized(line, b"x" * len(_INNER))[: -len(_INNER)],
            Pause(0.2),
            _INNER,
        )
    for name, fields in _FRAMINGS.items():
        for tail_name, tail in _TAILS.items():
            for method in (b"GET", b"POST"):
                framed = [field.replace(b"%d", b"%d" % len(tail)) for field in fields]
                data = request(method + b" /v2/ HTTP/1.1", *framed, body=tail)
                yield case("smuggling", f"{name}, {tail_name}, {method.decode()}", "400 501", data)
    yield from _expectations()


def _pipelines() -> Iterator[Case]:
    missing = get(b"/v2/hostile/app/manifests/no-such-tag")
    head = request(b"HEAD /v2/hostile/app/manifests/latest HTTP/1.1", b"Accept: */*")
    patch = sized(b"PATCH " + SESSION + b" HTTP/1.1", b"hello")
    bad = request(b"GET /v2/ HTTP/1.1", b"X Y: z")
    last = request(b"GET /v2/ HTTP/1.1", b"Connection: close")
    for count in (2, 5, 20, 300):
        yield case("pipeline", f"{count} pings", ", ".join(["200"] * count), _PING * count)
    yield case("pipeline", "alternating", ", ".join(["200", "404"] * 10), (_PING + missing) * 10)
    yield replace(
        case("pipeline", "HEAD, GET, HEAD", "200, 200, 200", head + _PING + head), headless=(True, False, True)
    )
    yield case("pipeline", "PATCH, GET", "202, 200", patch + _PING)
    yield case("pipeline", "PATCH twice", "202, 202", patch + patch)
    yield case("pipeline", "GET, bad, GET", "200, 400", _PING + bad + _PING)
    yield case("pipeline", "close, GET", "200", last + _PING)
    yield case("pipeline", "HTTP/1.0, GET", "200", request(b"GET /v2/ HTTP/1.0") + _PING)
    yield case("pipeline", "one byte at a time", "200, 200", *[bytes([byte]) for byte in _PING + _PING])
    yield case("pipeline", "two requests cut in the middle", "200, 200", _PING + _PING[:20], Pause(0.1), _PING[20:])
    yield case(
        "pipeline",
        "length too short by one request",
        "202, 200",
        sized(b"PATCH " + SESSION + b" HTTP/1.1", b"hello") + _INNER,
    )


def _expectations() -> Iterator[Case]:
    line = b"PATCH " + SESSION + b" HTTP/1.1"
    honest = request(line, b"Content-Length: 5", b"Expect: 100-continue")
    yield replace(case("expect", "honest", "202", honest, AwaitContinue(), b"hello"), interim=1)
    yield case("expect", "not waited for", "202", honest + b"hello")
    yield case(
        "expect",
        "other case",
        "202 400 417",
        request(line, b"Content-Length: 5", b"Expect: 100-CONTINUE", body=b"hello"),
    )
    for value in (b"200-ok", b"100", b"", b"100-continue, 200-ok", b"\xff", b"x" * 5000):
        data = request(line, b"Content-Length: 5", b"Expect: " + value, body=b"hello")
        yield case("expect", shown(value) or "empty", "202 400 417", data)
    old = request(b"PATCH " + SESSION + b" HTTP/1.0", b"Content-Length: 5", b"Expect: 100-continue", body=b"hello")
    yield replace(case("expect", "HTTP/1.0", "202 400", old), interim=0)
    yield case("expect", "without a body", "200 400", request(b"GET /v2/ HTTP/1.1", b"Expect: 100-continue"))
    for refused in (
        b"PUT /v2/UPPER/manifests/latest",
        b"PUT /no/such/route",
        b"PATCH /v2/hostile/app/blobs/uploads/none",
    ):
        data = request(refused + b" HTTP/1.1", b"Content-Length: 100000000", b"Expect: 100-continue")
        refusal = case("expect", f"refused {refused.decode()}", "400 404 405", data, AwaitContinue())
        yield replace(refusal, interim=0)
    large = b"PUT /v2/hostile/app/manifests/x HTTP/1.1"
    data = request(large, b"Content-Length: 100000000", b"Expect: 100-continue")
    yield replace(case("expect", "manifest too large", "413", data, AwaitContinue()), interim=0)
