"""The command `pkgd auth explain`: what it answers, and how it ends."""

from __future__ import annotations

from tests.test_main import CommandCase, Run, run

FILE = """\
auth: {mode: none}
authorization:
  admins: {users: [root]}
  rules:
    - {resources: ["oci:public/**"], subjects: [anonymous], actions: [pull]}
    - {resources: ["mirror:**"], subjects: ["cidr:10.0.0.0/8", anonymous], actions: [pull]}
    - {resources: ["oci:team-a/**", "apt:team-a"], subjects: ["group:team-a"], actions: [pull, push]}
    - {resources: ["oci:${claims.project_path}/**"], subjects: ["issuer:https://ci.example.com"], actions: [push]}
mirror: {registries: {ghcr.io: {username: bob, password: hunter2-canary}}}
"""


class ExplainTests(CommandCase):
    """Whether somebody may do something, by which rule."""

    def explain(self, *arguments: str) -> Run:
        """Ask about the file."""
        return run("auth", "explain", "-c", self.write(FILE), *arguments)

    def test_allowed(self) -> None:
        """What is allowed ends with 0, and the rule is named."""
        found = self.explain("--as", "alice", "--group", "x", "--group", "team-a", "push", "oci:team-a/app")

        line = "allowed: alice: push oci:team-a/app: authorization.rules[2] (oci:team-a/** for group:team-a)\n"
        self.assertEqual(found, Run(0, line, ""))

    def test_denied(self) -> None:
        """What is not ends with 1, on standard output all the same: it is the answer."""
        found = self.explain("--as", "alice", "delete", "oci:team-a/app")

        self.assertEqual(found, Run(1, "denied: alice: delete oci:team-a/app: no rule allows it\n", ""))

    def test_anonymous(self) -> None:
        """Without a user it is about somebody without credentials."""
        self.assertEqual(self.explain("pull", "oci:public/a").status, 0)
        self.assertIn("denied: anonymous: ", self.explain("push", "oci:public/a").output)

    def test_admin(self) -> None:
        """An admin is one by configuration."""
        self.assertIn("authorization.admins.users (root)", self.explain("--as", "root", "delete", "rpm:x").output)

    def test_private(self) -> None:
        """What the configuration has credentials for counts as private, and is called so."""
        outside = self.explain("pull", "mirror:ghcr.io/a")
        inside = self.explain("--address", "10.1.2.3", "pull", "mirror:ghcr.io/a")

        self.assertEqual((outside.status, inside.status), (1, 0))
        self.assertIn("(fetched with credentials)", outside.output)
        self.assertEqual(self.explain("pull", "mirror:quay.io/a").status, 0)

    def test_claims(self) -> None:
        """Claims and the issuer count as a token's would; a claim given twice is a list."""
        job = ("--as", "job", "--issuer", "https://ci.example.com")

        self.assertEqual(self.explain(*job, "--claim", "project_path=a/b", "push", "oci:a/b/c").status, 0)
        twice = ("--claim", "project_path=x", "--claim", "project_path=a/b")
        self.assertEqual(self.explain(*job, *twice, "push", "oci:a/b/c").status, 0)
        self.assertEqual(self.explain(*job, "--claim", "project_path=*", "push", "oci:a/b/c").status, 1)

    def test_suite(self) -> None:
        """Of an apt repository a suite may be named; what is asked of the repository is not what is asked of one."""
        rule = "{resources: ['apt:main/testing'], subjects: [authenticated], actions: [push]}"
        config = self.write(f"authorization: {{rules: [{rule}]}}")
        for resource, status in (("apt:main/testing", 0), ("apt:main/stable", 1), ("apt:main", 1), ("apt:main/*", 1)):
            found = run("auth", "explain", "-c", config, "--as", "alice", "push", resource)
            self.assertEqual(found.status, status, resource)
            if "*" not in resource:
                self.assertIn(f"alice: push {resource}: ", found.output)

    def test_canonical(self) -> None:
        """A mirrored repository may be written as people write it."""
        self.assertIn("mirror:docker.io/library/alpine", self.explain("pull", "mirror:docker.io/alpine").output)

    def test_no_rules(self) -> None:
        """Without rules, where nobody logs in, everybody may do everything."""
        found = run("auth", "explain", "-c", self.write("auth: {mode: none}"), "delete", "oci:a")

        self.assertEqual(
            found, Run(0, "allowed: anonymous: delete oci:a: auth.mode none: everybody may do everything\n", "")
        )

    def test_not_a_resource(self) -> None:
        """What is no resource, or several, is an error, which has nothing to do with being denied."""
        for resource in ("team/app", "oci:team/*", "deb:main", "oci:${claims.a}"):
            found = self.explain("pull", resource)
            self.assertEqual((found.status, found.output), (1, ""), resource)
            self.assertTrue(found.errors.startswith("pkgd: "), found.errors)

    def test_not_understood(self) -> None:
        """What is not understood ends with 2."""
        for arguments in (
            ["pull"],
            ["pull", "oci:a", "oci:b"],
            ["enter", "oci:a"],
            ["--group", "a", "pull", "oci:a"],
            ["--as", "a", "--claim", "x", "pull", "oci:a"],
            ["--address", "10.0.0", "pull", "oci:a"],
        ):
            found = self.explain(*arguments)
            self.assertEqual((found.status, found.output), (2, ""), arguments)
        self.assertEqual(run("auth").status, 2)
