"""Sends one case over a socket and writes down exactly what came back.

After the last expected answer an honest request is sent on the same connection, if the server left it open: it must
get its own answer and nothing else, or the server and the client no longer agree where requests begin.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.hostile.case import AwaitContinue, Case, Flood, HalfClose, Pause, Reset

UPSTREAM_STATUS = "x-upstream-status"
"""The header by which the proxy marks an answer that is not its own."""

_PROBE = b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_PROBE_PATIENCE = 3.0
_LINGER = 10.0
_BODY_LIMIT = 64 << 20
_NO_ANSWER = (ValueError, asyncio.LimitOverrunError)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; header names are lower case, and each field is kept on its own."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def values(self, name: str) -> list[str]:
        """The values of all fields of that name."""
        return [value for field_name, value in self.fields if field_name == name]

    @property
    def closes(self) -> bool:
        """Whether the connection ends with this answer."""
        return any("close" in value.lower() for value in self.values("connection"))


@dataclass
class Conversation:
    """What came back: the answers, how many `100 Continue`, and what was wrong with the connection."""

    answers: list[Answer] = field(default_factory=list)
    interim: int = 0
    faults: list[str] = field(default_factory=list)


Fill = Callable[[bytes], bytes]
"""Replaces the placeholders of a payload."""


async def converse(port: int, case: Case, fill: Fill, edge: bool) -> Conversation:
    """Carry out the case against the port; `edge`: what the proxy there does by itself is not judged."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    exchange = _Exchange(case, fill, edge, reader, writer)
    try:
        await exchange.run()
    finally:
        writer.transport.abort()
    return exchange.result


class _Exchange:
    """One connection during a case."""

    def __init__(
        self, case: Case, fill: Fill, edge: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.result = Conversation()
        self._edge = edge
        self._case = case
        self._fill = fill
        self._reader = reader
        self._writer = writer
        self._heard = asyncio.Event()
        self._said_all = self._dropped = False

    async def run(self) -> None:
        """Send and read at once; then see what the connection is still good for."""
        sender = asyncio.create_task(self._send())
        try:
            await asyncio.sleep(self._case.deaf)
            usable = await self._read_expected()
            if usable:
                await asyncio.wait_for(sender, _LINGER)
                await self._probe()
            elif self.result.answers:
                sender.cancel()
                await self._expect_end()
        except TimeoutError:
            if not self._edge:
                self.result.faults.append("the server answered, kept the connection open, and did not read on")
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def _read_expected(self) -> bool:
        """Read the answers; True if the connection should still be good for another request."""
        for number in range(len(self._case.expected)):
            answer = await self._answer(self._case.answers_head(number), self._case.patience)
            if answer is None:
                return False
            self.result.answers.append(answer)
            self._heard.set()
            if answer.closes:
                return False
        return not self._reader.at_eof()

    async def _answer(self, bodiless: bool, patience: float) -> Answer | None:
        """The next final answer, or None if there is none; a server that keeps silent is told that no more comes."""
        try:
            return await asyncio.wait_for(self._receive(bodiless), patience)
        except TimeoutError:
            return await self._answer_to_the_end(bodiless)
        except (OSError, EOFError):
            return None
        except _NO_ANSWER as error:
            self.result.faults.append(f"not an HTTP answer: {error}")
            return None

    async def _answer_to_the_end(self, bodiless: bool) -> Answer | None:
        self._half_close()
        try:
            return await asyncio.wait_for(self._receive(bodiless), _PROBE_PATIENCE)
        except TimeoutError:
            self.result.faults.append("no answer, and the connection stays open")
        except (OSError, EOFError, *_NO_ANSWER):
            pass
        return None

    async def _receive(self, bodiless: bool) -> Answer:
        while True:
            status, fields = parse_head(await self._reader.readuntil(b"\r\n\r\n"))
            if status >= 200:
                return Answer(status, fields, await self._body(bodiless, status, fields))
            self.result.interim += 1
            self._heard.set()

    async def _body(self, bodiless: bool, status: int, fields: tuple[tuple[str, str], ...]) -> bytes:
        if bodiless or status in (204, 304):
            return b""
        values = dict(fields)
        if "chunked" in values.get("transfer-encoding", "").lower():
            return await self._chunks()
        if "content-length" in values:
            return await self._reader.readexactly(int(values["content-length"]))
        return await self._reader.read(_BODY_LIMIT)

    async def _chunks(self) -> bytes:
        body = bytearray()
        while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        await self._reader.readuntil(b"\r\n")
        return bytes(body)

    async def _probe(self) -> None:
        """Send the honest request; it must be answered with 200, and then nothing may follow."""
        if self._said_all:
            return
        try:
            self._writer.write(_PROBE)
            answer = await asyncio.wait_for(self._receive(False), _PROBE_PATIENCE)
        except (OSError, EOFError):
            return
        except (TimeoutError, *_NO_ANSWER) as error:
            self.result.faults.append(f"desync: the honest request after it was answered with {error!r}")
            return
        if answer.status != 200 and not self._is_proxys(answer):
            self.result.faults.append(f"desync: the honest request after it was answered with {answer.status}")
        await self._expect_end()

    def _is_proxys(self, answer: Answer) -> bool:
        """Whether the proxy made the answer itself: it reads some framings otherwise than pkgd, which refuses them."""
        return self._edge and not answer.values(UPSTREAM_STATUS)

    async def _expect_end(self) -> None:
        """Nothing more may come, and the server must end the connection that it said it would end."""
        if self._dropped:
            return
        try:
            self._half_close()
            rest = await asyncio.wait_for(self._reader.read(65_536), _LINGER)
        except TimeoutError:
            self.result.faults.append("the connection was to be closed and stays open")
        except OSError:
            pass
        else:
            if rest:
                self.result.faults.append(f"desync: more than was asked for: {rest[:200]!r}")

    async def _send(self) -> None:
        try:
            for step in self._case.steps:
                await self._send_step(step)
                await self._writer.drain()
        except OSError:
            pass  # the server has closed; what it answered is judged, not that we could not send on

    async def _send_step(self, step: object) -> None:
        match step:
            case bytes():
                self._writer.write(self._fill(step))
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Flood(piece, times, pause):
                await self._flood(piece, times, pause)
            case HalfClose():
                self._half_close()
            case Reset():
                self._reset()
            case AwaitContinue():
                await self._heard.wait()

    async def _flood(self, piece: bytes, times: int, pause: float) -> None:
        for _ in range(times):
            self._writer.write(piece)
            await self._writer.drain()
            if pause:
                await asyncio.sleep(pause)

    def _half_close(self) -> None:
        self._said_all = True
        if self._writer.can_write_eof() and not self._writer.transport.is_closing():
            self._writer.write_eof()

    def _reset(self) -> None:
        self._said_all = self._dropped = True
        connection = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


def parse_head(head: bytes) -> tuple[int, tuple[tuple[str, str], ...]]:
    """The status and fields of an answer's head; ValueError if it is none."""
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if version not in ("HTTP/1.1", "HTTP/1.0") or not status.isdigit() or rest[3:4] not in ("", " "):
        raise ValueError(f"status line {first!r}")
    fields = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or "\r" in value or "\n" in value:
            raise ValueError(f"header line {line!r}")
        fields.append((name.lower(), value.strip()))
    return int(status), tuple(fields)
