"""An upstream that answers what the test says, piece by piece if it has to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from pkgd.errors import TooLarge, UpstreamCorrupt, UpstreamUnavailable
from pkgd.flow import BufferPool, Inflow
from pkgd.formats.names import Origin
from pkgd.mirror.tokens import Credentials
from pkgd.mirror.upstream import Document, Endpoint, Stream

__all__ = ["HUB", "Asked", "Reply", "ScriptedUpstream", "Sender", "Step", "cut", "part", "whole"]

HUB = "docker.io"


class Sender:
    """The upstream's end of a body: what the test sends is delivered as far as there is room."""

    def __init__(self, pool: BufferPool, length: int | None) -> None:
        self.body = Inflow(pool, self, length)
        self.wanted = False
        self.dropped = False
        self._unsent = b""
        self._end: Exception | bool = False

    def send(self, data: bytes) -> None:
        """Send some bytes."""
        self._unsent += data
        self._deliver()

    def end(self) -> None:
        """The body is complete, once everything has been delivered."""
        self._end = True
        self._deliver()

    def fail(self, error: Exception) -> None:
        """The connection breaks, once everything has been delivered."""
        self._end = error
        self._deliver()

    def drop(self) -> None:
        """The other end is not listening any more."""
        self.dropped = True
        self.body.fail(UpstreamUnavailable("nobody", "is not listened to any more"))
        self.body.close()

    def _deliver(self) -> None:
        if self.dropped:
            return
        while self._unsent and (room := self.body.room()) is not None:
            part, self._unsent = self._unsent[: len(room)], self._unsent[len(room) :]
            room[: len(part)] = part
            self.body.filled(len(part))
        if not self._unsent and self._end:
            end, self._end = self._end, False
            self.body.fail(end) if isinstance(end, Exception) else self.body.end()

    # -- what an Inflow asks of its source --

    def pause_body(self) -> None:
        """There is no room."""

    def resume_body(self) -> None:
        """There is room."""
        self._deliver()

    def body_wanted(self) -> None:
        """Somebody reads."""
        self.wanted = True


class _Answer:
    """What `pkgd.outbound.client.Answer` is to its users."""

    def __init__(self, status: int, length: int | None, headers: Mapping[str, str | list[str]], sender: Sender) -> None:
        self.status = status
        self.length = length
        self.body = sender.body
        self.closed = 0
        self._sender = sender
        self._headers = {name.lower(): [value] if isinstance(value, str) else value for name, value in headers.items()}

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next(iter(self.headers(name)), None)

    def headers(self, name: str) -> list[str]:
        """All values of a header."""
        return self._headers.get(name.lower(), [])

    def close(self) -> None:
        """The connection is dropped if the body is not over."""
        self.closed += 1
        self._sender.drop()


@frozen
class Asked:
    """A request that an upstream has got."""

    method: str
    path: str
    headers: dict[str, str]
    via: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@frozen
class Reply:
    """An answer: `data`, and then how its body ends: whole, with an error, or (False) not yet.

    :param length: the Content-Length; None for a chunked body, -1 for as many bytes as there are in `data`.
    """

    data: bytes = b""
    status: int = 200
    headers: Mapping[str, str | list[str]] = field(factory=dict)
    length: int | None = -1
    ends: Exception | bool = True


Step = Reply | Exception | None | Deferred[Any] | Callable[[Asked], Any]
"""What comes of a request: an answer, "not here" (None), an error, one of them later, or as the request deserves."""


