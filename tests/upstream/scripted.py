"""A registry that does what its script says: a real HTTP(S) server on a loopback address, in the suite's own process.

Everything that comes in is written down; what a script doesn't name is answered honestly.
"""

from __future__ import annotations

import asyncio
import enum
import socket
import ssl
from collections.abc import Mapping
from types import TracebackType

from tests.upstream.answers import Lock, answer
from tests.upstream.content import Shelf
from tests.upstream.exchange import Asked, Exchange, Gone, Misbehaviour, Part, Reply

_LIMIT = 1 << 20
_CLIENT_HELLO = b"\x16"
_NO_TLS = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Door(enum.Enum):
    """What happens to connections before any request."""

    OPEN = "open"
    CLOSED = "nobody listens"
    FULL = "nobody accepts"
    MUTE = "accepted, then silence"
    HANGUP = "accepted, then reset"


class Upstream:
    """One upstream; it listens from `open` to `close`, and may be opened again on the same port in another way.

    :param shelves: repository's name → what it has.
    :param port: 0 takes a free one.
    :param tls: speak TLS with this context.
    :param host: the name that stands in its URL, if not the address.
    """

    def __init__(
        self,
        shelves: Mapping[str, Shelf],
        port: int = 0,
        address: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        host: str | None = None,
    ) -> None:
        self.shelves = dict(shelves)
        self.port = port
        self.address = address
        self.tls = tls
        self.host = host or address
        self.lock: Lock | None = None
        self.referrers_api = True
        self.script: dict[Part, Misbehaviour] = {}
        self.requests: list[Asked] = []
        self.accepted = 0
        self._secure = tls is not None
        self._server: asyncio.Server | None = None
        self._fillers: list[socket.socket] = []
        self._connections: set[_Connection] = set()

    async def __aenter__(self) -> Upstream:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def url(self) -> str:
        """Where it is to be found."""
        scheme = "https" if self._secure else "http"
        usual = 443 if self._secure else 80
        return f"{scheme}://{self.host}" + ("" if self.port == usual else f":{self.port}")

    def asked(self, part: Part | None = None, method: str | None = None) -> list[Asked]:
        """The requests so far of that kind."""
        return [one for one in self.requests if part in (None, one.part) and method in (None, one.method)]

    def forget(self) -> None:
        """Count anew."""
        self.requests.clear()
        self.accepted = 0

    def misbehave(self, how: Misbehaviour | None, *parts: Part) -> None:
        """From now on answer requests of those kinds, or all below /v2/, in that way; None: honestly again."""
        for part in parts or tuple(one for one in Part if one is not Part.TOKEN):
            self.script.pop(part, None)
            if how is not None:
                self.script[part] = how

    async def open(self, door: Door = Door.OPEN, tls: ssl.SSLContext | None = None, plain: bool = False) -> None:
        """Listen.

        :param tls: another context than the usual one.
        :param plain: speak no TLS although the URL says so.
        """
        if door is Door.CLOSED:
            return
        if door is Door.FULL:
            self._fill_up()
            return
        loop = asyncio.get_running_loop()
        context = None if plain or door is not Door.OPEN else tls or self.tls
        self._server = await loop.create_server(
            lambda: _Connection(self, door), self.address, self.port, ssl=context, backlog=512, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more, and drop every connection."""
        if self._server is not None:
            self._server.close()
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()
        self._server = None
        self.hang_up()
        await asyncio.sleep(0)

    def hang_up(self) -> None:
        """Drop every connection."""
        for connection in list(self._connections):
            connection.drop()

    def _fill_up(self) -> None:
        """Listen with a queue that is full, so that connecting neither succeeds nor fails."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.address, self.port))
        listener.listen(0)
        self.port = listener.getsockname()[1]
        self._fillers.append(listener)
        for _ in range(2):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((self.address, self.port))
            self._fillers.append(filler)

    def connected(self, connection: _Connection, on: bool) -> None:
        """A connection has come or gone."""
        if on:
            self.accepted += 1
            self._connections.add(connection)
        else:
            self._connections.discard(connection)

    def _answer(self, asked: Asked) -> Reply:
        return answer(self.shelves, self.lock, self.url, self.referrers_api, asked)

    async def serve(self, connection: _Connection, asked: Asked, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        self.requests.append(asked)
        exchange = Exchange(asked, self._answer, writer, connection.left)
        how = self.script.get(asked.part)
        await (exchange.deliver() if how is None else how(exchange))


class _Connection(asyncio.StreamReaderProtocol):
    """One connection to an upstream."""

    def __init__(self, upstream: Upstream, door: Door) -> None:
        super().__init__(asyncio.StreamReader(limit=_LIMIT), self._run)
        self.left = asyncio.Event()
        self._upstream = upstream
        self._door = door
        self._dropping: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        self._dropping = transport
        self._upstream.connected(self, True)
        if self._door is Door.OPEN:
            super().connection_made(transport)
        elif self._door is Door.HANGUP:
            self.drop()

    def data_received(self, data: bytes) -> None:
        """Listen only if the door is open; who speaks TLS where none is spoken is told so, as servers do."""
        if self._door is Door.OPEN and data[:1] != _CLIENT_HELLO:
            super().data_received(data)
        elif self._door is Door.OPEN and isinstance(self._dropping, asyncio.Transport):
            self._dropping.write(_NO_TLS)
            self._dropping.close()

    def eof_received(self) -> bool | None:
        """The client sends no more: so it has left."""
        self.left.set()
        return super().eof_received() if self._door is Door.OPEN else False

    def connection_lost(self, error: Exception | None) -> None:
        """The connection has ended."""
        self.left.set()
        self._upstream.connected(self, False)
        if self._door is Door.OPEN:
            super().connection_lost(error)

    def drop(self) -> None:
        """End it at once."""
        if isinstance(self._dropping, asyncio.Transport):
            self._dropping.abort()

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                asked = Asked.parse(await reader.readuntil(b"\r\n\r\n"))
                await self._upstream.serve(self, asked, writer)
        except (Gone, OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()
