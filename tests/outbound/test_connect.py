"""How connections come about: what is looked up, what is tried, and what is refused."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectBindError,
    ConnectError,
    ConnectionRefusedError,
    NoRouteError,
    TCPTimedOutError,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import AddressRefused, UpstreamTimeout, UpstreamUnavailable
from pkgd.outbound.attempts import STAGGER
from pkgd.outbound.connect import MAX_FOUND, MAX_TRIED, Connector
from pkgd.outbound.settings import Limits, Trust
from pkgd.outbound.target import Target
from tests.outbound.network import PUBLIC, Network

SIX = "2606:4700::1111"
METADATA = "169.254.169.254"


class Recorder(Protocol):
    """The client protocol."""

    state = "QUIESCENT"
    lost = False

    def connectionLost(self, reason: Any = None) -> None:
        """Note it."""
        self.lost = True


class ConnectorCase(SynchronousTestCase):
    """A connector in a network where `quay.io` has one public address."""

    def setUp(self) -> None:
        """Nothing is private unless a test says so."""
        self.network = Network()
        self.network.names.answers["quay.io"] = [[PUBLIC]]
        self.trust()

    def tearDown(self) -> None:
        """Whatever has happened, no timer is left."""
        self.assertEqual(self.network.getDelayedCalls(), [])

    def trust(self, *private: str) -> None:
        """A connector that trusts these."""
        self.trusted = Trust(private_hosts=frozenset(private))
        self.connector = Connector(self.network, self.trusted, Limits())

    def connect(self, url: str = "http://quay.io/") -> Deferred[Any]:
        """Begin to connect."""
        target = Target.parse(url, self.trusted)
        return self.connector.endpoint(target).connect(Factory.forProtocol(Recorder))

    def named(self, *addresses: str) -> None:
        """`quay.io` has these addresses."""
        self.network.names.answers["quay.io"] = [list(addresses)]

    def refused(self, connecting: Deferred[Any]) -> AddressRefused:
        """It was refused; nothing was called."""
        error = self.failureResultOf(connecting, AddressRefused).value
        self.assertEqual(self.network.called, [])
        assert isinstance(error, AddressRefused)
        return error


class LookUpTests(ConnectorCase):
    """From a name to the addresses that are tried."""

    def test_public(self) -> None:
        """The name is looked up once, and its address called by number."""
        connecting = self.connect("http://quay.io:8080/")
        self.network.accept()

        self.assertIsInstance(self.successResultOf(connecting), Recorder)
        self.assertEqual(self.network.names.asked, ["quay.io"])
        self.assertEqual(self.network.called, [(PUBLIC, 8080)])

    def test_unknown(self) -> None:
        """A name without addresses cannot be found."""
        error = self.failureResultOf(self.connect("http://ghcr.io/"), UpstreamUnavailable).value

        self.assertEqual(str(error), "the upstream ghcr.io cannot be found")

    def test_forbidden(self) -> None:
        """A name that stands for a forbidden address is not called, and the error does not tell which it is."""
        for address in ["127.0.0.1", "10.1.2.3", METADATA, "::1", "::ffff:10.0.0.1", "fd00:ec2::254", "fe80::1%eth0"]:
            self.named(address)
            error = self.refused(self.connect())
            self.assertEqual(str(error), "the upstream quay.io may not be connected to: its address is not public")

    def test_mixed(self) -> None:
        """Of several addresses only those that may be connected to are tried, even when they fail."""
        self.named("10.0.0.1", PUBLIC, METADATA, "::1")
        connecting = self.connect()
        self.network.refuse()
        self.network.advance(10)

        self.failureResultOf(connecting, UpstreamUnavailable)
        self.assertEqual(self.network.called, [(PUBLIC, 80)])

    def test_rebinding(self) -> None:
        """A resolver that changes its mind is not asked again: the address that was checked is the one called."""
        self.network.names.answers["quay.io"] = [[PUBLIC], [METADATA], ["127.0.0.1"]]
        connecting = self.connect()
        self.network.accept()

        self.successResultOf(connecting)
        self.assertEqual(self.network.names.asked, ["quay.io"])
        self.assertEqual(self.network.called, [(PUBLIC, 80)])

    def test_each_connection_is_checked(self) -> None:
        """The next connection looks up anew, and is checked anew."""
        self.network.names.answers["quay.io"] = [[PUBLIC], [METADATA]]
        self.successResultOf(self.accepted(self.connect()))

        self.failureResultOf(self.connect(), AddressRefused)
        self.assertEqual(self.network.called, [(PUBLIC, 80)])

    def accepted(self, connecting: Deferred[Any]) -> Deferred[Any]:
        """Its attempt succeeds."""
        self.network.accept()
        return connecting

    def test_private(self) -> None:
        """A host that may be private may have any address."""
        self.trust("quay.io:8080")
        self.named("10.0.0.1")
        connecting = self.connect("http://quay.io:8080/")
        self.network.accept()

        self.successResultOf(connecting)
        self.assertEqual(self.network.called, [("10.0.0.1", 8080)])

    def test_private_port(self) -> None:
        """Another port of it may not."""
        self.trust("quay.io:8080")
        self.named("10.0.0.1")

        self.refused(self.connect("http://quay.io:8081/"))

    def test_private_literal(self) -> None:
        """A literal address that is listed is called without a look-up."""
        self.trust("127.0.0.1:5000", "[::1]:5000")
        for url, called in [("http://127.0.0.1:5000/", "127.0.0.1"), ("http://[::1]:5000/", "::1")]:
            self.successResultOf(self.accepted(self.connect(url)))
            self.assertEqual(self.network.called[-1], (called, 5000))
        self.assertEqual(self.network.names.asked, [])

    def test_literal(self) -> None:
        """No other literal address is called, not even a public one."""
        for host in [PUBLIC, "127.0.0.1", SIX, "::1"]:
            target = Target("http", host, 80, "/", exempt=False)
            connecting = self.connector.endpoint(target).connect(Factory.forProtocol(Recorder))
            self.assertNotIn(host, str(self.refused(connecting)))

    def test_many_addresses(self) -> None:
        """Only so many addresses are looked at and tried."""
        self.named(*[f"10.0.{n // 256}.{n % 256}" for n in range(MAX_FOUND)], PUBLIC)
        self.refused(self.connect())
        self.named(*[f"93.184.0.{n}" for n in range(MAX_FOUND)])
        connecting = self.connect()
        for _ in range(MAX_TRIED):
            self.network.refuse()

        self.failureResultOf(connecting, UpstreamUnavailable)
        self.assertEqual(len(self.network.called), MAX_TRIED)

    def test_same_address(self) -> None:
        """An address that is named twice is tried once."""
        self.named(PUBLIC, PUBLIC)
        connecting = self.connect()
        self.network.refuse()

        self.failureResultOf(connecting, UpstreamUnavailable)


class AttemptTests(ConnectorCase):
    """From addresses to a connection."""

    def test_families_alternate(self) -> None:
        """The resolver's favourite family is tried first, and the other after it."""
        self.named("2606:4700::1", "2606:4700::2", "2606:4700::3", "93.184.0.1", "93.184.0.2")
        connecting = self.connect()
        for _ in range(5):
            self.network.refuse()

        self.failureResultOf(connecting, UpstreamUnavailable)
        tried = [host for host, _ in self.network.called]
        self.assertEqual(tried, ["2606:4700::1", "93.184.0.1", "2606:4700::2", "93.184.0.2", "2606:4700::3"])

    def test_company(self) -> None:
        """An address that does not answer does not hold up the others."""
        self.named(SIX, PUBLIC)
        connecting = self.connect()
        self.network.advance(STAGGER)
        self.network.accept(1)

        self.successResultOf(connecting)
        self.assertEqual(self.network.given_up, [True, False])

    def test_failures(self) -> None:
        """Whatever keeps a connection from being made, the upstream cannot be reached."""
        for reason in [
            ConnectionRefusedError(),
            NoRouteError(),
            ConnectError(),
            ConnectBindError(),
            OSError(24, "full"),
        ]:
            connecting = self.connect()
            self.network.refuse(reason=reason)
            error = self.failureResultOf(connecting, UpstreamUnavailable).value
            self.assertEqual(str(error), "the upstream quay.io cannot be reached")

    def test_timed_out(self) -> None:
        """A network that gives up before we do is a time-out as well."""
        connecting = self.connect()
        self.network.refuse(reason=TCPTimedOutError())

        self.failureResultOf(connecting, UpstreamTimeout)

    def test_silence(self) -> None:
        """All attempts together have the connect limit; then they are given up."""
        self.named(PUBLIC, "93.184.0.1")
        connecting = self.connect()
        self.network.advance(STAGGER)
        self.network.advance(4.6)
        self.assertNoResult(connecting)
        self.network.advance(0.2)

        error = self.failureResultOf(connecting, UpstreamTimeout).value
        self.assertEqual(str(error), "the upstream quay.io cannot be reached in time")
        self.assertEqual(self.network.given_up, [True, True])

    def test_slow_look_up(self) -> None:
        """The look-up counts, and what it finds too late is not used."""
        self.network.names.slow.add("quay.io")
        connecting = self.connect()
        self.network.advance(5.1)
        self.failureResultOf(connecting, UpstreamTimeout)
        self.network.names.answer()

        self.assertEqual(self.network.called, [])

    def test_cancelled(self) -> None:
        """Cancelling gives up the attempts, or ignores the look-up."""
        connecting = self.connect()
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertEqual(self.network.given_up, [True])

        self.network.names.slow.add("quay.io")
        looking = self.connect()
        looking.cancel()
        self.failureResultOf(looking, CancelledError)
        self.network.names.answer()
        self.assertEqual(len(self.network.called), 1)


