"""Whom the provider's claims stand for, and who is let in."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.apikeys import ApiKeys, KeyOrder
from pkgd.auth.model import Identity, Principal
from pkgd.auth.oidcusers import ClaimNames, OidcUsers
from pkgd.auth.refresh import StoredRefreshTokens
from pkgd.auth.sessions import Sessions
from pkgd.auth.sources import Verdict
from pkgd.errors import Denied, TokenRefused
from tests.accounts import open_accounts, result
from tests.auth.fixtures import Counts


class UsersTests(SynchronousTestCase):
    """Users of a provider of whom those in `dev` are let in; `admin` is one of ours."""

    def setUp(self) -> None:
        """Nobody has logged in yet."""
        clock = Clock()
        accounts = open_accounts(self)
        self.keys = ApiKeys(accounts, clock.seconds)
        self.sessions = Sessions(accounts, clock.seconds)
        self.refresh = StoredRefreshTokens(accounts, clock.seconds)
        self.users = self.use("dev")

    def use(self, *allowed: str) -> OidcUsers:
        """Users of whom these groups are let in."""
        names = ClaimNames("preferred_username", "groups", frozenset(allowed))
        self.counts = Counts()
        return OidcUsers(names, self.keys, self.sessions, lambda name: name == "admin", self.counts)

    def log_in(self, **claims: Any) -> Identity:
        """Whom claims stand for."""
        found: Identity = result(self, self.users.log_in(claims))
        return found

    def refused(self, kind: type[Exception], **claims: Any) -> None:
        """Claims let nobody in."""
        self.failureResultOf(Deferred.fromCoroutine(self.users.log_in(claims)), kind)

    def key(self, owner: str) -> str:
        """A key of somebody's."""
        text: str = result(self, self.keys.create(KeyOrder(owner, "oidc", (), "", 1e9)))[1]
        return text

    def test_let_in(self) -> None:
        """The name and the groups are those of the claims; without allowed groups, everybody is."""
        found = self.log_in(preferred_username="alice", groups=["ops", "dev"])

        self.assertEqual(found, Identity(Principal("alice", frozenset(["dev", "ops"])), "oidc"))
        self.assertTrue(self.users.is_current(found))
        self.users = self.use()
        self.assertEqual(self.log_in(preferred_username="bob").principal.groups, frozenset())

    def test_no_name(self) -> None:
        """Nobody is let in without a name, with a broken one, or with that of a robot or of one of ours."""
        self.users = self.use()
        for name in (None, "", " a", "a\n", 7, ["alice"], "x" * 300, "robot:ci", "robot:", "admin"):
            self.refused(TokenRefused, preferred_username=name)
        self.refused(TokenRefused, sub="alice")

    def test_turned_away(self) -> None:
        """Whoever is in none of the groups loses what he has got before, until he is let in again; others don't."""
        before = self.log_in(preferred_username="alice", groups=["dev"])
        key, other = self.key("alice"), self.key("bob")
        session = result(self, self.sessions.begin(before))
        token = result(self, self.refresh.issue(before, "s", ""))
        self.refused(Denied, preferred_username="alice", groups=["ops"])

        self.assertFalse(self.users.is_current(before))
        self.assertIsNone(result(self, self.sessions.find(session)))
        self.assertIs(result(self, self.refresh.redeem(token, "s")), Verdict.REJECTED)
        self.assertIs(self.keys.check_at_once(key, None), Verdict.REJECTED)
        self.assertIsInstance(self.keys.check_at_once(other, None), Identity)

        self.log_in(preferred_username="alice", groups=["dev"])
        self.assertTrue(self.users.is_current(before))
        self.assertIsInstance(self.keys.check_at_once(key, None), Identity)

    def test_groups_of_today(self) -> None:
        """A login tells keys, sessions and refresh tokens the groups of today."""
        before = self.log_in(preferred_username="alice", groups=["dev", "ops"])
        key = self.key("alice")
        session = result(self, self.sessions.begin(before))
        token = result(self, self.refresh.issue(before, "s", ""))
        self.log_in(preferred_username="alice", groups=["dev"])

        found = [
            self.keys.check_at_once(key, None),
            result(self, self.sessions.find(session)),
            result(self, self.refresh.redeem(token, "s")),
        ]
        self.assertEqual([one.principal.groups for one in found], [frozenset(["dev"])] * 3)

    def test_counted(self) -> None:
        """Each login is counted, by whether it is one."""
        self.log_in(preferred_username="alice", groups=["dev"])
        self.refused(Denied, preferred_username="alice", groups=["ops"])
        self.refused(TokenRefused, sub="alice")
        self.assertEqual(self.counts.requests, [("oidc", "ok"), ("oidc", "rejected"), ("oidc", "rejected")])

    def test_no_credentials(self) -> None:
        """Nothing that a client could show is a login by the provider."""
        self.assertFalse(self.users.recognises("anything"))
        self.assertIs(result(self, self.users.check_token("anything")), Verdict.UNKNOWN)

    def test_disabled(self) -> None:
        """Who has been disabled here is not let in, whatever the provider says."""
        self.sessions.disabled = {"alice"}

        self.refused(Denied, preferred_username="alice", groups=["dev"])
        self.log_in(preferred_username="bob", groups=["dev"])
