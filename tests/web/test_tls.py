"""TLS: which certificate a connection gets, which protocol, and that the edge behind it is the same."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from OpenSSL import SSL
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import ConfigError
from pkgd.web.site import HttpLimits
from pkgd.web.tls import CertificateFiles, load_context
from tests.web.certificates import Pair
from tests.web.content import digest_of, push_blob
from tests.web.fixtures import Edge
from tests.web.messages import request_bytes
from tests.web.wires import Wire

LARGE = bytes(range(256)) * 16384


def handshake(files: CertificateFiles, protocols: tuple[bytes, ...] = (), newest: int = SSL.TLS1_3_VERSION) -> Any:
    """The client's connection after a handshake in memory."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(newest)
    if protocols:
        context.set_alpn_protos(list(protocols))
    nothing: Any = None
    client, server = SSL.Connection(context, None), files.serverConnectionForTLS(nothing)
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(4):
        for one, other in ((client, server), (server, client)):
            try:
                one.do_handshake()
            except SSL.WantReadError:
                pass
            finally:
                _carry(one, other)
    return client


def _carry(one: SSL.Connection, other: SSL.Connection) -> None:
    with contextlib.suppress(SSL.WantReadError):
        other.bio_write(one.bio_read(1 << 16))


class ContextTests(SynchronousTestCase):
    """What is loaded."""

    def setUp(self) -> None:
        """Make a pair."""
        self.pair = Pair(self.mktemp())

    def test_missing(self) -> None:
        """A file that is not there is an error of the configuration, that names it."""
        error = self.assertRaises(ConfigError, load_context, "/no/chain.pem", self.pair.key)

        self.assertEqual(error.path, "server.tls")
        self.assertIn("/no/chain.pem", error.message)

    def test_strangers(self) -> None:
        """So is a key of another certificate."""
        other = Pair(self.mktemp())

        self.assertRaises(ConfigError, load_context, self.pair.certificate, other.key)

    def test_swapped(self) -> None:
        """So are files that are something else."""
        self.assertRaises(ConfigError, load_context, self.pair.key, self.pair.certificate)

    def test_versions(self) -> None:
        """TLS 1.2 and 1.3 are spoken, and nothing older."""
        files = CertificateFiles(self.pair.certificate, self.pair.key)

        self.assertEqual(handshake(files).get_protocol_version_name(), "TLSv1.3")
        self.assertEqual(handshake(files, newest=SSL.TLS1_2_VERSION).get_protocol_version_name(), "TLSv1.2")
        self.assertRaises(SSL.Error, handshake, files, (), SSL.TLS1_1_VERSION)

    def test_protocol(self) -> None:
        """HTTP/1.1 is agreed on where it is offered; HTTP/2 never."""
        files = CertificateFiles(self.pair.certificate, self.pair.key)

        chosen = [
            handshake(files, offered).get_alpn_proto_negotiated()
            for offered in ((b"h2", b"http/1.1"), (b"http/1.1",), (b"h2",), ())
        ]

        self.assertEqual(chosen, [b"http/1.1", b"http/1.1", b"", b""])


class RefreshTests(SynchronousTestCase):
    """Files that change while the daemon runs."""

    def setUp(self) -> None:
        """Make a pair, and use it."""
        self.pair = Pair(self.mktemp())
        self.files = CertificateFiles(self.pair.certificate, self.pair.key)

    def serial(self) -> int:
        """The serial number of the certificate that a new connection gets."""
        number: int = handshake(self.files).get_peer_certificate().get_serial_number()
        return number

    def test_renewed(self) -> None:
        """A new pair is used by new connections."""
        before = self.serial()

        self.pair.renew()
        self.files.refresh()

        self.assertEqual(self.serial(), self.pair.serial)
        self.assertNotEqual(self.serial(), before)

    def test_unchanged(self) -> None:
        """Files that have not changed are not loaded again."""
        with capturedLogs() as events:
            self.files.refresh()

        self.assertEqual(events, [])

    def test_broken(self) -> None:
        """A broken pair leaves the old one in use and is reported once; when it is whole again, it is used."""
        before = self.pair.serial
        with open(self.pair.certificate, "w", encoding="ascii") as file:
            file.write("half")

        with capturedLogs() as events:
            self.files.refresh()
            self.files.refresh()
        self.assertEqual(self.serial(), before)
        self.assertEqual([event["log_level"] for event in events], [LogLevel.error])

        self.pair.renew()
        self.files.refresh()
        self.assertEqual(self.serial(), self.pair.serial)

    def test_half_renewed(self) -> None:
        """Between the writing of the two files the old pair is used; then the new one."""
        with open(self.pair.key, encoding="ascii") as file:
            old_key = file.read()
        before = self.pair.serial
        self.pair.renew()
        with open(self.pair.key, encoding="ascii") as file:
            new_key = file.read()
        self.write_key(old_key)
        self.files.refresh()
        self.assertEqual(self.serial(), before)

        self.write_key(new_key)
        self.files.refresh()

        self.assertEqual(self.serial(), self.pair.serial)

    def write_key(self, text: str) -> None:
        """Write the key's file."""
        with open(self.pair.key, "w", encoding="ascii") as file:
            file.write(text)

    def test_gone(self) -> None:
        """So does a pair that has been removed."""
        before = self.pair.serial
        os.unlink(self.pair.key)

        self.files.refresh()

        self.assertEqual(self.serial(), before)

    def test_turned_link(self) -> None:
        """A symbolic link that is turned to another directory counts as a change."""
        link = self.mktemp()
        os.symlink(os.path.abspath(os.path.dirname(self.pair.key)), link)
        files = CertificateFiles(f"{link}/chain.pem", f"{link}/key.pem")
        other = Pair(self.mktemp())

        os.unlink(link)
        os.symlink(os.path.abspath(os.path.dirname(other.key)), link)
        files.refresh()

        self.assertEqual(handshake(files).get_peer_certificate().get_serial_number(), other.serial)