class PeerTests(ConnectorCase):
    """The peer, once more, before the first byte."""

    def test_elsewhere(self) -> None:
        """A connection that has come out elsewhere is dropped unused."""
        for peer in ["127.0.0.1", METADATA, "93.184.0.1", "::1"]:
            connecting = self.connect()
            wire = self.network.accept(peer=peer)
            error = self.failureResultOf(connecting, AddressRefused).value
            self.assertIsNone(wire.protocol)
            self.assertNotIn(peer, str(error))

    def test_tls(self) -> None:
        """Under TLS, too: no handshake is begun."""
        connecting = self.connect("https://quay.io/")
        wire = self.network.accept(peer="127.0.0.1")

        self.failureResultOf(connecting, AddressRefused)
        self.assertEqual((wire.protocol, wire.sent), (None, b""))

    def test_other_spelling(self) -> None:
        """Another spelling of the same address is no other address."""
        self.named("2606:4700:0:0:0:0:0:1111")
        connecting = self.connect()
        self.network.accept(peer=SIX)

        self.successResultOf(connecting)

    def test_private_elsewhere(self) -> None:
        """A private host, too, must be where it was said to be."""
        self.trust("quay.io")
        self.named("10.0.0.1")
        connecting = self.connect()
        self.network.accept(peer="10.0.0.2")

        self.failureResultOf(connecting, AddressRefused)

    def test_next_address(self) -> None:
        """After such an address, the next one is tried."""
        self.named("93.184.0.1", PUBLIC)
        connecting = self.connect()
        self.network.accept(peer="127.0.0.1")
        self.network.accept()

        self.successResultOf(connecting)


class CloseTests(ConnectorCase):
    """The end of all connections."""

    def test_close(self) -> None:
        """Open connections are aborted, and waited for until they are lost."""
        protocols = []
        for _ in range(2):
            connecting = self.connect()
            self.network.accept()
            protocols.append(self.successResultOf(connecting))
        closing = Deferred.fromCoroutine(self.connector.close())
        self.assertNoResult(closing)
        self.network.advance(0)

        self.successResultOf(closing)
        self.assertEqual([protocol.lost for protocol in protocols], [True, True])

    def test_nothing_open(self) -> None:
        """Without connections there is nothing to wait for."""
        connecting = self.connect()
        self.network.accept().end()
        self.assertTrue(self.successResultOf(connecting).lost)

        self.successResultOf(Deferred.fromCoroutine(self.connector.close()))
