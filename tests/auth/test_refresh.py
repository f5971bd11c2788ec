"""Refresh tokens: for one user and one service, until they are revoked or over."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import ANONYMOUS, Identity, Principal
from pkgd.auth.refresh import LIFETIME, StoredRefreshTokens
from pkgd.auth.scopes import TokenCap
from pkgd.auth.sources import Verdict
from tests.accounts import HeldThreads, open_accounts, result

ALICE = Identity(Principal("alice", frozenset(["dev"])), "htpasswd", "stamp")
SERVICE = "pkg.example.com"


class RefreshTests(SynchronousTestCase):
    """Tokens in a file of their own."""

    def setUp(self) -> None:
        """One of alice's."""
        self.clock = Clock()
        self.accounts = open_accounts(self)
        self.tokens = StoredRefreshTokens(self.accounts, self.clock.seconds)
        self.token: str = self.get(self.tokens.issue(ALICE, SERVICE, "docker"))

    def get(self, work: Any) -> Any:
        """What a coroutine returns."""
        return result(self, work)

    def redeem(self, token: str, service: str = SERVICE) -> Identity | Verdict:
        """Whose it is."""
        found: Identity | Verdict = self.get(self.tokens.redeem(token, service))
        return found

    def test_redeemed(self) -> None:
        """It stands for its user as he was known then, again and again."""
        for _ in range(2):
            self.assertEqual(self.redeem(self.token), evolve(ALICE, expires=LIFETIME))

    def test_listed(self) -> None:
        """Those that are good are listed, one's own or all; each has a name that is none of its secret."""
        self.clock.advance(10)
        self.get(self.tokens.issue(evolve(ALICE, principal=Principal("bob")), SERVICE, "podman"))
        mine = self.get(self.tokens.list("alice"))
        every = self.get(self.tokens.list())

        self.assertEqual([(one.user, one.client, one.created) for one in mine], [("alice", "docker", 0.0)])
        self.assertEqual([one.user for one in every], ["alice", "bob"])
        self.assertEqual(len({one.id for one in every}), 2)
        self.assertRegex(every[0].id, r"^[0-9a-f]{16}$")
        self.clock.advance(LIFETIME - 10)
        self.assertEqual([one.user for one in self.get(self.tokens.list())], ["bob"])

    def test_ended(self) -> None:
        """Ended by its name it is worth nothing, and no other is touched."""
        other = self.get(self.tokens.issue(ALICE, SERVICE, "podman"))
        (first,) = [one.id for one in self.get(self.tokens.list()) if one.client == "docker"]
        for name in ("", "0" * 16, first[:-1], first + "0", "%", "_" * 16):
            self.assertFalse(self.get(self.tokens.end(name)), name)

        self.assertTrue(self.get(self.tokens.end(first)))
        self.assertFalse(self.get(self.tokens.end(first)))

        self.assertEqual(self.redeem(self.token), Verdict.REJECTED)
        self.assertIsInstance(self.redeem(other), Identity)

    def test_wrong(self) -> None:
        """Another service's, or one that never was, stands for nobody."""
        self.assertEqual(self.redeem(self.token, "other"), Verdict.REJECTED)
        self.assertEqual(self.redeem("pkgdr_" + "x" * 43), Verdict.REJECTED)
        for one in ("", "pkgd_x", self.token[6:], self.token.upper()):
            self.assertEqual(self.redeem(one), Verdict.UNKNOWN)

    def test_over(self) -> None:
        """It ends, and it can be ended."""
        other = self.get(self.tokens.issue(ALICE, SERVICE, "docker"))
        self.get(self.tokens.revoke(other))
        self.assertEqual(self.redeem(other), Verdict.REJECTED)
        self.clock.advance(LIFETIME)
        self.assertEqual(self.redeem(self.token), Verdict.REJECTED)

    def test_durable_first(self) -> None:
        """Nobody sees one before it is on the disk."""
        threads = HeldThreads()
        self.accounts._pool.threadpool = threads
        work = Deferred.fromCoroutine(self.tokens.issue(ALICE, SERVICE, ""))

        self.assertNoResult(work)
        threads.release()
        self.successResultOf(work)

    def test_not_kept(self) -> None:
        """The file does not have it."""
        with open(self.accounts.file.path + "-wal", "rb") as file:
            self.assertNotIn(self.token.encode("ascii"), file.read())

    def test_for_whom(self) -> None:
        """Only who has logged in himself gets one."""
        others = [
            ANONYMOUS,
            evolve(ALICE, via="key:1"),
            evolve(ALICE, via="workload:https://ci"),
            evolve(ALICE, via="api:corp"),
            evolve(ALICE, cap=TokenCap.of(())),
        ]

        self.assertEqual([self.tokens.may_have(one) for one in (ALICE, *others)], [True, *[False] * 5])
