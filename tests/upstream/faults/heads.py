"""What goes wrong before or within the head of an answer."""

from __future__ import annotations

from dataclasses import replace

from tests.upstream.exchange import Exchange
from tests.upstream.fault import CORRUPT, EVERYTHING, NONE, TIMEOUT, UNAVAILABLE, Fault

_FLOOD = 20_000
_BOMB = 2 << 20


async def _reset(exchange: Exchange) -> None:
    exchange.reset()


async def _close(exchange: Exchange) -> None:
    exchange.close()


async def _stall(exchange: Exchange) -> None:
    await exchange.stall()


async def _reset_within(exchange: Exchange) -> None:
    await exchange.send(exchange.reply.head()[:30])
    await exchange.wait(0.05)
    exchange.reset()


async def _close_within(exchange: Exchange) -> None:
    await exchange.send(exchange.reply.head()[:-2])
    exchange.close()


async def _stall_within(exchange: Exchange) -> None:
    await exchange.send(exchange.reply.head()[:-2])
    await exchange.stall()


async def _drip(exchange: Exchange) -> None:
    """A head that never ends, at a pace at which the connection is never idle."""
    await exchange.send(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    await exchange.send(b"." * 2000, piece=1, pause=0.05)


async def _not_http(exchange: Exchange) -> None:
    await exchange.send(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n")
    exchange.close()


async def _no_version(exchange: Exchange) -> None:
    await exchange.send(b"<html>hello</html>\n")
    exchange.close()


async def _bad_status(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 twohundred OK\r\nContent-Length: 0\r\n\r\n")
    exchange.close()


async def _hints(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n" * 3)
    await exchange.deliver()


async def _flood(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * _FLOOD)
    await exchange.deliver()


async def _endless_flood(exchange: Exchange) -> None:
    while True:
        await exchange.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 50, pause=0.05)


async def _bomb(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nX-Bomb: " + b"b" * _BOMB + b"\r\n")
    await exchange.deliver()


async def _many(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\n" + b"X-Many: bomb\r\n" * 150_000)
    await exchange.send(exchange.reply.head().partition(b"\r\n")[2] + exchange.reply.body)


async def _two_lengths(exchange: Exchange) -> None:
    head = exchange.reply.head().replace(b"\r\n\r\n", b"\r\nContent-Length: 7\r\n\r\n")
    await exchange.send(head + (exchange.reply.body if exchange.has_body else b""))


async def _bad_length(exchange: Exchange) -> None:
    await exchange.deliver(replace(exchange.reply, length=-1).set("Content-Length", "-1"))


FAULTS = (
    Fault("reset before the head", UNAVAILABLE, _reset, kinds=EVERYTHING),
    Fault("closed before the head", UNAVAILABLE, _close, kinds=EVERYTHING),
    Fault("stall before the head", TIMEOUT, _stall, kinds=EVERYTHING),
    Fault("reset within the head", UNAVAILABLE, _reset_within, kinds=EVERYTHING),
    Fault("closed within the head", UNAVAILABLE, _close_within, kinds=EVERYTHING),
    Fault("stall within the head", TIMEOUT, _stall_within, kinds=EVERYTHING),
    Fault("the head drips for ever", TIMEOUT, _drip, kinds=EVERYTHING),
    Fault("no HTTP", UNAVAILABLE | CORRUPT, _not_http, kinds=EVERYTHING),
    Fault("no status line", UNAVAILABLE | CORRUPT, _no_version, kinds=EVERYTHING),
    Fault("bad status line", UNAVAILABLE | CORRUPT, _bad_status, kinds=EVERYTHING),
    Fault("three early hints", NONE, _hints, kinds=EVERYTHING),
    Fault("flood of early hints", NONE | UNAVAILABLE, _flood, kinds=EVERYTHING),
    Fault("endless flood of 102", TIMEOUT | UNAVAILABLE, _endless_flood, kinds=EVERYTHING),
    Fault("header of 2 MiB", UNAVAILABLE | CORRUPT, _bomb, kinds=EVERYTHING),
    Fault("150 000 headers", UNAVAILABLE | CORRUPT, _many, kinds=EVERYTHING),
    Fault("two lengths", UNAVAILABLE | CORRUPT, _two_lengths, kinds=EVERYTHING),
    Fault("negative length", UNAVAILABLE | CORRUPT, _bad_length, kinds=EVERYTHING),
)
