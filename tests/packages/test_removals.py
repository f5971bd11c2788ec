"""Many packages taken out at once."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from pkgd.errors import SigningError, UnknownRepository
from pkgd.packages.records import Listed
from pkgd.packages.removals import Removal
from tests.packages.fixtures import made_deb, result
from tests.packages.test_apt import AptCase
from tests.packages.test_rpm import RpmCase, made_rpm

INDEX = "main/binary-amd64/Packages"


class AptRemovalTests(AptCase):
    """From a suite."""

    def listed(self, suite: str = "stable") -> dict[str, Listed]:
        """What a suite has, by version."""
        return {one.listed.version: one.listed for one in result(self.repository.held(suite))}

    def take(self, *removals: Removal) -> list[str]:
        """Take packages out of stable; the versions of those that are."""
        return [one.version for one in result(self.repository.remove_together("stable", removals))]

    def upload(self, *versions: str) -> dict[str, Listed]:
        """Some versions of a package."""
        for version in versions:
            self.add(made_deb(version=version))
        return self.listed()

    def test_one_generation(self) -> None:
        """All go in one generation, and the rest stays as it is."""
        found = self.upload("1.0", "2.0", "3.0")
        self.add(made_deb("other", "0.1", "all"))
        other = self.listed()["0.1"]
        before = self.add(made_deb("last")).generation

        gone = self.take(Removal([found["1.0"], found["2.0"]], [found["3.0"]]), Removal([other]))

        self.assertEqual(gone, ["1.0", "2.0", "0.1"])
        self.assertEqual(self.versions(INDEX), ["hello 3.0", "last 1.0"])
        self.assertEqual(self.versions("main/binary-arm64/Packages"), [])
        self.assertEqual(self.add(made_deb("next")).generation, before + 2)

    def test_nothing(self) -> None:
        """Where nothing is to go, nothing is published."""
        found = self.upload("1.0")

        self.assertEqual(self.take(Removal([evolve(found["1.0"], version="9")])), [])

        self.assertEqual(self.add(made_deb("next")).generation, 3)

    def test_changed(self) -> None:
        """What has come again with other content meanwhile is another package, and stays."""
        old = self.upload("1.0", "2.0")["1.0"]
        result(self.repository.remove("stable", "main", "hello_1.0_amd64.deb"))
        self.add(made_deb(version="1.0", Description="another build"))

        self.assertEqual(self.take(Removal([old])), [])

        self.assertEqual(self.versions(INDEX), ["hello 1.0", "hello 2.0"])

    def test_lost(self) -> None:
        """Where what was to stay is gone meanwhile, the others of its name stay, and those of other names go."""
        found = self.upload("1.0", "2.0")
        self.add(made_deb("other", "0.1"))
        other = self.listed()["0.1"]
        result(self.repository.remove("stable", "main", "hello_2.0_amd64.deb"))

        self.take(Removal([found["1.0"]], [found["2.0"]]), Removal([other]))

        self.assertEqual(self.versions(INDEX), ["hello 1.0"])

    def test_other_suite(self) -> None:
        """A package that another suite has, too, stays there, and its file with it."""
        for suite in ("stable", "testing"):
            self.add(made_deb(), suite)
        files = self.pool()

        self.take(Removal([self.listed()["1.0"]]))
        self.ground.clock.advance(10 * 24 * 3600)
        for number in range(4):
            self.add(made_deb(f"p{number}"), "stable")
            self.ground.clock.advance(2 * 24 * 3600)
            result(self.repository.sweep())

        self.assertEqual(
            (self.versions(INDEX, "testing"), [one for one in files if one not in self.pool()]), (["hello 1.0"], [])
        )

    def test_udeb(self) -> None:
        """Packages for the installer stand in an index of their own."""
        self.add(made_deb(Section="debian-installer"), name="hello_1.0_amd64.udeb")

        self.assertEqual(self.take(Removal(list(self.listed().values()))), ["1.0"])

        self.assertEqual(self.suite()["main/debian-installer/binary-amd64/Packages"], [])

    def test_failure(self) -> None:
        """What cannot be signed is not published, and everything stays."""
        found = self.upload("1.0", "2.0")
        self.ground.signer.broken = True

        self.assertRaises(SigningError, self.take, Removal([found["1.0"]]))

        self.assertEqual(self.versions(INDEX), ["hello 1.0", "hello 2.0"])

    def test_unknown(self) -> None:
        """A suite that is not configured is unknown."""
        self.assertRaises(UnknownRepository, result, self.repository.remove_together("sid", []))
        self.assertRaises(UnknownRepository, result, self.repository.held("sid"))

    def test_sources(self) -> None:
        """It is known what a package was built from."""
        self.add(made_deb("libhello", "1.0+b1", Source="hello (1.0)"))
        self.add(made_deb("plain", "2.0"))

        found = {one.listed.name: one.source for one in result(self.repository.held("stable"))}

        self.assertEqual(found, {"libhello": ("hello", "1.0"), "plain": ("plain", "2.0")})

    def test_many(self) -> None:
        """However many there are."""
        names = [f"p{number:03}" for number in range(60)]
        for name in names:
            self.add(made_deb(name))
        removals = [Removal([one.listed]) for one in result(self.repository.held("stable"))]

        self.assertEqual(len(self.take(*removals[:50])), 50)

        self.assertEqual(self.versions(INDEX), [f"{name} 1.0" for name in names[50:]])


class RpmRemovalTests(RpmCase):
    """From an rpm repository."""

    def listed(self) -> Sequence[Listed]:
        """What it has."""
        return [one.listed for one in result(self.repository.held())]

    def test_one_generation(self) -> None:
        """All go in one generation, except those whose newer version is gone meanwhile."""
        added = [self.add(made_rpm(name, version)) for name in ("a", "b") for version in ("1.0", "2.0", "3.0")]
        found, before = self.listed(), self.repository.generation
        result(self.repository.remove("b-3.0-1.x86_64.rpm"))

        gone = result(self.repository.remove_together([Removal(found[:2], found[2:3]), Removal(found[3:5], found[5:])]))

        self.assertEqual(([one.version for one in gone], self.repository.generation), (["1.0-1", "2.0-1"], before + 2))
        self.assertEqual(self.packages(), [one.sha256 for one in added[2:5]])
