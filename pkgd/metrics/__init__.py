"""Everything that pkgd counts, under the names that operators query, and its text for Prometheus.

The only user of prometheus_client: callers say what has happened, in their own words. Any client may name an upstream,
so only the configured ones and the first few others have a label of their own.
"""

from pkgd.metrics.authentication import AuthMetrics
from pkgd.metrics.daemon import Metrics
from pkgd.metrics.mirroring import OTHER, MirrorMetrics
from pkgd.metrics.publishing import PublishMetrics, RepositoryMetrics
from pkgd.metrics.requests import Total
from pkgd.metrics.storing import StorageMetrics

__all__ = [
    "OTHER",
    "AuthMetrics",
    "Metrics",
    "MirrorMetrics",
    "PublishMetrics",
    "RepositoryMetrics",
    "StorageMetrics",
    "Total",
]
