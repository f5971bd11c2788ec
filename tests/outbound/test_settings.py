"""Which hosts may be private."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.outbound.settings import Trust


class TrustTests(SynchronousTestCase):
    """`Trust.exempts`."""

    def test_nobody(self) -> None:
        """Unless listed, nobody is exempt."""
        self.assertFalse(Trust().exempts("quay.io", 443))

    def test_port(self) -> None:
        """A host with a port is exempt on that port, one without on all."""
        trust = Trust(private_hosts=frozenset(["a.lan:5000", "b.lan", "10.0.0.1:80"]))

        self.assertTrue(trust.exempts("a.lan", 5000) and trust.exempts("b.lan", 5000) and trust.exempts("10.0.0.1", 80))
        self.assertFalse(trust.exempts("a.lan", 443) or trust.exempts("10.0.0.1", 8080))

    def test_whole_names(self) -> None:
        """No other host is exempt by being like one that is listed."""
        trust = Trust(private_hosts=frozenset(["b.lan"]))

        self.assertFalse(
            trust.exempts("a.b.lan", 443) or trust.exempts("lan", 443) or trust.exempts("b.lan.evil.com", 443)
        )

    def test_brackets(self) -> None:
        """IPv6 addresses are listed in brackets."""
        trust = Trust(private_hosts=frozenset(["[::1]:5000", "[fd00::1]"]))

        self.assertTrue(trust.exempts("::1", 5000) and trust.exempts("fd00::1", 443))
        self.assertFalse(trust.exempts("::1", 443))
