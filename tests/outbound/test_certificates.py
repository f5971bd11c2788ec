"""TLS to upstreams: whose certificates are believed, and what is spoken."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import PrivateCertificate, TLSVersion
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import ConfigError, UpstreamTimeout, UpstreamUnavailable
from pkgd.outbound.certificates import Certificates
from pkgd.outbound.connect import Connector
from pkgd.outbound.settings import Limits, Trust
from pkgd.outbound.target import Target
from tests.outbound.authority import SecureServer, authority
from tests.outbound.network import PUBLIC, Network, Wire


class HandshakeCase(SynchronousTestCase):
    """A connector whose system trusts `authority()`, in a network where `quay.io` is."""

    def setUp(self) -> None:
        """The system's roots are a file."""
        self.network = Network()
        self.network.names.answers["quay.io"] = [[PUBLIC]]
        self.roots = self.file("roots.pem", authority().pem)
        self.environ("SSL_CERT_FILE", self.roots)
        self.trust(Trust())

    def tearDown(self) -> None:
        """Whatever has happened, no timer is left."""
        self.assertEqual(self.network.getDelayedCalls(), [])

    def file(self, name: str, data: bytes) -> str:
        """A file of the test's own."""
        path = os.path.join(self.mktemp(), name)
        os.makedirs(os.path.dirname(path))
        with open(path, "wb") as file:
            file.write(data)
        return path

    def environ(self, name: str, value: str) -> None:
        """Set a variable of the environment for the length of the test."""
        before = os.environ.get(name)
        os.environ[name] = value
        self.addCleanup(lambda: os.environ.pop(name) if before is None else os.environ.update({name: before}))

    def trust(self, trust: Trust) -> None:
        """A connector that trusts these."""
        self.trusted = trust
        self.connector = Connector(self.network, trust, Limits())

    def call(self, url: str = "https://quay.io/") -> tuple[Deferred[Any], Wire]:
        """Begin to connect, up to the handshake."""
        target = Target.parse(url, self.trusted)
        connecting = self.connector.endpoint(target).connect(Factory.forProtocol(Protocol))
        return connecting, self.network.accept()

    def shake(self, certificate: PrivateCertificate, url: str = "https://quay.io/", **options: Any) -> Deferred[Any]:
        """Connect to a server that shows a certificate."""
        connecting, wire = self.call(url)
        self.server = SecureServer(self.network, wire, certificate, **options)
        self.server.talk()
        return connecting

    def assert_invalid(self, certificate: PrivateCertificate) -> None:
        """The certificate is not believed, and nothing is sent to the server."""
        error = self.failureResultOf(self.shake(certificate), UpstreamUnavailable).value

        self.assertEqual(str(error), "the upstream quay.io does not show a valid certificate")
        self.assertEqual(self.server.listener.heard, b"")


