"""The paths of `/apt/` and `/rpm/`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import MalformedHttp, UnknownRoute
from pkgd.web.packages.paths import AptPath, Kind, RpmPath, parse_apt_path, parse_rpm_path


class AptPathTests(SynchronousTestCase):
    """What is below `/apt/<repo>/`."""

    def test_read(self) -> None:
        """Indices and packages, of the present and of a generation, keys and a suite's source."""
        for path, meaning in {
            b"/apt/r/dists/stable/InRelease": AptPath(Kind.INDEX, "r", "dists/stable/InRelease"),
            b"/apt/r/@7/dists/s/main/x": AptPath(Kind.INDEX, "r", "@7/dists/s/main/x"),
            b"/apt/r/pool/main/h/hello/0123/a.deb": AptPath(Kind.POOL, "r", "pool/main/h/hello/0123/a.deb"),
            b"/apt/r/@0/pool/main/a.deb": AptPath(Kind.POOL, "r", "@0/pool/main/a.deb"),
            b"/apt/r/key.asc": AptPath(Kind.KEY, "r"),
            b"/apt/r/@7/key.asc": AptPath(Kind.KEY, "r"),
            b"/apt/r/bookworm-updates.sources": AptPath(Kind.SETUP, "r", suites=("bookworm-updates",)),
            b"/apt/r": AptPath(Kind.BASE, "r"),
            b"/apt/r/": AptPath(Kind.BASE, "r"),
        }.items():
            self.assertEqual(parse_apt_path(path), meaning)

    def test_written(self) -> None:
        """A package's place is a suite, a component and its name; dput's is a suite."""
        upload = AptPath(Kind.UPLOAD, "r", "a.deb", suites=("stable",), component="main")

        self.assertEqual(parse_apt_path(b"/apt/r/stable/main/a.deb"), upload)
        self.assertEqual(
            parse_apt_path(b"/apt/r/incoming/stable/a.changes"),
            AptPath(Kind.INCOMING, "r", "a.changes", suites=("stable",)),
        )

    def test_encoded(self) -> None:
        """Clients encode what they like: `+`, `~`, `:` are the same either way."""
        for path in (b"/apt/r/pool/g%2b%2b_1%3a2%7erc.deb", b"/apt/r/pool/g++_1:2~rc.deb"):
            self.assertEqual(parse_apt_path(path).rest, "pool/g++_1:2~rc.deb")

    def test_no_matrix(self) -> None:
        """A semicolon is a character like others."""
        self.assertEqual(parse_apt_path(b"/apt/r/s/c/a.deb;x=y").rest, "a.deb;x=y")

    def test_unknown(self) -> None:
        """What is none of these is unknown; in a generation there is nothing to be written."""
        for path in (
            b"/apt/",
            b"/apt/r/x",
            b"/apt/r/dists/",
            b"/apt/r/pool",
            b"/apt/r/.sources",
            b"/apt/r/stable/main/",
            b"/apt/r/@7/main/a.deb",
            b"/apt/r/@07/dists/x/y",
            b"/apt/r/@7/stable/main/a.deb",
            b"/apt/r/a/b/c/d.deb",
        ):
            self.assertRaises(UnknownRoute, parse_apt_path, path)

    def test_malformed(self) -> None:
        """Dot segments, empty ones and encoded slashes are no path."""
        for path in (b"/apt/r/pool/../../x", b"/apt/r//dists/x", b"/apt/r/pool/a%2fb", b"/apt/r/pool/%2e%2e/x"):
            self.assertRaises(MalformedHttp, parse_apt_path, path)


class RpmPathTests(SynchronousTestCase):
    """What is below `/rpm/<repo>/`, where a repository's name may have several parts."""

    def test_read(self) -> None:
        """Metadata and packages, of the present and of a generation, and what sets up a client."""
        for name in ("r", "internal/el9", "a/b/c"):
            for path, kind in {
                "repodata/repomd.xml": Kind.INDEX,
                "@7/repodata/repomd.xml": Kind.INDEX,
                "Packages/h/0123/a.rpm": Kind.POOL,
                "@7/Packages/h/0123/a.rpm": Kind.POOL,
            }.items():
                self.assertEqual(parse_rpm_path(f"/rpm/{name}/{path}".encode()), RpmPath(kind, name, path))
            for path, kind in {
                "key.asc": Kind.KEY,
                "@7/key.asc": Kind.KEY,
                "pkgd.repo": Kind.SETUP,
                "mirrorlist": Kind.MIRRORLIST,
                "": Kind.BASE,
            }.items():
                self.assertEqual(parse_rpm_path(f"/rpm/{name}/{path}".encode()), RpmPath(kind, name))

    def test_written(self) -> None:
        """What is none of these is a file to be uploaded."""
        self.assertEqual(parse_rpm_path(b"/rpm/a/b/x.rpm"), RpmPath(Kind.UPLOAD, "a/b", "x.rpm"))
        self.assertEqual(parse_rpm_path(b"/rpm/a/comps.xml"), RpmPath(Kind.UPLOAD, "a", "comps.xml"))

    def test_caret(self) -> None:
        """`^` is in versions, and dnf doesn't encode it."""
        for path in (b"/rpm/r/Packages/a-1^git.rpm", b"/rpm/r/Packages/a-1%5egit.rpm"):
            self.assertEqual(parse_rpm_path(path).rest, "Packages/a-1^git.rpm")

    def test_unknown(self) -> None:
        """The rest is unknown."""
        for path in (b"/rpm/", b"/rpm/repodata/x", b"/rpm/r/repodata/", b"/rpm/r/@x/repodata/y", b"/rpm/r/@7/a.rpm"):
            self.assertRaises(UnknownRoute, parse_rpm_path, path)
