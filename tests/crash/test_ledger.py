"""Tests for the ledger: what an acknowledgement promises, at every moment."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from tests.crash.blocklog import Flush, Record, Write
from tests.crash.ledger import BlobStored, Ledger, TagSet
from tests.crash.replay import Cut, Replay

_KEY = ("app", "latest")


class TagTests(SynchronousTestCase):
    """Which values a tag may hold."""

    def setUp(self) -> None:
        """A ledger whose disk position the test sets."""
        self.position = 0
        self.ledger = Ledger(lambda: self.position)

    def write(self, value: str | None) -> None:
        """One acknowledged write."""
        self.ledger.acknowledge(self.ledger.begin(TagSet(*_KEY, value)))

    def permitted(self, position: float = float("inf")) -> frozenset[str | None]:
        """What the tag may hold after a cut there."""
        return self.ledger.promise(position).tags[_KEY]

    def test_last_acknowledged(self) -> None:
        """The last of several writes, each acknowledged before the next began."""
        self.write("one")
        self.write("two")

        self.assertEqual(self.permitted(), {"two"})

    def test_in_flight(self) -> None:
        """A write in flight may have taken effect or not."""
        self.write("one")
        self.ledger.begin(TagSet(*_KEY, "two"))

        self.assertEqual(self.permitted(), {"one", "two"})

    def test_first_in_flight(self) -> None:
        """Before anything is acknowledged the tag may be absent."""
        self.ledger.begin(TagSet(*_KEY, "one"))

        self.assertEqual(self.permitted(), {"one", None})

    def test_concurrent(self) -> None:
        """Of writes that overlap, either may be the last."""
        first, second = self.ledger.begin(TagSet(*_KEY, "one")), self.ledger.begin(TagSet(*_KEY, "two"))
        self.ledger.acknowledge(second)
        self.ledger.acknowledge(first)

        self.assertEqual(self.permitted(), {"one", "two"})

    def test_deleted(self) -> None:
        """An acknowledged delete stays."""
        self.write("one")
        self.write(None)

        self.assertEqual(self.permitted(), {None})

    def test_withdrawn(self) -> None:
        """A request that found nothing to do has no effect."""
        self.write("one")
        self.ledger.withdraw(self.ledger.begin(TagSet(*_KEY, None)))

        self.assertEqual(self.permitted(), {"one"})

    def test_cut(self) -> None:
        """A cut knows only what was acknowledged before it, and nothing that began after it."""
        self.write("one")
        self.position = 5
        operation = self.ledger.begin(TagSet(*_KEY, "two"))
        self.position = 9
        self.ledger.acknowledge(operation)

        self.assertEqual(self.permitted(4), {"one"})
        self.assertEqual(self.permitted(8), {"one", "two"})
        self.assertEqual(self.permitted(9), {"two"})

    def test_blob(self) -> None:
        """An acknowledged blob must be there, one in flight may."""
        self.ledger.acknowledge(self.ledger.begin(BlobStored("app", "sha256:1", 1)))
        self.ledger.begin(BlobStored("app", "sha256:2", 1))

        promise = self.ledger.promise()
        self.assertEqual((set(promise.blobs), promise.possible_blobs), ({("app", "sha256:1")}, {("app", "sha256:2")}))


class ReplayTests(SynchronousTestCase):
    """What survives a power cut."""

    records: tuple[Record, ...] = (Write(0, b"a" * 512), Flush(), Write(512, b"b" * 512), Write(1024, b"c" * 512))

    def survivors(self, kind: str, seed: int) -> bytes:
        """The first byte of each sector after a cut at the end."""
        replay = Replay(bytearray(1536), self.records, random.Random(seed))
        ((_, disk),) = replay.states([Cut(len(self.records), kind)])
        disk.power_on()
        return bytes(disk.image[::512])

    def test_prefix(self) -> None:
        """What was flushed and what followed it, the last write perhaps not."""
        self.assertEqual({self.survivors("prefix", seed) for seed in range(50)}, {b"abc", b"ab\0"})

    def test_subset(self) -> None:
        """What was flushed, and any part of what followed it."""
        found = {self.survivors("subset", seed) for seed in range(50)}

        self.assertEqual(found, {b"abc", b"ab\0", b"a\0c", b"a\0\0"})
