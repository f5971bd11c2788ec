"""Passwords: right ones, wrong ones, and how little is computed for each."""

from __future__ import annotations

import threading
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from pkgd.auth.model import Identity, Principal
from pkgd.auth.passwords import REMEMBERED, HtpasswdPasswords, ThreadedHashing, matches
from pkgd.auth.sources import Verdict
from pkgd.errors import AuthUnavailable
from tests.auth.fixtures import HeldHashing, InlineHashing, hashed, table


class CheckTests(SynchronousTestCase):
    """What the table says."""

    def setUp(self) -> None:
        """A few users."""
        self.clock = Clock()
        self.hashing = InlineHashing()
        users = table(alice="secret", colon="a:b:c", umlaut="pässwört ✓", long="x" * 72)
        self.passwords = HtpasswdPasswords(users, self.hashing, self.clock.seconds)

    def check(self, user: str, password: str) -> Identity | Verdict:
        """What the source says."""
        return self.successResultOf(Deferred.fromCoroutine(self.passwords.check(user, password)))

    def test_right(self) -> None:
        """The right password gives an identity that its hash vouches for; colons and UTF-8 may be in it."""
        for user, password in (("alice", "secret"), ("colon", "a:b:c"), ("umlaut", "pässwört ✓"), ("long", "x" * 72)):
            found = self.check(user, password)
            assert isinstance(found, Identity)
            self.assertEqual((found.principal, found.via), (Principal(user), "htpasswd"))
            self.assertTrue(self.passwords.is_current(found))

    def test_wrong(self) -> None:
        """Anything else is wrong, and no exception: longer than bcrypt looks at, empty, with a NUL, no text at all."""
        for password in ("", "Secret", "secret ", "secret\x00", "x" * 73, "x" * 5000, "\ud800"):
            self.assertIs(self.check("alice", password), Verdict.REJECTED)
        self.assertIs(self.check("long", "x" * 73), Verdict.REJECTED)

    def test_unknown(self) -> None:
        """Who is not in the table is unknown, without any work; names are compared as they are."""
        for user in ("mallory", "Alice", "alice ", "", "\x00"):
            self.assertIs(self.check(user, "secret"), Verdict.UNKNOWN)
            self.assertIs(self.passwords.remembered(user, "secret"), Verdict.UNKNOWN)
        self.assertEqual(self.hashing.checked, [])

    def test_as_long(self) -> None:
        """A wrong password that cannot be hashed takes a hash as well, and so does a user who is not there."""
        self.check("alice", "x" * 73)
        self.successResultOf(Deferred.fromCoroutine(self.passwords.pretend("secret")))

        self.assertEqual(self.hashing.checked, [self.passwords.table.dummy] * 2)

    def test_remembered(self) -> None:
        """What was right is known at once for a minute, and then looked at again."""
        self.assertIsNone(self.passwords.remembered("alice", "secret"))
        self.check("alice", "secret")

        self.assertIsInstance(self.passwords.remembered("alice", "secret"), Identity)
        self.assertIsNone(self.passwords.remembered("alice", "wrong"))
        self.clock.advance(REMEMBERED)
        self.assertIsNone(self.passwords.remembered("alice", "secret"))

    def test_wrong_is_not_remembered(self) -> None:
        """A wrong password is hashed each time."""
        for _ in range(3):
            self.check("alice", "wrong")

        self.assertEqual(len(self.hashing.checked), 3)

    def test_pairs(self) -> None:
        """What is remembered is a user with a password, and not their letters in a row."""
        self.passwords.table = table(a="bc", ab="c")
        self.check("a", "bc")

        self.assertIsNone(self.passwords.remembered("ab", "c"))

    def test_removed(self) -> None:
        """Who is removed or has another password is out at once: with a password, and with what it has bought."""
        found = self.check("alice", "secret")
        assert isinstance(found, Identity)

        self.passwords.table = table(alice="new")
        self.assertFalse(self.passwords.is_current(found))
        self.assertIs(self.check("alice", "secret"), Verdict.REJECTED)

        self.passwords.table = table(bob="secret")
        self.assertFalse(self.passwords.is_current(found))
        self.assertIs(self.check("alice", "secret"), Verdict.UNKNOWN)


class WaitingTests(SynchronousTestCase):
    """While a hash is computed."""

    def setUp(self) -> None:
        """One user, and bcrypt in the test's hands."""
        self.hashing = HeldHashing()
        self.passwords = HtpasswdPasswords(table(alice="secret"), self.hashing, Clock().seconds)

    def check(self, *wrong: str) -> Deferred[Any]:
        """Begin to look at the right password, or at a wrong one."""
        return Deferred.fromCoroutine(self.passwords.check("alice", wrong[0] if wrong else "secret"))

    def test_once(self) -> None:
        """The same login many times at once is one hash; another password is another."""
        same = [self.check() for _ in range(20)]
        other = self.check("wrong")
        self.assertEqual(len(self.hashing.waiting), 2)

        self.hashing.release()

        self.assertEqual({self.successResultOf(one).principal.name for one in same}, {"alice"})
        self.assertIs(self.successResultOf(other), Verdict.REJECTED)

    def test_removed_meanwhile(self) -> None:
        """Who is removed while his hash is computed isn't let in."""
        checking = self.check()

        self.passwords.table = table(alice="new")
        self.hashing.release()

        self.assertIs(self.successResultOf(checking), Verdict.REJECTED)

    def test_full(self) -> None:
        """Where too many wait, nobody is told anything; afterwards all is as before."""
        self.hashing.full = True
        self.failureResultOf(self.check(), AuthUnavailable)

        self.hashing.full = False
        checking = self.check()
        self.hashing.release()
        self.assertIsInstance(self.successResultOf(checking), Identity)


class ThreadedHashingTests(TestCase):
    """The real threads."""

    def setUp(self) -> None:
        """One thread, and room for one more to wait."""
        from twisted.internet import reactor

        self.hashing = ThreadedHashing(reactor, threads=1, queue=1)
        self.hashing.start()
        self.addCleanup(self.hashing.stop)

    async def test_elsewhere(self) -> None:
        """bcrypt runs in a thread of its own, and what is beyond the queue is refused at once."""
        seen = threading.active_count()
        first, second = (self.hashing.check(password, hashed("secret")) for password in (b"secret", b"wrong"))
        self.assertRaises(AuthUnavailable, self.hashing.check, b"secret", hashed("secret"))

        self.assertEqual((await first, await second), (True, False))
        self.assertGreater(threading.active_count(), seen - 1)
        self.assertTrue(await self.hashing.check(b"secret", hashed("secret")))

    def test_broken_hash(self) -> None:
        """What bcrypt cannot read is nobody's hash."""
        self.assertFalse(matches(b"secret", b"$2b$99$nonsense"))
        self.assertFalse(matches(b"x" * 100, hashed("x")))
