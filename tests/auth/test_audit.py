"""The audit log: what a line has, and that nothing stops a request."""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.audit import Audit, Unaudited
from pkgd.auth.model import Identity, Principal
from pkgd.blocking import InlineBlocking
from pkgd.logfile import FLUSH_SECONDS, LogFile
from tests.properties import bounded

ALICE = Identity(Principal("alice", frozenset(["team"]), address="10.1.2.3"), "htpasswd", "stamp-canary")
NOBODY = Identity(Principal(address="192.0.2.7"))
NOON = 1_750_000_000.125


class AuditCase(SynchronousTestCase):
    """An audit log."""

    def setUp(self) -> None:
        """Open it."""
        self.path: str = self.mktemp()
        self.clock = Clock()
        self.audit = self.opened(self.path)

    def opened(self, path: str | None) -> Audit:
        """An audit log in a file."""
        self.file = LogFile(self.clock, InlineBlocking(), path, "audit log")
        self.file.open()
        self.addCleanup(self.file.close)
        return Audit(self.file, lambda: NOON)

    def lines(self) -> list[dict[str, Any]]:
        """What has been written."""
        self.clock.advance(FLUSH_SECONDS)
        with open(self.path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]


class LineTests(AuditCase):
    """One line."""

    def test_all(self) -> None:
        """Time, action, who, vouched for by whom, from where, on what, and what it was."""
        self.audit.record("push", ALICE, "oci:team/app", digest="sha256:00", tags=["v1", "latest"])

        expected = {
            "time": "2025-06-15T15:06:40.125Z",
            "action": "push",
            "user": "alice",
            "via": "htpasswd",
            "address": "10.1.2.3",
            "resource": "oci:team/app",
            "digest": "sha256:00",
            "tags": ["v1", "latest"],
        }
        self.assertEqual(self.lines(), [expected])

    def test_anonymous(self) -> None:
        """Who is not known has no name; details that there are none of are left out."""
        self.audit.record("delete", NOBODY, "apt:main", file=None, tags=[])

        (line,) = self.lines()
        self.assertEqual((line["user"], line["via"], line["address"]), (None, "anonymous", "192.0.2.7"))
        self.assertNotIn("file", line)
        self.assertNotIn("tags", line)

    def test_failed_login(self) -> None:
        """A login that failed has the name that was given, and never a password."""
        self.audit.failed_login("mallory", "192.0.2.7")

        (line,) = self.lines()
        self.assertEqual((line["action"], line["user"], line["address"]), ("fail-login", "mallory", "192.0.2.7"))

    def test_secrets(self) -> None:
        """What is no name but a key or a token that somebody has given for one is not written, nor is a stamp."""
        for user in ("pkgd_abcdefgh_canary", "eyJhbGciOi.canary.x"):
            self.audit.failed_login(user, None)
            self.audit.record("push", Identity(Principal(user)), "oci:a")
        self.audit.record("push", ALICE, "oci:a")

        self.assertNotIn("canary", json.dumps(self.lines()))

    def test_length(self) -> None:
        """Nobody fills the disk with one long name."""
        self.audit.failed_login("x" * 100_000, "192.0.2.7")
        self.assertLess(len(self.lines()[0]["user"]), 600)

    @given(st.text(st.characters(), max_size=20), st.text(st.characters(), max_size=20))
    @bounded
    def test_any_text(self, user: str, file: str) -> None:
        """Whatever a name has in it, a line is one line of JSON."""
        before = len(self.lines())
        self.audit.record("upload", Identity(Principal(user)), "apt:main", file=file)

        self.assertEqual(len(self.lines()), before + 1)


class FileTests(AuditCase):
    """The file."""

    def test_off(self) -> None:
        """Without a file nothing is written, and nothing is waited for."""
        audit = self.opened(None)
        for one in (audit, Unaudited()):
            one.record("push", ALICE, "oci:a")
            one.failed_login("a", None)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_rotation(self) -> None:
        """After a rotation lines go to a new file."""
        self.audit.record("push", ALICE, "oci:a")
        self.lines()
        os.rename(self.path, f"{self.path}.1")
        self.file.reopen()
        self.audit.record("push", ALICE, "oci:b")

        self.assertEqual([line["resource"] for line in self.lines()], ["oci:b"])

    def test_full_disk(self) -> None:
        """A log that cannot be written hinders nobody; how many lines are lost is said in the application log."""
        audit = self.opened("/dev/full")
        with capturedLogs() as events:
            audit.record("push", ALICE, "oci:a")
            audit.record("push", ALICE, "oci:a")
            self.clock.advance(FLUSH_SECONDS)

        self.assertEqual([(event["log_level"], event["count"]) for event in events], [(LogLevel.error, 2)])
