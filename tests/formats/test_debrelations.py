"""Relations between packages: what apt reads, and nothing that would stop it."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats.deb822 import parse_stanza
from pkgd.formats.debrelations import check_relations
from tests.properties import bounded


def check(text: str, field: str = "Depends") -> None:
    check_relations(parse_stanza(f"{field}: {text}\n".encode()))


class RelationTests(SynchronousTestCase):
    """Policy 7.1."""

    def test_relations(self) -> None:
        """Versions, architectures, alternatives, and space almost anywhere, line ends too."""
        for text in (
            "libc6",
            "libc6 (>= 2.34), libx (<< 1:2~rc-1) , liby(=3)",
            "a1 | b2 (>> 1) | c3:any (<= 2)",
            "python3:any (>= 3.11), gcc:i386",
            "a1,\n b2\n | c3\n (>= 1),\n d4",
            "a1 (< 1), b2 (> 2)",
            "a1, b2,",
            "A_b",
        ):
            check(text)

    def test_no_relations(self) -> None:
        """What dpkg or apt would stop at is refused."""
        for text in (
            "a1 b2",
            "a1,,b2",
            "a1 ||b2",
            "| a1",
            "a1 (2)",
            "a1 (>= )",
            "a1 (>= 1",
            "a1 >= 1",
            "a1 (~> 1)",
            "a1 (>= v1)",
            "a1 (>= 1) x",
            "a1 [amd64]",
            "a1 <!nocheck>",
            "a1 (>= 1 2)",
            "a1 (>= 1:2:3)",
            "${shlibs:Depends}",
            "a1 (= ${binary:Version})",
            "-a",
        ):
            self.assertRaises(InvalidPackage, check, text)

    def test_fields(self) -> None:
        """Alternatives belong to fields that depend on something; what is provided has one version."""
        for field in ("Pre-Depends", "Recommends", "Suggests", "Enhances"):
            check("a1 | b2", field)
        for field in ("Conflicts", "Breaks", "Replaces", "Provides"):
            self.assertRaises(InvalidPackage, check, "a1 | b2", field)
        check("a1 (= 1)", "Provides")
        self.assertRaises(InvalidPackage, check, "a1 (>= 1)", "Provides")
        check("anything, |", "X-Depends")

    @bounded
    @given(st.text("a1(>=) |,:\n~", max_size=30))
    def test_any_text(self, text: str) -> None:
        """Whatever it is fed, it accepts or refuses."""
        with contextlib.suppress(InvalidPackage):
            check(text.replace("\n", "\n a"))
