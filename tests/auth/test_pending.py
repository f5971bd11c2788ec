"""Logins under way."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.pending import MAX_PENDING, Pending, challenge_of, new_browser_login


class PendingTests(SynchronousTestCase):
    """What is kept for a while."""

    def setUp(self) -> None:
        """Things for ten seconds."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.pending: Pending[str] = Pending(10, self.clock.seconds)

    def test_taken(self) -> None:
        """Something is found again and again, and taken once."""
        self.pending.add("a", "thing")

        self.assertEqual(
            [self.pending.find("a"), self.pending.take("a"), self.pending.take("a")], ["thing", "thing", None]
        )

    def test_over(self) -> None:
        """After its time it is not there, nor when the clock has been set back."""
        self.pending.add("a", "thing")
        self.clock.advance(10)
        self.assertIsNone(self.pending.find("a"))

        self.pending.add("b", "thing")
        self.clock.rightNow -= 1
        self.assertIsNone(self.pending.take("b"))

    def test_too_many(self) -> None:
        """There are only so many: the oldest goes."""
        for number in range(MAX_PENDING + 1):
            self.pending.add(str(number), "thing")

        self.assertEqual([self.pending.find("0"), self.pending.find("1")], [None, "thing"])


class BrowserLoginTests(SynchronousTestCase):
    """One that has been sent to the provider."""

    def test_browser(self) -> None:
        """It belongs to the browser with the cookie; the secrets do not show."""
        login = new_browser_login("cookie", "/ui/keys")

        self.assertEqual([login.is_by(one) for one in ("cookie", "other", "", None)], [True, False, False, False])
        self.assertNotIn(login.verifier, repr(login))
        self.assertNotEqual(login.nonce, login.verifier)

    def test_challenge(self) -> None:
        """The example of RFC 7636, appendix B."""
        verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

        self.assertEqual(challenge_of(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
