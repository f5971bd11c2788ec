"""A file on its way in: all hashes, whatever the pieces; and nothing stays of what fails."""

from __future__ import annotations

import hashlib
import os

from twisted.trial.unittest import SynchronousTestCase

from pkgd.packages.records import Arrival
from tests.formats.rpms import rpm
from tests.packages.fixtures import made_deb
from tests.registry.fixtures import body
from tests.web.messages import chunked
from tests.web.packages.fixtures import PackagesEdge

TARGET = "/apt/main/stable/main/a.tar.gz"
NAMES = ("md5", "sha1", "sha256", "sha512")


class ReceivingTests(SynchronousTestCase):
    """Files of a source are kept as they arrived, which is where a test can look at them."""

    def setUp(self) -> None:
        """Empty repositories."""
        self.edge = PackagesEdge(self)

    def kept(self) -> Arrival:
        """The one file that is kept."""
        (found,) = self.edge.pending.names(("main", "stable", "main", None)).values()
        return found

    def assertWhole(self, data: bytes) -> None:
        """It has these bytes, and the hashes are theirs."""
        found = self.kept()
        self.assertEqual(found.hashes.size, len(data))
        for name in NAMES:
            self.assertEqual(getattr(found.hashes, name), hashlib.new(name, data).hexdigest())
        with open(found.staged.path, "rb") as file:
            self.assertEqual(file.read(), data)

    def test_sizes(self) -> None:
        """Of nothing, of a few bytes, of several buffers, with and without a length."""
        for size in (0, 1, 200_000, (3 << 20) + 17):
            data = os.urandom(size)
            self.edge.call("PUT", TARGET, {}, data)
            self.assertWhole(data)
            pieces = [data[at : at + 300_000] for at in range(0, size, 300_000)]
            self.edge.call("PUT", TARGET, {"Transfer-Encoding": "chunked"}, chunked(*pieces))
            self.assertWhole(data)

    def test_payload(self) -> None:
        """Of an rpm the payload is hashed, too, so that nobody has to read it once more."""
        seen: list[Arrival] = []
        repository = self.edge.rpm["main"]
        add = repository.add

        async def note(arrival: Arrival) -> object:
            seen.append(arrival)
            return await add(arrival)

        repository.add = note  # type: ignore[method-assign, assignment]
        self.edge.call("PUT", "/rpm/main/a.rpm", {}, rpm(payload=b"cargo"))

        (arrival,) = seen
        assert arrival.payload is not None
        self.assertEqual(arrival.payload.payload_sha256, hashlib.sha256(b"cargo").hexdigest())

    def test_waits_without_a_buffer(self) -> None:
        """A small file that waits for its publish keeps no buffer, which another body may need."""
        sent = body(b"abc")

        arrived = self.edge.wait(self.edge.receiver.receive(sent, "a.deb"))

        self.assertEqual(arrived.hashes.size, 3)
        self.assertIsNone(sent._lent)

    def test_full(self) -> None:
        """Below the floor of free space nothing is taken, and nothing stays."""
        self.edge.pass_time(2)
        self.edge.fs.free_bytes = 0

        self.assertEqual(self.edge.call("PUT", TARGET, {}, b"x").status, 507)
        self.assertEqual(self.edge.call("PUT", "/apt/main/stable/main/a.deb", {}, made_deb()).status, 507)
        self.assertEqual(self.edge.spooled(), [])

    def test_limit_unknown_length(self) -> None:
        """A body of unknown length is cut at the limit, and nothing stays of it."""
        edge = PackagesEdge(self, upload_size=100)

        answer = edge.call("PUT", TARGET, {"Transfer-Encoding": "chunked"}, chunked(b"x" * 60, b"x" * 60))

        self.assertEqual((answer.status, edge.spooled()), (413, []))
