"""Pieces of a body into a staged file, on one thread or on two."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import Blocking, InlineBlocking
from pkgd.errors import FailedStorage, NoSpace
from pkgd.formats.digest import Digest
from pkgd.storage.staging import PARALLEL_BYTES, store_piece
from tests.fixtures import HeldBlocking
from tests.storage.fixtures import FaultyFileSystem, Place

SMALL, LARGE = b"x" * (PARALLEL_BYTES - 1), b"y" * PARALLEL_BYTES


class StorePieceTests(SynchronousTestCase):
    """`store_piece`."""

    def setUp(self) -> None:
        """A staged file, on a disk that can fail."""
        self.fs = FaultyFileSystem()
        self.file = Place(self.mktemp(), self.fs).spool.create_fill("sha256")
        self.addCleanup(self.file.release)

    def store(self, data: bytes, blocking: Blocking | None = None) -> Deferred[None]:
        """Store a piece."""
        blocking = InlineBlocking() if blocking is None else blocking
        return Deferred.fromCoroutine(store_piece(blocking, self.file, memoryview(data)))

    def test_written_and_hashed(self) -> None:
        """Small and large pieces, in any order, are written once and hashed once."""
        for piece in (SMALL, LARGE, b"", LARGE, SMALL):
            self.successResultOf(self.store(piece))

        self.assertEqual(self.file.size, 2 * len(SMALL) + 2 * len(LARGE))
        self.assertEqual(self.file.seal("sha256"), Digest.of(SMALL + LARGE + LARGE + SMALL))

    def test_hops(self) -> None:
        """A small piece takes one hop, a large one two at the same time."""
        for piece, hops in ((SMALL, 1), (LARGE, 2)):
            held = HeldBlocking()
            storing = self.store(piece, held)
            self.assertEqual(len(held), hops)
            held.release_all()
            self.successResultOf(storing)

    def test_buffer_is_lent_until_both_are_done(self) -> None:
        """Whichever of the two ends last: the piece's buffer is used until then."""
        for first in (0, 1):
            held = HeldBlocking()
            storing = self.store(LARGE, held)
            held._held.rotate(-first)

            held.release()
            self.assertNoResult(storing)
            held.release()

            self.successResultOf(storing)
        self.assertEqual(self.file.seal("sha256"), Digest.of(LARGE * 2))

    def test_failure(self) -> None:
        """A disk that refuses is told once the hashing is done as well; what is there is hashed anew then."""
        held = HeldBlocking()
        self.fs.fail_calls("write", error=errno.ENOSPC)
        storing = self.store(LARGE, held)
        held._held.rotate(-1)  # the write first

        held.release()
        self.assertNoResult(storing)
        held.release()

        self.failureResultOf(storing, NoSpace)
        self.fs.heal()
        self.successResultOf(self.store(SMALL))
        self.assertEqual(self.file.seal("sha256"), Digest.of(SMALL))

    def test_small_failure(self) -> None:
        """So is that of a small piece."""
        self.fs.fail_calls("write")

        self.failureResultOf(self.store(b"x"), FailedStorage)

    def test_failure_of_both(self) -> None:
        """If both fail, no failure is left unhandled."""

        class Broken(InlineBlocking):
            """No thread can be begun."""

            def work(self, call: Any, *args: Any, **kwargs: Any) -> Deferred[Any]:
                """Fail."""
                return self.disk(self._fail)

            def _fail(self) -> None:
                raise MemoryError

        self.fs.fail_calls("write")

        self.failureResultOf(self.store(LARGE, Broken()), MemoryError)
