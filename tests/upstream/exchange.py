"""One request that an upstream has got, the answer that an honest one would give, and the ways to send another."""

from __future__ import annotations

import asyncio
import enum
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlsplit

from tests.hostile.conversation import parse_head

_PIECE = 256 << 10
_HOPS = re.compile(r"^/hops/\d+(?=/)")


class Part(enum.Enum):
    """What a request is for; faults are scripted for each."""

    PING = "ping"
    MANIFEST = "manifests"
    BLOB = "blobs"
    REFERRERS = "referrers"
    TOKEN = "token"
    OTHER = "other"


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, head: bytes) -> Asked:
        """Read a request's head; ValueError if it is none."""
        line, _, rest = head.partition(b"\r\n")
        method, target, version = line.decode("latin-1").split(" ")
        if version != "HTTP/1.1":
            raise ValueError(f"request line {line!r}")
        _, fields = parse_head(b"HTTP/1.1 200\r\n" + rest)
        return cls(method, target, fields)

    @property
    def path(self) -> str:
        """The path, without the marks of earlier redirects (`/hops/<number>`)."""
        return _HOPS.sub("", urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query; the last of each name."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def value(self, name: str) -> str | None:
        """The value of a header; None if it was not sent, and several are joined."""
        values = [value for field_name, value in self.fields if field_name == name.lower()]
        return ", ".join(values) if values else None

    @property
    def part(self) -> Part:
        """What it is for."""
        parts = self.path.strip("/").split("/")
        if parts[0] == "token":
            return Part.TOKEN
        if parts == ["v2"]:
            return Part.PING
        named = parts[-2] if len(parts) > 3 and parts[0] == "v2" else ""
        return Part(named) if named in ("manifests", "blobs", "referrers") else Part.OTHER

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


@dataclass(frozen=True)
class Reply:
    """An answer: what it says, before anything happens to it on its way."""

    status: int
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    length: int | None = None
    """What Content-Length says, if not the length of the body; -1 leaves the field out."""

    def value(self, name: str) -> str:
        """The value of a header, or nothing."""
        return next((value for field_name, value in self.fields if field_name.lower() == name.lower()), "")

    def set(self, name: str, value: str | None) -> Reply:
        """The same with one header set, or taken away."""
        fields = tuple(one for one in self.fields if one[0].lower() != name.lower())
        return replace(self, fields=fields if value is None else (*fields, (name, value)))

    def head(self) -> bytes:
        """Status line and headers."""
        length = len(self.body) if self.length is None else self.length
        fields = self.fields if length < 0 or self.status in (204, 304) else (*self.fields, _length(length))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        return f"HTTP/1.1 {self.status} Scripted\r\n{lines}\r\n".encode("latin-1")


def _length(length: int) -> tuple[str, str]:
    return "Content-Length", str(length)


class Gone(Exception):
    """The client is no longer there, or the fault has closed the connection."""


class Exchange:
    """A request, its honest reply, and the connection to answer on."""

    def __init__(
        self, asked: Asked, answer_to: Callable[[Asked], Reply], writer: asyncio.StreamWriter, peer_left: asyncio.Event
    ) -> None:
        """
        :param answer_to: the honest reply to any request.
        """
        self.asked = asked
        self.answer_to = answer_to
        self.reply = answer_to(asked)
        self._writer = writer
        self._peer_left = peer_left

    @property
    def has_body(self) -> bool:
        """Whether the honest answer has a body."""
        return self.asked.method != "HEAD" and bool(self.reply.body)

    @property
    def begins(self) -> int:
        """Which byte of the whole content the honest answer begins with."""
        content_range = self.reply.value("Content-Range")
        return int(content_range.split()[1].partition("-")[0]) if self.reply.status == 206 else 0

    async def send(self, data: bytes, piece: int = _PIECE, pause: float = 0.0) -> None:
        """Send bytes, in pieces if told so."""
        for start in range(0, len(data), piece):
            if self._writer.is_closing():
                raise Gone
            self._writer.write(data[start : start + piece])
            await self._writer.drain()
            if pause:
                await self.wait(pause)

    async def deliver(self, reply: Reply | None = None) -> None:
        """Send a whole answer as an honest server does."""
        reply = reply or self.reply
        body = b"" if self.asked.method == "HEAD" or reply.status in (204, 304) else reply.body
        await self.send(reply.head() + body)

    async def deliver_changed(self, **changes: object) -> None:
        """Send the honest answer with some of its attributes changed."""
        await self.deliver(replace(self.reply, **changes))  # type: ignore[arg-type]

    async def wait(self, seconds: float) -> None:
        """Do nothing for a while, unless the client leaves."""
        try:
            await asyncio.wait_for(self._peer_left.wait(), seconds)
        except TimeoutError:
            return
        raise Gone

    async def stall(self) -> None:
        """Do nothing until the client leaves, or for longer than anyone waits."""
        await self.wait(60)
        self.close()

    def reset(self) -> None:
        """Drop the connection with a TCP reset."""
        connection = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        raise Gone

    def close(self) -> None:
        """End the connection in order, after what was sent."""
        self._writer.close()
        raise Gone


Misbehaviour = Callable[[Exchange], Awaitable[None]]
"""Answers a request in place of the honest way; what it leaves open is used for the next request."""
