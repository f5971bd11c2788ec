"""The command `pkgd refresh-token`, on a state directory; over the API it is in the live suite."""

from __future__ import annotations

import json
import os
import re
import time
from functools import partial

from pkgd.state.accountrows import RefreshRow, add_refresh, all_refresh
from pkgd.state.accounts import AccountsFile
from tests.test_main import CommandCase, Run, run


class LocalTests(CommandCase):
    """On the server itself."""

    def setUp(self) -> None:
        """A state directory in which two have logged in, one of them long ago."""
        self.state = os.path.abspath(self.mktemp())
        os.makedirs(self.state)
        self.log = os.path.join(self.state, "audit")
        self.config = self.write(f"state_dir: {self.state}\nlogging: {{audit: {{file: {self.log}}}}}\n")
        self.file = AccountsFile(os.path.join(self.state, "pkgd.sqlite"))
        self.file.prepare()
        now = time.time()
        for user, expires in (("alice", now + 1000), ("bob", now - 1)):
            digest = bytes.fromhex("ab" * 31) + user[:1].encode()
            row = RefreshRow(digest, user, (), "oidc", "", "pkg.example.com", "docker\x1b[2J", now - 10, expires)
            self.file.run(partial(add_refresh, row=row))

    def command(self, *arguments: str) -> Run:
        """Run a command of `pkgd refresh-token`."""
        return run("refresh-token", *arguments[:1], "-c", self.config, *arguments[1:])

    def test_list(self) -> None:
        """One line for each that is good; what a client calls itself moves no cursor."""
        found = self.command("list")

        line = rf"{'ab' * 8}  alice  since [0-9-]{{10}}  until [0-9-]{{10}}  docker\?\[2J\n"
        self.assertTrue(re.fullmatch(line, found.output), found)

    def test_revoke(self) -> None:
        """One ends by its id, which the audit log tells; one that is not there is an error."""
        self.assertEqual(self.command("revoke", "ab" * 8), Run(0, "", ""))

        self.assertEqual(self.file.run(partial(all_refresh, now=time.time())), [])
        for identifier in ("ab" * 8, "cd" * 8, "%", "../x", ""):
            found = self.command("revoke", identifier)
            self.assertEqual((found.status, found.errors.count("\n")), (1, 1), identifier)
        with open(self.log, encoding="utf-8") as file:
            (line,) = [json.loads(one) for one in file]
        told = {name: line[name] for name in ("action", "via", "resource", "owner")}
        resource = f"refresh-token:{'ab' * 8}"
        self.assertEqual(
            told, {"action": "revoke-refresh-token", "via": "local", "resource": resource, "owner": "alice"}
        )

    def test_refused(self) -> None:
        """What cannot be understood is 2."""
        for arguments in (("revoke",), ("revoke", "a", "b"), ("list", "--url", "http://localhost")):
            self.assertEqual(self.command(*arguments).status, 2, arguments)
        self.assertEqual(run("refresh-token").status, 2)
