"""Counts requests by the route that answered, the method and the status; never by the path, which anybody may invent.

Every pull ends here, so a request costs one look-up and a few additions on plain lists, a quarter of what counters
and histograms with locks of their own would cost. The text is made of them when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from pkgd.metrics import Total

if TYPE_CHECKING:
    from pkgd.web.request import Request

__all__ = ["BUCKETS", "RequestMetrics"]

# From a manifest out of memory to a large layer through a slow line, in seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

# What a cell has before its buckets: seconds, seconds until the first byte, bytes sent, bytes received.
_COUNTS = 4
_FIRST_COUNTS = _COUNTS + len(BUCKETS) + 1
_CELL = _FIRST_COUNTS + len(BUCKETS) + 1


class RequestMetrics:
    """Counts finished requests.

    :param now: the clock that requests are timed by.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._cells: dict[tuple[str, bytes, int], list[float]] = {}

    def record(self, request: Request) -> None:
        """Count a finished request."""
        try:
            cell = self._cells[request.route, request.method, request.status]
        except KeyError:
            cell = self._cells[request.route, request.method, request.status] = [0.0] * _CELL
        began = request.began
        seconds = self._now() - began
        if seconds < 0:
            seconds = 0.0  # the clock was set back
        at = bisect_left(BUCKETS, seconds)
        cell[0] += seconds
        cell[2] += request.sent
        cell[3] += request.body.received
        cell[_COUNTS + at] += 1
        if request.started:
            first = request.answered - began
            cell[1] += first if first > 0 else 0.0
            # What has ended in the first bucket has also begun there.
            cell[_FIRST_COUNTS + (at and bisect_left(BUCKETS, first))] += 1

    def totals(self) -> Iterable[Total]:
        """What has been counted; each is a copy: another thread may read it while requests are counted."""
        for (route, method, status), cell in list(self._cells.items()):
            seconds, firsts, sent, received, *counts = cell
            yield Total(
                *(route, method.decode("ascii"), str(status), seconds, firsts, sent, received),
                counts[: len(BUCKETS) + 1],
                counts[len(BUCKETS) + 1 :],
            )
