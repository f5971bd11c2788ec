"""When whoever is asked over HTTP is left alone: after failures in a row, or because they asked for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime

from twisted.internet.interfaces import IReactorTime

from pkgd.errors import UpstreamBusy, UpstreamUnavailable

__all__ = ["Breaker", "parse_retry_after"]

# Failures in a row that open the circuit, and how long it then stays open before one request tries again.
FAILURES = 5
OPEN_SECONDS = 15.0
# How long a 429 without a Retry-After is believed, and the longest that one with it is.
BUSY_SECONDS = 30.0
MAX_BUSY_SECONDS = 3600.0


def parse_retry_after(value: str | None, now: float) -> float:
    """The seconds that a Retry-After header asks for (RFC 9110, 10.2.3); bounded, with a default."""
    seconds = BUSY_SECONDS
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    elif text:
        with suppress(ValueError, OverflowError):
            when = parsedate_to_datetime(text)
            # One of the formats names no zone: it is always UTC.
            seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now
    return min(max(seconds, 1.0), MAX_BUSY_SECONDS)


class Breaker:
    """The state of one upstream; `check` before each request, then one of the others.

    :param changed: told whenever the circuit opens or closes.
    """

    def __init__(self, host: str, clock: IReactorTime, changed: Callable[[bool], None]) -> None:
        self._host = host
        self._clock = clock
        self._changed = changed
        self._failures = 0
        self._open_until = 0.0
        self._busy_until = 0.0

    def check(self) -> None:
        """Refuse a request that would only add to the trouble.

        :raises UpstreamBusy: as long as the upstream wants to be left alone.
        :raises UpstreamUnavailable: while the circuit is open.
        """
        now = self._clock.seconds()
        if pause := _left(self._busy_until, now, MAX_BUSY_SECONDS):
            raise UpstreamBusy(self._host, "wants no more requests for now", pause)
        if _left(self._open_until, now, OPEN_SECONDS):
            raise UpstreamUnavailable(self._host, "has failed several times, and is left alone for a moment")
        if self._failures >= FAILURES:
            # Half open: this request tries, the others wait for what becomes of it.
            self._open_until = now + OPEN_SECONDS

    def succeeded(self) -> None:
        """The upstream has answered."""
        was_open = self._failures >= FAILURES
        self._failures, self._open_until = 0, 0.0
        if was_open:
            self._changed(False)

    def failed(self) -> None:
        """The upstream could not be reached, or has failed."""
        self._failures += 1
        if self._failures >= FAILURES:
            self._open_until = self._clock.seconds() + OPEN_SECONDS
        if self._failures == FAILURES:
            self._changed(True)

    def busy(self, seconds: float) -> None:
        """The upstream has asked for a pause; one that it has asked for before is not cut short."""
        now = self._clock.seconds()
        self._busy_until = now + max(seconds, _left(self._busy_until, now, MAX_BUSY_SECONDS))


def _left(until: float, now: float, longest: float) -> float:
    """The seconds until then, or 0; a clock that has been set back does not make it longer than it can be."""
    left = until - now
    return left if 0 < left < longest + 1 else 0.0
