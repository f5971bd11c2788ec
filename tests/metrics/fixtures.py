"""The exposition text, read as Prometheus reads it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from pkgd.metrics import Metrics

__all__ = ["MetricsCase", "Series"]

Series = dict[frozenset[tuple[str, str]], float]


class MetricsCase(SynchronousTestCase):
    """Reads the exposition text as Prometheus does."""

    def setUp(self) -> None:
        """Room for two upstreams that are not configured."""
        self.metrics = Metrics(others=2, now=lambda: 1_750_000_000.5)

    def samples(self, name: str) -> Series:
        """Every series of that name: labels -> value."""
        text = self.metrics.render()[0].decode("utf-8")
        return {
            frozenset(sample.labels.items()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        }

    def value(self, name: str, **labels: str) -> float | None:
        """One series, or None if it is not there."""
        return self.samples(name).get(frozenset(labels.items()))
