"""Rules: which decides, and what stays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.retention.rules import Item, Rule, Rules, going, in_words
from tests.properties import bounded

EVERYTHING = ("oci:**", "apt:**", "rpm:**")
NOW = 1_000_000.0

items = st.lists(st.tuples(st.integers(0, 30), st.none() | st.floats(NOW - 100, NOW + 50)), max_size=30).map(
    lambda found: [Item(number, (order, number), pushed) for number, (order, pushed) in enumerate(found)]
)
limits = st.tuples(st.none() | st.integers(1, 10), st.none() | st.floats(1, 100))


def rule(title: str = "a", resources: tuple[str, ...] = EVERYTHING, **more: object) -> Rule:
    """A rule."""
    return Rule(title, resources, **more)  # type: ignore[arg-type]


class DecidingTests(SynchronousTestCase):
    """The first rule that names a thing decides."""

    def test_order(self) -> None:
        """Whatever those behind it say."""
        rules = Rules([rule("a", ("oci:team/**",), tags=("v*", "latest")), rule("b", tags=("v1",)), rule("c")])

        found = [
            [getattr(rules.of_tag(f"oci:{name}", tag), "title", None) for tag in ("v1", "latest", "pr-7")]
            for name in ("team/app", "other")
        ]

        self.assertEqual(found, [["a", "a", "c"], ["b", "c", "c"]])

    def test_nobody(self) -> None:
        """What no rule names, none decides about."""
        rules = Rules([rule("a", ("oci:team/*",), tags=("v*",))])

        self.assertIsNone(rules.of_tag("oci:other", "v1"))
        self.assertIsNone(rules.of_tag("oci:team/app", "w1"))
        self.assertIsNone(rules.of_tag("oci:team/app/web", "v1"))
        self.assertIsNone(rules.of_untagged("oci:team/app"))
        self.assertIsNone(rules.of_package(["rpm:main"], "hello"))

    def test_untagged(self) -> None:
        """Manifests without a tag are named by rules for all tags."""
        rules = Rules([rule("a", tags=("v*",)), rule("b", ("oci:base/**",)), rule("c", untagged=5.0)])

        self.assertEqual(
            [getattr(rules.of_untagged(f"oci:{name}"), "title", None) for name in ("base/app", "other")], ["b", "c"]
        )

    def test_suites(self) -> None:
        """A rule may be for an apt repository, or for a suite."""
        rules = Rules([rule("a", ("apt:main/stable",), packages=("linux-*",)), rule("b", ("apt:main",))])

        found = [
            getattr(rules.of_package([f"apt:main/{suite}", "apt:main"], name), "title", None)
            for suite in ("stable", "testing")
            for name in ("linux-image", "hello")
        ]

        self.assertEqual(found, ["a", "b", "b", "b"])

    def test_may_end(self) -> None:
        """Where no rule has limits, nothing can have to go."""
        rules = Rules([rule("a", ("oci:a",)), rule("b", ("oci:b",), untagged=1.0), rule("c", ("oci:c",), newest=1)])

        self.assertEqual([rules.may_end(f"oci:{name}") for name in "abcd"], [False, True, True, False])


class GoingTests(SynchronousTestCase):
    """What of all that a rule decides about goes."""

    @given(items, limits)
    @bounded
    def test_kept(self, those: list[Item[int]], limit: tuple[int | None, float | None]) -> None:
        """Never what is among the newest, young, or of an unknown age; and all that is none of these."""
        newest, within = limit

        gone = {one.key for one in going(rule(newest=newest, pushed_within=within), those, NOW)}

        for one in those:
            rank = sum(other.order > one.order for other in those)
            is_new = newest is not None and rank < newest
            is_young = within is not None and (one.pushed is None or NOW - one.pushed < within)
            has_limits = newest is not None or within is not None
            self.assertEqual(one.key in gone, has_limits and not is_new and not is_young, one)

    def test_oldest_first(self) -> None:
        """The oldest go first: whoever is interrupted has kept the newest."""
        those = [Item(name, name, 0.0) for name in "bca"]

        self.assertEqual([one.key for one in going(rule(newest=1), those, NOW)], ["a", "b"])


class WordsTests(SynchronousTestCase):
    """Reasons."""

    def test_reason(self) -> None:
        """It says which limits have been passed."""
        self.assertEqual(
            [
                one.reason
                for one in (
                    rule(newest=3),
                    rule(pushed_within=2 * 86400.0),
                    rule(newest=3, pushed_within=5400.0),
                )
            ],
            [
                "not among the newest 3",
                "not pushed within 2d",
                "not among the newest 3 and not pushed within 90m",
            ],
        )

    def test_durations(self) -> None:
        """As they are written."""
        self.assertEqual([in_words(one) for one in (0, 0.5, 7, 3600, 86401)], ["0s", "0.5s", "7s", "1h", "86401s"])
