"""One connection: how it is closed."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from pkgd.outbound.client import Client, Trust
from pkgd.outbound.connection import LINGER
from tests.outbound.authority import SecureServer, authority
from tests.outbound.exchanges import ClientCase, ok
from tests.outbound.network import Wire
from tests.outbound.test_certificates import HandshakeCase

HELLO = ok(b"Content-Length: 5", body=b"hello")


class PlainTests(ClientCase):
    """Without TLS."""

    def close(self) -> None:
        """Close the client."""
        closing = Deferred.fromCoroutine(self.client.close())
        self.network.advance(0)
        self.successResultOf(closing)

    def test_idle(self) -> None:
        """A connection on which nothing is under way is closed in good order."""
        answer, wire = self.answered(HELLO)
        answer.close()
        self.close()

        self.assertEqual((wire.lost, wire.aborted), (True, False))

    def test_told_to(self) -> None:
        """So is one that the upstream wants closed."""
        answer, wire = self.answered(ok(b"Connection: close", b"Content-Length: 0"))
        answer.close()
        self.network.advance(0)

        self.assertEqual((wire.lost, wire.aborted), (True, False))

    def test_under_way(self) -> None:
        """Within an answer, or before it, there is no order to keep."""
        answer, wire = self.answered(ok(b"Content-Length: 50000"))
        asking, other = self.asked()
        self.close()
        answer.close()

        self.failureResultOf(asking)
        self.assertEqual((wire.aborted, other.aborted), (True, True))

    def test_malformed(self) -> None:
        """Nor with an upstream that keeps none."""
        asking, wire = self.asked()
        wire.deliver(b"x\n\n")
        asking.addErrback(lambda _: None)

        self.assertTrue(wire.aborted)


class SecureTests(HandshakeCase):
    """With TLS, whose end has two sides."""

    def setUp(self) -> None:
        """An idle connection."""
        super().setUp()
        self.client = Client(self.network, Trust())
        asking = Deferred.fromCoroutine(self.client.request("GET", "https://quay.io/", {}))
        self.wire: Wire = self.network.accept()
        self.server = SecureServer(self.network, self.wire, authority().issue("quay.io"))
        self.server.talk()
        self.server.send(HELLO)
        self.successResultOf(asking).close()

    def test_agreed(self) -> None:
        """The server is told, and the connection closed when it agrees."""
        closing = Deferred.fromCoroutine(self.client.close())
        self.network.advance(0)
        self.assertNoResult(closing)
        self.server.talk()

        self.successResultOf(closing)
        self.assertEqual((self.wire.lost, self.wire.aborted), (True, False))

    def test_silence(self) -> None:
        """It is not waited for long."""
        closing = Deferred.fromCoroutine(self.client.close())
        self.network.advance(LINGER)
        self.network.advance(0)

        self.successResultOf(closing)
        self.assertEqual((self.wire.lost, self.wire.aborted), (True, True))

    def test_unasked(self) -> None:
        """A server that sends more instead of agreeing gains nothing."""
        self.server.send(HELLO)
        self.server.send(HELLO)
        self.network.advance(LINGER)
        self.network.advance(0)

        self.assertTrue(self.wire.lost)
        self.successResultOf(Deferred.fromCoroutine(self.client.close()))
