"""Counts requests by the route that answered, the method and the status; never by the path, which anybody may invent.

Every pull ends here, so a request costs one look-up and a few additions on plain lists, a quarter of what counters
and histograms with locks of their own would cost. The text is made of them when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable

from pkgd.metrics import Total
from pkgd.web.request import CLIENT_GONE, Request

__all__ = ["BUCKETS", "RequestMetrics"]

# From a manifest out of memory to a large layer through a slow line, in seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

# What a cell has before its buckets: seconds, bytes sent, bytes received.
_COUNTS = 3
_CELL = _COUNTS + len(BUCKETS) + 1

_Cells = dict[tuple[str, bytes, int], list[float]]


class RequestMetrics:
    """Counts finished requests.

    What is answered at once has its first byte when it has its last one: then one histogram is enough for both.

    :param now: the clock that requests are timed by.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._whole: _Cells = {}
        # Of answers in parts, with a second histogram, that of the first byte: its seconds and its buckets.
        self._parted: _Cells = {}

    def record(self, request: Request) -> None:
        """Count a finished request."""
        answered = request.answered
        cells = self._parted if answered else self._whole
        try:
            cell = cells[request.route, request.method, request.status]
        except KeyError:
            size = _CELL + 1 + len(BUCKETS) + 1 if answered else _CELL
            cell = cells[request.route, request.method, request.status] = [0.0] * size
        seconds = self._now() - request.began
        if seconds < 0:
            seconds = 0.0  # the clock was set back
        cell[0] += seconds
        cell[1] += request.sent
        cell[2] += request.body.received
        cell[_COUNTS + bisect_left(BUCKETS, seconds)] += 1
        if answered:
            first = max(0.0, answered - request.began)
            cell[_CELL] += first
            cell[_CELL + 1 + bisect_left(BUCKETS, first)] += 1

    def totals(self) -> Iterable[Total]:
        """What has been counted; each is a copy: another thread may read it while requests are counted."""
        for cells in (self._whole, self._parted):
            for (route, method, status), cell in list(cells.items()):
                seconds, sent, received, *counts = cell
                firsts, first_counts = seconds, counts
                if cells is self._parted:
                    at = _CELL - _COUNTS
                    counts, firsts, first_counts = counts[:at], counts[at], counts[at + 1 :]
                elif status == CLIENT_GONE:
                    firsts, first_counts = 0.0, [0.0] * len(counts)
                yield Total(
                    *(route, method.decode("ascii"), str(status), seconds, firsts, sent, received, counts, first_counts)
                )
