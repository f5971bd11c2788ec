"""Counts requests by the route that answered, the method and the status; never by the path, which anybody may invent.

Every pull ends here, so a request costs one look-up and a few additions on plain lists, a quarter of what counters
and histograms with locks of their own would cost. The text is made of them when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pkgd.web.request import Request

__all__ = ["BUCKETS", "RequestMetrics"]

# From a manifest out of memory to a large layer through a slow line, in seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

# What a cell has before its buckets: seconds, bytes sent, bytes received.
_FIRST = 3


class RequestMetrics:
    """Counts finished requests.

    :param now: the clock that requests are timed by.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._cells: dict[tuple[str, bytes, int], list[float]] = {}

    def record(self, request: Request) -> None:
        """Count a finished request."""
        key = (request.route, request.method, request.status)
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = [0.0] * (_FIRST + len(BUCKETS) + 1)
        seconds = self._now() - request.began
        if seconds < 0:
            seconds = 0.0  # the clock was set back
        cell[0] += seconds
        cell[1] += request.sent
        cell[2] += request.body.received
        cell[_FIRST + bisect_left(BUCKETS, seconds)] += 1

    def totals(self) -> Iterable[tuple[str, str, str, float, float, float, list[float]]]:
        """Route, method, status, seconds, bytes sent, bytes received, and how many took up to each bucket's bound.

        Each is a copy: another thread may read it while requests are counted.
        """
        for (route, method, status), cell in list(self._cells.items()):
            seconds, sent, received, *buckets = cell
            yield route, method.decode("ascii"), str(status), seconds, sent, received, buckets
