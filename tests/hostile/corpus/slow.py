"""Slow clients: those that hold a connection with nothing behind it are sent away, the honest ones are served."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.hostile.case import BLOB, SESSION, Case, Flood, HalfClose, Pause, Reset, case, get, request, sized

BODY_TIMEOUT = 2
"""The `limits.body_timeout` that the server is given for these cases, in seconds."""
_LONG = 40.0
_COPIES, _IDLE = 25, 300


def cases(edge: bool) -> Iterator[Case]:
    """Each many times over, so that they are a crowd; `edge`: only those that a proxy does not answer itself."""
    for number in range(_COPIES):
        yield from _bodies(number)
        if not edge:
            yield from _heads(number)
    for number in range(_IDLE):
        yield case("slow", f"idle {number}", "closed", Pause(5), HalfClose(), patience=_LONG)


def _heads(number: int) -> Iterator[Case]:
    ping = get(b"/v2/")
    yield case("slow", f"head trickles {number}", "408 closed", ping[:19], Flood(b"X: y\r\n", 100, 0.4), patience=_LONG)
    yield case(
        "slow", f"request line trickles {number}", "408 closed", b"GET /v2/", Flood(b"a", 200, 0.2), patience=_LONG
    )
    yield case("slow", f"head stops {number}", "408 closed", ping[:20], Pause(_LONG), patience=_LONG)
    yield case("slow", f"second head stops {number}", "200, 408 closed", ping + ping[:20], Pause(_LONG), patience=_LONG)
    yield case(
        "slow", f"honest, slow {number}", "200", ping[:10], Pause(1), ping[10:20], Pause(1), ping[20:], patience=_LONG
    )


def _bodies(number: int) -> Iterator[Case]:
    chunked = request(b"PATCH " + SESSION + b" HTTP/1.1", b"Transfer-Encoding: chunked")
    manifest = b"PUT /v2/hostile/app/manifests/slow HTTP/1.1"
    blob = get(b"/v2/hostile/app/blobs/" + BLOB)
    hold = Pause(_LONG)
    yield case("slow", f"chunk stops {number}", "408 400 closed", _patch(1000) + b"abc", hold, patience=_LONG)
    yield case("slow", f"chunked body stops {number}", "408 400 closed", chunked + b"5\r\nhel", hold, patience=_LONG)
    yield case(
        "slow", f"chunk size stops {number}", "408 400 closed", chunked + b"5\r\nhello\r\n", hold, patience=_LONG
    )
    stopped = sized(manifest, b"{" * 1000)[:-500]
    yield case("slow", f"manifest stops {number}", "408 400 closed", stopped, hold, patience=_LONG)
    unread = case("slow", f"400 blobs not read {number}", "200 closed", blob * 400, Pause(3.0 * BODY_TIMEOUT), Reset())
    yield replace(unread, deaf=3.5 * BODY_TIMEOUT)
    yield case("slow", f"honest chunk trickles {number}", "202", _patch(40), Flood(b"x", 40, 0.1), patience=_LONG)


def _patch(length: int) -> bytes:
    return request(b"PATCH " + SESSION + b" HTTP/1.1", b"Content-Length: %d" % length)
