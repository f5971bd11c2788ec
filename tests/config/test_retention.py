"""Rules of retention in the configuration."""

from __future__ import annotations

from tests.config.cases import ConfigCase

RULE = "repositories: {{retention: {{rules: [{{{}}}]}}}}"
PATH = "repositories.retention.rules[0]"


class RetentionTests(ConfigCase):
    """`repositories.retention`."""

    def assert_rule(self, text: str, key: str = "") -> None:
        """A rule can be used; or, with a key, cannot because of that."""
        if key:
            self.assert_refused(RULE.format(text), f"{PATH}.{key}")
        else:
            self.read(RULE.format(text))

    def test_default(self) -> None:
        """Everything stays."""
        found = self.read().repositories.retention

        self.assertEqual((found.rules, found.interval), ([], 86400.0))

    def test_whole(self) -> None:
        """Durations and numbers."""
        text = "resources: ['oci:**'], newest: 3, pushed_within: 30d, untagged: 12h"

        (found,) = self.read(RULE.format(text)).repositories.retention.rules

        self.assertEqual((found.newest, found.pushed_within, found.untagged), (3, 30 * 86400, 43200))

    def test_resources(self) -> None:
        """Repositories, suites, and globs over them."""
        for one in ("oci:team/**", "apt:main", "apt:main/stable", "apt:*/stable", "apt:**", "apt:main/*", "rpm:main"):
            self.assert_rule(f"resources: ['{one}']")
        self.read(
            "repositories: {apt: [{name: a, suites: [{codename: 1.0+X}]}],"
            " retention: {rules: [{resources: ['apt:a/1.0+X']}]}}"
        )
        self.assert_rule("resources: []", "resources")
        wrong = ["team/**", "oci:Team", "mirror:docker.io/**", "oci:${claims.sub}/**", "apt:main/a/b", "apt:main/{x}"]
        for one in [*wrong, "oci:a**", "oci:a:b", "apt:", "pkg:a"]:
            self.assert_rule(f"resources: ['oci:a', '{one}']", "resources[1]")

    def test_nowhere(self) -> None:
        """A package repository or suite that is not there is a slip of the keyboard."""
        for one in ("apt:mian", "apt:main/stabel", "rpm:mian"):
            self.assert_rule(f"resources: ['{one}']", "resources[0]")

    def test_kinds(self) -> None:
        """What has no meaning for the resources is refused."""
        self.assert_rule("resources: ['oci:**', 'apt:main'], tags: ['v*']", "tags")
        self.assert_rule("resources: ['rpm:main'], untagged: 1d", "untagged")
        self.assert_rule("resources: ['oci:**'], packages: [hello]", "packages")
        self.assert_rule("resources: ['oci:**'], tags: ['v*'], untagged: 1d", "untagged")
        self.assert_rule("resources: ['oci:**'], tags: ['v*', latest, 'release-?']")
        self.assert_rule("resources: ['apt:**', 'rpm:**'], packages: ['lib*', 'g++']")

    def test_globs(self) -> None:
        """Lists have something in them, and that is a glob."""
        self.assert_rule("resources: ['oci:**'], tags: []", "tags")
        self.assert_rule("resources: ['oci:**'], tags: [a, 'b c']", "tags[1]")
        self.assert_rule("resources: ['rpm:**'], packages: ['a/b']", "packages[0]")

    def test_limits(self) -> None:
        """Limits that nothing would be within are refused."""
        self.assert_rule("resources: ['oci:**'], newest: 0", "newest")
        self.assert_rule("resources: ['oci:**'], pushed_within: 0s", "pushed_within")
        self.assert_rule("resources: ['oci:**'], untagged: 0s")
        self.assert_rule("resources: ['oci:**'], pushed_within: soon", "pushed_within")
        self.assert_rule("resources: ['oci:**'], keep: 1", "keep")
