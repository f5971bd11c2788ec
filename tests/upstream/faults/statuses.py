"""Answers that are in order, but not 200."""

from __future__ import annotations

import time
from dataclasses import replace
from email.utils import formatdate

from tests.upstream.answers import failure
from tests.upstream.exchange import Exchange, Misbehaviour, Reply
from tests.upstream.fault import (
    ABSENT,
    BUSY,
    CORRUPT,
    EVERYTHING,
    HEADS,
    NONE,
    OPEN,
    REFUSED,
    TIMEOUT,
    UNAVAILABLE,
    Fault,
    Kind,
)

_SERVER_ERRORS = (500, 501, 502, 503, 504, 507, 511, 599)
_STRANGE = (300, 304, 305, 400, 402, 405, 406, 409, 412, 415, 416, 418, 421, 451)
_TOKENS_REFUSED = {Kind.TOKEN: UNAVAILABLE | REFUSED | CORRUPT}
_UNTOLD = dict.fromkeys(HEADS, OPEN)


def answered(status: int, **fields: str) -> Misbehaviour:
    """Answer every request with that status, and an error document."""

    async def misbehave(exchange: Exchange) -> None:
        reply = failure(status, "SCRIPTED")
        for name, value in fields.items():
            reply = reply.set(name.replace("_", "-"), value)
        await exchange.deliver(reply)

    return misbehave


def _status(status: int, **fields: str) -> Misbehaviour:
    """Answer with the content, but that status."""

    async def misbehave(exchange: Exchange) -> None:
        reply = replace(exchange.reply, status=status)
        for name, value in fields.items():
            reply = reply.set(name.replace("_", "-"), value.format(size=len(reply.body), last=len(reply.body) - 1))
        await exchange.deliver(reply)

    return misbehave


async def _switching(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
    await exchange.stall()


async def _busy_until(exchange: Exchange) -> None:
    reply: Reply = failure(429, "TOOMANYREQUESTS").set("Retry-After", formatdate(time.time() + 2, usegmt=True))
    await exchange.deliver(reply)


def _busy(name: str, *, lingers: bool = True, **fields: str) -> Fault:
    return Fault(f"429, {name}", BUSY, answered(429, **fields), kinds=EVERYTHING, lingers=lingers)


FAULTS = (
    *(Fault(str(status), UNAVAILABLE, answered(status), kinds=EVERYTHING) for status in _SERVER_ERRORS),
    *(
        Fault(str(status), UNAVAILABLE | CORRUPT, answered(status), kinds=EVERYTHING, but=_TOKENS_REFUSED)
        for status in _STRANGE
    ),
    Fault("503, Retry-After 1", UNAVAILABLE | BUSY, answered(503, Retry_After="1"), kinds=EVERYTHING),
    Fault("408", UNAVAILABLE | TIMEOUT, answered(408), kinds=EVERYTHING, but=_TOKENS_REFUSED),
    Fault("403", REFUSED, answered(403), kinds=EVERYTHING),
    Fault("404", ABSENT, answered(404), kinds=EVERYTHING, but=_TOKENS_REFUSED),
    Fault("410", ABSENT, answered(410), kinds=EVERYTHING, but=_TOKENS_REFUSED),
    _busy("Retry-After 1", lingers=False, Retry_After="1"),
    Fault("429, Retry-After a date", BUSY, _busy_until, kinds=EVERYTHING),
    _busy("no Retry-After"),
    _busy("Retry-After nonsense", Retry_After="when it is done"),
    _busy("Retry-After negative", Retry_After="-5"),
    _busy("Retry-After a million years", Retry_After="31536000000000"),
    Fault("204", CORRUPT, answered(204), kinds=EVERYTHING, but={**_TOKENS_REFUSED, **_UNTOLD}),
    Fault("205", CORRUPT | UNAVAILABLE, answered(205), kinds=EVERYTHING, but={**_TOKENS_REFUSED, **_UNTOLD}),
    Fault("206 of the whole, not asked for", OPEN, _status(206, Content_Range="bytes 0-{last}/{size}")),
    Fault("206 without a range", OPEN, _status(206)),
    Fault("206 of another part", CORRUPT, _status(206, Content_Range="bytes 7-9/1000"), but=_UNTOLD),
    Fault("201 with the content", OPEN, _status(201)),
    Fault("600", UNAVAILABLE | CORRUPT, answered(600), kinds=EVERYTHING, but=_TOKENS_REFUSED),
    Fault("101", UNAVAILABLE | CORRUPT | TIMEOUT, _switching, kinds=EVERYTHING),
    Fault("200, honestly", NONE, _status(200), kinds=EVERYTHING),
)
