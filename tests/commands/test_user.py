"""The command `pkgd user`, on a state directory; over the API it is in the live suite."""

from __future__ import annotations

import json
import os

from pkgd.state.accountrows import disabled_users
from pkgd.state.accounts import AccountsFile
from tests.test_main import CommandCase, Run, run


class LocalTests(CommandCase):
    """On the server itself."""

    def setUp(self) -> None:
        """A state directory in which nobody is disabled."""
        self.state = os.path.abspath(self.mktemp())
        os.makedirs(self.state)
        self.log = os.path.join(self.state, "audit")
        self.config = self.write(f"state_dir: {self.state}\nlogging: {{audit: {{file: {self.log}}}}}\n")
        self.file = AccountsFile(os.path.join(self.state, "pkgd.sqlite"))

    def command(self, *arguments: str) -> Run:
        """Run a command of `pkgd user`."""
        return run("user", *arguments[:1], "-c", self.config, *arguments[1:])

    def test_disable(self) -> None:
        """Somebody is disabled until he is enabled; the audit log has each change once, and who has done it."""
        self.assertEqual([self.command("disable", "alice") for _ in range(2)], [Run(0, "", "")] * 2)
        self.assertEqual([one.user for one in self.file.run(disabled_users)], ["alice"])
        found = self.command("list")
        self.assertRegex(found.output, r"\A[0-9-]{10}  alice\n\Z")
        self.assertEqual(self.command("enable", "alice"), Run(0, "", ""))
        self.assertEqual(self.command("list"), Run(0, "", ""))

        with open(self.log, encoding="utf-8") as file:
            lines = [json.loads(one) for one in file]
        told = [(one["action"], one["via"], one["resource"]) for one in lines]
        self.assertEqual(told, [("disable-user", "local", "user:alice"), ("enable-user", "local", "user:alice")])

    def test_not_disabled(self) -> None:
        """Who is not disabled cannot be enabled."""
        found = self.command("enable", "bob")

        self.assertEqual((found.status, found.errors.count("\n")), (1, 1))
        self.assertIn("bob", found.errors)

    def test_refused(self) -> None:
        """What cannot be understood is 2."""
        for arguments in (
            ("disable",),
            ("disable", "a", "b"),
            ("disable", ""),
            ("enable", "\x1b[2J"),
            ("list", "--url", "http://localhost"),
        ):
            self.assertEqual(self.command(*arguments).status, 2, arguments)
        self.assertEqual(run("user").status, 2)
