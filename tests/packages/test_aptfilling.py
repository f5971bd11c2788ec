"""Contents that are made from the pool, in several publishes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.packages.apt import AptRepository
from pkgd.packages.aptfilling import Filling
from pkgd.packages.aptserving import AptServing
from pkgd.packages.aptsuite import AptSuite
from pkgd.packages.generations import Gone
from pkgd.packages.layout import apt_directory, suite_directory
from pkgd.packages.pathlists import PathLists
from pkgd.packages.pool import Pool
from pkgd.packages.publishing import Publisher
from pkgd.packages.records import AptSettings, SuiteSettings, Window
from pkgd.packages.shelf import Shelf
from tests.packages.fixtures import Ground, made_deb, result
from tests.packages.readers import read_suite

_SUITE = SuiteSettings(codename="stable", architectures=("amd64",))


class FillingTests(SynchronousTestCase):
    """A suite with packages, opened by what fills it."""

    def setUp(self) -> None:
        """Publish packages without Contents, and begin to fill."""
        ground = self.ground = Ground(self.mktemp())
        settings = AptSettings(name="main", suites=[_SUITE])
        before = AptRepository(settings, ground.store, ground.spool, ground.blocking, ground.signer, ground.clock)
        result(before.start())
        for number in range(10):
            data = made_deb(f"p{number}", paths=[f"./{number}", "./common"])
            result(before.add("stable", "main", ground.arrival("x.deb", data)))
        lists = PathLists(apt_directory("main"), ground.store, ground.blocking)
        suite = AptSuite(AptSettings(name="main", contents=True), _SUITE, ground.signer, lists)
        shelf = Shelf(suite_directory("main", "stable"), ground.store, ground.blocking)
        self.publisher = Publisher(shelf, suite, ground.clock, Window(), ground.spool.reserve)
        result(self.publisher.load())

        async def is_named(gone: Gone, path: str) -> bool:
            return True

        pool = Pool(apt_directory("main"), ground.store, ground.blocking, is_named, lists)
        self.serving = AptServing({"stable": self.publisher}, pool)
        assert suite.contents is not None
        self.filling = Filling([(suite.contents, self.publisher)], lists, pool, most_paths=6)
        self.filling.resume()

    def lines(self) -> dict[str, str]:
        """The lines of Contents."""
        suite = read_suite(lambda path: self.ground.read(result(self.serving.open(path))), "stable")
        return {one["path"]: one["locations"] for one in suite["main/Contents-amd64"]}

    def generation(self) -> int:
        """The current one."""
        assert self.publisher.kept.current is not None
        return self.publisher.kept.current.number

    def test_batches(self) -> None:
        """A few packages at a time are published, and Contents are listed after the last of them."""
        before = self.generation()
        result(self.filling.run())
        self.assertEqual(self.generation() - before, 5)
        lines = self.lines()
        self.assertEqual(len(lines), 11)
        self.assertEqual(lines["common"].split(","), [f"utils/p{number}" for number in range(10)])
        for number in range(before + 1, self.generation()):
            found = result(self.publisher.kept.get(number))
            self.assertEqual([path for path in found.files if "Contents" in path], [])

    def test_done(self) -> None:
        """What is complete is not filled again."""
        result(self.filling.run())
        number = self.generation()
        result(self.filling.run())
        self.assertEqual(self.generation(), number)

    def test_stopped(self) -> None:
        """After a stop nothing is begun."""
        self.filling.stop()
        number = self.generation()
        result(self.filling.run())
        self.assertEqual(self.generation(), number)
