"""The rules of the configuration, as they decide."""

from __future__ import annotations

from itertools import permutations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Access, Action, Principal, apt, mirrored, oci, rpm
from pkgd.auth.rules import Admins, Rule, RulePolicy
from pkgd.auth.scopes import GrantedAccess, TokenCap, parse_scopes

READ = frozenset([Action.PULL])
WRITE = frozenset([Action.PULL, Action.PUSH])

NOBODY = Principal()
ALICE = Principal("alice", frozenset(["team-a"]))
BOB = Principal("bob")
ROOT = Principal("root")
OPERATOR = Principal("carol", frozenset(["operators"]))
ADMINS = Admins(frozenset(["root"]), frozenset(["operators"]))

PUBLIC = Rule("rules[0]", ("oci:public/**", "apt:public"), ("anonymous",), READ)
TEAM = Rule("rules[1]", ("oci:team-a/**",), ("group:team-a",), frozenset(Action))
BOTH = Rule("rules[2]", ("oci:team-a/**",), ("user:bob", "user:eve"), WRITE)


class RuleTests(SynchronousTestCase):
    """Rules allow; nothing else does."""

    def setUp(self) -> None:
        """Three rules."""
        self.policy = RulePolicy([PUBLIC, TEAM, BOTH], ADMINS)

    def test_allowed(self) -> None:
        """What a rule is for is allowed, and the decision names rule, resource and subject."""
        decision = self.policy.decide(BOB, oci("team-a/x", Action.PUSH))

        self.assertTrue(decision.allowed)
        self.assertEqual(decision.rule, "rules[2] (oci:team-a/** for user:bob)")

    def test_default(self) -> None:
        """What no rule is for is refused: another resource, subject or action."""
        for principal, access in (
            (NOBODY, oci("team-a/x", Action.PULL)),
            (NOBODY, oci("public/x", Action.PUSH)),
            (BOB, oci("team-a/x", Action.DELETE)),
            (BOB, oci("team-a", Action.PULL)),
            (ALICE, oci("other", Action.PULL)),
            (ALICE, rpm("team-a/x", Action.PULL)),
            (ALICE, apt("public", Action.PUSH)),
        ):
            decision = self.policy.decide(principal, access)
            self.assertEqual((decision.allowed, decision.rule), (False, "no rule allows it"), access)
            self.assertFalse(self.policy.allows(principal, access))

    def test_union(self) -> None:
        """All rules count together: who has one thing by the one, and another by another, has both."""
        alice = Principal("bob", frozenset(["team-a"]))

        allowed = {action for action in Action if self.policy.allows(alice, oci("team-a/x", action))}

        self.assertEqual(allowed, set(Action))

    def test_order(self) -> None:
        """In whatever order they stand, rules allow the same."""
        asked = [
            (principal, oci(name, action))
            for principal in (NOBODY, ALICE, BOB)
            for name in ("public/x", "team-a/x", "x")
            for action in Action
        ]
        expected = [self.policy.allows(*one) for one in asked]
        for order in permutations([PUBLIC, TEAM, BOTH]):
            policy = RulePolicy(order, ADMINS)
            self.assertEqual([policy.allows(*one) for one in asked], expected)

    def test_logging_in_takes_nothing(self) -> None:
        """What is open to the anonymous is open to everybody."""
        for principal in (NOBODY, ALICE, BOB):
            self.assertTrue(self.policy.allows(principal, oci("public/x", Action.PULL)))

    def test_admins(self) -> None:
        """Admins, by name or group, may do everything; a group's name is no user's, and the other way round."""
        for principal in (ROOT, OPERATOR):
            for action in Action:
                self.assertTrue(self.policy.allows(principal, oci("x", action)))
            self.assertTrue(self.policy.allows(principal, mirrored("ghcr.io/x", private=True)))
            self.assertTrue(self.policy.allows(principal, Access("admin", Action.ENTER)))
        for principal in (Principal("operators"), Principal("x", frozenset(["root"])), Principal(None)):
            self.assertFalse(self.policy.allows(principal, oci("x", Action.DELETE)))
        self.assertEqual(self.policy.decide(ROOT, oci("x", Action.PULL)).rule, "authorization.admins.users (root)")
        self.assertEqual(
            self.policy.decide(OPERATOR, oci("x", Action.PULL)).rule, "authorization.admins.groups (operators)"
        )

    def test_nameless_admin(self) -> None:
        """Who has no name is no admin, whatever groups a token gave it."""
        self.assertFalse(self.policy.allows(Principal(None, frozenset(["operators"])), oci("x", Action.PULL)))

    def test_no_rules_but_a_list(self) -> None:
        """An empty list of rules allows nobody but admins anything."""
        policy = RulePolicy([], ADMINS)

        self.assertFalse(policy.allows(ALICE, oci("x", Action.PULL)))
        self.assertTrue(policy.allows(ROOT, oci("x", Action.DELETE)))

    def test_claims(self) -> None:
        """A rule's template takes the claims of who asks, and of nobody who asked before."""
        rule = Rule("r", ("oci:${claims.path}/**",), ("issuer:https://ci.example.com",), WRITE)
        policy = RulePolicy([rule])

        def job(path: str, issuer: str = "https://ci.example.com") -> Principal:
            return Principal("job", issuer=issuer, claims={"path": path})

        self.assertTrue(policy.allows(job("a"), oci("a/x", Action.PUSH)))
        self.assertFalse(policy.allows(job("b"), oci("a/x", Action.PUSH)))
        self.assertFalse(policy.allows(job("a", "https://evil.example.com"), oci("a/x", Action.PUSH)))
        self.assertFalse(policy.allows(Principal("job"), oci("a/x", Action.PUSH)))

    def test_much_asked(self) -> None:
        """However much is asked, what is remembered does not grow without end, and answers stay the same."""
        policy = RulePolicy([PUBLIC])
        for number in range(20_000):
            policy.decide(NOBODY, oci(f"public/{number}", Action.PULL))

        self.assertLess(len(policy._decided), 16_385)
        self.assertTrue(policy.allows(NOBODY, oci("public/1", Action.PULL)))
        self.assertFalse(policy.allows(NOBODY, oci("private/1", Action.PULL)))


