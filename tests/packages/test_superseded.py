"""What is removed once its generation need not be kept any more, and what stays."""

from __future__ import annotations

from pkgd.errors import UnknownPackage
from pkgd.packages.apt import Wanted
from tests.packages.fixtures import made_deb, result
from tests.packages.test_apt import AptCase
from tests.packages.test_rpm import RpmCase, made_rpm

_DAY = 24 * 3600


class AptSupersededTests(AptCase):
    """Generations of suites, which share the files of packages."""

    def test_what_only_an_expired_generation_names_is_removed(self) -> None:
        """The package's file, too, and nothing that is still named."""
        self.add(made_deb())
        self.add(made_deb("kept"))
        path = self.add(made_deb("other")).path
        result(self.repository.remove("stable", "main", "hello_1.0_amd64.deb"))
        result(self.repository.copy("stable", "testing", Wanted("other")))
        result(self.repository.remove("stable", "main", "other_1.0_amd64.deb"))
        size = len(self.ground.store.objects)  # type: ignore[attr-defined]
        self.ground.clock.advance(_DAY + 1)
        for number in range(6):
            self.add(made_deb(f"more{number}"))
        self.ground.clock.advance(_DAY + 1)
        result(self.repository.sweep())
        self.assertEqual([one for one in self.pool() if "hello" in one], [])
        self.assertTrue(self.fetch(path))
        for suite in ("stable", "testing"):
            self.suite(suite)
        self.assertLess(len(self.ground.store.objects), size + 20)  # type: ignore[attr-defined]
        with self.assertRaises(UnknownPackage):
            self.fetch("@2/dists/stable/Release")

    def test_a_file_stays_as_long_as_any_suite_keeps_a_generation_with_it(self) -> None:
        """Though the suite that had it first has forgotten it."""
        path = self.add(made_deb()).path
        result(self.repository.copy("stable", "testing", Wanted("hello")))
        result(self.repository.remove("stable", "main", "hello_1.0_amd64.deb"))
        for number in range(4):
            self.add(made_deb(f"more{number}"))
        self.ground.clock.advance(_DAY + 1)
        result(self.repository.remove("testing", "main", "hello_1.0_amd64.deb"))
        self.add(made_deb("last"))
        result(self.repository.sweep())
        self.assertTrue(self.fetch(path))
        for number in range(4):
            self.add(made_deb(f"more{number}"), suite="testing")
        self.ground.clock.advance(_DAY + 1)
        result(self.repository.sweep())
        with self.assertRaises(UnknownPackage):
            self.fetch(path)


class RpmSupersededTests(RpmCase):
    """Generations of an rpm repository."""

    def test_leaves_that_are_still_needed_stay(self) -> None:
        """Though the generation that brought them has expired."""
        for number in range(270):
            self.add(made_rpm(f"package{number:03}"))
        for number in range(3):
            self.ground.clock.advance(_DAY + 1)
            self.add(made_rpm(f"z{number}"))
        self.repository = self.made()
        self.assertEqual(len(self.packages()), 273)
        leaves = [key for key in self.ground.store.objects if "/leaves/" in key]  # type: ignore[attr-defined]
        self.assertLess(len(leaves), 40)
        for kind in ("indices", "generations"):
            kept = [key for key in self.ground.store.objects if f"/{kind}/" in key]  # type: ignore[attr-defined]
            self.assertEqual(len(kept), 4)

    def test_what_only_an_expired_generation_names_is_removed(self) -> None:
        """The package, too."""
        self.add(made_rpm())
        result(self.repository.remove("hello-1.0-1.x86_64.rpm"))
        for number in range(5):
            self.add(made_rpm(f"more{number}"))
        self.assertEqual(len(self.files()), 6)
        self.ground.clock.advance(_DAY + 1)
        result(self.repository.sweep())
        self.assertEqual(len(self.files()), 5)
        self.assertEqual(len(self.packages()), 5)
        with self.assertRaises(UnknownPackage):
            self.fetch("@2/repodata/repomd.xml")
