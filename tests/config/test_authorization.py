"""`authorization` and immutable tags in the configuration: what they become, and what is refused with which hint."""

from __future__ import annotations

from pkgd.config import hints
from pkgd.config.authorization import Rule
from pkgd.errors import ConfigError
from tests.config.cases import ConfigCase


class RuleCase(ConfigCase):
    """Reads one rule."""

    def rule(self, resources: str = '"oci:a"', subjects: str = "anonymous", actions: str = "pull") -> Rule:
        """The rule as it is understood."""
        (rule,) = self.read(self.text(resources, subjects, actions)).authorization.rules or ()
        return rule

    def text(self, resources: str = '"oci:a"', subjects: str = "anonymous", actions: str = "pull") -> str:
        """A file with one rule."""
        rule = f"{{resources: [{resources}], subjects: [{subjects}], actions: [{actions}]}}"
        return f"authorization: {{rules: [{rule}]}}"

    def assert_refused_rule(self, key: str, value: str) -> ConfigError:
        """A rule is refused because of its first resource, subject or action."""
        return self.assert_refused(self.text(**{key: value}), f"authorization.rules[0].{key}[0]")


class SectionTests(RuleCase):
    """The section as a whole."""

    def test_absent(self) -> None:
        """Without it there are no rules and no admins."""
        found = self.read().authorization

        self.assertIsNone(found.rules)
        self.assertEqual((found.admins.users, found.admins.groups), ([], []))

    def test_rule(self) -> None:
        """A rule with everything a rule may have."""
        rule = self.rule('"oci:a/**", "apt:b", "rpm:c/*"', '"user:a", "group:b"', "pull, push, overwrite, delete")

        self.assertEqual(rule.resources, ["oci:a/**", "apt:b", "rpm:c/*"])
        self.assertEqual(rule.subjects, ["user:a", "group:b"])
        self.assertEqual(rule.actions, ["pull", "push", "overwrite", "delete"])

    def test_empty(self) -> None:
        """An empty list of rules is refused: it could mean everything, or nothing. So are rules for nothing."""
        self.assertIn("authenticated", self.assert_refused("authorization: {rules: []}", "authorization.rules").reason)
        for key in ("resources", "subjects", "actions"):
            self.assert_refused(self.text(**{key: ""}), f"authorization.rules[0].{key}")

    def test_incomplete(self) -> None:
        """A rule without one of its three keys is refused."""
        self.assert_refused("authorization: {rules: [{resources: ['oci:a']}]}", "authorization.rules[0]")

    def test_keys(self) -> None:
        """An unknown key is refused, with the one that may be meant."""
        rule = "{resource: ['oci:a'], subjects: [anonymous], actions: [pull]}"
        error = self.assert_refused(f"authorization: {{rules: [{rule}]}}", "authorization.rules[0].resource")
        self.assertEqual(error.suggestion, "resources")
        self.assertEqual(self.assert_refused("authorization: {admin: {}}", "authorization.admin").suggestion, "admins")

    def test_actions(self) -> None:
        """An action is one of four."""
        error = self.assert_refused_rule("actions", "pul")
        self.assertEqual(error.suggestion, "pull")
        for other in ("enter", "list", "PULL", "'*'", "1"):
            self.assertIn("pull, push, overwrite, delete", self.assert_refused_rule("actions", other).reason)

    def test_admins(self) -> None:
        """Admins are names, and no globs."""
        found = self.read("authorization: {admins: {users: [root], groups: [ops]}}").authorization.admins

        self.assertEqual((found.users, found.groups), (["root"], ["ops"]))
        for key in ("users", "groups"):
            for name in ("'*'", "''", "' a'", '"a\\n"', "'a*'"):
                self.assert_refused(f"authorization: {{admins: {{{key}: [{name}]}}}}", f"authorization.admins.{key}[0]")

    def test_environment(self) -> None:
        """Rules can be set by the environment."""
        variables = {
            "PKGD_AUTHORIZATION__RULES": "[{resources: ['oci:a'], subjects: [anonymous], actions: [pull]}]",
            "PKGD_AUTHORIZATION__ADMINS__USERS": "[root]",
        }
        found = self.read("", variables).authorization

        self.assertEqual((len(found.rules or ()), found.admins.users), (1, ["root"]))

    def test_hint(self) -> None:
        """Rules for somebody known by name mean nothing where nobody logs in: that is said in the log."""
        for subjects, expected in (("anonymous", 0), ("'cidr:10.0.0.0/8'", 0), ("authenticated", 1), ("'user:a'", 1)):
            self.assertEqual(len(hints(self.read(self.text(subjects=subjects)), {})), expected, subjects)
        self.assertEqual(len(hints(self.read("authorization: {admins: {users: [a]}}"), {})), 1)


