"""Credentials and what became of them, back ends, and the file of users."""

from __future__ import annotations

from tests.metrics.fixtures import MetricsCase


class AuthTests(MetricsCase):
    """What is told, and what is shown of it."""

    def test_requests(self) -> None:
        """Credentials are counted by their kind and by what became of them."""
        for result in ("ok", "rejected", "rejected"):
            self.metrics.auth.request("htpasswd", result)

        self.assertEqual(self.value("pkgd_auth_requests_total", method="htpasswd", result="rejected"), 2)
        self.assertEqual(self.value("pkgd_auth_requests_total", method="htpasswd", result="ok"), 1)

    def test_cache(self) -> None:
        """Hits and misses, from 0."""
        names = ("pkgd_auth_cache_hits_total", "pkgd_auth_cache_misses_total")
        self.assertEqual([self.value(name) for name in names], [0, 0])

        for is_known in (True, True, False):
            self.metrics.auth.cached(is_known)
        self.assertEqual([self.value(name) for name in names], [2, 1])

    def test_backends(self) -> None:
        """How long a configured back end takes is a histogram."""
        self.metrics.auth.use(["ldap"])
        self.metrics.auth.backend_answered("ldap", "ok", 0.2)

        name, labels = "pkgd_auth_backend_duration_seconds", {"backend": "ldap", "result": "ok"}
        self.assertEqual(self.value(f"{name}_bucket", le="0.1", **labels), 0)
        self.assertEqual(self.value(f"{name}_bucket", le="0.25", **labels), 1)

    def test_reload(self) -> None:
        """A back end that is not configured any more has no series, also if an answer of its still comes."""
        self.metrics.auth.use(["old", "kept"])
        for name in ("old", "kept"):
            self.metrics.auth.backend_answered(name, "ok", 0.2)
        self.metrics.auth.use(["kept"])
        self.metrics.auth.backend_answered("old", "unavailable", 10.0)

        found = self.samples("pkgd_auth_backend_duration_seconds_count")
        self.assertEqual({dict(labels)["backend"] for labels in found}, {"kept"})

    def test_users(self) -> None:
        """A broken file of users shows."""
        values = [self.value("pkgd_auth_users_stale")]
        for is_stale in (True, False):
            self.metrics.auth.users_stale(is_stale)
            values.append(self.value("pkgd_auth_users_stale"))

        self.assertEqual(values, [0.0, 1.0, 0.0])
