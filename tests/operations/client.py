"""A client that never asks twice, and says of each request whether the server had it, and what became of it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Mapping
from enum import Enum

from attrs import define, field

from tests.operations.server import AUTHORIZATION, Pkgd

__all__ = ["Client", "Exchange", "Fate"]

_PIECE = 64 * 1024


class Fate(Enum):
    """What became of a request."""

    ANSWERED = "answered"
    REFUSED = "no connection"
    UNANSWERED = "closed without a byte of an answer"
    CUT = "cut within the answer"


@define
class Exchange:
    """One request: `sent` is when the last byte of its head had left, by the monotonic clock; None if it never had."""

    name: str
    number: int
    sent: float | None = None
    fate: Fate = Fate.REFUSED
    status: int = 0
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes = b""
    digest: str = ""
    why: str = ""


class Client:
    """One connection at a time; `keeps` says whether it is used again, `refused` whether the last was not to be had."""

    count = 0

    def __init__(self, server: Pkgd, keeps: bool, log: list[Exchange]) -> None:
        self._server = server
        self._keeps = keeps
        self._log = log
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.refused = False

    async def ask(
        self,
        method: str,
        target: str,
        body: bytes | AsyncIterator[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        pause: float = 0.0,
    ) -> Exchange:
        """Send a request, and take its answer.

        :param body: an iterator is sent in chunks.
        :param pause: after each piece of the answer, in seconds: a client that is slow to take it.
        """
        Client.count += 1
        exchange = Exchange(f"{method} {target}", Client.count)
        self._log.append(exchange)
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(
                    "127.0.0.1", self._server.port, limit=_PIECE, ssl=self._server.tls
                )
            exchange.fate = Fate.UNANSWERED
            reader, writer = self._streams
            sending = asyncio.ensure_future(self._send(writer, exchange, method, target, body, headers or {}))
            try:
                await self._receive(reader, exchange, method, pause)
            finally:
                if exchange.fate is not Fate.ANSWERED:
                    sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        except (OSError, EOFError) as error:
            exchange.why = repr(error)
            self.refused = exchange.fate is Fate.REFUSED
        if exchange.fate is not Fate.ANSWERED or not self._keeps or exchange.headers.get("connection") == "close":
            self.close()
        return exchange

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None

    async def _send(
        self,
        writer: asyncio.StreamWriter,
        exchange: Exchange,
        method: str,
        target: str,
        body: bytes | AsyncIterator[bytes],
        headers: Mapping[str, str],
    ) -> None:
        framing = {"Content-Length": str(len(body))} if isinstance(body, bytes) else {"Transfer-Encoding": "chunked"}
        fields = {"Host": "pkgd", "Authorization": AUTHORIZATION, "User-Agent": f"load/{exchange.number}", **headers}
        lines = [f"{name}: {value}\r\n" for name, value in {**fields, **framing}.items()]
        writer.write(f"{method} {target} HTTP/1.1\r\n{''.join(lines)}\r\n".encode())
        await writer.drain()
        exchange.sent = time.monotonic()
        if isinstance(body, bytes):
            writer.write(body)
        else:
            async for piece in body:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _receive(self, reader: asyncio.StreamReader, exchange: Exchange, method: str, pause: float) -> None:
        first = await reader.read(1)
        if not first:
            raise EOFError("closed")
        exchange.fate = Fate.CUT
        head = first + await reader.readuntil(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        exchange.status = int(line.split(" ", 2)[1])
        exchange.headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
        left = 0 if method == "HEAD" else int(exchange.headers.get("content-length", "0"))
        hashed = hashlib.sha256()
        while left:
            piece = await reader.read(min(left, _PIECE))
            if not piece:
                raise EOFError(f"{left} bytes are missing")
            left -= len(piece)
            hashed.update(piece)
            exchange.body = (exchange.body + piece)[:_PIECE]
            if pause:
                await asyncio.sleep(pause)
        exchange.digest = f"sha256:{hashed.hexdigest()}"
        exchange.fate = Fate.ANSWERED
