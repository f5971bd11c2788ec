"""Package repositories and signing keys in the configuration."""

from __future__ import annotations

from pkgd.config import AptSuite
from tests.config.cases import ConfigCase

APT = "repositories: {{apt: [{{name: {}}}]}}"
RPM = "repositories: {{rpm: [{{name: {}}}]}}"


def suite(rest: str) -> str:
    """A file with one suite."""
    return f"repositories: {{apt: [{{name: a, suites: [{{{rest}}}]}}]}}"


def key(rest: str) -> str:
    """A file with one key."""
    return f"signing: {{keys: {{one: {{{rest}}}}}}}"


class BuiltInTests(ConfigCase):
    """What is there without being written."""

    def test_main(self) -> None:
        """An apt and an rpm repository `main`, with one suite and one component."""
        found = self.read().repositories

        self.assertEqual(([one.name for one in found.apt], [one.name for one in found.rpm]), (["main"], ["main"]))
        self.assertEqual(
            found.apt[0].suites, [AptSuite(codename="stable", components=["main"], architectures=["amd64", "arm64"])]
        )

    def test_replaced(self) -> None:
        """A list replaces them, an empty one too; the other kind's stay."""
        found = self.read("repositories: {apt: [], rpm: [{name: internal/el9}]}").repositories

        self.assertEqual((found.apt, [one.name for one in found.rpm]), ([], ["internal/el9"]))
        self.assertEqual([one.name for one in self.read("repositories: {rpm: []}").repositories.apt], ["main"])

    def test_key(self) -> None:
        """The key `default` may be named without being written; another may not."""
        self.assertEqual(self.read().signing.key("default").algorithm, "rsa3072")
        self.assert_refused("repositories: {apt: [{name: a, signing_key: release}]}", "repositories.apt[0].signing_key")
        self.assert_refused("repositories: {rpm: [{name: a, signing_key: release}]}", "repositories.rpm[0].signing_key")
        self.read("repositories: {rpm: [{name: a, signing_key: release}]}\nsigning: {keys: {release: {}}}")

    def test_environment(self) -> None:
        """The lists can be set by the environment."""
        found = self.read("", {"PKGD_REPOSITORIES__RPM": "[{name: x}]"})

        self.assertEqual([one.name for one in found.repositories.rpm], ["x"])


class NameTests(ConfigCase):
    """Names have to fit the URLs."""

    def test_apt(self) -> None:
        """An apt repository's name has one part."""
        for name in ("internal", "a.b", "team-1_x"):
            self.read(APT.format(name))
        for name in ("a/b", "''", "A", "'@1'", "'..'", "'a b'", "-a", "a-", "é", "x" * 201):
            self.assert_refused(APT.format(name), "repositories.apt[0].name")

    def test_rpm(self) -> None:
        """An rpm repository's name has any number, none of which is a place in a repository."""
        for name in ("internal", "internal/el9", "a/b/c.d"):
            self.read(RPM.format(name))
        for name in ("a/repodata", "Packages", "a/Packages/b", "'@3'", "'a/@3'", "a//b", "/a", "a/", "a/../b", "A"):
            self.assert_refused(RPM.format(name), "repositories.rpm[0].name")

    def test_suites(self) -> None:
        """No suite is called like a place in a repository."""
        for name in ("stable", "bookworm-updates", "1.0", "X~rc1"):
            self.read(suite(f"codename: '{name}'"))
        for name in ("pool", "dists", "incoming", "", "a/b", ".a", "a.", "@3", "a b"):
            self.assert_refused(suite(f"codename: '{name}'"), "repositories.apt[0].suites[0].codename")

    def test_words(self) -> None:
        """Components and architectures are words; `all` and `source` are no architectures to be listed."""
        for words in ("components: []", "components: [a/b]", "components: [main, main]", "components: ['']"):
            self.assert_refused(suite(f"codename: a, {words}"), "repositories.apt[0].suites[0].components")
        for words in ("[]", "[all, amd64]", "[source]", "['a b']", "[amd64, amd64]"):
            self.assert_refused(
                suite(f"codename: a, architectures: {words}"), "repositories.apt[0].suites[0].architectures"
            )

    def test_twice(self) -> None:
        """A name stands for one thing."""
        self.assert_refused("repositories: {apt: [{name: a}, {name: a}]}", "repositories.apt")
        self.assert_refused("repositories: {rpm: [{name: a}, {name: b}, {name: a}]}", "repositories.rpm")
        self.assert_refused(
            "repositories: {apt: [{name: a, suites: [{codename: s}, {codename: s}]}]}", "repositories.apt[0].suites"
        )

    def test_place(self) -> None:
        """What is wrong in a list is named with its place there."""
        self.assert_refused("repositories: {apt: [{name: a}, {nme: b}]}", "repositories.apt[1].nme")
        self.assert_refused(suite("codename: a, component: b"), "repositories.apt[0].suites[0].component")
        self.assert_refused("repositories: {rpm: [{name: a, compression: xz}]}", "repositories.rpm[0].compression")
        self.assert_refused("repositories: {rpm: [{}]}", "repositories.rpm[0]")


