"""What comes into an apt repository, before it is published."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.packages.aptsuite import AptSuite
from pkgd.packages.aptuploads import Prepared, Upload, Uploads, weight_of
from pkgd.packages.drafts import Published
from pkgd.packages.pathlists import PathList, PathLists
from pkgd.packages.records import AptSettings, SuiteSettings
from pkgd.packages.shelf import Shelf
from pkgd.packages.staging import Staging
from tests.packages.fixtures import Ground, made_deb, result


class UploadsTests(SynchronousTestCase):
    """Files that are uploaded together are read together."""

    def setUp(self) -> None:
        """An empty suite."""
        ground = self.ground = Ground(self.mktemp())
        lists = PathLists("apt/main", ground.store, ground.blocking)
        self.suite = AptSuite(AptSettings(name="main"), SuiteSettings(codename="stable"), ground.signer, lists)
        self.view = Published(Shelf("base", ground.store, ground.blocking), {}, self.suite.shape)

    def prepare(self, *debs: bytes, with_contents: bool = True, most: int = 1000) -> list[Prepared]:
        """Read packages."""
        uploads = [Upload("main", self.ground.arrival(f"{number}.deb", data)) for number, data in enumerate(debs)]
        staging = Staging(self.ground.spool, self.ground.blocking)
        reading = Uploads(staging, self.ground.blocking, with_contents, most)
        found: list[Prepared] = result(reading.prepare(self.view, self.suite, uploads))
        return found

    def test_paths(self) -> None:
        """Paths are read only where Contents are wanted."""
        for with_contents in (True, False):
            (one,) = self.prepare(made_deb(paths=["./a", "./b"]), with_contents=with_contents)
            self.assertEqual(one.contents is not None and one.contents.count, 2 if with_contents else False)

    def test_too_much(self) -> None:
        """What a publish could not hold in memory is refused."""
        debs = [made_deb(name) for name in ("one", "two", "three")]
        self.assertEqual(len(self.prepare(*debs, most=2)), 3)
        self.assertRaises(InvalidPackage, self.prepare, *debs, most=1)

    def test_name(self) -> None:
        """Among several it is said which one is refused; of one the client knows."""
        with self.assertRaises(InvalidPackage) as caught:
            self.prepare(made_deb(), b"x")
        self.assertIn("1.deb", caught.exception.message)
        with self.assertRaises(InvalidPackage) as caught:
            self.prepare(b"x")
        self.assertNotIn("0.deb", caught.exception.message)

    def test_weight(self) -> None:
        """Packages weigh as one each, and more with many paths."""
        (one,) = self.prepare(made_deb())
        large = Prepared(one.found, one.placed, contents=PathList(5000, b""))
        self.assertEqual([weight_of([one, one]), weight_of([large])], [2, 11])
