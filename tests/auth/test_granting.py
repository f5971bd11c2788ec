"""What of its scopes a token gets."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.granting import Granting
from pkgd.auth.model import Access, Action, Identity, Principal, apt, mirrored, oci
from pkgd.auth.policy import Decision
from pkgd.auth.rules import RulePolicy
from pkgd.auth.scopes import TokenCap, format_scopes, parse_scopes
from tests.auth.fixtures import FakeTokenSource, Wall

ALICE = Identity(Principal("alice"), "htpasswd")
NOBODY = Identity(Principal(), presented=False)


class Only:
    """A policy that allows what it is made with."""

    def __init__(self, *allowed: Access) -> None:
        self.allowed = {(one.resource, one.action) for one in allowed}

    def allows(self, principal: Principal, access: Access) -> bool:
        """Whether it does."""
        return (access.resource, access.action) in self.allowed

    def decide(self, principal: Principal, access: Access) -> Decision:
        """The same."""
        return Decision(self.allows(principal, access), "")


class GrantingTests(SynchronousTestCase):
    """Scopes and a policy in, scopes out."""

    def setUp(self) -> None:
        """An authority with a file and keys."""
        self.authority = Wall(Clock(), tokens=[FakeTokenSource()]).authority

    def granted(self, granting: Granting, identity: Identity, *scopes: str) -> str:
        """What is granted of these."""
        return format_scopes(granting.granted(identity, parse_scopes(scopes)))

    def test_intersection(self) -> None:
        """A token gets what the policy allows of what was asked for, and what is left of nothing is left out."""
        allowed = [oci("a", Action.PULL), oci("b", Action.PUSH), apt("x", Action.PULL)]
        granting = Granting(Only(*allowed), self.authority)

        found = self.granted(
            granting, ALICE, "repository:a:pull,push", "repository:b:delete,push", "repository:c:pull", "apt:x:pull"
        )

        self.assertEqual(found, "repository:a:pull repository:b:push apt:x:pull")

    def test_star(self) -> None:
        """`*` is each action that is allowed, and never more."""
        granting = Granting(RulePolicy(), self.authority)

        self.assertEqual(self.granted(granting, ALICE, "repository:a:*"), "repository:a:pull,push")
        self.assertEqual(self.granted(granting, NOBODY, "repository:a:*"), "")

    def test_catalog(self) -> None:
        """The catalog is a scope of its own, and nothing else of the registry is one."""
        granting = Granting(RulePolicy(), self.authority)

        found = self.granted(granting, ALICE, "registry:catalog:*", "registry:other:*", "account:account:*", "x:y:pull")

        self.assertEqual(found, "registry:catalog:*")

    def test_mirror(self) -> None:
        """With the mirror on a token may pull any name; without it, what is likely meant by the name counts."""
        policy = Only(mirrored("docker.io/library/alpine", False))
        off = Granting(policy, self.authority, lambda name: [f"docker.io/{name}"])
        on = Granting(policy, self.authority, lambda name: [], mirrors=True)

        for name, pulls in (("library/alpine", "repository:library/alpine:pull"), ("other", "")):
            self.assertEqual(self.granted(off, ALICE, f"repository:{name}:pull,push"), pulls)
            self.assertEqual(self.granted(on, ALICE, f"repository:{name}:pull,push"), f"repository:{name}:pull")

    def test_narrowed(self) -> None:
        """A token for narrow credentials is as narrow; where nobody can see to that, it is worth nothing."""
        cap = TokenCap.of(parse_scopes(["repository:a:pull"]))
        granting = Granting(RulePolicy(), self.authority)
        scopes = ("repository:a:pull,push", "repository:b:pull")

        self.assertEqual(
            self.granted(granting, Identity(Principal("r"), "key:1", "", cap), *scopes), "repository:a:pull"
        )
        self.assertEqual(self.granted(granting, Identity(Principal("r"), "htpasswd", "", cap), *scopes), "")

    def test_open(self) -> None:
        """Only pulls, and all of them, of what anybody may pull, need no credentials."""
        policy = Only(oci("public", Action.PULL), oci("public", Action.PUSH), mirrored("docker.io/a", False))
        granting = Granting(policy, self.authority, lambda name: [f"docker.io/{name}"])
        cases = {
            ("repository:public:pull",): True,
            ("repository:a:pull", "repository:public:pull"): True,
            (): False,
            ("repository:public:pull", "repository:private:pull"): False,
            ("repository:public:pull,push",): False,
            ("repository:public:",): False,
            ("apt:public:pull",): False,
        }
        for scopes, expected in cases.items():
            self.assertEqual(granting.is_open(parse_scopes(scopes), "192.0.2.7"), expected, scopes)