class ScriptedUpstream:
    """In place of `pkgd.mirror.upstream.Upstream`. `script` is what the next requests get, and `always` all behind it.

    `senders` are the bodies of its answers, in order; `streams` the large answers, which somebody has to close.
    After `hold`, no answer comes before `release`; with a `clock`, none before its next turn: on a network none comes
    within the call that asks for it.
    """

    is_idle = True
    clock: Clock | None = None

    def __init__(self, host: str, credentials: Credentials | None = None, is_mirror: bool = False) -> None:
        self.endpoint = Endpoint(host, f"https://{host}", credentials, is_mirror)
        self.pool = BufferPool(1 << 20, 64)
        self.asked: list[Asked] = []
        self.script: list[Step] = []
        self.always: Step = None
        self.senders: list[Sender] = []
        self.streams: list[_Answer] = []
        self._held: list[Deferred[None]] | None = None

    @property
    def host(self) -> str:
        """What it is called."""
        return self.endpoint.host

    @property
    def requests(self) -> list[str]:
        """What has been asked, as `GET blobs/…`."""
        return [str(one) for one in self.asked]

    @property
    def lent_buffers(self) -> int:
        """How many buffers are out of the pool."""
        return self.pool._count - self.pool._unmade - len(self.pool._free)

    async def document(
        self, method: str, origin: Origin, path: str, via: str, headers: Mapping[str, str], limit: int
    ) -> Document | None:
        """See `Upstream.document`."""
        answer: Any = await self._answer(method, path, via, headers)
        if answer is None:
            return None
        try:
            data = b"" if method == "HEAD" else await answer.body.read_all(limit)
        except TooLarge as error:
            raise UpstreamCorrupt(self.host, f"sends more than the {limit} bytes that are allowed") from error
        finally:
            answer.close()
        return Document(answer, data)

    async def stream(self, origin: Origin, path: str, via: str, headers: Mapping[str, str]) -> Stream | None:
        """See `Upstream.stream`."""
        answer: Any = await self._answer("GET", path, via, headers)
        if answer is None:
            return None
        self.streams.append(answer)
        return Stream(answer, answer.close)

    def hold(self) -> None:
        """From now on, answer nothing."""
        self._held = []

    def release(self) -> None:
        """Answer what has been asked meanwhile, and everything from now on."""
        held, self._held = self._held or [], None
        for one in held:
            one.callback(None)

    async def close(self) -> None:
        """End everything that is on its way."""
        for one in self.senders:
            one.body.fail(UpstreamUnavailable(self.host, "is not asked any more"))

    async def _answer(self, method: str, path: str, via: str, headers: Mapping[str, str]) -> _Answer | None:
        asked = Asked(method, path, dict(headers), via)
        self.asked.append(asked)
        if self._held is not None:
            self._held.append(waiting := Deferred[None]())
            await waiting
        elif self.clock is not None:
            await deferLater(self.clock, 0)
        step: Any = self.script.pop(0) if self.script else self.always
        if callable(step):
            step = step(asked)
        if isinstance(step, Deferred):
            step = await step
        if isinstance(step, Exception):
            raise step
        return None if step is None else self._begin(method, step)

    def _begin(self, method: str, reply: Reply) -> _Answer:
        length = len(reply.data) if reply.length == -1 else reply.length
        sender = Sender(self.pool, 0 if method == "HEAD" else length)
        self.senders.append(sender)
        if method != "HEAD":
            sender.send(reply.data)
            if isinstance(reply.ends, Exception):
                sender.fail(reply.ends)
            elif reply.ends:
                sender.end()
        return _Answer(reply.status, length, reply.headers, sender)


def whole(data: bytes) -> Callable[[Asked], Reply]:
    """Answers with a blob, or with the part of it that is asked for."""

    def answer(asked: Asked) -> Reply:
        start = int(asked.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        return part(data, start) if start else Reply(data)

    return answer


def part(data: bytes, start: int, **more: Any) -> Reply:
    """The rest of a blob from a byte on, as asked for by Range."""
    rest = data[start:]
    return Reply(rest, 206, {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}, **more)


def cut(data: bytes, size: int, start: int = 0) -> Reply:
    """A blob, or the rest of it, whose connection breaks after `size` bytes."""
    headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
    error = UpstreamUnavailable(HUB, "closed the connection early")
    return Reply(data[start : start + size], 206 if start else 200, headers, len(data) - start, error)
