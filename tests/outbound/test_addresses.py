"""Which addresses may be connected to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.outbound.addresses import refusal
from tests.properties import bounded

ALLOWED = (
    ["1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "93.184.215.14", "100.63.255.255", "100.128.0.0"]
    + ["126.255.255.255", "128.0.0.0", "168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0"]
    + ["172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0"]
    + ["192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0"]
    + ["203.0.112.255", "203.0.114.0", "223.255.255.255", "1.0.0.0"]
    + ["2000::1", "2001:200::1", "2001:4860:4860::8888", "2001:db7::1", "2001:db9::1", "2003::1", "2606:4700::1111"]
    + ["3ffe::1", "3fff:1000::1", "3fff:ffff::1", "2a00:1450:4001::1"]
    + ["64:ff9b::8.8.8.8", "64:ff9b::5db8:d70e"]
)

REFUSED = {
    "this network": ["0.0.0.0", "0.0.0.1", "0.255.255.255"],
    "private": ["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"]
    + ["fc00::", "fd00:ec2::254", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    "shared by a carrier": ["100.64.0.0", "100.100.100.200", "100.127.255.255"],
    "loopback": ["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"],
    "link-local": ["169.254.0.0", "169.254.169.254", "169.254.255.255", "fe80::", "fe80::1", "febf::1"],
    "a cloud's own": ["168.63.129.16"],
    "reserved for protocols": ["192.0.0.0", "192.0.0.192", "192.0.0.255", "2001::1", "2001:0:4136:e378:8000:63bf::1"]
    + ["2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff:ffff::1"],
    "for documentation": ["192.0.2.0", "192.0.2.255", "198.51.100.0", "198.51.100.255", "203.0.113.0", "203.0.113.255"]
    + ["2001:db8::", "2001:db8:ffff::1", "3fff::", "3fff:fff:ffff::1"],
    "a 6to4 relay": ["192.88.99.0", "192.88.99.1", "192.88.99.255"],
    "for benchmarks": ["198.18.0.0", "198.19.255.255"],
    "multicast": ["224.0.0.0", "224.0.0.1", "239.255.255.255", "ff00::1", "ff02::1", "ffff::1"],
    "reserved": ["240.0.0.0", "255.255.255.254", "255.255.255.255", "::2:0:0:0", "100:1::1", "1fff::1", "4000::1"]
    + ["64:ff9a::1", "64:ff9b:2::1", "64:ff9b:0:0:1::", "e000::1"],
    "unspecified": ["::"],
    "IPv4 in disguise": ["::127.0.0.1", "::8.8.8.8", "::2", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:8.8.8.8"]
    + ["::ffff:169.254.169.254"],
    "a local translation": ["64:ff9b:1::", "64:ff9b:1::8.8.8.8", "64:ff9b:1:ffff::1"],
    "to be discarded": ["100::", "100::1"],
    "6to4": ["2002::", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1"],
    "for segment routing": ["5f00::1"],
    "site-local": ["fec0::1", "feff::1"],
    "scoped": ["fe80::1%eth0", "2001:4860:4860::8888%1", "::1%lo"],
    "no address": ["", "localhost", "127.1", "0x7f.0.0.1", "2130706433", "127.0.0.1:80", "[::1]", "127.0.0.01", "::1%"]
    + [" 127.0.0.1", "127.0.0.1\n"],
}

# Through a translator, these are what is inside.
TRANSLATED = {
    "64:ff9b::127.0.0.1": "loopback",
    "64:ff9b::a9fe:a9fe": "link-local",
    "64:ff9b::10.0.0.1": "private",
    "64:ff9b::": "this network",
    "64:ff9b::192.0.0.192": "reserved for protocols",
    "64:ff9b::ffff:ffff": "reserved",
}


class RefusalTests(SynchronousTestCase):
    """The table, at both ends of each of its networks."""

    def test_allowed(self) -> None:
        """Public unicast addresses are allowed, up to the edges of what is not."""
        self.assertEqual({text: refusal(text) for text in ALLOWED}, dict.fromkeys(ALLOWED))

    def test_refused(self) -> None:
        """Everything else is refused, and for its own reason."""
        for reason, texts in [*REFUSED.items(), *((reason, [text]) for text, reason in TRANSLATED.items())]:
            for text in texts:
                self.assertEqual(refusal(text), reason, text)

    def test_values(self) -> None:
        """Parsed addresses are judged as their text is."""
        self.assertEqual(refusal(IPv4Address("127.0.0.1")), "loopback")
        self.assertEqual(refusal(IPv6Address("::1")), "loopback")
        self.assertIsNone(refusal(IPv6Address("2606:4700::1111")))

    @bounded
    @given(st.integers(0, 2**32 - 1))
    def test_embedded(self, number: int) -> None:
        """An IPv4 address is no more allowed inside an IPv6 address than by itself."""
        inner = refusal(IPv4Address(number))

        self.assertEqual(refusal(IPv6Address((0x64FF9B << 96) + number)), inner)
        for disguise in [
            number,
            (0xFFFF << 32) + number,
            (0x2002 << 112) + (number << 80),
            (0x20010000 << 96) + number,
        ]:
            self.assertIsNotNone(refusal(IPv6Address(disguise)))

    @bounded
    @given(st.integers(0, 2**128 - 1) | st.integers(0x2 << 124, (0x4 << 124) - 1))
    def test_unicast_only(self, number: int) -> None:
        """No IPv6 address outside 2000::/3 is allowed, but for the translator's."""
        address = ip_address(number) if number >= 2**32 else IPv6Address(number)

        if refusal(address) is None:
            self.assertIn(number >> 125, [1], address)
