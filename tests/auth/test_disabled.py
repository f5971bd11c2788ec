"""Users who are not let in any more: at once, durably, and never by half."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.disabled import DisabledRow, DisabledUsers, checked_user
from pkgd.errors import FailedStorage, InvalidRequest
from pkgd.state.accountrows import disabled_users
from tests.accounts import HeldThreads, open_accounts, result


class NameTests(SynchronousTestCase):
    """What a user may be called."""

    def test_names(self) -> None:
        """Anything that a back end or a provider may call somebody."""
        for name in ("alice", "robot:ci", "auth0|5f7", "a/b", "Ä Ö", "x" * 256):
            self.assertEqual(checked_user(name), name)

    def test_wrong(self) -> None:
        """Nothing, what is too long, and what moves cursors is not one."""
        for name in ("", "x" * 257, "a\nb", "\x1b[2J", "\x00", "\x7f"):
            self.assertRaises(InvalidRequest, checked_user, name)


class DisabledUsersTests(SynchronousTestCase):
    """Users in a file of their own."""

    def setUp(self) -> None:
        """Nobody is disabled, at second 5."""
        self.clock = Clock()
        self.clock.advance(5)
        self.accounts = open_accounts(self)
        self.users = DisabledUsers(self.accounts, self.clock.seconds)

    def get(self, work: Any) -> Any:
        """What a coroutine returns."""
        return result(self, work)

    def kept(self) -> list[str]:
        """Who is, in the file."""
        return [one.user for one in self.successResultOf(self.accounts.run(disabled_users))]

    def test_disabled(self) -> None:
        """Somebody is from when it was said first, until he is enabled."""
        self.assertNotIn("alice", self.users)
        self.assertTrue(self.get(self.users.disable("alice")))
        self.clock.advance(5)
        self.assertFalse(self.get(self.users.disable("alice")))
        self.assertIn("alice", self.users)
        self.assertNotIn(None, self.users)
        self.assertEqual((self.users.list(), self.kept()), ([DisabledRow("alice", 5.0)], ["alice"]))

        self.assertTrue(self.get(self.users.enable("alice")))
        self.assertFalse(self.get(self.users.enable("alice")))
        self.assertNotIn("alice", self.users)
        self.assertEqual(self.kept(), [])

    def test_at_once(self) -> None:
        """He is out before it is written down, and in only after it is; cancelled or not."""
        threads = HeldThreads()
        self.accounts._pool.threadpool = threads
        work = Deferred.fromCoroutine(self.users.disable("alice"))
        self.assertIn("alice", self.users)
        self.assertNoResult(work)
        threads.release()
        self.assertTrue(self.successResultOf(work))

        work = Deferred.fromCoroutine(self.users.enable("alice"))
        self.assertIn("alice", self.users)
        threads.release()
        self.successResultOf(work)
        self.assertNotIn("alice", self.users)

    def test_not_written(self) -> None:
        """If it cannot be written down, it stays as it was, as the answer says."""
        self.get(self.users.disable("bob"))
        self.successResultOf(self.accounts.run(lambda t: t.execute("DROP TABLE disabled_user") and None))
        for work in (self.users.disable("alice"), self.users.disable("bob"), self.users.enable("bob")):
            self.failureResultOf(Deferred.fromCoroutine(work), FailedStorage)

        self.assertNotIn("alice", self.users)
        self.assertIn("bob", self.users)

    def test_read_again_meanwhile(self) -> None:
        """A reading that has begun before lets nobody in again, and keeps nobody out."""
        for change, is_disabled in ((self.users.disable, True), (self.users.enable, False)):
            threads = HeldThreads()
            self.accounts._pool.threadpool = threads
            reading = self.accounts.run(disabled_users).addCallback(self.users.use)
            work = Deferred.fromCoroutine(change("alice"))
            while threads.waiting:
                threads.release()
            self.successResultOf(reading)
            self.successResultOf(work)

            self.assertEqual("alice" in self.users, is_disabled)

    def test_read(self) -> None:
        """What the file has is so."""
        self.users.use([DisabledRow("zoe", 1.0), DisabledRow("bob", 2.0)])

        self.assertEqual([one.user for one in self.users.list()], ["bob", "zoe"])
        self.users.use([])
        self.assertNotIn("bob", self.users)
