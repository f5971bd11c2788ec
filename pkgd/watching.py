"""What of the daemon is looked at for `/metrics`, and by what."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from pkgd.blocking import ThreadedBlocking
from pkgd.lag import ReactorLag
from pkgd.metrics import Metrics
from pkgd.web.requestmetrics import BUCKETS, RequestMetrics
from pkgd.web.site import Site
from pkgd.web.tls import CertificateFiles

__all__ = ["certificate_expiry", "watch"]


def watch(
    clock: IReactorTime, metrics: Metrics, requests: RequestMetrics, site: Site, blocking: ThreadedBlocking
) -> ReactorLag:
    """Have requests, what waits for threads and the reactor's lag in the metrics; the lag is for the caller to start.

    :param requests: told of every request that the site has finished.
    """
    metrics.count_requests(requests.totals, BUCKETS)
    metrics.sampled(lambda: metrics.requests_in_flight(site.in_flight()))
    metrics.sampled(lambda: metrics.waiting_calls(blocking.waiting()))
    return ReactorLag(clock, metrics.reactor_late)


def certificate_expiry(metrics: Metrics, certificates: CertificateFiles) -> Callable[[], None]:
    """What keeps the expiry of the present certificate in the metrics."""
    return lambda: metrics.certificate_expiry(certificates.expiry())
