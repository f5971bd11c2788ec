"""What is read off the configuration when everything is made."""

from __future__ import annotations

from pkgd.authorization import is_credentialed, upstreams_meant
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


class MeantTests(ConfigCase):
    """Which upstreams' repositories a name may mean, as far as rules tell them apart."""

    def meant(self, name: str, *globs: str, rest: str = "") -> list[str]:
        """Those of a name, with rules over these."""
        rules = "".join(f"    - {{resources: ['{one}'], subjects: [anonymous], actions: [pull]}}\n" for one in globs)
        text = f"authorization:\n  rules:\n{rules}" if rules else ""
        return upstreams_meant(self.read(text + rest))(name)

    def test_hosts(self) -> None:
        """Those that are written down anywhere: as fallback, with a section, in a rule."""
        rest = "mirror: {fallback: [ghcr.io], registries: {quay.io: {}}}"
        found = self.meant("a/b", "mirror:registry.example.com/a/**", "oci:x/**", rest=rest)

        hosts = ("docker.io", "ghcr.io", "quay.io", "registry.example.com", "upstream.invalid")
        self.assertEqual(found, [f"{host}/a/b" for host in hosts])

    def test_globs(self) -> None:
        """For globs over hosts, one that they match, so that what is allowed of any of them is found."""
        found = self.meant("a", "mirror:*.example.com/**", "mirror:**", rest="mirror: {fallback: []}")

        self.assertEqual(found, ["docker.io/library/a", "x.example.com/a", "upstream.invalid/a"])

    def test_paths(self) -> None:
        """A host in front of the name is that host; a name that is none is nobody's."""
        self.assertEqual(self.meant("docker.io/alpine")[0], "docker.io/library/alpine")
        self.assertNotIn("quay.io/a", self.meant("quay.io/a", rest="mirror: {path_prefix: false}"))
        self.assertEqual(self.meant("NOT/a name"), [])
