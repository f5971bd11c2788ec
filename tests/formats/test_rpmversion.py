"""The order of rpm versions."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.formats.rpmversion import Evr, compare, compare_evr, key
from tests.properties import bounded

VERSIONS = st.text("019aB.~^-_ü", max_size=8)


class CompareTests(SynchronousTestCase):
    """Versions and releases, each by itself."""

    def assert_ascending(self, *versions: str) -> None:
        """Each version is older than the next one, whichever is asked first."""
        for older, newer in pairwise(versions):
            self.assertEqual((compare(older, newer), compare(newer, older)), (-1, 1), f"{older} < {newer}")

    def assert_equal_versions(self, *versions: str) -> None:
        """All versions are one."""
        for one, other in pairwise(versions):
            self.assertEqual(compare(one, other), 0, f"{one} = {other}")

    def test_numbers(self) -> None:
        """Runs of digits are numbers of any length."""
        self.assert_ascending("1.0", "1.1", "1.9", "1.10", "2", "18446744073709551616", "18446744073709551617")

    def test_leading_zeros(self) -> None:
        """Zeros before a number mean nothing."""
        self.assert_equal_versions("1.05", "1.5", "01.0005")

    def test_letters(self) -> None:
        """Runs of letters sort by their bytes, and before any number."""
        self.assert_ascending("1.A", "1.a", "1.b", "1.ba", "1.0")

    def test_longer(self) -> None:
        """What goes on is newer."""
        self.assert_ascending("1", "1.0", "1.0.a", "1.0.a.1")

    def test_mixed_run(self) -> None:
        """A run ends where digits and letters meet."""
        self.assert_ascending("1.0a1", "1.0a2", "1.0a10")
        self.assert_equal_versions("1.0a1", "1.0.a.1")

    def test_separators(self) -> None:
        """Anything else only separates, however much there is of it and wherever it is."""
        self.assert_equal_versions("1.0", "1_0", "1..0", ".1-0+", "1ü0")

    def test_tilde(self) -> None:
        """A tilde makes older than the end."""
        self.assert_ascending("1.0~~", "1.0~", "1.0~rc1", "1.0~rc1.1", "1.0~rc2", "1.0", "1.0.1")

    def test_caret(self) -> None:
        """A caret makes newer than the end, and older than anything else that goes on."""
        self.assert_ascending("1.0~rc1^git1", "1.0", "1.0^", "1.0^git1", "1.0^git2", "1.0.1")

    def test_empty(self) -> None:
        """Nothing is older than everything but a tilde."""
        self.assert_ascending("~", "", "^", "a", "0")

    @bounded
    @given(VERSIONS, VERSIONS, VERSIONS)
    def test_order(self, a: str, b: str, c: str) -> None:
        """It is an order: reversible, and what is between is between."""
        self.assertEqual(compare(a, b), -compare(b, a))
        if compare(a, b) <= 0 and compare(b, c) <= 0:
            self.assertLessEqual(compare(a, c), 0)


class EvrTests(SynchronousTestCase):
    """Packages of one name."""

    def test_epoch(self) -> None:
        """The epoch outweighs the version, which outweighs the release."""
        ascending = [Evr(0, "1", "2"), Evr(0, "1", "10"), Evr(0, "2", "1"), Evr(1, "1", "1"), Evr(10, "0", "0")]

        self.assertEqual([compare_evr(a, b) for a, b in pairwise(ascending)], [-1, -1, -1, -1])

    def test_no_release(self) -> None:
        """A missing release matches any."""
        self.assertEqual(compare_evr(Evr(0, "1", ""), Evr(0, "1", "7")), 0)

    def test_key(self) -> None:
        """Lists are sorted by it."""
        versions = [Evr(0, "1.10", "1"), Evr(0, "1.9", "1"), Evr(0, "1.10~rc1", "1")]

        self.assertEqual([one.version for one in sorted(versions, key=key)], ["1.9", "1.10~rc1", "1.10"])
