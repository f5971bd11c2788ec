"""The paths of `/v2/`, read from the right."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidName, MalformedHttp, UnknownRoute
from pkgd.formats.names import RepositoryName
from pkgd.web.registry.paths import Kind, V2Path, parse_v2_path
from tests.properties import bounded

# The words of the API are legal parts of a repository's name.
WORDS = ["a", "b0", "blobs", "manifests", "uploads", "tags", "list", "referrers", "v2", "by-tag", "ext", "discover"]
NAMES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map("/".join)
ARGUMENTS = st.sampled_from(
    ["latest", "list", "uploads", "blobs", "manifests", "tags", "discover", "sha256:abc", "0" * 32]
)
SHAPES = {
    Kind.BLOB: "/v2/{name}/blobs/{argument}",
    Kind.UPLOAD: "/v2/{name}/blobs/uploads/{argument}",
    Kind.MANIFEST: "/v2/{name}/manifests/{argument}",
    Kind.REFERRERS: "/v2/{name}/referrers/{argument}",
    Kind.TAGS: "/v2/{name}/tags/list",
    Kind.UPLOADS: "/v2/{name}/blobs/uploads/",
}
NEED_ARGUMENT = (Kind.BLOB, Kind.UPLOAD, Kind.MANIFEST, Kind.REFERRERS)


class KindTests(SynchronousTestCase):
    """Every endpoint of the specification has its path."""

    def assert_kind(self, path: bytes, kind: Kind, name: str | None = None, argument: str = "") -> None:
        """The path is of this kind, names this repository and ends with this argument."""
        found = parse_v2_path(path)
        self.assertEqual((found.kind, found.name, found.argument), (kind, name, argument), path)

    def test_base(self) -> None:
        """The base is `/v2/`; without the slash it is meant as well."""
        self.assert_kind(b"/v2/", Kind.BASE)
        self.assert_kind(b"/v2", Kind.BASE)

    def test_without_repository(self) -> None:
        """The catalog and the extensions name no repository; extensions may name one."""
        self.assert_kind(b"/v2/_catalog", Kind.CATALOG)
        self.assert_kind(b"/v2/_oci/ext/discover", Kind.DISCOVER)
        self.assert_kind(b"/v2/a/b/_oci/ext/discover", Kind.DISCOVER, "a/b")

    def test_of_a_repository(self) -> None:
        """Blobs, manifests, tags, referrers and uploads, of a name of any depth."""
        for name in ("a", "a/b", "a/b/c/d/e/f/g/h"):
            self.assert_kind(b"/v2/%b/blobs/x" % name.encode(), Kind.BLOB, name, "x")
            self.assert_kind(b"/v2/%b/manifests/x" % name.encode(), Kind.MANIFEST, name, "x")
            self.assert_kind(b"/v2/%b/referrers/x" % name.encode(), Kind.REFERRERS, name, "x")
            self.assert_kind(b"/v2/%b/tags/list" % name.encode(), Kind.TAGS, name)
            self.assert_kind(b"/v2/%b/blobs/uploads/x" % name.encode(), Kind.UPLOAD, name, "x")

    def test_uploads(self) -> None:
        """An upload begins at `blobs/uploads/`, and without its slash too: clients use both."""
        self.assert_kind(b"/v2/a/blobs/uploads/", Kind.UPLOADS, "a")
        self.assert_kind(b"/v2/a/blobs/uploads", Kind.UPLOADS, "a")

    def test_words_in_names(self) -> None:
        """The words of the API may be parts of a name: the last one that fits decides."""
        self.assert_kind(b"/v2/a/blobs/b/manifests/x", Kind.MANIFEST, "a/blobs/b", "x")
        self.assert_kind(b"/v2/a/blobs/blobs/x", Kind.BLOB, "a/blobs", "x")
        self.assert_kind(b"/v2/a/blobs/uploads/blobs/uploads/x", Kind.UPLOAD, "a/blobs/uploads", "x")
        self.assert_kind(b"/v2/a/manifests/manifests/x", Kind.MANIFEST, "a/manifests", "x")
        self.assert_kind(b"/v2/a/manifests/by-tag/tags/list", Kind.TAGS, "a/manifests/by-tag")
        self.assert_kind(b"/v2/tags/list/tags/list", Kind.TAGS, "tags/list")
        self.assert_kind(b"/v2/v2/manifests/x", Kind.MANIFEST, "v2", "x")

    def test_words_as_arguments(self) -> None:
        """A tag may be called like a word of the API."""
        for word in ("list", "uploads", "manifests", "blobs", "discover"):
            self.assert_kind(b"/v2/a/manifests/%b" % word.encode(), Kind.MANIFEST, "a", word)

    def test_escapes(self) -> None:
        """An escaped colon, or any other escape, is decoded before the path is read."""
        self.assert_kind(b"/v2/a/blobs/sha256%3Aabc", Kind.BLOB, "a", "sha256:abc")
        self.assert_kind(b"/v2/%61/m%61nifests/x", Kind.MANIFEST, "a", "x")

    def test_arguments_are_unchecked(self) -> None:
        """What the last part is, is for the handler to say: it knows which error is due."""
        self.assert_kind(b"/v2/a/blobs/sha256:baddigeststring", Kind.BLOB, "a", "sha256:baddigeststring")
        self.assert_kind(b"/v2/a/manifests/.not-a-tag", Kind.MANIFEST, "a", ".not-a-tag")


class RefusalTests(SynchronousTestCase):
    """What names nothing, or no repository, or is no path."""

    def test_unknown(self) -> None:
        """Without a name, without an argument, or with another word, there is no such endpoint."""
        paths = [b"/v2/a", b"/v2/a/", b"/v2/manifests/x", b"/v2/blobs/x", b"/v2/tags/list", b"/v2/referrers/x"]
        paths += [
            b"/v2/blobs/uploads/",
            b"/v2/a/manifests",
            b"/v2/a/manifests/",
            b"/v2/a/blobs/",
            b"/v2/a/blobs",
            b"/v2/a/tags",
        ]
        paths += [b"/v2/a/tags/list/", b"/v2/a/tags/lists", b"/v2/a/referrers/", b"/v2/_catalog/", b"/v2/a/_catalog"]
        for path in [
            *paths,
            b"/v2/a/manifest/x",
            b"/v2/a/blobs/x/y",
            b"/v2/a/MANIFESTS/x",
            b"/v2/_oci/ext",
            b"/v2/a/blobs/x/",
        ]:
            self.assertRaises(UnknownRoute, parse_v2_path, path)

    def test_bad_names(self) -> None:
        """A name that the grammar doesn't allow is refused as such, the layout's own among them."""
        for name in (b"A", b"_a", b"a_", b"__spool__", b"=blobs", b"a%3A", b"a%25", b"%C3%A4", b"a" * 256, b"_catalog"):
            self.assertRaises(InvalidName, parse_v2_path, b"/v2/%b/manifests/x" % name)

    def test_no_plain_path(self) -> None:
        """Dot segments, empty ones and escaped slashes are refused before anything is routed."""
        for name in (b"a/../b", b"a//b", b"a%2Fb", b"..", b"a/%2e%2e", b"a%00", b"a\\b", b"", b"a%0a"):
            self.assertRaises(MalformedHttp, parse_v2_path, b"/v2/%b/manifests/x" % name)

    def test_refused_again(self) -> None:
        """A refusal is not remembered as something else: the same path is refused the same way."""
        for _ in range(2):
            self.assertRaises(UnknownRoute, parse_v2_path, b"/v2/a/nothing")


class PropertyTests(SynchronousTestCase):
    """Whatever the name, each path means one thing."""

    @bounded
    @given(st.sampled_from(sorted(SHAPES, key=lambda kind: kind.name)), NAMES, ARGUMENTS)
    def test_round_trip(self, kind: Kind, name: str, argument: str) -> None:
        """The path that a client builds for a repository is read as that, except where an upload hides it."""
        path = SHAPES[kind].format(name=name, argument=argument)

        found = parse_v2_path(path.encode("ascii"))

        if kind is Kind.BLOB and argument == "uploads":
            self.assertEqual(found, V2Path(Kind.UPLOADS, found.name))
        else:
            self.assertEqual(found, V2Path(kind, RepositoryName(name), argument if kind in NEED_ARGUMENT else ""))

    @bounded
    @given(st.lists(st.sampled_from([*WORDS, "_oci", "_catalog", "", ".", "%2e", "%2F", "A", "ä"]), max_size=7))
    def test_any_path(self, parts: list[str]) -> None:
        """Any path below `/v2` is refused in one of three ways, or names a repository and an argument."""
        try:
            found = parse_v2_path("/".join(["/v2", *parts]).encode("utf-8"))
        except (MalformedHttp, UnknownRoute, InvalidName):
            return
        self.assertEqual(bool(found.argument), found.kind in NEED_ARGUMENT)
        if found.name is None:
            self.assertIn(found.kind, (Kind.BASE, Kind.CATALOG, Kind.DISCOVER))
