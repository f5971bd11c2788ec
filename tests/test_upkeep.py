"""What is done now and again to keep the state in order, and what is told of it."""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.internet.task import Clock

from pkgd.auth.audit import Audit
from pkgd.blocking import InlineBlocking
from pkgd.logfile import LogFile
from pkgd.metrics import Metrics
from pkgd.progress import Progress, Silent
from pkgd.retention.outcomes import Goner, Order, Outcome
from pkgd.retention.rules import Rules
from pkgd.upkeep import Retaining, rules_of
from tests.config.cases import ConfigCase
from tests.packages.fixtures import result

RULES = "rules: [{resources: ['oci:**'], tags: ['v*'], newest: 2}, {resources: ['apt:**'], packages: [a], newest: 1}]"
GONERS = {
    "oci:team/app": [
        Goner("tag", "v1", "rules[0]", "old", 1.0, digest="sha256:1"),
        Goner("manifest", "sha256:2", "rules[0]", "old", 1.0, digest="sha256:2"),
    ],
    "apt:main/stable": [Goner("package", "a 1 amd64", "rules[1]", "old", component="main", file="pool/a_1.deb")],
    "rpm:el/9": [Goner("package", "b 1-1 noarch", "rules[1]", "old", file="Packages/b.rpm")],
}


class Everything:
    """In place of `Retention`: whatever is there goes."""

    def __init__(self) -> None:
        self.passes: list[tuple[Rules, Order]] = []

    async def run(self, rules: Rules, order: Order, progress: Progress) -> list[Outcome]:
        """See `Retention.run`."""
        self.passes.append((rules, order))
        for resource, goners in GONERS.items():
            for one in goners if order.apply else ():
                order.note(resource, one)
        return [Outcome(resource, 0, goners) for resource, goners in GONERS.items()]


class RetainingTests(ConfigCase):
    """Retention by the clock, and when it is asked for."""

    def begin(self, text: str = f"interval: 1h, {RULES}") -> None:
        """A job with this configuration, and an audit log."""
        self.now, self.everything, self.metrics = 0.0, Everything(), Metrics()
        self.file: str = self.mktemp()
        self.log = LogFile(Clock(), InlineBlocking(), self.file, "audit log")
        self.log.open()
        self.addCleanup(self.log.close)
        config = self.configured(text)
        retention: Any = self.everything
        self.job = Retaining(config, retention, self.metrics, Audit(self.log, lambda: 0.0), lambda: self.now)

    def configured(self, text: str) -> Any:
        """A configuration."""
        return self.read(f"repositories: {{retention: {{{text}}}}}\nstorage: {{gc: {{grace: 15m}}}}")

    def passes(self, *times: float) -> list[int]:
        """How many passes there have been after each of these times."""
        counts = []
        for self.now in times:
            result(self.job.recur(Silent()))
            counts.append(len(self.everything.passes))
        return counts

    def test_recur(self) -> None:
        """A pass is made at once, and whenever the interval has passed; it removes."""
        self.begin()

        self.assertEqual(self.passes(600, 1200, 4199, 4200, 4300, 8000), [1, 1, 1, 2, 2, 3])

        (rules, order) = self.everything.passes[0]
        self.assertEqual((order.apply, order.grace, order.alone), (True, 900, False))
        self.assertEqual((rules.of_tag("oci:a", "v1") or rules).title, "rules[0]")  # type: ignore[union-attr]

    def test_never(self) -> None:
        """Without rules there is none, nor with an interval of 0."""
        for text in ("interval: 1h", f"interval: 0s, {RULES}"):
            self.begin(text)
            self.assertEqual(self.passes(600, 1e6), [0, 0], text)

    def test_look(self) -> None:
        """It is looked often enough."""
        for text, look in (("interval: 1s", 1.0), ("interval: 0s", 600.0), ("interval: 24h", 600.0)):
            self.begin(text)
            self.assertEqual(self.job.look, look)

    def test_follow(self) -> None:
        """The rules of a new configuration count from the next pass on."""
        self.begin("interval: 1h")

        self.job.follow(self.configured(RULES))

        self.assertEqual(self.passes(600), [1])
        self.assertTrue(self.everything.passes[0][0])

    def test_dry(self) -> None:
        """Who asks is told what would go, and nothing is noted as gone."""
        self.begin()

        found = result(self.job.retain({}, Silent()))

        self.assertEqual((found["applied"], self.everything.passes[0][1].apply), (False, False))
        self.assertEqual(found["repositories"][2]["goes"][0]["name"], "b 1-1 noarch")
        json.dumps(found)
        self.log.close()
        self.assertEqual(os.path.getsize(self.file), 0)

    def test_told(self) -> None:
        """What goes stands in the audit log as what users delete does, with its rule; and is counted."""
        self.begin()

        result(self.job.retain({"apply": True}, Silent()))

        self.log.close()
        with open(self.file, encoding="utf-8") as file:
            found = [json.loads(line) for line in file]
        for one in found:
            self.assertEqual([one.pop(key) for key in ("action", "user", "via")], ["delete", None, "retention"])
            del one["time"], one["address"]
        self.assertEqual(
            found,
            [
                {"resource": "oci:team/app", "rule": "rules[0]", "tag": "v1", "digest": "sha256:1"},
                {"resource": "oci:team/app", "rule": "rules[0]", "digest": "sha256:2"},
                {
                    "resource": "apt:main",
                    "rule": "rules[1]",
                    "suites": ["stable"],
                    "component": "main",
                    "package": "a 1 amd64",
                    "file": "pool/a_1.deb",
                },
                {"resource": "rpm:el/9", "rule": "rules[1]", "package": "b 1-1 noarch", "file": "Packages/b.rpm"},
            ],
        )
        text = self.metrics.render()[0].decode()
        for line in ('removed_total{kind="tag"} 1.0', 'removed_total{kind="package"} 2.0'):
            self.assertIn(line, text)


class RuleTests(ConfigCase):
    """Rules as the configuration has them."""

    def test_rules(self) -> None:
        """All that they say arrives."""
        text = "resources: ['oci:a', 'oci:b'], newest: 1, pushed_within: 1m, untagged: 1h"
        rules = rules_of(self.read(f"repositories: {{retention: {{rules: [{{{text}}}]}}}}"))

        rule = rules.of_untagged("oci:b")

        assert rule is not None
        self.assertEqual((rule.title, rule.newest, rule.pushed_within, rule.untagged), ("rules[0]", 1, 60, 3600))
