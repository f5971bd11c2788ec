"""A request's body between its connection and its Inflow: decoding, back-pressure, and patience.

It is the transport's sink while the body arrives (plain TCP receives straight into the Inflow's
buffers), the Inflow's source, and the only place that answers `100 Continue`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkgd.errors import MalformedHttp
from pkgd.flow import Inflow
from pkgd.web.body import Decoder, decoder_for
from pkgd.web.head import Head

if TYPE_CHECKING:
    from pkgd.web.channel import Channel
    from pkgd.web.site import Site

__all__ = ["Incoming"]

# The slowest body that is waited for, in bytes a second, and for how long it may be slower.
MIN_RATE = 1024.0
RATE_GRACE = 60.0


class Incoming:
    """See the module. `body` is what the handler reads; `ended` whether nothing more of it is expected."""

    def __init__(self, channel: Channel, site: Site, head: Head) -> None:
        self.body = Inflow(site.buffers, self, head.length)
        self._channel = channel
        self._site = site
        self._decoder: Decoder | None = decoder_for(head.length)
        self._continue = head.expects_continue
        self._overflow: memoryview | None = None
        self._rate_since = 0.0
        self._rate_bytes = 0

    @property
    def ended(self) -> bool:
        """Whether the body is whole, or broken."""
        return self._decoder is None

    # -- bytes from the connection --

    def receive(self, data: bytes) -> None:
        """Bytes that came with the head, or through TLS."""
        if self._overflow is not None:
            # TLS delivers what it has decrypted although reading is paused.
            self._overflow = memoryview(bytes(self._overflow) + data)
        else:
            self._copy(memoryview(data))

    def body_room(self) -> memoryview | None:
        """Where the transport may receive into."""
        return self.body.room()

    def body_received(self, count: int) -> None:
        """The transport received raw bytes into the room."""
        room = self.body.room()
        assert room is not None
        self._decode(room[:count])

    def _copy(self, data: memoryview) -> bool:
        """Copy raw bytes into the body's buffers; whether more can be taken: there was room, and it has not ended."""
        while data and self._decoder is not None:
            room = self.body.room()
            if room is None:
                self._overflow = data
                return False
            count = min(len(room), len(data))
            room[:count] = data[:count]
            data = data[count:]
            self._decode(room[:count], data)
        return self._decoder is not None

    def _decode(self, view: memoryview, behind: bytes | memoryview = b"") -> None:
        """Decode raw bytes in place and pass the payload on.

        :param behind: what has arrived behind `view`.
        """
        decoder = self._decoder
        assert decoder is not None
        if self._channel.deadline is not None:
            self._expect_more(len(view))
        try:
            payload = decoder.decode(view)
        except MalformedHttp as error:
            self._decoder = None
            self.body.fail(error)
            self._channel.body_broken()
            return
        self.body.filled(payload)
        if decoder.done and self._decoder is not None:
            self._decoder = None
            self._channel.body_ended(decoder.rest + bytes(behind))
            # Last: this may run the handler to its answer, and the next request after it.
            self.body.end()

    def _expect_more(self, count: int) -> None:
        """`count` bytes have come: more must come before the timeout, and not at a trickle for ever."""
        self._rate_bytes += count
        by_rate = self._rate_since + RATE_GRACE + self._rate_bytes / MIN_RATE
        self._channel.deadline = min(self._site.now() + self._site.limits.body_timeout, by_rate)

    def abandon(self) -> None:
        """The connection has no more use for the body: the request has been answered, or is lost."""
        self._decoder = self._overflow = None

    # -- what the Inflow asks --

    def body_wanted(self) -> None:
        """The handler asks for the body: say so to a client that waits for `100 Continue`."""
        if self._decoder is not None and self._continue:
            self._continue = False
            self._channel.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.resume_body()

    def pause_body(self) -> None:
        """No room: stop reading, and stop the clock, for the delay is ours."""
        self._channel.deadline = None
        self._channel.pause_reading()

    def resume_body(self) -> None:
        """There is room: go on, with what was left over first."""
        if self._decoder is None or self._channel.closed:
            return
        left, self._overflow = self._overflow, None
        if left is not None and not self._copy(left):
            return
        self._rate_since, self._rate_bytes = self._site.now(), 0
        self._expect_more(0)
        self._channel.resume_reading()
