"""A client in a network in memory, and what tests of it do again and again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.flow import BufferPool
from pkgd.outbound.client import Answer, Client, Limits, Trust
from tests.outbound.network import PUBLIC, Network, Wire

__all__ = ["ClientCase", "ok"]

T = TypeVar("T")


def ok(*fields: bytes, body: bytes = b"", status: bytes = b"200 OK") -> bytes:
    """An answer."""
    return b"\r\n".join([b"HTTP/1.1 " + status, *fields, b"", body])


class ClientCase(SynchronousTestCase):
    """A client in a network where `quay.io` has one public address; 10.0.0.1 may be private.

    Bodies go through four buffers of eight kilobytes.
    """

    def setUp(self) -> None:
        """Nothing is connected yet. `wire` is the last connection that was made."""
        self.wire: Wire
        self.network = Network()
        self.network.names.answers["quay.io"] = [[PUBLIC]]
        self.pool = BufferPool(size=8192, count=4)
        trust = Trust(private_hosts=frozenset(["10.0.0.1"]))
        self.client = Client(self.network, trust, Limits(), self.pool, connections=3)

    def tearDown(self) -> None:
        """Whatever has happened, closing leaves no timer, and all buffers are back."""
        closing = Deferred.fromCoroutine(self.client.close())
        self.network.advance(0)
        self.successResultOf(closing)
        self.assertEqual(self.network.getDelayedCalls(), [])
        self.assertNotIn(None, [self.pool.take() for _ in range(4)])

    def request(
        self,
        url: str = "http://quay.io/",
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Deferred[Answer]:
        """Begin an exchange."""
        return Deferred.fromCoroutine(self.client.request(method, url, headers or {}, body))

    def asked(self, url: str = "http://quay.io/", method: str = "GET") -> tuple[Deferred[Answer], Wire]:
        """Begin an exchange, up to the request; on a new connection unless there is one that serves."""
        called = len(self.network.called)
        asking = self.request(url, method)
        if len(self.network.called) > called:
            self.wire = self.network.accept()
        self.assertNoResult(asking)
        return asking, self.wire

    def answered(self, data: bytes, method: str = "GET") -> tuple[Answer, Wire]:
        """An exchange whose answer begins with these bytes."""
        asking, wire = self.asked(method=method)
        wire.take()
        wire.deliver(data)
        self.network.advance(0)
        return self.successResultOf(asking), wire

    def read(self, answer: Answer) -> Deferred[bytes]:
        """Read some of the body."""

        async def read() -> bytes:
            return bytes(await answer.body.read())

        return Deferred.fromCoroutine(read())

    def read_all(self, answer: Answer, limit: int = 1 << 20) -> Deferred[bytes]:
        """Read the whole body."""
        return Deferred.fromCoroutine(answer.body.read_all(limit))

    def failure(self, deferred: Deferred[Any], kind: type[Exception]) -> str:
        """The message with which it has failed."""
        return str(self.failureResultOf(deferred, kind).value)
