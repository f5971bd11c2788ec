"""What goes wrong between the head of an answer and the end of its body.

Where a body is cut is a place in the whole content: who resumes by Range comes no further.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.upstream.exchange import Exchange, Misbehaviour
from tests.upstream.fault import CORRUPT, EVERYTHING, NONE, OPEN, TIMEOUT, UNAVAILABLE, Fault, Kind

Place = Callable[[int], int]

_EXTRA = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\npoison"
_CUT = UNAVAILABLE | CORRUPT


def _after_first(size: int) -> int:
    return 1


def _midway(size: int) -> int:
    return size // 2


def _before_last(size: int) -> int:
    return size - 1


def _cut(place: Place, ending: str) -> Misbehaviour:
    """Send the content up to a place, then end in that way."""

    async def misbehave(exchange: Exchange) -> None:
        if not exchange.has_body:
            await exchange.deliver()
            return
        whole = exchange.begins + len(exchange.reply.body)
        await exchange.send(exchange.reply.head())
        await exchange.send(exchange.reply.body[: max(0, place(whole) - exchange.begins)])
        if ending == "reset":
            await exchange.wait(0.05)
            exchange.reset()
        elif ending == "stall":
            await exchange.stall()
        exchange.close()

    return misbehave


def _chunked(*, cut: Place | None = None, terminator: bytes = b"0\r\n\r\n", size: bytes | None = None) -> Misbehaviour:
    """Send the content in one chunk, or a part of it, and then perhaps not what ends it."""

    async def misbehave(exchange: Exchange) -> None:
        if not exchange.has_body:
            await exchange.deliver()
            return
        body = exchange.reply.body
        data = body[: max(0, cut(exchange.begins + len(body)) - exchange.begins)] if cut else body
        head = replace(exchange.reply, length=-1).set("Transfer-Encoding", "chunked").head()
        await exchange.send(head + (size or b"%x" % len(data)) + b"\r\n" + data + b"\r\n" + terminator)
        if terminator != b"0\r\n\r\n":
            exchange.close()

    return misbehave


async def _close_delimited(exchange: Exchange) -> None:
    if not exchange.has_body:
        await exchange.deliver()
        return
    await exchange.send(replace(exchange.reply, length=-1).head() + exchange.reply.body)
    exchange.close()


async def _close_delimited_cut(exchange: Exchange) -> None:
    if not exchange.has_body:
        await exchange.deliver()
        return
    body = exchange.reply.body
    kept = max(0, _midway(exchange.begins + len(body)) - exchange.begins)
    await exchange.send(replace(exchange.reply, length=-1).head() + body[:kept])
    exchange.close()


async def _extra(exchange: Exchange) -> None:
    """More than the framing promised: the next request on the connection must not be answered with it."""
    await exchange.deliver()
    await exchange.send(_EXTRA)


async def _too_short(exchange: Exchange) -> None:
    length = max(0, len(exchange.reply.body) - 1)
    await exchange.deliver_changed(length=length if exchange.has_body else None)


async def _slow_but_steady(exchange: Exchange) -> None:
    if not exchange.has_body:
        await exchange.deliver()
        return
    body = exchange.reply.body
    await exchange.send(exchange.reply.head())
    await exchange.send(body, piece=max(1, len(body) // 10 + 1), pause=0.1)


async def _drip(exchange: Exchange) -> None:
    """Never idle, and never done."""
    if not exchange.has_body:
        await exchange.deliver()
        return
    await exchange.send(exchange.reply.head())
    await exchange.send(exchange.reply.body[:2000], piece=1, pause=0.05)
    await exchange.stall()


async def _length_and_chunked(exchange: Exchange) -> None:
    """Two framings that contradict each other, as in request smuggling."""
    if not exchange.has_body:
        await exchange.deliver()
        return
    body = exchange.reply.body
    await exchange.send(exchange.reply.set("Transfer-Encoding", "chunked").head())
    await exchange.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))


_PLACES: tuple[tuple[str, Place], ...] = (
    ("after the first byte", _after_first),
    ("midway", _midway),
    ("before the last byte", _before_last),
)
_ENDINGS = (("reset", _CUT), ("closed", _CUT), ("stall", TIMEOUT))

FAULTS = (
    *(
        Fault(f"{ending} {where}", effects, _cut(place, ending), bodies_only=True, kinds=EVERYTHING)
        for where, place in _PLACES
        for ending, effects in _ENDINGS
    ),
    Fault("stall after the head", TIMEOUT, _cut(lambda size: 0, "stall"), bodies_only=True, kinds=EVERYTHING),
    Fault("chunked", NONE, _chunked(), bodies_only=True, kinds=EVERYTHING),
    Fault(
        "chunked, no terminator",
        _CUT,
        _chunked(terminator=b""),
        bodies_only=True,
        kinds=EVERYTHING,
        but={Kind.BLOB: OPEN | _CUT},
    ),
    Fault("chunked, cut", _CUT, _chunked(cut=_midway, terminator=b"ffff\r\n"), bodies_only=True, kinds=EVERYTHING),
    Fault("chunked, bad size", _CUT, _chunked(size=b"xyz"), bodies_only=True, kinds=EVERYTHING),
    Fault("length and chunked", OPEN | UNAVAILABLE, _length_and_chunked, bodies_only=True, kinds=EVERYTHING),
    Fault("delimited by the close", OPEN, _close_delimited, bodies_only=True, kinds=EVERYTHING),
    Fault("delimited by the close, cut", _CUT, _close_delimited_cut, bodies_only=True, kinds=EVERYTHING),
    Fault("length too short", CORRUPT, _too_short, bodies_only=True, kinds=EVERYTHING),
    Fault("bytes after the body", NONE, _extra, kinds=EVERYTHING),
    Fault("the body drips for ever", TIMEOUT, _drip, bodies_only=True, kinds=EVERYTHING),
    Fault("slow but steady", NONE, _slow_but_steady, bodies_only=True, kinds=EVERYTHING),
)
