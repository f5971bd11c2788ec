"""Publishes: how long they take, when the last one was, and how many failed."""

from __future__ import annotations

from tests.metrics.fixtures import MetricsCase

_LAST = "pkgd_publish_last_success_timestamp_seconds"
_FAILED = "pkgd_publish_failures_total"


class PublishTests(MetricsCase):
    """Two configured repositories of one name."""

    def setUp(self) -> None:
        """Configure them."""
        super().setUp()
        self.publishing = self.metrics.publishing
        self.publishing.use(["apt:main", "rpm:main"])
        self.apt, self.rpm = self.publishing.of("apt", "main"), self.publishing.of("rpm", "main")

    def test_start(self) -> None:
        """No failures yet is 0, and no success yet is no time at all."""
        self.assertEqual(self.value(_FAILED, repo="rpm:main"), 0)
        self.assertEqual(self.samples(_LAST), {})

    def test_found(self) -> None:
        """What was published before the start counts as the last success, and took no time."""
        self.apt.found(1000.0)
        self.assertEqual(self.value(_LAST, repo="apt:main"), 1000)
        self.assertEqual(self.samples("pkgd_publish_duration_seconds_count"), {})

    def test_published(self) -> None:
        """Of several suites the last one counts; durations are of all repositories of a type."""
        self.apt.published(2000.0, 0.2)
        self.apt.found(1000.0)
        self.rpm.published(3000.0, 20.0)

        self.assertEqual(self.value(_LAST, repo="apt:main"), 2000)
        self.assertEqual(self.value("pkgd_publish_duration_seconds_bucket", type="apt", le="0.25"), 1)
        self.assertEqual(self.value("pkgd_publish_duration_seconds_sum", type="rpm"), 20)

    def test_failed(self) -> None:
        """A failure counts for its repository."""
        self.apt.failed()
        self.assertEqual(self.value(_FAILED, repo="apt:main"), 1)
        self.assertEqual(self.value(_FAILED, repo="rpm:main"), 0)

    def test_reload(self) -> None:
        """A repository that is not configured any more has no series, also if it ends a publish; a new one has."""
        self.apt.published(2000.0, 0.2)
        self.apt.failed()
        self.publishing.use(["rpm:main", "rpm:new"])
        self.apt.published(3000.0, 0.2)
        self.apt.failed()

        self.assertNotIn(b"apt:main", self.metrics.render()[0])
        self.assertEqual(self.value(_FAILED, repo="rpm:new"), 0)
