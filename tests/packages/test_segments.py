"""Files that consist of several, as clients read them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.packages.apt import AptRepository
from pkgd.packages.records import AptSettings
from pkgd.packages.segments import SegmentReader
from tests.packages.fixtures import Ground, made_deb, result


class SegmentReaderTests(SynchronousTestCase):
    """Files that are read as one."""

    def setUp(self) -> None:
        self.ground = Ground(self.mktemp())
        ground = self.ground
        self.repository = AptRepository(
            AptSettings(name="main", forms=("xz", "gz", "zst")),
            *(ground.store, ground.spool, ground.blocking, ground.signer, ground.clock),
        )
        result(self.repository.start())
        for number in range(270):
            arrival = ground.arrival("x.deb", made_deb(f"p{number:03}"))
            result(self.repository.add("stable", "main", arrival))

    def test_every_range_is_what_it_is_of_the_whole(self) -> None:
        """Also where it crosses segments, is expanded from a compressed leaf, or is behind the end."""
        for suffix in ("", ".gz", ".zst", ".xz"):
            path = f"dists/stable/main/binary-amd64/Packages{suffix}"
            whole = self.ground.read(result(self.repository.open(path)))
            served = result(self.repository.open(path))
            self.assertIsInstance(served.reader, SegmentReader)
            for start in range(0, len(whole) + 2, max(1, len(whole) // 37)):
                if start < len(whole):
                    end = result(served.reader.available(start))
                    self.assertGreater(end, start)
                    size = min(701, end - start)
                    self.assertEqual(served.reader.read_at(start, size), whole[start : start + size])
            self.assertEqual(result(served.reader.available(len(whole))), len(whole))
            self.assertEqual(served.reader.read_at(len(whole), 10), b"")
            served.reader.close()
            served.reader.close()

    def test_a_read_ends_where_nothing_is_open_yet(self) -> None:
        """Which `available` had not said."""
        served = result(self.repository.open("dists/stable/main/binary-amd64/Packages.gz"))
        self.assertEqual(served.reader.read_at(0, 10), b"")
