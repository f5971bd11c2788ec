"""What is read off the configuration when everything is made."""

from __future__ import annotations

from pkgd.authorization import is_credentialed
from tests.config.cases import ConfigCase


class CredentialTests(ConfigCase):
    """Whose content counts as private before it is fetched."""

    registries = """
mirror:
  registries:
    docker.io: {username: me, password: secret}
    quay.io: {}
    parent.example.com: {username: me, password: secret}
"""

    def hosts(self, text: str) -> list[bool]:
        """Whether that of docker.io, quay.io and ghcr.io does."""
        has_credentials = is_credentialed(self.read(text))
        return [has_credentials(host) for host in ("docker.io", "quay.io", "ghcr.io")]

    def test_own(self) -> None:
        """A host's that is fetched with credentials."""
        self.assertEqual(self.hosts(self.registries), [True, False, False])
        self.assertEqual(self.hosts(""), [False] * 3)

    def test_of_a_parent(self) -> None:
        """Every host's, if a mirror that is asked first gets credentials."""
        parent = "  upstream_mirror: [https://parent.example.com]\n"

        self.assertEqual(self.hosts(self.registries + parent), [True] * 3)
        self.assertEqual(self.hosts("mirror:\n" + parent), [False] * 3)
