"""The store in memory."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from pkgd.storage.memory import MemoryStore
from pkgd.storage.staged import StagedFile
from tests.storage.contract import StoreContract
from tests.storage.fixtures import Place


class MemoryStoreTests(StoreContract, SynchronousTestCase):
    """The contract, without a file system."""

    def setUp(self) -> None:
        """A new store, and a spool to stage files in."""
        self.store = MemoryStore()
        self._place = Place(self.mktemp())
        self._staged = 0

    def stage(self, data: bytes) -> StagedFile:
        """See `StoreContract.stage`."""
        self._staged += 1
        return self._place.stage(data, f"session-{self._staged}")

    def test_put_consumes(self) -> None:
        """A staged file is gone from the spool, whether or not its bytes were needed."""
        for staged in (self.stage(b"bytes"), self.stage(b"bytes")):
            self.do(self.store.put("a", staged))
            self.assertFalse(os.path.exists(staged.path))

    def test_nothing_for_sendfile(self) -> None:
        """A reader of memory has no descriptor."""
        self.do(self.store.put_bytes("a", b"bytes"))

        self.assertIsNone(self.do(self.store.open("a")).fileno())
