"""JSON in requests' bodies: its shape, or a refusal that says what is wrong with it."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidRequest
from pkgd.web.api.bodies import read_json


class _Order(msgspec.Struct, frozen=True):
    name: str
    more: Any = None


class _Fixed:
    """A request with a body; and the body."""

    def __init__(self, data: bytes) -> None:
        self.body = self
        self._data = data

    async def read_all(self, limit: int) -> bytes:
        """See `Body`."""
        return self._data[:limit]


class ReadJsonTests(SynchronousTestCase):
    """What is read, and what is refused."""

    def read(self, data: bytes, limit: int = 100_000) -> Deferred[_Order]:
        """Read an order."""
        request: Any = _Fixed(data)
        return Deferred.fromCoroutine(read_json(request, _Order, limit))

    def test_read(self) -> None:
        """What has the shape comes back as it."""
        self.assertEqual(self.successResultOf(self.read(b'{"name": "a"}')), _Order("a"))

    def test_refused(self) -> None:
        """All else is a client's mistake, also what is nested too deeply, be it in a part that nobody needs."""
        deep = b"[" * 20_000
        for data in (b"", b"{", b"[]", b'{"name": 1}', b"\xff", b'{"name": "a", "more": ' + deep, b'{"other": ' + deep):
            self.failureResultOf(self.read(data), InvalidRequest)
