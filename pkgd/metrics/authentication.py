"""Who has shown what, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from pkgd.metrics.families import Counter, Durations, Gauge

__all__ = ["AuthMetrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class AuthMetrics:
    """Labels are few words of our own and the names of configured back ends; no client chooses any."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            *(registry, "auth_requests", "Credentials that were looked at, and requests without any."),
            ["method", "result"],
        )
        self._durations = Durations(
            *(registry, "auth_backend_duration_seconds", "How long a back end took to say whether it knows a user."),
            *(["backend", "result"], _SECONDS),
        )
        self._hits = Counter(registry, "auth_cache_hits", "Tokens and passwords that were known from before.")
        self._misses = Counter(registry, "auth_cache_misses", "Tokens and passwords that had to be verified.")
        self._stale = Gauge(
            registry, "auth_users_stale", "1 while the file of users is broken and the one before is used."
        )
        self._backends: frozenset[str] = frozenset()

    def use(self, backends: Iterable[str]) -> None:
        """These back ends are configured, and no others any more."""
        self._backends = frozenset(backends)
        self._durations.drop(lambda labels: labels[0] not in self._backends)

    def request(self, method: str, result: str) -> None:
        """Credentials were looked at.

        :param method: htpasswd, api, oidc, key, token or anon.
        :param result: ok, rejected, unavailable or throttled.
        """
        self._requests.add(1, method, result)

    def cached(self, is_known: bool) -> None:
        """It was known from before whose they are, or had to be found out."""
        (self._hits if is_known else self._misses).add(1)

    def backend_answered(self, backend: str, result: str, seconds: float) -> None:
        """A back end has said whether it knows a user; of one that is not configured any more this is not kept.

        :param result: ok, rejected or unavailable.
        """
        if backend in self._backends:
            self._durations.observe(seconds, backend, result)

    def users_stale(self, is_stale: bool) -> None:
        """The file of users cannot be used, or can be again."""
        self._stale.set(is_stale)
