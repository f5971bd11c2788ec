"""The alert rules and the dashboard: they query what pkgd has."""

from __future__ import annotations

import json
import os
import re

import yaml
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from pkgd.metrics import Metrics
from pkgd.web.requestmetrics import BUCKETS

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "packaging", "monitoring")


def names_in(text: str) -> set[str]:
    """The metrics of pkgd's own that an expression names."""
    return {re.sub("_bucket$", "", name) for name in re.findall(r"\bpkgd_\w+", text)}


class MonitoringTests(SynchronousTestCase):
    """Every name is compared with the text that a registry makes."""

    def setUp(self) -> None:
        """What is there, also what has no series yet."""
        metrics = Metrics()
        metrics.count_requests(list, BUCKETS)
        metrics.certificate_expiry(0.0)
        self.known = set()
        for family in text_string_to_metric_families(metrics.render()[0].decode("utf-8")):
            self.known.add(f"{family.name}_total" if family.type == "counter" else family.name)

    def read(self, name: str) -> str:
        """A file of the folder."""
        with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
            return file.read()

    def test_alerts(self) -> None:
        """No alert is silent for ever because its metric does not exist."""
        rules = [rule for group in yaml.safe_load(self.read("alerts.yml"))["groups"] for rule in group["rules"]]
        used = {name for rule in rules for name in names_in(rule["expr"])}
        self.assertGreater(len(used), 5)
        self.assertEqual(used - self.known, set())

    def test_dashboard(self) -> None:
        """No panel is empty for ever for that reason."""
        panels = json.loads(self.read("dashboard.json"))["panels"]
        used = {name for panel in panels for target in panel["targets"] for name in names_in(target["expr"])}
        self.assertGreater(len(used), 8)
        self.assertEqual(used - self.known, set())