class DefaultTests(SynchronousTestCase):
    """Without any rules."""

    def test_authenticated(self) -> None:
        """Who is known by name may pull, push and overwrite everywhere; deleting is for admins."""
        policy = RulePolicy(None, ADMINS)
        for kind in (oci, apt, rpm):
            allowed = [action for action in Action if policy.allows(BOB, kind("a", action))]
            self.assertEqual(allowed, [Action.PULL, Action.PUSH, Action.OVERWRITE])
            self.assertTrue(policy.allows(ROOT, kind("a", Action.DELETE)))
        self.assertTrue(policy.allows(BOB, mirrored("docker.io/library/alpine", private=True)))

    def test_anonymous(self) -> None:
        """Who is not, may nothing."""
        policy = RulePolicy(None, ADMINS)
        for action in Action:
            self.assertFalse(policy.allows(NOBODY, oci("a", action)))
        self.assertFalse(policy.allows(NOBODY, mirrored("docker.io/library/alpine", private=False)))

    def test_words(self) -> None:
        """The decision says that it comes from there being no rules."""
        for action in (Action.PULL, Action.DELETE):
            self.assertIn("without rules", RulePolicy().decide(BOB, oci("a", action)).rule)


class IssuerTests(SynchronousTestCase):
    """What an issuer allows its users by itself, where it is trusted with that."""

    def setUp(self) -> None:
        """Dave's token may push to `x` and read an upstream's repository."""
        scopes = ["repository:x:push", "repository:quay.io/a:pull", "admin:admin:*"]
        self.granted = GrantedAccess(TokenCap.of(parse_scopes(scopes)))
        self.dave = Principal("dave", granted=self.granted)

    def test_allowed(self) -> None:
        """What no rule allows it does, and the decision says so; the rest is up to the rules."""
        policy = RulePolicy([PUBLIC], ADMINS)
        decision = policy.decide(self.dave, oci("x", Action.PUSH))

        self.assertEqual(
            (decision.allowed, decision.rule), (True, "the access claim of the user's own token (trust_access)")
        )
        self.assertTrue(policy.allows(self.dave, mirrored("quay.io/a", True, "a")))
        self.assertTrue(policy.allows(self.dave, oci("public/a", Action.PULL)))
        for access in (oci("x", Action.PULL), oci("x", Action.DELETE), oci("y", Action.PUSH), apt("x", Action.PUSH)):
            self.assertFalse(policy.allows(self.dave, access), access)
        self.assertFalse(policy.allows(Principal("dave"), oci("x", Action.PUSH)))

    def test_nothing_of_the_server(self) -> None:
        """It makes nobody an administrator."""
        self.assertFalse(RulePolicy([PUBLIC], ADMINS).allows(self.dave, Access("admin", Action.ENTER)))


