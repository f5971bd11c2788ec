"""Who may make which keys."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.apikeys import KeyOrder
from pkgd.auth.keycaps import parse_allowance
from pkgd.auth.keymaking import KeyLimits, Wish, order_for, robot_order
from pkgd.auth.model import ANONYMOUS, Identity, Principal
from pkgd.errors import Denied, InvalidRequest

LIMITS = KeyLimits(90.0, 365.0)
ALICE = Identity(Principal("alice", frozenset(["ops", "dev"])), "htpasswd")
WITH_KEY = Identity(Principal("alice", frozenset(["dev"])), "key:abcdefgh")


class OrderTests(SynchronousTestCase):
    """The key that somebody gets."""

    def order(self, identity: Identity = ALICE, is_admin: bool = False, **wish: Any) -> KeyOrder:
        """What comes of a wish, at 1000 s."""
        return order_for(identity, is_admin, Wish(**wish), LIMITS, 1000.0)

    def test_own(self) -> None:
        """A user's key is his, with his groups, for the usual time."""
        found = self.order(label="laptop", networks=("::1",))

        self.assertEqual(
            found, KeyOrder("alice", "htpasswd", ("dev", "ops"), "laptop", 1090.0, None, ("::1/128",), None)
        )

    def test_with_a_key(self) -> None:
        """What is made with a key is bound to that."""
        self.assertEqual(self.order(WITH_KEY), KeyOrder("alice", "key", ("dev",), "", 1090.0, parent="abcdefgh"))

    def test_robot(self) -> None:
        """Administrators make keys for robots, with any groups; also with a key of theirs."""
        found = self.order(is_admin=True, robot="ci", groups=("b", "a", "a"))

        self.assertEqual((found.owner, found.via, found.groups, found.parent), ("robot:ci", "robot", ("a", "b"), None))
        self.assertEqual(self.order(WITH_KEY, is_admin=True, robot="ci").parent, "abcdefgh")
        self.assertRaises(Denied, self.order, robot="ci")

    def test_nobody(self) -> None:
        """The anonymous makes no keys, nor does a workload's token, which a key would outlive."""
        workload = Identity(Principal("job", issuer="https://ci"), "workload:https://ci")

        for one in (ANONYMOUS, workload, Identity(Principal("x"), "other")):
            self.assertRaises(Denied, self.order, one)

    def test_lifetime(self) -> None:
        """It lives as long as is wished, within the limit."""
        self.assertEqual(self.order(lifetime=365.0).expires, 1365.0)
        for one in (0.0, -1.0, 365.1, float("nan"), float("inf")):
            self.assertRaises(InvalidRequest, self.order, lifetime=one)

    def test_refused(self) -> None:
        """What makes no sense is refused."""
        allowance = parse_allowance("oci:a=pull")
        for wish in (
            {"label": "x" * 101},
            {"label": "a\nb"},
            {"allow": ()},
            {"allow": (allowance,) * 65},
            {"networks": ("x",)},
            {"networks": ("::1",) * 33},
            {"groups": ("dev",)},
        ):
            self.assertRaises(InvalidRequest, self.order, **wish)

    def test_robot_refused(self) -> None:
        """A robot has a plain name, and groups that have names."""
        for name in ("", "A", "a b", "-a", "a-", "a" * 65, "a:b", "é", "a\n", "robot:ci"):
            self.assertRaises(InvalidRequest, self.order, is_admin=True, robot=name)
        for groups in (("",), ("a\n",), ("a",) * 65, ("x" * 101,)):
            self.assertRaises(InvalidRequest, self.order, is_admin=True, robot="ci", groups=groups)

    def test_on_the_server(self) -> None:
        """Whoever may write the state directory makes keys for robots."""
        self.assertEqual(robot_order(Wish(robot="ci"), LIMITS, 0.0), KeyOrder("robot:ci", "robot", (), "", 90.0))
