"""A small HTTP/1.1 client over asyncio streams that never retries: what it reports is what the server answered.

A library client would hide what a crash test is after: it repeats requests, pools connections and calls an
answer complete that was cut short.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType

Body = bytes | Iterable[bytes] | None


class ConnectionLost(Exception):
    """The connection ended before the answer was complete: the fate of the request is unknown."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __str__(self) -> str:
        return f"{self.status} {self.body[:200]!r}"


class Client:
    """One connection to the server, opened when needed; one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None

    async def request(
        self, method: str, target: str, body: Body = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request and return its answer; an iterable body is sent chunked."""
        try:
            reader, writer = await self._connect()
            await _send(writer, method, target, body, headers or {})
            answer = await _receive(reader, method)
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            self.close()
            raise ConnectionLost(f"{method} {target}: {error!r}") from error
        except BaseException:
            self.close()
            raise
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        return self._streams


async def _send(writer: asyncio.StreamWriter, method: str, target: str, body: Body, headers: Mapping[str, str]) -> None:
    fields = {"Host": "localhost", **headers, **_framing(method, body)}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode())
    if isinstance(body, bytes):
        writer.write(body)
    elif body is not None:
        for piece in body:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
    await writer.drain()


def _framing(method: str, body: Body) -> dict[str, str]:
    if isinstance(body, bytes):
        return {"Content-Length": str(len(body))}
    if body is not None:
        return {"Transfer-Encoding": "chunked"}
    return {"Content-Length": "0"} if method in ("POST", "PUT", "PATCH") else {}


async def _receive(reader: asyncio.StreamReader, method: str) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    status = int(first.split(" ", 2)[1])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if status == 100:
        return await _receive(reader, method)
    return Answer(status, headers, await _receive_body(reader, method, status, headers))


async def _receive_body(reader: asyncio.StreamReader, method: str, status: int, headers: Mapping[str, str]) -> bytes:
    if method == "HEAD" or status in (204, 304):
        return b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _receive_chunks(reader)
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    return await reader.read()


async def _receive_chunks(reader: asyncio.StreamReader) -> bytes:
    pieces = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        pieces += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return bytes(pieces)