class TlsWire(Wire):
    """A client that speaks TLS over its socket."""

    def __init__(self, protocol: Any, clock: Clock, buffer: int = 0) -> None:
        self.tls = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        self.tls.set_connect_state()
        self.plain = bytearray()
        super().__init__(protocol, clock, buffer)
        self.settle()

    def send(self, data: bytes) -> None:
        """Encrypt and send."""
        view = memoryview(data)
        while view:
            view = view[self.tls.send(view) :]
        super().send(b"")

    def settle(self) -> None:
        """Go on until nothing moves, on both layers."""
        moving = True
        while moving:
            super().settle()
            moving = self._decrypt()

    def _decrypt(self) -> bool:
        if self.taken:
            self.tls.bio_write(bytes(self.taken))
            self.taken.clear()
        with contextlib.suppress(SSL.WantReadError, SSL.ZeroReturnError):
            while True:
                self.plain += self.tls.recv(1 << 16)
        try:
            self._unsent += self.tls.bio_read(1 << 20)
        except SSL.WantReadError:
            return False
        return True


class EdgeTests(SynchronousTestCase):
    """The whole edge behind TLS, on sockets."""

    def setUp(self) -> None:
        """Make the edge, and its factory."""
        self.edge = Edge(self, limits=HttpLimits(idle=30, body_timeout=60))
        pair = Pair(self.mktemp())
        files = CertificateFiles(pair.certificate, pair.key)
        self.factory = TLSMemoryBIOFactory(files, False, self.edge.site, clock=self.edge.clock)

    def connect(self, buffer: int = 0) -> TlsWire:
        """A connection whose handshake is done."""
        client = TlsWire(self.factory.buildProtocol(None), self.edge.clock, buffer)
        self.addCleanup(client.close)
        return client

    def test_secure(self) -> None:
        """A request knows that it came through TLS."""
        requests = self.edge.hold()

        self.connect().request("GET", "/")

        self.assertTrue(requests[0].isSecure())

    def test_distrusted(self) -> None:
        """A client that closes during the handshake, as one does that does not trust the certificate, is no error."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        client, transport = SSL.Connection(context, None), StringTransport()
        client.set_connect_state()
        protocol = self.factory.buildProtocol(None)
        protocol.makeConnection(transport)
        self.assertRaises(SSL.WantReadError, client.do_handshake)
        protocol.dataReceived(client.bio_read(1 << 16))

        protocol.dataReceived(b"\x15\x03\x03\x00\x02\x01\x00")  # alert: close_notify

        self.assertTrue(transport.disconnecting)

    def test_both_ways(self) -> None:
        """Uploads and downloads of any size pass, one after the other on a connection."""
        client = self.connect()
        target = f"/v2/app/blobs/uploads/?digest={digest_of(LARGE)}"

        client.send(
            request_bytes("POST", target, {}, LARGE) + request_bytes("GET", f"/v2/app/blobs/{digest_of(LARGE)}")
        )

        self.assertIn(b"201 Created", client.plain[:50])
        self.assertTrue(client.plain.endswith(LARGE))

    def test_early_answer(self) -> None:
        """A refused body costs nobody the answer."""
        client = self.connect()

        client.request("PUT", "/nowhere", {"Content-Length": "100000"}, b"x" * 50_000)

        self.assertTrue(client.plain.startswith(b"HTTP/1.1 404"))
        self.assertEqual(len(self.edge.log_lines()), 1)

    def test_slow_reader(self) -> None:
        """A client that takes a little now and then gets it all."""
        target = f"/v2/app/blobs/{push_blob(self.edge, 'app', LARGE)}"
        client = self.connect(buffer=8192)
        client.reading = False
        client.request("GET", target)

        for _ in range(20):
            self.edge.pass_time(50)
            client.gulp()
        self.assertTrue(client.transport.connected)
        client.reading = True
        client.settle()

        self.assertTrue(client.plain.endswith(LARGE))

    def test_stalled_reader(self) -> None:
        """One that takes nothing is dropped."""
        target = f"/v2/app/blobs/{push_blob(self.edge, 'app', LARGE)}"
        client = self.connect(buffer=8192)
        client.reading = False
        client.request("GET", target)

        self.edge.pass_time(62)
        client.settle()

        self.assertFalse(client.transport.connected)

    def test_no_handshake(self) -> None:
        """A client that never begins to speak TLS is closed as any idle one."""
        client = Wire(self.factory.buildProtocol(None), self.edge.clock)
        self.addCleanup(client.close)

        self.edge.pass_time(60)
        client.settle()

        self.assertFalse(client.transport.connected)

    def test_plain_http(self) -> None:
        """Plain HTTP where TLS is spoken ends the connection, and is no failure of ours."""
        client = Wire(self.factory.buildProtocol(None), self.edge.clock)
        self.addCleanup(client.close)

        client.request("GET", "/")

        self.assertTrue(client.ended)
        self.assertEqual(self.edge.log_lines(), [])
