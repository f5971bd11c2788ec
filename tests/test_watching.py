"""What a configuration says of the series that there are."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.config import parse
from pkgd.metrics import Metrics
from pkgd.watching import follow

BACKEND = "auth: {mode: basic, basic_api_backends: [{url: 'https://ldap.example.com/', name: ldap}]}\n"


class FollowTests(SynchronousTestCase):
    """`follow`."""

    def setUp(self) -> None:
        """No configuration yet."""
        self.metrics = Metrics(others=0)

    def follow(self, text: str) -> None:
        """Follow another configuration."""
        follow(self.metrics, parse(text, {}, self.mktemp()))

    def lines(self, part: str) -> list[str]:
        """The lines of the text that contain something."""
        return [one for one in self.metrics.render()[0].decode().splitlines() if part in one]

    def test_upstreams(self) -> None:
        """Registries, fallbacks and the mirrors that are asked first have labels of their own."""
        self.follow(
            "mirror: {upstream_mirror: ['https://site.example.com'], fallback: [ghcr.io], registries: {quay.io: {}}}\n"
        )
        for host in ("site.example.com", "ghcr.io", "quay.io"):
            self.assertIn(f'pkgd_upstream_circuit_open{{upstream="{host}"}} 0.0', self.lines(host))
        self.follow("mirror: {fallback: []}\n")
        self.assertEqual(self.lines("quay.io"), [])

    def test_repositories(self) -> None:
        """Those that are written down, and the built-in ones where nothing is."""
        self.follow("")
        self.assertEqual(
            self.lines("pkgd_publish_failures_total{"),
            [f'pkgd_publish_failures_total{{repo="{one}:main"}} 0.0' for one in ("apt", "rpm")],
        )
        self.follow("repositories: {apt: [], rpm: [{name: internal/el9}]}\n")
        self.assertEqual(
            self.lines("pkgd_publish_failures_total{"), ['pkgd_publish_failures_total{repo="rpm:internal/el9"} 0.0']
        )

    def test_backends(self) -> None:
        """Back ends, in the mode that asks them."""
        self.follow(BACKEND)
        self.metrics.auth.backend_answered("ldap", "ok", 0.1)
        self.assertGreater(len(self.lines('backend="ldap"')), 3)
        self.follow("auth: {mode: none}\n")
        self.assertEqual(self.lines('backend="ldap"'), [])
