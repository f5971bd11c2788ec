"""A client that never retries and tells a whole answer from one that was cut short."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass

from tests.hostile.conversation import parse_head

ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
PATIENCE = 30.0
_PIECE = 1 << 20
_NO_ANSWER = (OSError, EOFError, ValueError, asyncio.LimitOverrunError)


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 is a connection that ended without an answer."""

    status: int
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    whole: bool = True
    """Whether the body came to the end that its framing promised."""
    gave_up: bool = False
    """Whether it was the client that ended it, having waited for long."""

    def value(self, name: str) -> str:
        """The value of a header, or nothing."""
        return ", ".join(value for field_name, value in self.fields if field_name == name.lower())

    @property
    def code(self) -> str:
        """The code of an OCI error document, or nothing."""
        try:
            return str(json.loads(self.body)["errors"][0]["code"])
        except (ValueError, KeyError, TypeError, IndexError):
            return ""

    @property
    def is_broken(self) -> bool:
        """Whether the other side has ended the connection before the answer was complete."""
        return not self.whole and not self.gave_up

    @property
    def is_stale(self) -> bool:
        """Whether the answer says that it may be out of date."""
        return self.value("warning").startswith("299 ") and "stale" in self.value("warning").lower()

    def __str__(self) -> str:
        cut = "" if self.whole else " cut short by the client, who gave up" if self.gave_up else " cut short"
        shown = self.body[:160] if self.status >= 400 else f"{len(self.body)} bytes"
        return f"{self.status or 'no answer'}{cut} {dict(self.fields)} {shown!r}"


class Pull:
    """One request on a connection of its own, whose body is read as the caller likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str) -> None:
        self.status = 0
        self.fields: tuple[tuple[str, str], ...] = ()
        self.body = bytearray()
        self._reader = reader
        self._writer = writer
        self._method = method

    @classmethod
    async def start(
        cls, port: int, method: str, target: str, fields: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Pull:
        """Send the request."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_PIECE)
        lines = {"Host": "localhost", "Accept": ACCEPT, "Connection": "close", **(fields or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
        return cls(reader, writer, method)

    async def head(self) -> int:
        """Read the head of the answer and return its status; 0 if none comes."""
        try:
            while self.status < 200:
                self.status, self.fields = parse_head(await self._reader.readuntil(b"\r\n\r\n"))
        except _NO_ANSWER:
            self.status = 0
        return self.status

    async def read(self, until: int) -> int:
        """Read on until the body has so many bytes, or the connection ends; return how many it has."""
        while len(self.body) < until:
            try:
                data = await self._reader.read(min(_PIECE, until - len(self.body)))
            except OSError:
                break
            if not data:
                break
            self.body += data
        return len(self.body)

    async def answer(self) -> Answer:
        """Read to the end."""
        if not self.status and not await self.head():
            self.leave()
            return Answer(0, whole=False)
        length = dict(self.fields).get("content-length")
        if self._method == "HEAD" or self.status in (204, 304):
            length = "0"
        if length is not None and length.isdigit():
            whole = await self.read(int(length)) == int(length)
        else:
            whole = await self._read_chunks()
        self.leave()
        return Answer(self.status, self.fields, bytes(self.body), whole)

    async def _read_chunks(self) -> bool:
        if "chunked" not in dict(self.fields).get("transfer-encoding", ""):
            return False  # an end that can't be told from a broken connection
        try:
            while size := int(await self._reader.readuntil(b"\r\n"), 16):
                self.body += await self._reader.readexactly(size)
                await self._reader.readexactly(2)
            await self._reader.readuntil(b"\r\n")
        except _NO_ANSWER:
            return False
        return True

    def leave(self) -> None:
        """Drop the connection."""
        self._writer.transport.abort()


async def ask(
    port: int,
    method: str,
    target: str,
    fields: Mapping[str, str] | None = None,
    patience: float = PATIENCE,
    body: bytes = b"",
) -> Answer:
    """Send one request and read its answer; status 0 if none comes."""
    try:
        pull = await Pull.start(port, method, target, fields, body)
        try:
            return await asyncio.wait_for(pull.answer(), patience)
        except TimeoutError:
            return Answer(pull.status, pull.fields, bytes(pull.body), whole=False, gave_up=True)
        finally:
            pull.leave()
    except OSError as error:
        return Answer(0, (("x-client", f"cannot connect: {error}"),), whole=False)
