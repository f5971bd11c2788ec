"""The HTTP client of the daemon: one exchange at a time, nothing done behind the caller's back.

No redirect is followed, no cookie kept, nothing decoded, no proxy used. treq's client is the face of it;
what it would add to a request and undo in an answer is taken back beneath it, where the bytes go out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from treq.client import HTTPClient
from treq.cookies import IndexableCookieJar
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.web._newclient import Request
from twisted.web.client import HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from pkgd import __version__
from pkgd.errors import UpstreamCorrupt, UpstreamUnavailable
from pkgd.flow import BufferPool, Inflow
from pkgd.outbound import failures
from pkgd.outbound.body import Body, drop
from pkgd.outbound.connect import Connector
from pkgd.outbound.settings import Limits, Trust
from pkgd.outbound.target import Target

__all__ = ["Answer", "Client", "Limits", "Trust"]

# How long an idle connection is kept, in seconds; most servers close them after a minute.
KEEP_IDLE = 50
# What a request's body may have: it is written in one piece.
MAX_SENT = 64 * 1024


class Answer:
    """An upstream's answer. Whoever has it closes it.

    `length` is what Content-Length says, also of a HEAD; None if it says nothing.
    """

    def __init__(self, response: IResponse, body: Body, is_head: bool) -> None:
        self.status: int = response.code
        self.length = body.length
        self.body: Inflow = body.flow
        self._headers: Headers = response.headers
        self._body = body
        if is_head:
            # Here the client protocol has left it among the headers.
            stated = self.header("Content-Length")
            self.length = None if stated is None else int(stated)

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next(iter(self.headers(name)), None)

    def headers(self, name: str) -> list[str]:
        """All values of a header."""
        return [value.decode("latin-1") for value in self._headers.getRawHeaders(name.encode("ascii"), ())]

    def close(self) -> None:
        """Done with it; drops the connection, unless all of the body has arrived, or nearly so. May be called again."""
        self._body.close()


class Client:
    """Asks upstreams over HTTP, within limits.

    :param reactor: connects, resolves, and knows the time.
    :param buffers: where bodies go through; one of its own if none is given.
    :param connections: how many idle connections are kept to one host.
    :raises ConfigError: if a file of `trust` cannot be used.
    """

    def __init__(
        self,
        reactor: Any,
        trust: Trust,
        limits: Limits = Limits(),  # noqa: B008 - it is frozen
        buffers: BufferPool | None = None,
        connections: int = 16,
    ) -> None:
        self._reactor = reactor
        self._trust = trust
        self._limits = limits
        self._buffers = buffers or BufferPool()
        self._connector = Connector(reactor, trust, limits)
        self._pool = HTTPConnectionPool(reactor, persistent=True)
        self._pool.maxPersistentPerHost = connections
        self._pool.cachedConnectionTimeout = KEEP_IDLE
        self._running: set[Deferred[Any]] = set()
        self._closed = False

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """Send a request, and wait for the head of the answer.

        A GET or HEAD is sent once more if a connection that was kept turns out to be lost.
        Cancelling ends the exchange.

        :param method: GET, HEAD or POST.
        :param body: of a POST; small, for it is sent in one piece, on a connection of its own, since what may have
            been done cannot be asked once more. It may be empty.

        :raises AddressRefused: if the URL, or what its name stands for, may not be connected to.
        :raises UpstreamUnavailable: if the upstream cannot be reached, or gives no answer.
        :raises UpstreamTimeout: if it takes too long.
        :raises UpstreamCorrupt: if it does not keep to HTTP/1.1, or encodes the body.
        """
        assert body is None or (method == "POST" and len(body) <= MAX_SENT), "only a POST has a body, and a small one"
        target = Target.parse(url, self._trust)
        if self._closed:
            raise UpstreamUnavailable(target.name, "is not asked any more")
        try:
            with failures.translated(failures.of_exchange, target.name):
                response = await self._exchange(method, target, headers, body)
        except CancelledError:
            if self._closed:
                raise UpstreamUnavailable(target.name, "is not asked any more") from None
            raise
        received = Body(response, target.name, self._buffers, self._limits, self._reactor)
        return Answer(response, received, method == "HEAD")

    async def close(self) -> None:
        """End all exchanges and close all connections; nobody is asked any more. May be called again."""
        self._closed = True
        for exchange in list(self._running):
            exchange.cancel()
        await self._connector.close()
        await self._pool.closeCachedConnections()

    async def _exchange(self, method: str, target: Target, headers: Mapping[str, str], body: bytes | None) -> IResponse:
        """One request and the head of its answer."""
        client = HTTPClient(_Agent(target, self._pool, self._connector), _NoCookies())
        sent: dict[str | bytes, str | bytes] = dict(headers.items())
        place = f"{target.scheme}://{target.name}/"
        data: Any = None if body is None else _Whole(body)
        exchange = client.request(
            method, place, headers=sent, data=data, allow_redirects=False, unbuffered=True, reactor=self._reactor
        )
        self._running.add(exchange)
        try:
            response: Any = await exchange
        finally:
            self._running.discard(exchange)
        return cast(IResponse, response)


@implementer(IAgent)
class _Agent:
    """Beneath treq: sends to one target what was meant, and returns what came.

    The path goes out as it was written: treq's URL would be another spelling of it. The encoding that treq asks for and
    undoes is not asked for, and an answer that has one all the same is no answer.
    """

    def __init__(self, target: Target, pool: HTTPConnectionPool, connector: Connector) -> None:
        self._target = target
        self._pool = pool
        self._connector = connector

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        """Called by treq."""
        sent = Headers() if headers is None else headers.copy()
        sent.setRawHeaders("Host", [self._target.name])
        sent.setRawHeaders("Accept-Encoding", ["identity"])
        sent.setRawHeaders("User-Agent", [f"pkgd/{__version__}"])
        request = Request(
            method, self._target.path.encode("ascii"), sent, bodyProducer, persistent=bodyProducer is None
        )
        return Deferred.fromCoroutine(self._send(request))

    async def _send(self, request: Request) -> IResponse:
        """
        :raises UpstreamCorrupt: if the body of the answer is encoded.
        """
        target = self._target
        key: tuple[object, ...] = (target.scheme, target.host, target.port)
        if not request.persistent:
            key = (*key, request)  # under which nothing is kept
        connection = await self._pool.getConnection(key, self._connector.endpoint(target))
        response = await connection.request(request)
        encodings = b",".join(response.headers.getRawHeaders(b"Content-Encoding", ())).lower()
        if encodings.strip() not in (b"", b"identity"):
            drop(response)
            raise UpstreamCorrupt(target.name, "sends an encoded body that nobody asked for")
        return response


@implementer(IBodyProducer)
class _Whole:
    """A body that is written in one piece, behind the head."""

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """Called when the head is written."""
        if self._body:
            consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is all written."""

    def resumeProducing(self) -> None:
        """It is all written."""

    def stopProducing(self) -> None:
        """It is all written."""


class _NoCookies(IndexableCookieJar):
    """Takes no cookie and has none."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Nothing is even parsed."""

    def add_cookie_header(self, request: Any) -> None:
        """There is none."""
