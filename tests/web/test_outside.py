"""How server and clients look from outside, with and without proxies."""

from __future__ import annotations

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from pkgd.web.outside import Outside
from pkgd.web.request import Request
from tests.web.recorder import recorded

PROXIES = [ip_network("192.0.2.0/24")]
FORWARDED = {
    "X-Forwarded-For": "198.51.100.1, 203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "pkg.example.com",
}


def request(peer: str = "192.0.2.7", **changes: str) -> Request:
    """A request to `localhost` through the proxy, with these headers changed."""
    changed = {name.replace("_", "-"): value for name, value in changes.items()}
    return recorded(headers={**FORWARDED, **changed}, peer=peer)[0]


class OutsideTests(SynchronousTestCase):
    """URL, service and address."""

    def test_configured(self) -> None:
        """What is configured counts, whatever the request says."""
        outside = Outside("https://registry.example.com:8443", trusted=PROXIES)

        self.assertEqual(outside.url(request()), "https://registry.example.com:8443")
        self.assertEqual(outside.service(request()), "registry.example.com:8443")
        self.assertEqual(Outside(service="ours").service(request()), "ours")

    def test_host(self) -> None:
        """Without that it is the Host, and the connection's scheme; nobody but a trusted proxy says otherwise."""
        for outside in (Outside(), Outside(trusted=[ip_network("198.51.100.0/24")])):
            self.assertEqual(outside.url(request()), "http://localhost")
            self.assertEqual(outside.service(request()), "localhost")

    def test_proxy(self) -> None:
        """A trusted proxy's word counts: the last one, which it has written itself."""
        outside = Outside(trusted=PROXIES)
        self.assertEqual(outside.url(request()), "https://pkg.example.com")

        attacked = request(
            X_Forwarded_Host="evil.example, pkg.example.com", X_Forwarded_Proto="http, https", peer="192.0.2.8"
        )
        self.assertEqual(outside.url(attacked), "https://pkg.example.com")

    def test_nonsense(self) -> None:
        """What is no scheme or host stands in no realm: the request's own does."""
        outside = Outside(trusted=PROXIES)
        for host in ('a"b', "a,", "a b", "a/b", "user@a", "", "-", "[::zz]", "a:b"):
            self.assertEqual(outside.url(request(X_Forwarded_Host=host)), "https://localhost", host)
        for scheme in ("ftp", "", "javascript", 'https"'):
            self.assertEqual(outside.url(request(X_Forwarded_Proto=scheme)), "http://pkg.example.com")

    def test_address(self) -> None:
        """The client's address is what a trusted proxy says, and else the peer's."""
        self.assertEqual(Outside(trusted=PROXIES).address(request()), "203.0.113.9")
        self.assertEqual(Outside().address(request()), "192.0.2.7")
        self.assertEqual(Outside().address(request("::ffff:192.0.2.7")), "192.0.2.7")
