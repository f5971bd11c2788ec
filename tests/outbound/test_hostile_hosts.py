"""No way of writing a host leads to an address that may not be connected to."""

from __future__ import annotations

import socket
import unicodedata
from collections.abc import Sequence
from typing import Any
from urllib.parse import urljoin

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import AddressRefused, InvalidHost
from pkgd.formats.hosts import parse_host
from pkgd.outbound.client import Client, Trust
from tests.outbound.hostile_hosts import CORPUS, LEADING
from tests.outbound.network import PUBLIC, Names, Network

METADATA = "169.254.169.254"


class GullibleNames(Names):
    """Resolves as getaddrinfo does, and more: what could be taken for an address is one; the rest is on loopback."""

    def addresses(self, name: str) -> Sequence[str]:
        """The address that the text may stand for."""
        plain = unicodedata.normalize("NFKC", name).replace("。", ".")
        try:
            return [socket.inet_ntoa(socket.inet_aton(plain))]
        except OSError:
            return [LEADING.get(name, "127.0.0.1")]


class HostileHostTests(SynchronousTestCase):
    """The corpus, through every door."""

    def setUp(self) -> None:
        """A client whose resolver believes everything."""
        self.network = Network()
        self.network.nameResolver = GullibleNames()
        self.names = self.network.nameResolver
        self.client = Client(self.network, Trust())

    def ask(self, url: str) -> Deferred[Any]:
        """Ask for a URL."""
        return Deferred.fromCoroutine(self.client.request("GET", url, {}))

    def assert_refused(self, url: str) -> None:
        """It is refused, without a connection."""
        self.failureResultOf(self.ask(url), AddressRefused)
        self.assertEqual(self.network.called, [], url)

    def assert_not_looked_up(self) -> None:
        """Nothing was looked up but the harmless name that some of them contain, where that is the host of the URL."""
        self.assertEqual([name for name in self.names.asked if not name.endswith("quay.io")], [])

    def test_enough(self) -> None:
        """There are hundreds of them."""
        self.assertGreater(len(CORPUS), 500)

    def test_named(self) -> None:
        """None of them is a host that anybody may name."""
        for text in CORPUS:
            self.assertRaises(InvalidHost, parse_host, text)

    def test_urls(self) -> None:
        """None of them may stand in a URL."""
        for text in CORPUS:
            for url in [f"http://{text}/v2/", f"https://{text}/v2/", f"https://{text}"]:
                self.assert_refused(url)
        self.assert_not_looked_up()

    def test_redirects(self) -> None:
        """None of them may be where a redirect leads, or a token is to be had."""
        for text in CORPUS:
            for location in [
                f"//{text}/v2/",
                f"https:{text}",
                f"http:/\\{text}/",
                f"https:///{text}/",
                f"\\\\{text}\\",
            ]:
                try:
                    target = urljoin("http://localhost/v2/", location)
                except ValueError:
                    continue
                self.assert_refused(target)
        self.assert_not_looked_up()

    def test_leading(self) -> None:
        """Names that lead there are looked up, and not called, on whatever port."""
        for name in LEADING:
            self.assertEqual(parse_host(name), name)
            self.assert_refused(f"https://{name}/v2/")
        self.assertEqual(len(self.names.asked), len(LEADING))

    def test_rebinding(self) -> None:
        """A name that is harmless at first is looked up once, and called where it was then."""
        names = Names()
        self.network.nameResolver = names
        names.answers["evil.com"] = [[PUBLIC], [METADATA]]
        asking = self.ask("http://evil.com/")
        self.network.accept().end()
        asking.addErrback(lambda _: None)

        self.assertEqual((names.asked, self.network.called), (["evil.com"], [(PUBLIC, 80)]))
        self.failureResultOf(self.ask("http://evil.com/"), AddressRefused)
        self.assertEqual(self.network.called, [(PUBLIC, 80)])

    def test_rebinding_within_an_answer(self) -> None:
        """Of an answer that mixes them, only the harmless address is called, and no other one after it."""
        names = Names()
        self.network.nameResolver = names
        names.answers["evil.com"] = [[METADATA, PUBLIC, "127.0.0.1", "::1", "64:ff9b::7f00:1"]]
        asking = self.ask("http://evil.com/")
        self.network.refuse()
        self.network.advance(10)

        self.failureResultOf(asking)
        self.assertEqual(self.network.called, [(PUBLIC, 80)])

    def test_moved_peer(self) -> None:
        """A connection that comes out at another address than was called carries nothing."""
        for url in ["http://quay.io/", "https://quay.io/"]:
            names = Names()
            self.network.nameResolver = names
            names.answers["quay.io"] = [[PUBLIC]]
            asking = self.ask(url)
            wire = self.network.accept(peer=METADATA)
            self.failureResultOf(asking, AddressRefused)
            self.assertEqual((wire.protocol, wire.sent), (None, b""))
