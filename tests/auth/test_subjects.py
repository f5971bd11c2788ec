"""Who a rule is for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Principal
from pkgd.auth.subjects import Subject

ALICE = Principal("alice", frozenset(["team-a"]), address="10.1.2.3")
NOBODY = Principal(address="10.1.2.3")
JOB = Principal("gitlab:a/b", issuer="https://gitlab.example.com")


class SubjectTests(SynchronousTestCase):
    """Each kind of subject."""

    def matching(self, text: str) -> list[Principal]:
        """Which of them are meant."""
        return [one for one in (ALICE, NOBODY, JOB) if Subject(text).match(one)]

    def test_anonymous(self) -> None:
        """Everybody: who logs in does not lose what others have."""
        self.assertEqual(self.matching("anonymous"), [ALICE, NOBODY, JOB])

    def test_authenticated(self) -> None:
        """Everybody with a name, a job of a CI service, too."""
        self.assertEqual(self.matching("authenticated"), [ALICE, JOB])

    def test_user(self) -> None:
        """A user by the whole name, in which a colon may be."""
        self.assertEqual(self.matching("user:alice"), [ALICE])
        self.assertEqual(self.matching("user:gitlab:a/b"), [JOB])
        for other in ("user:Alice", "user:alic", "user:alice2", "user:*", "user:None"):
            self.assertEqual(self.matching(other), [])

    def test_group(self) -> None:
        """The members of a group; a group is no user."""
        self.assertEqual(self.matching("group:team-a"), [ALICE])
        self.assertEqual(self.matching("group:team"), [])
        self.assertEqual(self.matching("group:alice"), [])
        self.assertEqual(self.matching("user:team-a"), [])

    def test_issuer(self) -> None:
        """Whose token says who it is, by the whole URL."""
        self.assertEqual(self.matching("issuer:https://gitlab.example.com"), [JOB])
        self.assertEqual(self.matching("issuer:https://gitlab.example.com/"), [])
        self.assertEqual(self.matching("issuer:https://gitlab.example"), [])

    def test_network(self) -> None:
        """Who comes from a network, known or not."""
        self.assertEqual(self.matching("cidr:10.0.0.0/8"), [ALICE, NOBODY])
        self.assertEqual(self.matching("cidr:10.1.2.3/32"), [ALICE, NOBODY])
        self.assertEqual(self.matching("cidr:10.1.2.4/32"), [])
        self.assertEqual(self.matching("cidr:::/0"), [])

    def test_addresses(self) -> None:
        """An address of IPv4 is that, also as IPv6 writes it; what is no address is in no network."""

        def is_in(network: str, address: str) -> bool:
            return Subject(f"cidr:{network}").match(Principal(address=address))

        self.assertTrue(is_in("10.0.0.0/8", "::ffff:10.1.2.3"))
        self.assertTrue(is_in("2001:db8::/32", "2001:db8::1"))
        for address in ("", "unix", "-", "10.1.2", "10.1.2.3, 10.1.2.4", "11.0.0.1", "0x0a.1.2.3"):
            self.assertFalse(is_in("10.0.0.0/8", address), address)

    def test_anybody(self) -> None:
        """Which are for everybody there is: no names, and a network that has every address."""
        for text in ("anonymous", "cidr:0.0.0.0/0", "cidr:::/0"):
            self.assertTrue(Subject(text).is_anybody, text)
        for text in ("authenticated", "user:a", "group:a", "cidr:10.0.0.0/8", "issuer:https://a"):
            self.assertFalse(Subject(text).is_anybody, text)

    def test_unknown(self) -> None:
        """What is no subject is none: it is not taken for nobody, nor for everybody."""
        for text in ("everybody", "users:alice", "", "cidr:10.0.0.0/99", "cidr:"):
            self.assertRaises(ValueError, Subject, text)