class TrustTests(HandshakeCase):
    """Whose certificates are believed."""

    def test_system(self) -> None:
        """What a root of the system has signed is believed; SSL_CERT_FILE says which they are."""
        self.successResultOf(self.shake(authority().issue("quay.io")))

        self.environ("SSL_CERT_FILE", self.file("others.pem", authority("other").pem))
        self.trust(Trust())
        self.assert_invalid(authority().issue("quay.io"))

    def test_unknown_authority(self) -> None:
        """What anybody else has signed is not."""
        self.assert_invalid(authority("other").issue("quay.io"))

    def test_other_name(self) -> None:
        """A certificate must have the name that was called, not the address's."""
        for names in [["ghcr.io"], ["io"], ["*.quay.io"], [PUBLIC], ["quay.io.evil.com", "evil.com"]]:
            self.assert_invalid(authority().issue(*names))

    def test_unclear_names(self) -> None:
        """A certificate that has no names, or such as nobody can make sense of, is for no host."""
        for names in [[], ["*.io"], ["*"], ["q*.io", "ghcr.io"], ["*.*.io"], [""], ["."], ["quay.io\0.evil.com"]]:
            self.assert_invalid(authority().issue(*names))

    def test_wildcard(self) -> None:
        """A wildcard stands for one label."""
        self.network.names.answers["cdn.quay.io"] = [[PUBLIC]]

        self.successResultOf(self.shake(authority().issue("*.quay.io"), "https://cdn.quay.io/"))

    def test_expired(self) -> None:
        """A certificate that is no longer valid is not believed."""
        self.assert_invalid(authority().issue("quay.io", expired=True))

    def test_operators_file(self) -> None:
        """The operator's authorities are believed besides the system's, and by that connector only."""
        self.trust(Trust(ca_file=self.file("ca.pem", authority("other").pem)))
        self.successResultOf(self.shake(authority("other").issue("quay.io")))
        self.successResultOf(self.shake(authority().issue("quay.io")))

        self.trust(Trust())
        self.assert_invalid(authority("other").issue("quay.io"))

    def test_private_address(self) -> None:
        """A host that is called by its address shows a certificate for that address."""
        self.trust(Trust(private_hosts=frozenset(["10.0.0.1"])))
        self.successResultOf(self.shake(authority().issue("10.0.0.1"), "https://10.0.0.1/"))
        self.assertIsNone(self.server.server_name)

        connecting = self.shake(authority().issue("10.0.0.2"), "https://10.0.0.1/")
        self.failureResultOf(connecting, UpstreamUnavailable)

    def test_private_is_verified(self) -> None:
        """A private host's address is not checked, its certificate is."""
        self.trust(Trust(private_hosts=frozenset(["quay.io"])))

        self.assert_invalid(authority("other").issue("quay.io"))

    def test_unusable_file(self) -> None:
        """A file without certificates, or none at all, is an error in the configuration."""
        for path in [self.file("empty.pem", b""), self.file("noise.pem", b"\xff" * 100), "/nonexistent/ca.pem"]:
            error = self.assertRaises(ConfigError, Certificates, Trust(path))
            self.assertIn(f"{path} holds no certificates", error.message)

    def test_own_certificate(self) -> None:
        """A server that asks who we are is shown the certificate of the configuration; one without is shown none."""
        pem = authority().issue("pkgd.example").dumpPEM()
        own = self.file("own.pem", pem)
        for trust, shown in [(Trust(client_certificate=own, client_key=own), True), (Trust(), False)]:
            self.trust(trust)
            self.successResultOf(self.shake(authority().issue("quay.io"), asks=True))
            self.assertEqual(self.server.client_certificate is not None, shown)

    def test_unusable_own_certificate(self) -> None:
        """A certificate without its key is an error in the configuration, which does not show the key."""
        one = self.file("one.pem", authority().issue("a.example").dumpPEM())
        only = self.file("only.pem", authority().pem)
        for certificate, key in [(only, one), (one, only), ("/nonexistent", one), (one, "/nonexistent")]:
            trust = Trust(client_certificate=certificate, client_key=key)
            error = self.assertRaises(ConfigError, Certificates, trust)
            self.assertIn("hold no certificate with its key", error.message)

    def test_odd_names(self) -> None:
        """Names are compared as they are written, also those that have no other form."""
        for name in ["xn--a.example.com", "ab--cd.example.com", "xn--bcher-kva.example.com"]:
            self.network.names.answers[name] = [[PUBLIC]]
            self.successResultOf(self.shake(authority().issue(name), f"https://{name}/"))
            self.failureResultOf(self.shake(authority().issue("quay.io"), f"https://{name}/"), UpstreamUnavailable)


class ProtocolTests(HandshakeCase):
    """What is spoken."""

    def test_server_name(self) -> None:
        """The server is told which name was called, without the port."""
        self.successResultOf(self.shake(authority().issue("quay.io"), "https://quay.io:8443/"))

        self.assertEqual(self.server.server_name, b"quay.io")

    def test_http_1_only(self) -> None:
        """A server that would speak HTTP/2 is not asked to."""
        self.successResultOf(self.shake(authority().issue("quay.io"), protocols=[b"h2", b"http/1.1"]))

        self.assertEqual(self.server.negotiated, b"")

    def test_version(self) -> None:
        """TLS 1.2 is old enough."""
        self.successResultOf(self.shake(authority().issue("quay.io"), most=TLSVersion.TLSv1_2))

        error = self.failureResultOf(
            self.shake(authority().issue("quay.io"), most=TLSVersion.TLSv1_1), UpstreamUnavailable
        ).value
        self.assertEqual(str(error), "the upstream quay.io does not speak TLS as it should")

    def test_no_tls(self) -> None:
        """A server that answers in plain HTTP does not speak TLS."""
        connecting, wire = self.call()
        wire.deliver(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.network.advance(0)

        error = self.failureResultOf(connecting, UpstreamUnavailable).value
        self.assertEqual(str(error), "the upstream quay.io does not speak TLS as it should")

    def test_cut(self) -> None:
        """A connection that is lost meanwhile is reported as what it is."""
        for end in [Wire.end, Wire.cut]:
            connecting, wire = self.call()
            end(wire)
            error = self.failureResultOf(connecting, UpstreamUnavailable).value
            self.assertEqual(str(error), "the upstream quay.io closed the connection during the TLS handshake")

    def test_silence(self) -> None:
        """The handshake has its own limit; then the connection is dropped."""
        connecting, wire = self.call()
        self.network.advance(9.9)
        self.assertNoResult(connecting)
        self.network.advance(0.2)

        error = self.failureResultOf(connecting, UpstreamTimeout).value
        self.assertEqual(str(error), "the upstream quay.io does not finish the TLS handshake in time")
        self.network.advance(0)
        self.assertTrue(wire.lost)

    def test_cancelled(self) -> None:
        """Cancelling drops the connection."""
        connecting, wire = self.call()
        connecting.cancel()
        self.network.advance(0)

        self.failureResultOf(connecting, CancelledError)
        self.assertTrue(wire.lost)