class ResourceTests(RuleCase):
    """Resources: a kind, and a glob over names."""

    def test_kinds(self) -> None:
        """There are four kinds; what may be meant by another is said."""
        for resource, suggestion in (
            ("oc:a", "oci:a"),
            ("deb:a", ""),
            ("mirrors:docker.io/**", "mirror:docker.io/**"),
            ("team/app", "oci:team/app"),
            ("OCI:a", ""),
            ("oci", "oci:oci"),
            ("registry", "oci:registry"),
        ):
            error = self.assert_refused_rule("resources", f'"{resource}"')
            self.assertEqual(error.suggestion, suggestion, resource)
            self.assertIn("oci:, apt:, rpm:, mirror:", error.reason)

    def test_names(self) -> None:
        """What no repository is called is refused, and lower case suggested."""
        for name in ("", "/a", "a/", "a//b", "a b", "a:b", "a\\n", "é", "[a]", "a,b"):
            self.assert_refused_rule("resources", f'"oci:{name}"')
        self.assertEqual(self.assert_refused_rule("resources", '"oci:Team/App"').suggestion, "oci:team/app")

    def test_two_stars(self) -> None:
        """`**` stands for whole parts: foo** would mean foobar, too."""
        for name in ("foo**", "**foo", "a/foo**/b", "***", "${claims.x}**", "foo/***"):
            self.assert_refused_rule("resources", f'"oci:{name}"')
        for name in ("**", "foo/**", "**/foo", "a/**/b", "foo*"):
            self.assertEqual(self.rule(f'"oci:{name}"').resources, [f"oci:{name}"])

    def test_apt(self) -> None:
        """An apt repository's name has one part, and behind it may stand that of a suite."""
        for name in ("*", "**", "main", "${claims.team}"):
            self.assertEqual(self.rule(f'"apt:{name}"').resources, [f"apt:{name}"])
        self.assertEqual(self.rule('"apt:main/**"').resources, ["apt:main"])
        for name in ("main/stable/x", "**/stable", "main/stable/**", "main/"):
            self.assert_refused_rule("resources", f'"apt:{name}"')

    def test_suites(self) -> None:
        """What is allowed for a suite is to change it: all suites are pulled together, with whatever is written."""
        for name in ("main/stable", "*/testing", "main/${claims.suite}", "main/*"):
            self.assertEqual(self.rule(f'"apt:{name}"', actions="push, delete").resources, [f"apt:{name}"])
            text = self.text(f'"oci:a/**", "apt:{name}"', actions="pull, push")
            error = self.assert_refused(text, "authorization.rules[0].actions")
            self.assertIn("as a whole", error.reason)

    def test_mirror(self) -> None:
        """A host is written in its canonical form, and Docker Hub's short names are below library."""
        for given, canonical in (
            ("index.docker.io/alpine", "docker.io/library/alpine"),
            ("GHCR.IO/a/**", "ghcr.io/a/**"),
            ("ghcr.io:443/**", "ghcr.io/**"),
            ("localhost:5000/**", "localhost:5000/**"),
            ("**", "**"),
            ("*.example.com/**", "*.example.com/**"),
            ("docker.io/**", "docker.io/**"),
        ):
            self.assertEqual(self.rule(f'"mirror:{given}"').resources, [f"mirror:{canonical}"])
        self.assertEqual(self.assert_refused_rule("resources", '"mirror:ghcr.io"').suggestion, "mirror:ghcr.io/**")
        for given in ("a_b/**", "${claims.host}/**", "x..y/a", "*", "https://ghcr.io/**"):
            self.assert_refused_rule("resources", f'"mirror:{given}"')

    def test_templates(self) -> None:
        """Claims are the only templates there are."""
        for name in ("${claims.project_path}/**", "ci/${claims.a}/${claims.b}", "${claims.kubernetes.io/ns}"):
            self.assertEqual(self.rule(f'"oci:{name}"').resources, [f"oci:{name}"])
        for name, suggestion in (
            ("${claim.path}/**", "${claims.path}"),
            ("${path}", "${claims.path}"),
            ("$path", "${claims.path}"),
            ("${claims.}", "${claims.NAME}"),
            ("${claims.a", "${claims.a}"),
            ("${claims.a b}", "${claims.ab}"),
        ):
            self.assertEqual(self.assert_refused_rule("resources", f'"oci:{name}"').suggestion, suggestion, name)
        self.assert_refused_rule("resources", '"oci:{claims.path}"')

    def test_once(self) -> None:
        """What is written twice counts once."""
        self.assertEqual(self.rule('"mirror:docker.io/a", "mirror:index.docker.io/library/a"').resources.__len__(), 1)


