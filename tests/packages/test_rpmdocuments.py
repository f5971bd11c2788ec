"""Documents beside the packages of an rpm repository, published and taken out."""

from __future__ import annotations

import gzip
import os

from twisted.internet.defer import Deferred

from pkgd.errors import InvalidPackage, UnknownPackage
from tests.packages.fixtures import FakeSigner, Ground, result
from tests.packages.readers import read_rpm_repository
from tests.packages.test_rpm import RpmCase, made_rpm
from tests.storage.fixtures import FullFileSystem

_COMPS = b"<?xml version='1.0'?><comps><group/></comps>"


class SlowSigner(FakeSigner):
    """Signs when `waiting` has been called back."""

    waiting: Deferred[None] | None = None

    async def detach(self, data: bytes) -> bytes:
        """See `FakeSigner`."""
        if self.waiting is not None and not self.waiting.called:
            await self.waiting
        return await super().detach(data)


class RpmDocumentsTests(RpmCase):
    """What is uploaded beside the packages, and what clients read then."""

    def put(self, kind: str, data: bytes) -> int:
        return result(self.repository.documents.put(kind, self.ground.arrival("x", data)))

    def test_documents_are_published_whole(self) -> None:
        """Each kind, whether or not it came compressed; the last one of a kind counts."""
        self.put("group", _COMPS)
        self.put("updateinfo", gzip.compress(b"<updates/>"))
        self.put("modules", b"---\ndocument: modulemd-defaults\n")
        self.put("modules", b"---\ndocument: modulemd\n")
        found = read_rpm_repository(self.fetch)
        self.assertEqual(found["group"], [_COMPS.decode()])
        self.assertEqual(found["updateinfo"], ["<updates/>"])
        self.assertEqual(found["modules"], ["---\ndocument: modulemd\n"])

    def test_on_a_full_disk_things_are_taken_out(self) -> None:
        """Packages and documents: the reserve is given up to publish that."""
        fs = FullFileSystem()
        self.ground = Ground(os.path.abspath(self.mktemp()), in_memory=False, fs=fs)
        self.repository = self.made()
        path = self.add(made_rpm()).path
        self.put("group", _COMPS)
        self.ground.spool.reserve.take()
        fs.full = True
        result(self.repository.remove(path))
        self.assertEqual(self.packages(), [])
        self.ground.spool.reserve.take()
        result(self.repository.documents.remove("group"))
        self.assertNotIn("group", read_rpm_repository(self.fetch))

    def test_documents_stay_when_packages_come(self) -> None:
        """And after a restart."""
        self.put("group", _COMPS)
        self.repository = self.made()
        self.add(made_rpm())
        self.assertIn("group", read_rpm_repository(self.fetch))

    def test_a_removed_document_is_gone(self) -> None:
        """It has to be there."""
        self.put("group", _COMPS)
        result(self.repository.documents.remove("group"))
        self.assertNotIn("group", read_rpm_repository(self.fetch))
        with self.assertRaises(UnknownPackage):
            result(self.repository.documents.remove("group"))

    def test_documents_are_read_one_at_a_time(self) -> None:
        """However many come at once: all of one is in memory until it is published."""
        signer = self.ground.signer = SlowSigner()
        repository = self.made("slow")
        signer.waiting = Deferred()
        self.ground.blocking.computed.clear()

        for _ in range(3):
            self.publishing = Deferred.fromCoroutine(
                repository.documents.put("group", self.ground.arrival("x", _COMPS))
            )
        self.assertEqual(self.ground.blocking.computed.count("read_extra"), 1)

        signer.waiting.callback(None)
        self.successResultOf(self.publishing)
        self.assertEqual(self.ground.blocking.computed.count("read_extra"), 3)

    def test_what_is_refused_changes_nothing(self) -> None:
        """Another kind of document, or one that is not what it should be."""
        with self.assertRaises(UnknownPackage):
            self.put("prestodelta", b"<x/>")
        with self.assertRaises(InvalidPackage):
            self.put("group", b"<x/>")
        self.assertEqual(self.repository.generation, 1)
