"""Leases."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.formats.digest import Digest
from pkgd.registry.leases import Leases

A, B, C = (Digest.of(one) for one in (b"a", b"b", b"c"))


class LeaseTests(SynchronousTestCase):
    """What is remembered, and for how long."""

    def setUp(self) -> None:
        """Begin without any."""
        self.clock = Clock()
        self.leases = Leases(self.clock.seconds, 2)

    def test_touch(self) -> None:
        """A touch counts for one place; what was never touched, never was."""
        self.clock.advance(5)
        self.leases.touch("x", A)

        self.assertEqual(self.leases.last_touch("x", A), 5)
        self.assertEqual(self.leases.last_touch("y", A), float("-inf"))

    def test_too_many(self) -> None:
        """Of more than can be remembered, everything counts as touched."""
        self.leases.touch("x", A)
        self.leases.touch("x", B)
        self.clock.advance(5)

        self.leases.touch("x", C)

        self.assertEqual([self.leases.last_touch("x", one) for one in (A, B, C)], [5, 5, 5])

    def test_prune(self) -> None:
        """What is older than anybody asks for is forgotten."""
        self.leases.touch("x", A)
        self.clock.advance(5)
        self.leases.touch("x", B)

        self.leases.prune(1)

        self.assertEqual(self.leases.last_touch("x", A), float("-inf"))
        self.assertEqual(self.leases.last_touch("x", B), 5)

    def test_horizon(self) -> None:
        """An open upload holds time where it began, in its place only."""
        self.leases.begin("x", "u")
        self.clock.advance(5)
        self.leases.begin("x", "u")

        self.assertEqual((self.leases.horizon("x"), self.leases.horizon("y")), (0, 5))
        self.leases.end("u")
        self.assertEqual(self.leases.horizon("x"), 5)