class SubjectTests(RuleCase):
    """Subjects: who a rule is for."""

    def test_kinds(self) -> None:
        """There are six kinds; what may be meant by another is said."""
        for subject, suggestion in (
            ("users:alice", "user:alice"),
            ("alice", "user:alice"),
            ("anonymos", "anonymous"),
            ("authentcated", "authenticated"),
            ("net:10.0.0.0/8", ""),
            ("groups:a", "group:a"),
        ):
            self.assertEqual(self.assert_refused_rule("subjects", f'"{subject}"').suggestion, suggestion, subject)
        for subject in ("anonymous", "authenticated", "user:a:b", "group:a b", "issuer:https://a.example/x"):
            self.assertEqual(self.rule(subjects=f'"{subject}"').subjects, [subject])

    def test_names(self) -> None:
        """Names are names: none is empty, and none is a glob."""
        for subject in ("user:", "group:", "issuer:", "cidr:", "user:*", "group:team-*", "user: a", "user:a\\n"):
            self.assert_refused_rule("subjects", f'"{subject}"')
        self.assertEqual(self.assert_refused_rule("subjects", '"anonymous:x"').suggestion, "anonymous")

    def test_issuers(self) -> None:
        """An issuer is a URL."""
        for issuer in ("gitlab.example.com", "https:", "https://", "file:///x"):
            self.assert_refused_rule("subjects", f'"issuer:{issuer}"')

    def test_networks(self) -> None:
        """A network is one, without bits behind its length; an address is a network of one."""
        for network in ("10.0.0.0/33", "10.0.0", "::/129", "10.0.0.0/255.0.0.256", "x"):
            self.assert_refused_rule("subjects", f'"cidr:{network}"')
        self.assertEqual(self.assert_refused_rule("subjects", '"cidr:10.1.2.3/8"').suggestion, "cidr:10.0.0.0/8")
        for given, canonical in (
            ("10.1.2.3", "10.1.2.3/32"),
            ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
            ("FD00::/8", "fd00::/8"),
        ):
            self.assertEqual(self.rule(subjects=f'"cidr:{given}"').subjects, [f"cidr:{canonical}"])


class TagTests(ConfigCase):
    """`repositories.oci.immutable_tags`: globs over repository and tag."""

    def test_globs(self) -> None:
        """A glob has a repository and a tag, of which either may have wildcards."""
        text = "repositories: {oci: {immutable_tags: ['**:v*', 'team/app:1.0', 'a/*:*']}}"
        self.assertEqual(self.read(text).repositories.oci.immutable_tags, ["**:v*", "team/app:1.0", "a/*:*"])

    def test_refused(self) -> None:
        """One without a tag is refused with what may be meant, and one that no tag can match."""
        path = "repositories.oci.immutable_tags[0]"
        error = self.assert_refused("repositories: {oci: {immutable_tags: ['v*']}}", path)
        self.assertEqual(error.suggestion, "**:v*")
        for glob in ("", ":v*", "a:", "a:b:c", "a:b/c", "A:v", "a b:c"):
            self.assert_refused(f"repositories: {{oci: {{immutable_tags: ['{glob}']}}}}", path)
