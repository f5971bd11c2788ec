"""What of the daemon is looked at for `/metrics`, and by what."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from pkgd.authorization import upstream_host
from pkgd.blocking import ThreadedBlocking
from pkgd.config import Config
from pkgd.lag import ReactorLag
from pkgd.metrics import Metrics
from pkgd.web.requestmetrics import BUCKETS, RequestMetrics
from pkgd.web.site import Site
from pkgd.web.tls import CertificateFiles

__all__ = ["certificate_expiry", "follow", "watch"]


def follow(metrics: Metrics, config: Config) -> None:
    """Have series of what is configured from now on, and none of what isn't any more."""
    mirror, repositories, auth = config.mirror, config.repositories, config.auth
    metrics.mirror.use([*mirror.registries, *mirror.fallback, *map(upstream_host, mirror.upstream_mirror)])
    metrics.publishing.use(
        [*(f"apt:{one.name}" for one in repositories.apt), *(f"rpm:{one.name}" for one in repositories.rpm)]
    )
    backends = auth.basic_api_backends if auth is not None and auth.mode == "basic" else []
    metrics.auth.use(str(one.name) for one in backends)


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
