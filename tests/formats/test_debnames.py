"""What Debian lets things be called."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats import debnames
from pkgd.formats.debnames import parse_source, pool_prefix
from tests.properties import ANY_TEXT, bounded

# Nothing that becomes part of a path may be any of these.
NEVER = ("", ".", "..", "a/b", "/a", "a\n", "a b", "a%2f", "ä", "a\0", ".a", "-a", "a" * 300)

GOOD: dict[Callable[[str], str], str] = {
    debnames.check_package: "hello libc6 g++ 0ad a1 x.y libstdc++-12-dev",
    debnames.check_version: "1 1.0-1 0~rc1 20081126:1.03-4 1:2-3-4 0 1.0+dfsg~1-1+b1 2147483647:1 1.0-a.b+c~d",
    debnames.check_architecture: "amd64 all i386 kfreebsd-amd64 musl-linux-amd64",
    debnames.check_suite: "bookworm bookworm-updates 12 stable~proposed my_suite Jammy",
    debnames.check_component: "main non-free-firmware contrib 1",
    debnames.check_file_name: "hello_1.0-1_amd64.deb a_1.0.orig.tar.gz.asc g++_1~rc_all.udeb",
}
BAD: dict[Callable[[str], str], str] = {
    debnames.check_package: "a A Hello a_b +a a:b a~b a,b",
    debnames.check_version: "a v1 1- -1 1:-1 :1 a:1 -1:1 1:1:1 1_0 1-1_0 2147483648:1 99999999999:1 1.0- 1: 1,0",
    debnames.check_architecture: "any source AMD64 amd64- a--b a_b linux-*",
    debnames.check_suite: "a. a- a:b a,b",
    debnames.check_component: "a. a,b",
    debnames.check_file_name: "a:b a%3ab _a a,b",
}


class GrammarTests(SynchronousTestCase):
    """Each grammar, to the character."""

    def test_names(self) -> None:
        """What policy allows is returned as it is."""
        for check, names in GOOD.items():
            for name in names.split():
                self.assertEqual(check(name), name)

    def test_not_names(self) -> None:
        """What it doesn't is refused, and so is all that means something in a path."""
        for check, names in BAD.items():
            for name in [*names.split(), *NEVER]:
                self.assertRaises(InvalidPackage, check, name)

    @bounded
    @given(ANY_TEXT)
    def test_paths(self, text: str) -> None:
        """Whatever is accepted is one visible part of a path and one column of an index."""
        for check in GOOD:
            with contextlib.suppress(InvalidPackage):
                name = check(text)
                self.assertTrue(name.isascii() and name.isprintable() and not set(name) & set(" /\\%"))
                self.assertNotIn(name[0], ".-")


class SourceTests(SynchronousTestCase):
    """Where a package comes from."""

    def test_source(self) -> None:
        """The version is the package's own, if the field doesn't give another."""
        self.assertEqual(parse_source("hello", "1-1"), ("hello", "1-1"))
        self.assertEqual(parse_source("hello (1:2-3)", "1-1"), ("hello", "1:2-3"))

    def test_no_source(self) -> None:
        """Names and versions that are none are refused, and so is anything else in the field."""
        for field in ("", "Hello", "../x", "hello (x)", "hello ()", "hello (1", "hello (1) x", "hello\n (1)", "a b"):
            self.assertRaises(InvalidPackage, parse_source, field, "1")

    def test_pool(self) -> None:
        """Libraries are spread by a fourth letter."""
        self.assertEqual([pool_prefix(name) for name in ("hello", "libc", "lib", "0ad")], ["h", "libc", "lib", "0"])
