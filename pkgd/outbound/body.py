"""The body of an answer on its way in: back-pressure, and patience.

It is the Inflow's source and the client protocol's receiver. When the Inflow has no room the
connection is not read; time that passes then is ours and not the upstream's.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse

from pkgd.errors import UpstreamCorrupt, UpstreamTimeout, UpstreamUnavailable
from pkgd.flow import BufferPool, Inflow
from pkgd.outbound import failures
from pkgd.outbound.settings import Limits

__all__ = ["Body", "drop"]


class Body(Protocol):
    """See the module. `flow` is what is read; `length` how many bytes it has, None if nobody knows."""

    def __init__(
        self, response: IResponse, host: str, buffers: BufferPool, limits: Limits, clock: IReactorTime
    ) -> None:
        self.length: int | None = None if response.length is UNKNOWN_LENGTH else response.length
        self.flow = Inflow(buffers, self, self.length)
        self._response: IResponse | None = response
        self._host = host
        self._limits = limits
        self._clock = clock
        self._overflow = b""
        self._ended: BaseException | bool = False  # how the upstream ended it, which is told behind the overflow
        self._over = False
        self._paused = False
        self._patience = _Patience(limits, clock, self._late)

    # -- what the Inflow asks --

    def body_wanted(self) -> None:
        """The reader begins: until now the connection was not read."""
        self._deliver()

    def pause_body(self) -> None:
        """No room: stop reading, and stop the clock."""
        self._paused = True
        self._patience.pause()
        self._transport().pauseProducing()

    def resume_body(self) -> None:
        """There is room: go on, with what was left over first."""
        self._paused = False
        self._take(b"")
        if not self._paused and not self._over and not self._ended:
            self._patience.resume()
            self._transport().resumeProducing()

    # -- what comes from the upstream --

    def dataReceived(self, data: bytes) -> None:
        """Some of the body. It may come although we have paused: what has been decrypted is delivered."""
        if not self._over:
            self._patience.received(len(data))
            self._take(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end of the body, whole or not."""
        self._patience.pause()
        error: Any = reason.value
        if isinstance(error, ResponseDone):
            self._ended = True
        elif isinstance(error, PotentialDataLoss):
            self._ended = UpstreamCorrupt(self._host, "sends a body without saying how long it is")
        else:
            self._ended = failures.of_body(error, self._host)
        if not self._overflow:
            self._finish()

    # -- the end --

    def close(self) -> None:
        """Done with it: a connection whose body is not over is dropped."""
        self._patience.pause()
        if not self._over:
            self._over = True
            self._overflow = b""
            self.flow.fail(UpstreamUnavailable(self._host, "is not listened to any more"))
            self._deliver()
            if not self._ended:
                self._transport().stopProducing()
        self.flow.close()

    def _deliver(self) -> None:
        """Have the client protocol deliver the body to us."""
        response, self._response = self._response, None
        if response is not None:
            if not self._over:
                self._patience.resume()
            response.deliverBody(self)
            # Delivering ends with reading on, whatever was asked for meanwhile.
            if self._paused:
                self._transport().pauseProducing()

    def _take(self, data: bytes) -> None:
        """Copy bytes into the Inflow's buffers, as far as there is room, and keep the rest."""
        left = memoryview(self._overflow + data if self._overflow else data)
        while left and (room := self.flow.room()) is not None:
            count = min(len(room), len(left))
            room[:count] = left[:count]
            left = left[count:]
            self.flow.filled(count)
        self._overflow = bytes(left)
        if self._ended and not self._overflow:
            self._finish()

    def _finish(self) -> None:
        """All bytes are in the Inflow: tell it how the body ended."""
        if self._over:
            return
        self._over = True
        if isinstance(self._ended, Exception):
            self.flow.fail(self._ended)
        else:
            self.flow.end()

    def _late(self, reason: str) -> None:
        """The upstream is too slow."""
        self._over = True
        self.flow.fail(UpstreamTimeout(self._host, reason))
        self._transport().stopProducing()

    def _transport(self) -> Any:
        return self.transport


def drop(response: IResponse) -> None:
    """End an answer whose body nobody wants, and its connection if there is more to come."""
    response.deliverBody(_Unwanted())


class _Unwanted(Protocol):
    """Stops what it is given."""

    def connectionMade(self) -> None:
        """Called before anything is delivered."""
        transport: Any = self.transport
        transport.stopProducing()


class _Patience:
    """How long the upstream may still take; one delayed call, however many pieces arrive."""

    def __init__(self, limits: Limits, clock: IReactorTime, late: Any) -> None:
        self._limits = limits
        self._clock = clock
        self._late = late
        self._timer: IDelayedCall | None = None
        self._since = 0.0  # when this stretch of waiting began
        self._waited = 0.0  # in the stretches before
        self._last = 0.0  # when something came, or the waiting began
        self._bytes = 0

    def received(self, count: int) -> None:
        """Something has come."""
        self._last = self._clock.seconds()
        self._bytes += count

    def pause(self) -> None:
        """Nothing is expected any more, for now."""
        if self._timer is not None:
            self._waited += self._clock.seconds() - self._since
            if self._timer.active():
                self._timer.cancel()
            self._timer = None

    def resume(self) -> None:
        """More is expected."""
        if self._timer is None:
            self._since = self._last = self._clock.seconds()
            self._wait()

    def _wait(self) -> None:
        self._timer = self._clock.callLater(max(0.0, self._deadline() - self._clock.seconds()), self._check)

    def _deadline(self) -> float:
        return min(self._last + self._limits.idle, self._by_rate())

    def _by_rate(self) -> float:
        """Until when so few bytes are enough."""
        return self._since - self._waited + self._limits.rate_grace + self._bytes / self._limits.min_rate

    def _check(self) -> None:
        now = self._clock.seconds()
        if now < self._deadline():
            self._wait()
            return
        self._timer = None
        self._late("sends too slowly" if now >= self._by_rate() else "has stopped sending")
