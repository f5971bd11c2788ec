"""Globs over repository names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.formats.globs import Globs
from tests.properties import ANY_TEXT, bounded

NAMES = st.text("ab/.-_", max_size=12)


class GlobsTests(SynchronousTestCase):
    """`*` and `?` stay within one part of a name, `**` spans parts; the whole name is matched."""

    def assert_matches(self, glob: str, yes: list[str], no: list[str]) -> None:
        """The glob matches each of `yes` and none of `no`."""
        globs = Globs([glob])
        self.assertEqual([name for name in yes + no if globs.match(name)], yes, glob)

    def test_literal(self) -> None:
        """Without wildcards, the name itself is matched and nothing below or around it."""
        self.assert_matches("team/app", ["team/app"], ["team", "team/app/x", "xteam/app", "team/app\n", "team/apps"])

    def test_dot_is_literal(self) -> None:
        """Characters that regular expressions know stand for themselves."""
        self.assert_matches("a.b", ["a.b"], ["axb", "a/b"])
        self.assert_matches("a+(b|c)[d]^$", ["a+(b|c)[d]^$"], ["aab", "a+(b", "ab"])

    def test_star(self) -> None:
        """`*` is any text without a slash."""
        self.assert_matches("team/*", ["team/app", "team/"], ["team", "team/app/x", "teams/app"])
        self.assert_matches("*-dev", ["a-dev", "-dev"], ["a/b-dev", "a-devel"])

    def test_question_mark(self) -> None:
        """`?` is one character that is no slash."""
        self.assert_matches("a?c", ["abc"], ["ac", "a/c", "abbc"])

    def test_double_star(self) -> None:
        """`**` is any text, slashes included."""
        self.assert_matches("team/**", ["team/app", "team/a/b/c"], ["team", "teams/app", "x/team/app"])
        self.assert_matches("**/base", ["a/base", "a/b/base"], ["base", "a/base/x"])
        self.assert_matches("**", ["a", "a/b", ""], [])

    def test_none(self) -> None:
        """No glob matches nothing; an empty one matches the empty name only."""
        self.assertFalse(Globs([]).match(""))
        self.assertFalse(Globs([]).match("a"))
        self.assert_matches("", [""], ["a"])

    def test_any_of_several(self) -> None:
        """A set matches what any of its globs matches, and mixes none of them."""
        globs = Globs(["a", "b/*"])

        self.assertEqual([one for one in ["a", "b/c", "a/c", "b", "ab/c"] if globs.match(one)], ["a", "b/c"])

    @bounded
    @given(st.lists(ANY_TEXT, max_size=4), ANY_TEXT)
    def test_any_text(self, globs: list[str], name: str) -> None:
        """Any text is a glob, and one without wildcards matches exactly itself."""
        plain = [one for one in globs if not set(one) & set("*?")]
        found = Globs(globs)

        self.assertTrue(all(found.match(one) for one in plain))
        self.assertEqual(Globs(plain).match(name), name in plain)

    @bounded
    @given(NAMES, NAMES)
    def test_wildcards_span(self, before: str, inner: str) -> None:
        """`**` spans whatever stands in its place, `*` does so if it has no slash."""
        self.assertTrue(Globs([f"{before}**"]).match(before + inner))
        self.assertEqual(Globs([f"{before}*"]).match(before + inner), "/" not in inner)
