"""Which resources a rule's glob means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Action, apt, oci, rpm
from pkgd.auth.resources import ResourceGlob
from tests.properties import bounded


class MatchCase(SynchronousTestCase):
    """Matches globs with resources."""

    def assert_matches(self, glob: str, *resources: str, **claims: Any) -> None:
        """Each of the resources is meant."""
        for one in resources:
            self.assertTrue(ResourceGlob(glob).match(one, claims), (glob, one, claims))

    def assert_misses(self, glob: str, *resources: str, **claims: Any) -> None:
        """None of the resources is."""
        for one in resources:
            self.assertFalse(ResourceGlob(glob).match(one, claims), (glob, one, claims))


class SuiteTests(SynchronousTestCase):
    """Globs over apt repositories, and over their suites."""

    def covered(self, glob: str, claims: Mapping[str, str | tuple[str, ...]] | None = None) -> list[str]:
        """What it covers of these."""
        accesses = [
            *(apt("main", Action.PUSH, suite) for suite in (None, "stable", "testing")),
            *(apt("other", Action.PUSH, suite) for suite in (None, "testing")),
            oci("main/testing", Action.PUSH),
            rpm("main/testing", Action.PUSH),
        ]
        return [str(one)[5:] for one in accesses if ResourceGlob(glob).covers(one, claims or {})]

    def test_repositories(self) -> None:
        """A glob with one part covers repositories with all their suites."""
        of_main = ["apt:main", "apt:main/stable", "apt:main/testing"]
        of_other = ["apt:other", "apt:other/testing"]
        for glob, found in (("main", of_main), ("m*", of_main), ("*", of_main + of_other), ("**", of_main + of_other)):
            self.assertEqual(self.covered(f"apt:{glob}"), found, glob)

    def test_suites(self) -> None:
        """One with two parts covers suites, and nothing of the repository as a whole."""
        for glob, found in (
            ("main/testing", ["apt:main/testing"]),
            ("*/testing", ["apt:main/testing", "apt:other/testing"]),
            ("main/*", ["apt:main/stable", "apt:main/testing"]),
            ("main/test", []),
            ("main/", []),
        ):
            self.assertEqual(self.covered(f"apt:{glob}"), found, glob)

    def test_claims(self) -> None:
        """What a claim says is a repository or a suite as the rule has it; no slash in it makes the one the other."""
        for claim in ("main", ("x", "main")):
            self.assertEqual(len(self.covered("apt:${claims.a}", {"a": claim})), 3)
            self.assertEqual(self.covered("apt:${claims.a}/testing", {"a": claim}), ["apt:main/testing"])
        self.assertEqual(self.covered("apt:main/${claims.a}", {"a": "testing"}), ["apt:main/testing"])
        for glob in ("apt:${claims.a}", "apt:${claims.a}/testing", "apt:main/${claims.a}", "apt:${claims.a}/x"):
            for claim in ("main/testing", "main/*", "*", "../main", "main/"):
                self.assertEqual(self.covered(glob, {"a": claim}), [], (glob, claim))


class GlobTests(MatchCase):
    """Globs without templates."""

    def test_literal(self) -> None:
        """A name means itself: nothing below it, and nothing that it begins or ends."""
        self.assert_matches("oci:foo", "oci:foo")
        self.assert_misses("oci:foo", "oci:foobar", "oci:foo/bar", "oci:afoo", "oci:a/foo", "oci:fo", "oci:", "foo")

    def test_kinds(self) -> None:
        """A kind of resources is never taken for another."""
        for kind in ("oci", "apt", "rpm", "mirror"):
            for other in {"oci", "apt", "rpm", "mirror"} - {kind}:
                self.assert_misses(f"{kind}:**", f"{other}:a", f"{other}:{kind}:a")
        self.assert_misses("oci:**", "registry", "account", "admin", "ocix:a")

    def test_below(self) -> None:
        """`foo/**` means everything below foo, at any depth; neither foo nor foobar."""
        self.assert_matches("oci:foo/**", "oci:foo/a", "oci:foo/a/b/c")
        self.assert_misses("oci:foo/**", "oci:foo", "oci:foobar/a", "oci:a/foo/b")

    def test_within_a_part(self) -> None:
        """`*` and `?` stay within one part."""
        self.assert_matches("rpm:team-*/el9", "rpm:team-a/el9", "rpm:team-/el9")
        self.assert_misses("rpm:team-*/el9", "rpm:team-a/b/el9", "rpm:team-a/el9/x", "rpm:team-a")
        self.assert_matches("rpm:el?", "rpm:el9")
        self.assert_misses("rpm:el?", "rpm:el", "rpm:el10", "rpm:el/")

    def test_dots(self) -> None:
        """What means something in a regular expression means itself here."""
        self.assert_misses("oci:a.b", "oci:axb")
        self.assert_misses("mirror:ghcr.io/**", "mirror:ghcrxio/a", "mirror:ghcr.io.evil.example/a")

    def test_line_ends(self) -> None:
        """A name with a line end behind it is another name."""
        self.assert_misses("oci:foo", "oci:foo\n")
        self.assert_misses("oci:foo/*", "oci:foo/a\n/b")

    def test_names_host(self) -> None:
        """A glob over mirrored repositories says whether it names its host in full."""
        for glob in ("mirror:docker.io/**", "mirror:localhost:5000/a"):
            self.assertTrue(ResourceGlob(glob).names_host, glob)
        for glob in ("mirror:**", "mirror:*/**", "mirror:*.io/a", "mirror:docker.i?/a", "oci:docker.io/**"):
            self.assertFalse(ResourceGlob(glob).names_host, glob)


class ClaimTests(MatchCase):
    """Templates: what a token says stands for itself."""

    def test_value(self) -> None:
        """The claim's value is put in, whether it has one part or several."""
        self.assert_matches("oci:${claims.path}/**", "oci:a/b/c", path="a/b")
        self.assert_matches("oci:ci/${claims.path}", "oci:ci/a", path="a")
        self.assert_misses("oci:${claims.path}/**", "oci:a/b", "oci:a/bc/d", "oci:x/a/b/c", path="a/b")

    def test_absent(self) -> None:
        """Who has no such claim, or an empty one, gets nothing from the rule."""
        self.assert_misses("oci:${claims.path}/**", "oci:a/b", "oci:/b", "oci:b", "oci:${claims.path}/b")
        self.assert_misses("oci:${claims.path}/**", "oci:a/b", "oci:/b", path="")
        self.assert_misses("oci:${claims.path}/**", "oci:a/b", path=())
        self.assert_misses("oci:${claims.a}/${claims.b}", "oci:x/y", a="x")

    def test_list(self) -> None:
        """Each value of a list counts, and those that are no names count for nothing."""
        self.assert_matches("oci:${claims.teams}/**", "oci:a/x", "oci:b/x", teams=("a", "*", "b"))
        self.assert_misses("oci:${claims.teams}/**", "oci:c/x", "oci:a,b/x", teams=("a", "*", "b"))

    def test_twice(self) -> None:
        """A claim that is named twice has the same value at both places; two claims are independent."""
        self.assert_matches("oci:${claims.t}/${claims.t}", "oci:a/a", "oci:b/b", t=("a", "b"))
        self.assert_misses("oci:${claims.t}/${claims.t}", "oci:a/b", t=("a", "b"))
        self.assert_matches("oci:${claims.t}/${claims.u}/${claims.t}", "oci:a/x/a", t=("a", "b"), u="x")

    def test_never_wider(self) -> None:
        """No value is read as a pattern, climbs, or breaks out of its place."""
        for value in (
            "*",
            "**",
            "a*",
            "?",
            "[a-z]",
            ".*",
            "a|b",
            "(a)",
            "a/..",
            "../a",
            "a/../b",
            ".",
            "/",
            "a/",
            "/a",
        ):
            self.assert_misses("oci:${claims.path}/**", "oci:a/b", "oci:b/b", "oci:a/../b/c", path=value)
        for value in ("A", "a b", "a\n", "a\0", "a:b", "${claims.path}", "x" * 256, "é", "a//b", "%2a"):
            self.assert_misses("oci:${claims.path}/**", "oci:a/b", f"oci:{value}/b", path=value)

    @given(st.text(max_size=12), st.text("ab/*.", max_size=12))
    @bounded
    def test_any_value(self, value: str, name: str) -> None:
        """Whatever a claim says, only what is below exactly that name is meant."""
        if ResourceGlob("oci:${claims.c}/*").match(f"oci:{name}", {"c": value}):
            self.assertEqual(name.rpartition("/")[0], value)