class ReleaseTests(ConfigCase):
    """What a Release file says."""

    def test_fields(self) -> None:
        """Fields are one line of text."""
        self.read(suite("codename: a, origin: Team, label: Team, description: Our packages"))
        for field in ("origin", "label", "description"):
            for text in ('"a\\nb"', '""', '" "'):
                self.assert_refused(suite(f"codename: a, {field}: {text}"), f"repositories.apt[0].suites[0].{field}")

    def test_upgrades(self) -> None:
        """Automatic upgrades are an exception from not being automatic, and nothing by themselves."""
        self.read(suite("codename: a, not_automatic: true, but_automatic_upgrades: true"))
        self.assert_refused(
            suite("codename: a, but_automatic_upgrades: true"), "repositories.apt[0].suites[0].but_automatic_upgrades"
        )

    def test_valid_for(self) -> None:
        """A time of validity is a duration, of an hour at least, or none."""
        self.assertEqual(
            self.read("repositories: {apt: [{name: a, valid_for: 7d}]}").repositories.apt[0].valid_for, 604800
        )
        self.assertIsNone(self.read("repositories: {apt: [{name: a, valid_for: null}]}").repositories.apt[0].valid_for)
        for text in ("5m", "soon"):
            self.assert_refused(
                f"repositories: {{apt: [{{name: a, valid_for: {text}}}]}}", "repositories.apt[0].valid_for"
            )

    def test_compression(self) -> None:
        """Each form is listed once, and there is at least one."""
        for forms in ("[]", "[gz, gz]"):
            self.assert_refused(
                f"repositories: {{apt: [{{name: a, compression: {forms}}}]}}", "repositories.apt[0].compression"
            )


class KeyTests(ConfigCase):
    """Keys that sign."""

    def test_native(self) -> None:
        """A native key is in a file, relative to the configuration's."""
        found = self.read(key("key_file: keys/a.asc, passphrase_file: keys/a.pass")).signing.key("one")

        self.assertEqual((found.key_file, found.passphrase_file), ("/etc/pkgd/keys/a.asc", "/etc/pkgd/keys/a.pass"))

    def test_gnupg(self) -> None:
        """One of GnuPG is named by its whole fingerprint."""
        self.read(key(f"backend: gnupg, fingerprint: {'A1' * 20}, homedir: gnupg"))
        self.assert_refused(key("backend: gnupg"), "signing.keys.one.fingerprint")
        self.assert_refused(
            key(f"backend: gnupg, passphrase_file: a, fingerprint: {'A1' * 20}"), "signing.keys.one.passphrase_file"
        )
        signs = "\nrepositories: {rpm: [{name: main, signing_key: one, sign_packages: sign}]}"
        self.read(key(f"backend: gnupg, fingerprint: {'A1' * 20}") + signs)
        self.assert_refused(key("backend: gnupg, fingerprint: A1A1A1A1"), "signing.keys.one.fingerprint")
        self.assert_refused(key(f"backend: gnupg, key_file: a, fingerprint: {'A1' * 20}"), "signing.keys.one.key_file")

    def test_mixed(self) -> None:
        """What is GnuPG's is not for a native key."""
        self.assert_refused(key("homedir: gnupg"), "signing.keys.one")
        self.assert_refused(key(f"fingerprint: {'A1' * 20}"), "signing.keys.one")
        self.assert_refused("signing: {keys: {'a/b': {}}}", "signing.keys.a/b")
