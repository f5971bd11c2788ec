"""The policy of `auth.mode: none`, and the words that policies are asked in."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Access, Action, Principal, oci
from pkgd.auth.policy import AllowAll


class AllowAllTests(SynchronousTestCase):
    """No authentication, no refusal."""

    def test_everything(self) -> None:
        """Everybody, known by name or not, may do everything with everything."""
        accesses = [oci("team/app", action) for action in Action] + [Access("registry", action) for action in Action]
        for principal in (Principal(), Principal("alice")):
            for access in accesses:
                self.assertIs(AllowAll().allows(principal, access), True)
                self.assertIn("auth.mode none", AllowAll().decide(principal, access).rule)


class AccessTests(SynchronousTestCase):
    """What is asked."""

    def test_resource(self) -> None:
        """A repository's resource says of what kind it is, so that no apt repository is taken for one of images."""
        self.assertEqual(oci("team/app", Action.PULL), Access("oci:team/app", Action.PULL))

    def test_text(self) -> None:
        """An access reads as what it is, for logs and refusals."""
        self.assertEqual(str(oci("team/app", Action.PUSH)), "push oci:team/app")
        self.assertEqual(str(Access("registry", Action.LIST)), "list registry")

    def test_values(self) -> None:
        """Equal accesses and principals are equal values, which can be kept in sets."""
        self.assertEqual(len({oci("a", Action.PULL), oci("a", Action.PULL), oci("a", Action.PUSH)}), 2)
        self.assertEqual(len({Principal(), Principal(None), Principal("alice")}), 2)

    def test_unchangeable(self) -> None:
        """Nobody can widen an access after it was allowed."""
        with self.assertRaises(AttributeError):
            oci("a", Action.PULL).resource = "oci:b"  # type: ignore[misc]


class OwnerTests(SynchronousTestCase):
    """What is begun belongs to somebody."""

    def test_different(self) -> None:
        """No two principals of different names or issuers are the same owner, whatever they are called."""
        principals = [
            Principal(),
            Principal("alice"),
            Principal("alice", issuer="https://a"),
            Principal("a alice", issuer="https:"),
            Principal("https://a alice"),
            Principal(" alice"),
            Principal(""),
        ]
        self.assertEqual(len({one.owner for one in principals}), len(principals))

    def test_same(self) -> None:
        """Address, groups and claims make no difference."""
        owner = Principal("alice", frozenset(["a"]), claims={"a": "b"}, address="10.0.0.1").owner
        self.assertEqual(owner, Principal("alice").owner)
