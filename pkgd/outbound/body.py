"""The body of an answer on its way in.

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
from pkgd.outbound.patience import Patience
from pkgd.outbound.settings import Limits

__all__ = ["Body", "drop"]

# What is left of a body that nobody wants is read all the same if it is short, for the connection is worth more:
# most redirects and challenges have a body. In bytes and seconds.
DRAINED = 16 * 1024
DRAIN_TIME = 1.0


class Body(Protocol):
    """See the module. `flow` is what is read; `length` how many bytes it has, None if nobody knows."""

    def __init__(
        self, response: IResponse, host: str, buffers: BufferPool, limits: Limits, clock: IReactorTime
    ) -> None:
        self.length: int | None = None if response.length is UNKNOWN_LENGTH else response.length
        self.flow = Inflow(buffers, self, self.length)
        self._response: IResponse | None = response
        self._host = host
        self._clock = clock
        self._patience = Patience(limits, clock, self._late)
        self._draining: IDelayedCall | None = None
        self._received = 0
        self._overflow = b""  # what the Inflow had no room for
        self._paused = False
        self._ended: BaseException | bool = False  # how the upstream ended it
        self._over = False  # the Inflow knows the end, or is closed

    # -- what the Inflow asks --

    def body_wanted(self) -> None:
        """The reader begins: until now the connection was not read."""
        self._patience.resume()
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
        if not (self._paused or self._over):
            self._patience.resume()
            self._transport().resumeProducing()

    # -- what comes from the upstream --

    def dataReceived(self, data: bytes) -> None:
        """Some of the body. It may come although reading is paused: TLS delivers what it has decrypted."""
        self._received += len(data)
        if not self._over:
            self._patience.received(len(data))
            self._take(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end of the body, whole or not."""
        self._patience.pause()
        if self._draining is not None and self._draining.active():
            self._draining.cancel()
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
        """Done with it. A connection that has much more to deliver is dropped. May be called again."""
        if not self._over:
            self._over = True
            self._overflow = b""
            self.flow.fail(UpstreamUnavailable(self._host, "is not listened to any more"))
            self._leave()
        self.flow.close()

    def _leave(self) -> None:
        """Get rid of what is still to come."""
        self._deliver()
        if self._ended:
            return
        if self.length is None or self.length - self._received > DRAINED:
            self._transport().stopProducing()
        else:
            self._transport().resumeProducing()
            self._draining = self._clock.callLater(DRAIN_TIME, self._transport().stopProducing)

    def _late(self, reason: str) -> None:
        """The upstream is too slow."""
        self._over = True
        self.flow.fail(UpstreamTimeout(self._host, reason))
        self._transport().stopProducing()

    def _deliver(self) -> None:
        """Have the client protocol deliver the body, if it doesn't yet."""
        response, self._response = self._response, None
        if response is not None:
            response.deliverBody(self)
            # Delivering ends with reading on, whatever was asked for meanwhile.
            if self._paused:
                self._transport().pauseProducing()

    def _take(self, data: bytes) -> None:
        """Copy bytes into the Inflow's buffers as far as there is room, and keep the rest."""
        left = memoryview(self._overflow + data if self._overflow else data)
        # The reader may close us as soon as it is told of bytes.
        while left and not self._over and (room := self.flow.room()) is not None:
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

    def _transport(self) -> Any:
        return self.transport


def drop(response: IResponse) -> None:
    """End an answer whose body nobody may see, and its connection if there is more to come."""
    response.deliverBody(_Unwanted())


class _Unwanted(Protocol):
    """Stops what it is given."""

    def connectionMade(self) -> None:
        """Called before anything is delivered."""
        transport: Any = self.transport
        transport.stopProducing()
