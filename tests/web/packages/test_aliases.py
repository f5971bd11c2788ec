"""The calls of Gitea, Nexus, Artifactory and GitLab."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidRequest, MalformedHttp, UnknownRoute
from pkgd.web.packages.aliases import parse_alias
from pkgd.web.packages.paths import AptPath, Kind, RpmPath


def meaning(target: bytes) -> AptPath | RpmPath:
    """What a target stands for, where `el` and `el/9` are rpm repositories."""
    path, _, query = target.partition(b"?")
    return parse_alias(path, query, {"el", "el/9"}.__contains__)


class AliasTests(SynchronousTestCase):
    """Each is one of our own calls."""

    def test_gitea_debian(self) -> None:
        """Gitea's uploads name suite and component, its deletes the package."""
        place = {"suites": ("stable",), "component": "main"}
        base = b"/api/packages/r/debian/"

        self.assertEqual(meaning(base + b"pool/stable/main/upload"), AptPath(Kind.UPLOAD, "r", **place))
        self.assertEqual(
            meaning(base + b"pool/stable/main/hello/1%3A2.0-1/amd64"),
            AptPath(Kind.PACKAGE, "r", package=("hello", "1:2.0-1", "amd64"), **place),
        )
        self.assertEqual(meaning(base + b"repository.key"), AptPath(Kind.KEY, "r"))

    def test_gitea_rpm(self) -> None:
        """Owner and group are the repository's name."""
        for group, name in ((b"", "r"), (b"/el/9", "r/el/9")):
            base = b"/api/packages/r/rpm" + group
            self.assertEqual(meaning(base + b"/upload"), RpmPath(Kind.UPLOAD, name))
            self.assertEqual(meaning(base + b"/upload?sign=true"), RpmPath(Kind.UPLOAD, name, sign=True))
            self.assertEqual(
                meaning(base + b"/package/hello/1.0-1/noarch"),
                RpmPath(Kind.PACKAGE, name, package=("hello", "1.0-1", "noarch")),
            )
        self.assertEqual(meaning(b"/api/packages/r/rpm/el9.repo"), RpmPath(Kind.SETUP, "r/el9"))
        self.assertEqual(meaning(b"/api/packages/r/rpm.repo"), RpmPath(Kind.SETUP, "r"))
        self.assertEqual(meaning(b"/api/packages/r/rpm/repository.key"), RpmPath(Kind.KEY, "r"))

    def test_nexus(self) -> None:
        """A repository of apt is posted to; an rpm has a path in its repository."""
        self.assertEqual(meaning(b"/repository/r/"), AptPath(Kind.UPLOAD, "r"))
        self.assertEqual(meaning(b"/repository/el/x/y/a.rpm"), RpmPath(Kind.UPLOAD, "el", "a.rpm"))
        self.assertEqual(meaning(b"/repository/el/9/x/a.rpm"), RpmPath(Kind.UPLOAD, "el/9", "a.rpm"))

    def test_artifactory(self) -> None:
        """Matrix parameters say for which suites a package is; an rpm needs none."""
        found = meaning(
            b"/artifactory/r/pool/a.deb;deb.distribution=a;deb.distribution=b;deb.component=c;deb.architecture=x"
        )

        self.assertEqual(found, AptPath(Kind.UPLOAD, "r", "a.deb", suites=("a", "b"), component="c"))
        self.assertEqual(meaning(b"/artifactory/r/a.deb;deb.distribution=a,b").suites, ("a", "b"))
        self.assertEqual(meaning(b"/artifactory/el/9/a.rpm;x=y"), RpmPath(Kind.UPLOAD, "el/9", "a.rpm"))

    def test_artifactory_incomplete(self) -> None:
        """Without a suite, or with two components, nobody can say where it belongs."""
        for matrix in (b"", b";deb.component=c", b";deb.distribution=a;deb.component=c;deb.component=d"):
            self.assertRaises(InvalidRequest, meaning, b"/artifactory/r/a.deb" + matrix)

    def test_gitlab(self) -> None:
        """Files of an upload by dput, with a suite or without."""
        path = b"/api/v4/projects/r/packages/debian/a.changes"

        self.assertEqual(meaning(path), AptPath(Kind.INCOMING, "r", "a.changes"))
        self.assertEqual(meaning(path + b"?distribution=s").suites, ("s",))

    def test_unknown(self) -> None:
        """What they have besides is not here."""
        for target in (
            b"/api/packages/r/npm/x",
            b"/api/packages/r/debian/pool/x",
            b"/repository/r/x",
            b"/artifactory/r/x.txt",
            b"/api/v4/projects/1/issues",
        ):
            self.assertRaises(UnknownRoute, meaning, target)
        self.assertRaises(MalformedHttp, meaning, b"/repository/../x.rpm")
