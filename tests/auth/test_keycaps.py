"""What a key is meant for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.keycaps import Both, KeyCap, checked_allowance, checked_networks, parse_allowance
from pkgd.auth.model import Access, Action, apt, mirrored, oci, rpm
from pkgd.errors import InvalidRequest


class CapTests(SynchronousTestCase):
    """Which accesses are within."""

    def cap(self, *texts: str) -> KeyCap:
        """The cap of these allowances."""
        return KeyCap([parse_allowance(one) for one in texts])

    def test_repositories(self) -> None:
        """Resource and action have to fit together, in one allowance."""
        cap = self.cap("oci:team/**=pull,push", "apt:internal=pull")

        self.assertTrue(cap.covers(oci("team/app", Action.PUSH)))
        self.assertTrue(cap.covers(apt("internal", Action.PULL)))
        for one in (
            oci("team/app", Action.OVERWRITE),
            oci("teams/app", Action.PULL),
            oci("team", Action.PULL),
            apt("internal", Action.PUSH),
            apt("internal2", Action.PULL),
            rpm("internal", Action.PULL),
            mirrored("docker.io/team/app", False),
        ):
            self.assertFalse(cap.covers(one), str(one))

    def test_everything(self) -> None:
        """`**` is every repository of every kind, and still not the server."""
        cap = self.cap("**=pull")

        self.assertTrue(cap.covers(oci("a/b", Action.PULL)))
        self.assertTrue(cap.covers(mirrored("docker.io/library/alpine", True)))
        self.assertFalse(cap.covers(oci("a/b", Action.DELETE)))

    def test_server(self) -> None:
        """Every key enters and lists, shows what it may pull, and looks after keys; none is an administrator's."""
        cap = self.cap("oci:a=pull")

        for resource, action in (("registry", Action.ENTER), ("registry", Action.LIST), ("account", Action.ENTER)):
            self.assertTrue(cap.covers(Access(resource, action)), resource)
        self.assertTrue(cap.covers(oci("a", Action.LIST)))
        self.assertFalse(cap.covers(oci("b", Action.LIST)))
        for action in Action:
            self.assertFalse(cap.covers(Access("admin", action)))

    def test_suites(self) -> None:
        """A key may be for a suite; one that is for the repository is for its suites."""
        cap = self.cap("apt:internal/testing=push", "apt:other=push")

        self.assertTrue(cap.covers(apt("internal", Action.PUSH, "testing")))
        self.assertTrue(cap.covers(apt("other", Action.PUSH, "stable")))
        for one in (apt("internal", Action.PUSH, "stable"), apt("internal", Action.PUSH), apt("internal", Action.PULL)):
            self.assertFalse(cap.covers(one), str(one))

    def test_part_of_apt(self) -> None:
        """What is written for all that is below an apt repository is for the repository."""
        self.assertTrue(self.cap("apt:internal/**=pull").covers(apt("internal", Action.PULL)))
        self.assertTrue(self.cap("apt:**=pull").covers(apt("internal", Action.PULL)))

    def test_both(self) -> None:
        """The narrower of two is within both."""
        both = Both(self.cap("oci:a/**=pull,push"), self.cap("oci:**=pull"))

        self.assertTrue(both.covers(oci("a/b", Action.PULL)))
        self.assertFalse(both.covers(oci("a/b", Action.PUSH)))
        self.assertFalse(both.covers(oci("b", Action.PULL)))


class AllowanceTests(SynchronousTestCase):
    """Allowances as texts."""

    def test_refused(self) -> None:
        """What is none is refused."""
        cases = [
            "",
            "=",
            "oci:a",
            "oci:a=",
            "=pull",
            "a=pull",
            "oci:=pull",
            "oci:a=read",
            "oci:a=pull,",
            "oci:a b=pull",
        ]
        cases += [
            "oci:a b=pull",
            "oci:a**=pull",
            "oci:a/**b=pull",
            "docker:a=pull",
            "oci:" + "x" * 400 + "=pull",
            "oci:\n=pull",
        ]
        cases += ["oci:" + "*/" * 9 + "x=pull", "***=pull", "oci:${claims.x}=pull", "admin=delete", "oci:a=enter"]
        for one in cases:
            self.assertRaises(InvalidRequest, parse_allowance, one)

    def test_once(self) -> None:
        """Actions are kept once."""
        self.assertEqual(parse_allowance("oci:a=push,pull,pull").actions, ("pull", "push"))

    def test_nothing(self) -> None:
        """An allowance for nothing is none."""
        self.assertRaises(InvalidRequest, checked_allowance, [], ["pull"])
        self.assertRaises(InvalidRequest, checked_allowance, ["oci:a"], [])

    def test_networks(self) -> None:
        """Networks are canonical; host bits, names and rubbish are refused."""
        self.assertEqual(checked_networks(["10.0.0.0/8", "::1", "10.0.0.0/8"]), ("10.0.0.0/8", "::1/128"))
        for one in ("10.0.0.1/8", "host", "", "1.2.3.4/33", "٣.1.1.1"):
            self.assertRaises(InvalidRequest, checked_networks, [one])
