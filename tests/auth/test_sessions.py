"""Browsers that have logged in."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Identity, Principal
from pkgd.auth.sessions import LIFETIME, Sessions
from tests.accounts import HeldThreads, open_accounts, result

ALICE = Identity(Principal("alice", frozenset(["dev"])), "oidc")


class SessionTests(SynchronousTestCase):
    """Sessions in a file of their own."""

    def setUp(self) -> None:
        """One of alice's."""
        self.clock = Clock()
        self.accounts = open_accounts(self)
        self.sessions = Sessions(self.accounts, self.clock.seconds)
        self.text: str = self.get(self.sessions.begin(ALICE))

    def get(self, work: Any) -> Any:
        """What a coroutine returns."""
        return result(self, work)

    def test_found(self) -> None:
        """It is its user's, with his groups, until it ends."""
        found = self.get(self.sessions.find(self.text))

        self.assertEqual((found.principal, found.via, found.expires), (ALICE.principal, "oidc", LIFETIME))
        self.clock.advance(LIFETIME)
        self.assertIsNone(self.get(self.sessions.find(self.text)))

    def test_ended(self) -> None:
        """It can be ended, alone or with all of its user's."""
        other = self.get(self.sessions.begin(ALICE))
        self.get(self.sessions.end(self.text))
        self.assertEqual([self.get(self.sessions.find(one)) is None for one in (self.text, other)], [True, False])
        self.get(self.sessions.forget_user("alice"))
        self.assertIsNone(self.get(self.sessions.find(other)))

    def test_disabled(self) -> None:
        """That of somebody who is disabled is worth nothing, though it was begun at the same moment."""
        self.sessions.disabled = {"alice"}

        self.assertIsNone(self.get(self.sessions.find(self.text)))

    def test_wrong(self) -> None:
        """Another text is nobody's."""
        for one in ("", "x", self.text.swapcase(), self.text + "x"):
            self.assertIsNone(self.get(self.sessions.find(one)))

    def test_durable_first(self) -> None:
        """Nobody gets one before it is on the disk, where the text itself never is."""
        threads = HeldThreads()
        self.accounts._pool.threadpool = threads
        work = Deferred.fromCoroutine(self.sessions.begin(ALICE))
        self.assertNoResult(work)
        threads.release()

        with open(self.accounts.file.path + "-wal", "rb") as file:
            self.assertNotIn(self.successResultOf(work).encode("ascii"), file.read())
