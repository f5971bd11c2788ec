"""The order of Debian's versions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.formats.debversion import compare, key, split, without_epoch
from tests.properties import bounded

VERSIONS = st.from_regex(r"([0-9]{1,3}:)?[0-9][a-zA-Z0-9.+~-]{0,12}", fullmatch=True).filter(
    lambda version: not version.endswith("-")
)

# Each is older than the next.
ASCENDING = """
0~~ 0~ 0 0.0 0.1~rc1 0.1-~1 0.1 0.1-0.1 0.1-1 0.1-1+b1 0.1-1.1 0.1-2 0.1-10 0.1a 0.1b 0.1+dfsg-1 0.1.1 0.2 0.10
1.0~alpha 1.0~beta-1 1.0 1.0A 1.0Z 1.0a 1.0+ 1.0. 1.1 9 10 99999999999999999999 100000000000000000000
1:0 1:0.1 2:0 10:0 20081126:1.03-4
""".split()  # noqa: SIM905


class OrderTests(SynchronousTestCase):
    """Policy 5.6.12, as dpkg has it."""

    def test_ascending(self) -> None:
        """Digits count as numbers, `~` before the end, letters before other characters, epochs before all."""
        backwards = ASCENDING[::-1]

        self.assertEqual(sorted(backwards, key=key), ASCENDING)
        for place, one in enumerate(ASCENDING):
            for other in ASCENDING[place + 1 :]:
                self.assertEqual((compare(one, other), compare(other, one)), (-1, 1), f"{one} {other}")

    def test_equal(self) -> None:
        """A missing epoch or revision is 0, and zeros before a number are nothing."""
        for one, other in (("1", "0:1"), ("1", "1-0"), ("1.01", "1.1"), ("1-00", "1"), ("1.", "1.0"), ("1a", "1a0")):
            self.assertEqual(compare(one, other), 0, f"{one} {other}")

    def test_parts(self) -> None:
        """The epoch ends at the first colon, the revision begins behind the last hyphen."""
        self.assertEqual(split("2:1.0-rc-3"), (2, "1.0-rc", "3"))
        self.assertEqual(split("1.0"), (0, "1.0", ""))
        self.assertEqual((without_epoch("2:1.0-3"), without_epoch("1.0-3")), ("1.0-3", "1.0-3"))

    def test_endless_digits(self) -> None:
        """Numbers that no int takes have their order, too."""
        self.assertEqual(compare("1" * 10_000, "2" * 10_000), -1)
        self.assertEqual(compare("1" * 10_000, "2" * 9_999), 1)

    @bounded
    @given(VERSIONS, VERSIONS, VERSIONS)
    def test_order(self, one: str, two: str, three: str) -> None:
        """It is an order: it can be turned around, and what holds between neighbours holds between the ends."""
        self.assertEqual(compare(one, two), -compare(two, one))
        low, middle, high = sorted([one, two, three], key=key)
        self.assertLessEqual(max(compare(low, middle), compare(middle, high), compare(low, high)), 0)

    @bounded
    @given(VERSIONS)
    def test_tilde_and_more(self, version: str) -> None:
        """Whatever the version, `~` behind it makes it older, and `+` newer."""
        self.assertEqual(compare(f"{version}~", version), -1)
        self.assertEqual(compare(f"{version}+", version), 1)
