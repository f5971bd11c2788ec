"""Tables of a few paths."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import MalformedHttp, UnknownRoute, Unsupported
from pkgd.web.routes import Routes
from tests.web.recorder import recorded


class RoutesTests(SynchronousTestCase):
    """Path, then method."""

    def setUp(self) -> None:
        """Two paths of which one begins like the other."""
        self.routes = Routes(
            [("/a", ("GET", "HEAD"), "read"), ("/a", ("PUT",), "written"), ("/a/{one}/b/{two}", ("GET",), "below")]
        )

    def find(self, method: str, path: str) -> Any:
        """What is found."""
        return self.routes.find(recorded(f"{method} {path} HTTP/1.1")[0])

    def test_found(self) -> None:
        """The row of path and method, and what stands where the path has parameters, decoded."""
        self.assertEqual(self.find("HEAD", "/a?b=c"), ("read", []))
        self.assertEqual(self.find("PUT", "/a"), ("written", []))
        self.assertEqual(self.find("GET", "/a/x%2By/b/z"), ("below", ["x+y", "z"]))
        self.assertEqual(self.routes.paths, ["/a", "/a/{one}/b/{two}"])

    def test_unknown(self) -> None:
        """Another path is none; a parameter has one segment, and is not empty."""
        for path in ("/", "/a/", "/a/x/b", "/a/x/b/", "/a/x/c/y", "/a/x/y/b/z", "/b"):
            self.assertRaises(UnknownRoute, self.find, "GET", path)
        self.assertRaises(MalformedHttp, self.find, "GET", "/a//b/c")

    def test_unsupported(self) -> None:
        """Another method of a path that is there is refused with those that it has."""
        error = self.assertRaises(Unsupported, self.find, "POST", "/a")

        self.assertEqual(error.allowed, ("GET", "HEAD", "PUT"))
