"""What of its scopes a token gets."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.granting import Granting
from pkgd.auth.model import Access, Action, Identity, Principal, apt, mirrored, oci
from pkgd.auth.policy import Decision
from pkgd.auth.rules import Rule, RulePolicy
from pkgd.auth.scopes import AccessCap, TokenCap, format_scopes, parse_scopes
from pkgd.formats.names import RepositoryName
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

    def test_suites(self) -> None:
        """A suite is pushed to by who may push to it, or to the repository; to the repository by nobody else."""
        rule = Rule("r", ("apt:main/testing", "apt:all"), ("user:alice",), frozenset([Action.PUSH]))
        granting = Granting(RulePolicy([rule]), self.authority)

        scopes = [f"apt:{name}:push" for name in ("main", "main/testing", "main/stable", "all", "all/stable")]
        found = self.granted(granting, ALICE, *scopes)
        self.assertEqual(found, "apt:main/testing:push apt:all:push apt:all/stable:push")

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
        """A pull is granted if there is an upstream of which the name may be pulled; nothing else ever is."""
        granting = Granting(
            Only(mirrored("quay.io/team/app", False)),
            self.authority,
            lambda name: [f"a.example/{name}", f"quay.io/{name}"],
        )

        for name, pulls in (("team/app", "repository:team/app:pull"), ("other", "")):
            self.assertEqual(self.granted(granting, ALICE, f"repository:{name}:pull,push,delete"), pulls)
        self.assertEqual(self.granted(granting, ALICE, "apt:team/app:pull"), "")

    def test_mirror_and_keys(self) -> None:
        """What a key may of which upstream counts at the request, where the upstream is known."""
        cap = TokenCap.of(parse_scopes(["apt:x:pull"]))
        granting = Granting(Only(mirrored("quay.io/a", False)), self.authority, lambda name: [f"quay.io/{name}"])
        key = Identity(Principal("r"), "key:1", "", cap)

        self.assertEqual(self.granted(granting, key, "repository:a:pull"), "repository:a:pull")
        self.assertEqual(self.granted(granting, key, "repository:b:pull"), "")

    def test_narrowed(self) -> None:
        """A token for narrow credentials is as narrow; where nobody can see to that, it is worth nothing."""
        cap = TokenCap.of(parse_scopes(["repository:a:pull"]))
        granting = Granting(RulePolicy(), self.authority)
        scopes = ("repository:a:pull,push", "repository:b:pull")

        self.assertEqual(
            self.granted(granting, Identity(Principal("r"), "key:1", "", cap), *scopes), "repository:a:pull"
        )
        self.assertEqual(self.granted(granting, Identity(Principal("r"), "htpasswd", "", cap), *scopes), "")

    def test_mirror_and_claims(self) -> None:
        """What an issuer narrows its user to is told by names, so that it counts for the token, too."""
        granting = Granting(RulePolicy(), self.authority, lambda name: [f"docker.io/{name}"])
        listed = parse_scopes(["repository:a:pull", "repository:quay.io/team/b:pull", "repository:docker.io/d:pull"])
        carol = Identity(Principal("carol"), "key:1", "", AccessCap(TokenCap.of(listed)))

        scopes = [f"repository:{name}:pull" for name in ("a", "b", "c", "d", "team/b", "quay.io/team/b", "eam/b")]
        found = self.granted(granting, carol, *scopes)

        wanted = ["a", "d", "team/b", "quay.io/team/b"]
        self.assertEqual(found.split(" "), [f"repository:{name}:pull" for name in wanted])

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

    def test_ours(self) -> None:
        """A hosted repository that not everybody may pull is ours; one that is public is as good as an upstream's."""

        async def is_hosted(name: RepositoryName) -> bool:
            return str(name) in ("public", "private")

        granting = Granting(Only(oci("public", Action.PULL)), self.authority, is_hosted=is_hosted)
        for names, expected in (
            (("public",), False),
            (("elsewhere",), False),
            (("private",), True),
            (("public", "elsewhere", "private"), True),
            (("NOT/A/NAME",), False),
            ((), False),
        ):
            scopes = parse_scopes(f"repository:{name}:pull" for name in names)
            found = self.successResultOf(Deferred.fromCoroutine(granting.means_ours(scopes, None)))
            self.assertEqual(found, expected, names)