class PrivateTests(SynchronousTestCase):
    """What was fetched from upstream with our credentials is not for everybody by accident."""

    def allows(self, resource: str, subject: str, principal: Principal, private: bool = True) -> bool:
        """Whether a rule allows the principal to pull from ghcr.io."""
        policy = RulePolicy([Rule("r", (resource,), (subject,), READ)])
        return policy.allows(principal, mirrored("ghcr.io/team/app", private))

    def test_anonymous(self) -> None:
        """A rule for the anonymous covers it only if it names the host in full."""
        for principal in (NOBODY, ALICE):
            for resource in ("mirror:**", "mirror:*/**", "mirror:ghcr.*/**", "mirror:*/team/app"):
                self.assertFalse(self.allows(resource, "anonymous", principal), resource)
                self.assertTrue(self.allows(resource, "anonymous", principal, private=False), resource)
            for resource in ("mirror:ghcr.io/**", "mirror:ghcr.io/team/app"):
                self.assertTrue(self.allows(resource, "anonymous", principal), resource)

    def test_named(self) -> None:
        """Rules that say for whom they are cover it."""
        inside = Principal(address="10.1.2.3")
        self.assertTrue(self.allows("mirror:**", "authenticated", ALICE))
        self.assertTrue(self.allows("mirror:**", "group:team-a", ALICE))
        self.assertTrue(self.allows("mirror:**", "cidr:10.0.0.0/8", inside))

    def test_every_address(self) -> None:
        """A network of all addresses says nothing of whom it is for."""
        self.assertFalse(self.allows("mirror:**", "cidr:0.0.0.0/0", Principal(address="10.1.2.3")))
        self.assertTrue(self.allows("mirror:ghcr.io/**", "cidr:0.0.0.0/0", Principal(address="10.1.2.3")))

    def test_not_mixed_up(self) -> None:
        """Public and private content of one repository are decided about apart, in either order."""
        policy = RulePolicy([Rule("r", ("mirror:**",), ("anonymous",), READ)])
        answers = [policy.allows(NOBODY, mirrored("ghcr.io/a", private)) for private in (True, False, True, False)]
        self.assertEqual(answers, [False, True, False, True])


class ServerTests(SynchronousTestCase):
    """What is asked of the server itself."""

    def test_open(self) -> None:
        """Everybody may ask whether it is a registry, and for the list, which shows only what may be pulled."""
        for access in (Access("registry", Action.ENTER), Access("registry", Action.LIST)):
            self.assertTrue(RulePolicy([]).allows(NOBODY, access))
            self.assertTrue(RulePolicy().allows(NOBODY, access))

    def test_other_actions(self) -> None:
        """Nothing else can be done with it."""
        for action in (Action.PULL, Action.PUSH, Action.OVERWRITE, Action.DELETE):
            self.assertFalse(RulePolicy().allows(BOB, Access("registry", action)))

    def test_account(self) -> None:
        """An account is for who has a name, administration for admins alone."""
        policy = RulePolicy(None, ADMINS)
        self.assertEqual(
            [policy.allows(one, Access("account", Action.ENTER)) for one in (NOBODY, BOB, ROOT)], [False, True, True]
        )
        self.assertEqual(
            [policy.allows(one, Access("admin", Action.ENTER)) for one in (NOBODY, BOB, ROOT)], [False, False, True]
        )
