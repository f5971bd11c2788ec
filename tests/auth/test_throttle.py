"""Failed attempts to log in: counted per address and per user, forgiven with time."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.throttle import Rate, Throttle
from pkgd.errors import Throttled


class ThrottleTests(SynchronousTestCase):
    """Four failures a minute from an address, two on a name."""

    def setUp(self) -> None:
        """A clock that is late in its day."""
        self.clock = Clock()
        self.clock.advance(1e6)
        self.throttle = Throttle(Rate(4, 60.0), Rate(2, 60.0), self.clock.seconds, size=8)

    def fail_times(self, count: int, user: str, address: str) -> None:
        """Fail so often."""
        for _ in range(count):
            self.throttle.check(user, address)
            self.throttle.failed(user, address)

    def assert_throttled(self, user: str, address: str) -> float:
        """The next attempt may not be made; returns how long one has to wait."""
        error: Throttled = self.assertRaises(Throttled, self.throttle.check, user, address)
        return error.retry_after

    def test_user(self) -> None:
        """Too many failures on a name stop attempts on it from everywhere, and on no other."""
        self.fail_times(2, "alice", "192.0.2.1")

        self.assert_throttled("alice", "192.0.2.2")
        self.throttle.check("bob", "192.0.2.1")

    def test_address(self) -> None:
        """Too many from an address stop everything from there, and from nowhere else."""
        for user in "abcd":
            self.fail_times(1, user, "192.0.2.1")

        self.assert_throttled("e", "192.0.2.1")
        self.throttle.check("e", "192.0.2.2")

    def test_network(self) -> None:
        """Addresses of one IPv6 network of 64 bits are one."""
        for host in "1234":
            self.fail_times(1, host, f"2001:db8::{host}")

        self.assert_throttled("e", "2001:db8::ffff")
        self.throttle.check("e", "2001:db8:0:1::1")
        self.throttle.check("e", "2001:db8::zzz")

    def test_time(self) -> None:
        """They are forgiven one by one; the refusal says when."""
        self.fail_times(2, "alice", "192.0.2.1")
        wait = self.assert_throttled("alice", "192.0.2.1")
        self.assertEqual(wait, 30.0)

        self.clock.advance(wait)

        self.throttle.check("alice", "192.0.2.1")
        self.throttle.failed("alice", "192.0.2.1")
        self.assert_throttled("alice", "192.0.2.1")

    def test_known(self) -> None:
        """Who has logged in from somewhere isn't locked out there by what others try on his name or beside him."""
        self.throttle.succeeded("alice", "192.0.2.1")
        self.fail_times(2, "alice", "203.0.113.9")
        for user in "abcd":
            self.fail_times(1, user, "192.0.2.1")

        self.throttle.check("alice", "192.0.2.1")

        self.fail_times(2, "alice", "192.0.2.1")
        self.assert_throttled("alice", "192.0.2.1")

    def test_bounded(self) -> None:
        """What is remembered has an end, and who fails often is remembered longest."""
        self.fail_times(2, "alice", "192.0.2.1")
        for number in range(100):
            self.throttle.failed("alice", f"198.51.100.{number}")
            self.throttle.succeeded(f"user{number}", "192.0.2.1")

        self.assert_throttled("alice", "192.0.2.200")
        self.assertEqual((len(self.throttle._buckets), len(self.throttle._known)), (8, 8))
