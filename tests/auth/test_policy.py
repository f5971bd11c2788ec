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
