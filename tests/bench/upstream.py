"""A registry that is only read: what a mirror stands before in the benchmarks and the crash tests.

It runs in threads of the test's own process, so a test changes what it has, pulls its plug and puts it back by calls.
All its connections together send at one pace, as those behind one uplink do; it remembers every request, and when
each part of an answer went out.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Condition, Lock, Thread
from typing import ClassVar, Protocol

from attrs import define, field, frozen

__all__ = ["Answered", "Body", "Pace", "Upstream", "Whole"]

_PACED_PIECE, _PIECE = 128 << 10, 1 << 20
_CATCH_UP = 0.02
_OCTETS = "application/octet-stream"
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Body(Protocol):
    """Bytes of a known number, to be had in parts."""

    @property
    def size(self) -> int:
        """How many there are."""

    def part(self, offset: int, limit: int) -> memoryview:
        """Some of them, at least one and at most so many, from an offset below the size."""


@frozen
class Whole:
    """Bytes in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.data)

    def part(self, offset: int, limit: int) -> memoryview:
        """A view."""
        return memoryview(self.data)[offset : offset + limit]


@frozen
class Held:
    """Something to be answered, with what the header says of it."""

    body: Body
    media_type: str
    digest: str


@define
class Answered:
    """One request for something that is here; `sent` says up to which offset each part went, and when it set out."""

    method: str
    path: str
    start: int
    asked: float
    sent: list[tuple[int, float]] = field(factory=list)

    @property
    def kind(self) -> str:
        """Whether of `blobs` or of `manifests`."""
        return self.path.split("/")[-2]

    def reached(self, offset: int) -> float:
        """When the byte at this offset set out."""
        return next(moment for end, moment in self.sent if end > offset)


class Pace:
    """So many bytes a second for all who share it; None for no limit."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._next = 0.0
        self._lock = Lock()

    @property
    def piece(self) -> int:
        """How much is sent at a time."""
        return _PIECE if self._rate is None else _PACED_PIECE

    def delay(self, amount: int, now: float) -> float:
        """How long to wait before so many bytes are sent; what is late by a moment is made good."""
        if self._rate is None:
            return 0.0
        with self._lock:
            begin = max(self._next, now - _CATCH_UP)
            self._next = begin + amount / self._rate
        return max(0.0, begin - now)


class Upstream:
    """The registry. Every method may be called from any thread, also while it serves."""

    def __init__(self, port: int, rate: float | None = None) -> None:
        self.port = port
        self._pace = Pace(rate)
        self._held: dict[str, Held] = {}
        self._answered: list[Answered] = []
        self._busy = Condition()
        self._active = 0
        self._server: _Server | None = None

    # -- what it has, and how fast it is --

    def set_rate(self, rate: float | None) -> None:
        """Send so many bytes a second from now on."""
        self._pace = Pace(rate)

    def put_blob(self, repository: str, digest: str, body: Body) -> None:
        """Have a blob."""
        self._held[f"/v2/{repository}/blobs/{digest}"] = Held(body, _OCTETS, digest)

    def put_manifest(self, repository: str, digest: str, data: bytes, media_type: str, tag: str | None = None) -> None:
        """Have a manifest, perhaps under a tag too."""
        held = Held(Whole(data), media_type, digest)
        for reference in filter(None, (digest, tag)):
            self._held[f"/v2/{repository}/manifests/{reference}"] = held

    # -- the plug --

    def start(self) -> None:
        """Listen and serve."""
        self._server = _Server(self)
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Listen no more, and cut every connection."""
        if self._server is not None:
            self._server.close()
        self._server = None

    def __enter__(self) -> Upstream:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- what was asked of it --

    def since(self, position: int = 0) -> list[Answered]:
        """The requests from a position in the order of their arrival."""
        return self._answered[position:]

    @property
    def position(self) -> int:
        """How many requests there have been."""
        return len(self._answered)

    def await_idle(self, patience: float = 60.0) -> None:
        """Wait until no answer is under way.

        :raises TimeoutError: if one is for too long.
        """
        with self._busy:
            if not self._busy.wait_for(lambda: not self._active, patience):
                raise TimeoutError(f"{self._active} answers of the upstream do not end")

    # -- for its connections --

    def find(self, path: str) -> Held | None:
        """What the path names."""
        return self._held.get(path)

    def note(self, method: str, path: str, start: int) -> Answered:
        """Remember a request."""
        answered = Answered(method, path, start, time.monotonic())
        self._answered.append(answered)
        return answered

    def send(self, connection: socket.socket, body: Body, start: int, end: int, answered: Answered) -> None:
        """Send a part of a body at the common pace."""
        self._count(1)
        try:
            for part in _parts(body, start, end, self._pace):
                start += len(part)
                answered.sent.append((start, time.monotonic()))
                connection.sendall(part)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._busy:
            self._active += change
            self._busy.notify_all()


def _parts(body: Body, start: int, end: int, pace: Pace) -> Iterator[memoryview]:
    while start < end:
        part = body.part(start, min(pace.piece, end - start))
        if delay := pace.delay(len(part), time.monotonic()):
            time.sleep(delay)
        yield part
        start += len(part)


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._open: set[socket.socket] = set()
        self._closed = False
        self._lock = Lock()
        super().__init__(("127.0.0.1", upstream.port), _Connection)

    def close(self) -> None:
        """Stop listening, then cut what is open."""
        with self._lock:
            self._closed = True
        self.shutdown()
        self.server_close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: object) -> None:
        assert isinstance(request, socket.socket)
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that breaks is part of every test here: nothing is said of it."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    PING: ClassVar[bytes] = b"{}"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Write no log."""

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        held = self.server.upstream.find(path)
        if held is not None:
            self._answer_with(path, held)
        elif path == "/v2/":
            self._answer_small(200, self.PING)
        else:
            self._answer_small(404, b'{"errors": [{"code": "NOT_FOUND", "message": "not here"}]}')

    def _answer_small(self, status: int, body: bytes) -> None:
        self._head(status, {"Content-Type": "application/json", "Content-Length": str(len(body))})
        if self.command == "GET":
            self.wfile.write(body)

    def _answer_with(self, path: str, held: Held) -> None:
        size = held.body.size
        start, end = self._range(size)
        answered = self.server.upstream.note(self.command, path, start)
        fields = {
            "Content-Type": held.media_type,
            "Content-Length": str(end - start),
            "Docker-Content-Digest": held.digest,
            "ETag": f'"{held.digest}"',
            "Accept-Ranges": "bytes",
        }
        partial = end - start < size
        self._head(206 if partial else 200, fields | _content_range(partial, start, end, size))
        if self.command == "GET":
            self.server.upstream.send(self.connection, held.body, start, end, answered)

    def _range(self, size: int) -> tuple[int, int]:
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None or int(match[1]) >= size:
            return 0, size
        return int(match[1]), min(size, int(match[2]) + 1) if match[2] else size

    def _head(self, status: int, fields: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Docker-Distribution-Api-Version": "registry/2.0", **fields}.items():
            self.send_header(name, value)
        self.end_headers()


def _content_range(partial: bool, start: int, end: int, size: int) -> dict[str, str]:
    return {"Content-Range": f"bytes {start}-{end - 1}/{size}"} if partial else {}
