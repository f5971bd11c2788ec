"""The factory of channels, and what they share: limits, clock, buffers, dispatch, access log.

Channel --Request--> Site.dispatch --/v2/…--> RegistryApi     (own dispatch, pkgd.web.registry)
                                   --other--> Klein           (pkgd.web.root)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from twisted.web.http import datetimeToString

from pkgd.blocking import Blocking
from pkgd.errors import PkgdError
from pkgd.flow import BufferPool
from pkgd.web import errors
from pkgd.web.accesslog import AccessLog
from pkgd.web.channel import Channel
from pkgd.web.request import Request

__all__ = ["HttpLimits", "Site"]

# Deadlines are looked at this often: cheaper than a timer per connection and request. During the stop they are near.
TICK = 1.0
STOP_TICK = 0.1


@frozen
class HttpLimits:
    """Limits of the edge; times in seconds, sizes in bytes."""

    header_size: int = 64 * 1024
    head_timeout: float = 10.0
    body_timeout: float = 60.0
    idle: float = 60.0
    connections: int = 4096


class Handler(Protocol):
    """Answers requests: the registry's dispatch, or the Klein tree."""

    def handle(self, request: Request) -> None:
        """Answer now or later; every error ends in an answer."""


class Site(Factory):
    """See the module."""

    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        blocking: Blocking,
        limits: HttpLimits,
        route: Callable[[Request], Handler],
        access_log: AccessLog,
        count: Callable[[Request], None] = lambda request: None,
    ) -> None:
        """
        :param count: told of every finished request.
        """
        self.limits = limits
        self.buffers = BufferPool()
        self.stopping = False
        self._clock = clock
        self.blocking = blocking
        self._route = route
        self._access_log = access_log
        self._count = count
        self._channels: set[Channel] = set()
        self._ticking: IDelayedCall | None = None
        self._headers = (0, b"")
        self._quiet: Deferred[None] | None = None

    # -- the factory --

    def buildProtocol(self, addr: Any) -> Channel | None:
        """A channel for a new connection, or None (it is closed) if there are too many."""
        if len(self._channels) >= self.limits.connections:
            return None
        channel = Channel(self)
        channel.factory = self
        return channel

    def startFactory(self) -> None:
        """The first port listens."""
        self._tick()

    def stopFactory(self) -> None:
        """The last port is closed; the connections are not, and keep their deadlines."""

    def opened(self, channel: Channel) -> None:
        """A connection is there."""
        self._channels.add(channel)

    def closed(self, channel: Channel) -> None:
        """A connection is gone."""
        self._channels.discard(channel)
        if not self._channels and self._quiet is not None:
            quiet, self._quiet = self._quiet, None
            quiet.callback(None)

    # -- what channels and requests ask --

    def now(self) -> float:
        """The clock's time, in seconds."""
        return self._clock.seconds()

    def common_headers(self) -> bytes:
        """The headers of every answer; made once a second."""
        now = int(self._clock.seconds())
        if self._headers[0] != now:
            self._headers = (now, b"Date: %b\r\nServer: pkgd\r\nX-Content-Type-Options: nosniff\r\n" % _date(now))
        return self._headers[1]

    def dispatch(self, request: Request) -> None:
        """Answer a request; a failure of the dispatch itself too ends in an answer."""
        try:
            self._route(request).handle(request)
        except Exception:
            errors.answer(request, Failure())

    def refuse(self, request: Request, error: PkgdError) -> None:
        """Answer bytes that are no request."""
        errors.answer(request, Failure(error))

    def log_access(self, request: Request) -> None:
        """Write a finished request's line, and count it."""
        self._access_log.record(request)
        self._count(request)

    def in_flight(self) -> Counter[str]:
        """How many requests each route is answering."""
        return Counter(one.route for one in self._channels if one.route is not None)

    # -- deadlines --

    def _tick(self) -> None:
        self._ticking = self._clock.callLater(STOP_TICK if self.stopping else TICK, self._tick)
        now = self._clock.seconds()
        for channel in [one for one in self._channels if one.deadline is not None and one.deadline <= now]:
            channel.timed_out()

    def halt(self) -> None:
        """Stop watching deadlines."""
        if self._ticking is not None and self._ticking.active():
            self._ticking.cancel()
        self._ticking = None

    # -- the stop --

    def leave(self) -> None:
        """From now on every answer is the last of its connection, and says so."""
        self.stopping = True

    def drain(self) -> Deferred[None]:
        """No more connections come: close idle ones; the Deferred fires once the last request has been answered."""
        self.stopping = True
        quiet: Deferred[None] = Deferred()
        if not self._channels:
            quiet.callback(None)
            return quiet
        self._quiet = quiet
        # Behind the next turn but one: in the turn between, what the system has received by now is read.
        self._clock.callLater(0, self._clock.callLater, 0, self._close_idle)
        return quiet

    def _close_idle(self) -> None:
        for channel in list(self._channels):
            channel.let_go()
        if self._ticking is not None and self._ticking.active():
            self._ticking.reset(STOP_TICK)

    def abort(self) -> int:
        """Drop every connection that is left; returns how many."""
        left = list(self._channels)
        for channel in left:
            channel.abort()
        return len(left)


def _date(now: int) -> bytes:
    """`now` as an HTTP date."""
    date: bytes = datetimeToString(now)
    return date
