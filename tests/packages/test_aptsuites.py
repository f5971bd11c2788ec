"""The suites of an apt repository: what a start finds of them, and what other settings make of them."""

from __future__ import annotations

from attrs import evolve

from pkgd.errors import UnknownRepository
from tests.packages.fixtures import made_deb, result
from tests.packages.test_apt import AptCase

_DAY = 24 * 3600


class AptSuitesTests(AptCase):
    """With publishers of their own."""

    def test_a_restart_publishes_nothing_new(self) -> None:
        """Unless settings or keys are others."""
        self.add(made_deb())
        self.repository = self.made()
        self.assertEqual(result(self.repository.open("dists/stable/Release")).generation, 2)
        self.assertEqual(self.versions("main/binary-amd64/Packages"), ["hello 1.0"])
        self.ground.signer.keys = b"OTHERS"
        self.repository = self.made()
        self.assertEqual(result(self.repository.open("dists/stable/Release")).generation, 3)

    def test_a_suite_is_signed_anew_before_it_expires(self) -> None:
        """Halfway to Valid-Until."""
        self.repository = self.made(valid_for=10 * _DAY)
        number = result(self.repository.open("dists/stable/Release")).generation
        self.ground.clock.advance(4 * _DAY)
        result(self.repository.sweep())
        self.assertEqual(result(self.repository.open("dists/stable/Release")).generation, number)
        self.ground.clock.advance(2 * _DAY)
        result(self.repository.sweep())
        self.assertEqual(result(self.repository.open("dists/stable/Release")).generation, number + 1)

    def test_a_suite_that_was_given_up_goes_on_where_it_was(self) -> None:
        """Meanwhile it is unknown, and what it names stays."""
        both = self.repository.settings
        path = self.add(made_deb(), suite="testing").path
        self.repository.adopt(evolve(both, suites=both.suites[:1]), self.ground.signer)
        result(self.repository.start())
        with self.assertRaises(UnknownRepository):
            result(self.repository.list("testing"))
        self.add(made_deb())
        result(self.repository.remove("stable", "main", path))
        for number in range(5):
            self.add(made_deb(f"more{number}"))
        self.ground.clock.advance(_DAY + 1)
        result(self.repository.sweep())
        self.repository.adopt(both, self.ground.signer)
        result(self.repository.start())
        self.assertEqual(self.versions("main/binary-amd64/Packages", "testing"), ["hello 1.0"])
        self.assertTrue(self.fetch(path))
        self.assertEqual(result(self.repository.open("dists/testing/Release")).generation, 2)
