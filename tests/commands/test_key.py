"""The command `pkgd key`, on a state directory; over the API it is in the live suite."""

from __future__ import annotations

import json
import os
import pwd
import re
from typing import Any

from pkgd.auth.secrettexts import read_key
from pkgd.state.accountrows import KeyRow, all_keys
from pkgd.state.accounts import AccountsFile
from tests.test_main import CommandCase, Run, run


class LocalTests(CommandCase):
    """On the server itself."""

    def setUp(self) -> None:
        """A state directory, as the daemon makes it."""
        self.state = os.path.abspath(self.mktemp())
        os.makedirs(self.state)
        self.config = self.write(f"state_dir: {self.state}\nauth: {{mode: none, api_keys: {{max_lifetime: 180d}}}}\n")

    def key(self, *arguments: str) -> Run:
        """Run a command of `pkgd key`."""
        return run("key", *arguments[:1], "-c", self.config, *arguments[1:])

    def kept(self) -> list[KeyRow]:
        """What is in the file."""
        found: list[KeyRow] = AccountsFile(os.path.join(self.state, "pkgd.sqlite")).run(all_keys)
        return found

    def test_create(self) -> None:
        """The key is all that is printed, and what is kept of it is what was said."""
        found = self.key(
            *("create", "--robot", "ci", "--label", "for CI", "--allow", "apt:internal=pull,push"),
            *("--allow", "oci:a/**=pull", "--expires", "30d", "--network", "10.0.0.0/8", "--group", "dev"),
        )

        key, (row,) = read_key(found.output.removesuffix("\n")), self.kept()
        assert key is not None
        self.assertEqual((found.status, found.errors, key.id, key.digest), (0, "", row.id, row.digest))
        self.assertEqual(
            (row.owner, row.label, row.groups, row.networks), ("robot:ci", "for CI", ("dev",), ("10.0.0.0/8",))
        )
        self.assertEqual([one.resources for one in row.allow or ()], [("apt:internal",), ("oci:a/**",)])
        self.assertEqual(row.expires - row.created, 30 * 86400.0)

    def test_list(self) -> None:
        """One line for each, without its secret."""
        text = self.key("create", "--robot", "robot:ci", "--allow", "apt:internal=pull", "--label", "x").output
        found = self.key("list")

        self.assertTrue(
            re.fullmatch(
                rf"{text[5:13]}  robot:ci  until [0-9-]{{10}}  never used  apt:internal=pull  x\n", found.output
            )
        )

    def test_revoke(self) -> None:
        """A key ends by its id; one that is not there is an error."""
        text = self.key("create", "--robot", "ci").output

        self.assertEqual(self.key("revoke", text[5:13]), Run(0, "", ""))
        self.assertEqual(self.kept(), [])
        self.assertEqual(self.key("revoke", text[5:13]).status, 1)

    def test_audit(self) -> None:
        """Making and revoking a key stand in the audit log, in the name of who has run the command; listing doesn't."""
        log = os.path.join(self.state, "audit")
        self.config = self.write(f"state_dir: {self.state}\nlogging: {{audit: {{file: {log}}}}}\n")
        text = self.key("create", "--robot", "ci", "--label", "x").output
        self.key("list")
        self.key("revoke", text[5:13])
        self.key("revoke", text[5:13])

        with open(log, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        user = pwd.getpwuid(os.getuid()).pw_name
        common = {"user": user, "via": "local", "resource": f"key:{text[5:13]}", "owner": "robot:ci", "label": "x"}
        self.assertEqual([one.pop("action") for one in lines], ["create-key", "revoke-key"])
        self.assertEqual([{name: one[name] for name in common} for one in lines], [common, common])

    def test_audit_fails(self) -> None:
        """A key of which the audit log cannot tell is not made."""
        self.config = self.write(f"state_dir: {self.state}\nlogging: {{audit: {{file: /nonexistent/audit}}}}\n")
        found = self.key("create", "--robot", "ci")

        self.assertEqual((found.status, found.output, self.kept()), (1, "", []))
        self.assertIn("logging.audit.file", found.errors)

    def test_audit_to_standard_output(self) -> None:
        """Where the daemon audits to its standard output, the key alone is on ours."""
        self.config = self.write(f'state_dir: {self.state}\nlogging: {{audit: {{file: "-"}}}}\n')
        self.assertIsNotNone(read_key(self.key("create", "--robot", "ci").output.removesuffix("\n")))

    def test_refused(self) -> None:
        """What cannot be is 1 or 2, and makes no key."""
        for status, arguments in (
            (2, ("create",)),
            (2, ("create", "--robot", "ci", "--allow", "apt:internal")),
            (2, ("create", "--robot", "ci", "--expires", "soon")),
            (2, ("revoke",)),
            (2, ("list", "--url", "http://localhost")),
            (1, ("create", "--robot", "CI")),
            (1, ("create", "--robot", "ci", "--expires", "181d")),
            (1, ("create", "--robot", "ci", "--network", "x")),
        ):
            self.assertEqual((self.key(*arguments).status, self.key(*arguments).output), (status, ""), arguments)
        self.assertEqual(run("key").status, 2)
        self.assertEqual(self.kept(), [])

    def test_no_state(self) -> None:
        """Where no pkgd has ever run, no state is begun."""
        config = self.write("state_dir: /nonexistent/state\n")

        found = run("key", "list", "-c", config)
        self.assertEqual(found.status, 1)
        self.assertIn("has pkgd ever run", found.errors)

    def test_damaged(self) -> None:
        """A damaged file is said to be one, and left."""
        with open(os.path.join(self.state, "pkgd.sqlite"), "wb") as file:
            file.write(b"x" * 5000)

        found: Any = self.key("list")
        self.assertEqual((found.status, found.errors.count("\n")), (1, 1))
        self.assertIn("cannot be used", found.errors)
