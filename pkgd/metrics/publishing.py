"""What becomes of publishes; also in words that the room of packages has for it."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from pkgd.metrics.families import Counter, Durations, Gauge

__all__ = ["PublishMetrics", "RepositoryMetrics"]

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class PublishMetrics:
    """Repositories are called as rules call them, `apt:main`; only those that are configured have series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._durations = Durations(
            *(registry, "publish_duration_seconds", "How long it took to make, sign and write a generation."),
            *(["type"], _SECONDS),
        )
        self._last = Gauge(
            *(registry, "publish_last_success_timestamp_seconds", "When a repository was last published."), ["repo"]
        )
        self._failures = Counter(
            *(registry, "publish_failures", "Publishes of a repository that came to nothing."), ["repo"]
        )
        self._repositories: frozenset[str] = frozenset()

    def use(self, repositories: Iterable[str]) -> None:
        """These repositories are configured, and no others any more."""
        self._repositories = frozenset(repositories)
        for family in (self._last, self._failures):
            family.drop(lambda labels: labels[0] not in self._repositories)
        for one in sorted(self._repositories):
            self._failures.add(0, one)

    def of(self, kind: str, name: str) -> RepositoryMetrics:
        """What is to be told of a repository.

        :param kind: apt or rpm.
        """
        return RepositoryMetrics(self, kind, f"{kind}:{name}")

    def published(self, repository: str, at: float) -> None:
        """It was published then, in seconds since the epoch; of several suites the last one counts."""
        if repository in self._repositories:
            self._last.set(max(at, self._last.values.get((repository,), 0.0)), repository)

    def took(self, kind: str, seconds: float) -> None:
        """A publish has taken so long."""
        self._durations.observe(seconds, kind)

    def failed(self, repository: str) -> None:
        """A publish has come to nothing."""
        if repository in self._repositories:
            self._failures.add(1, repository)


class RepositoryMetrics:
    """Implements `pkgd.packages.publishing.Told` for one repository."""

    def __init__(self, metrics: PublishMetrics, kind: str, repository: str) -> None:
        self._metrics = metrics
        self._kind = kind
        self._repository = repository

    def found(self, at: float) -> None:
        """See `Told`."""
        self._metrics.published(self._repository, at)

    def published(self, at: float, seconds: float) -> None:
        """See `Told`."""
        self._metrics.published(self._repository, at)
        self._metrics.took(self._kind, seconds)

    def failed(self) -> None:
        """See `Told`."""
        self._metrics.failed(self._repository)
