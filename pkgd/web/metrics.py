"""`/metrics`: what pkgd counts, for Prometheus; open to everybody who can connect.

The text is made in a thread, once for all who ask meanwhile.
"""

from __future__ import annotations

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from pkgd.blocking import Blocking
from pkgd.errors import Unsupported
from pkgd.metrics import Metrics
from pkgd.web.gate import declares
from pkgd.web.request import Request
from pkgd.web.respond import send_body

__all__ = ["MetricsApi"]


class MetricsApi:
    """The one endpoint; without `metrics.enabled` there is none."""

    app = Klein()

    def __init__(self, metrics: Metrics, blocking: Blocking) -> None:
        self._metrics = metrics
        self._blocking = blocking
        self._waiting: list[Deferred[tuple[bytes, str]]] = []

    @app.route("/metrics", methods=["GET", "HEAD"])
    @declares(None)
    async def metrics(self, request: Request) -> None:
        """The exposition text."""
        text, content_type = await self._rendered()
        send_body(request, 200, content_type.encode("ascii"), text, b"Cache-Control: no-store\r\n")

    @app.route("/metrics", methods=["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    @declares(None)
    def other(self, request: Request) -> None:
        """Nothing else can be done with metrics."""
        raise Unsupported("metrics are read", ("GET", "HEAD"))

    def _rendered(self) -> Deferred[tuple[bytes, str]]:
        """The text that is being made, or a new one."""
        text: Deferred[tuple[bytes, str]] = Deferred()
        self._waiting.append(text)
        if len(self._waiting) == 1:
            self._metrics.sample()
            self._blocking.work(self._metrics.render).addBoth(self._hand_out)
        return text

    def _hand_out(self, text: tuple[bytes, str] | Failure) -> None:
        """Give the text, or its failure, to everybody who waits."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(text)
