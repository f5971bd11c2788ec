"""The tree of the object store: no repository can reach into another's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.formats.digest import Digest
from pkgd.formats.names import RepositoryName, Tag
from pkgd.storage.layout import (
    SPOOL,
    blob_key,
    blobs_prefix,
    digest_of_file,
    directories,
    directory,
    file_of,
    legacy_key,
    legacy_prefix,
    manifest_key,
    manifests_prefix,
    media_type_key,
    name_of,
    tag_key,
    tag_of_legacy,
    tags_prefix,
)
from tests.properties import ANY_TEXT, bounded

SHA256, SHA512 = Digest.of(b"hello"), Digest.of(b"hello", "sha512")
# Few parts, so that names often collide in all but one; all words of the layout among them.
PARTS = st.sampled_from(
    ["a", "blobs", "manifests", "by-tag", "by-digest", "latest.json", "uploads", SHA256.encoded[:32]]
)
NAMES = st.lists(PARTS, min_size=1, max_size=5).map("/".join).map(RepositoryName.parse)
TAGS = st.sampled_from(["a", "latest", "by-tag", "by-digest", "blobs", "x.json", "_", "a" * 128]).map(Tag.parse)
DIGESTS = st.sampled_from([SHA256, SHA512])


def keys(place: str, digest: Digest, tag: Tag) -> list[str]:
    """Every kind of key below a repository's directory."""
    return [
        blob_key(place, digest),
        manifest_key(place, digest),
        media_type_key(place, digest),
        tag_key(place, tag),
        legacy_key(place, tag),
    ]


class TreeTests(SynchronousTestCase):
    """The documented tree, to the byte: trees of the original server are served in place."""

    def test_keys(self) -> None:
        """Blobs, manifests, media types, tags and legacy manifests stand where the map says."""
        place = directory(RepositoryName("team/app"))

        self.assertEqual(
            keys(place, SHA256, Tag("v1")),
            [
                f"team/app/blobs/{SHA256.encoded}",
                f"team/app/manifests/by-digest/{SHA256.encoded}",
                f"team/app/manifests/by-digest/{SHA256.encoded}.meta",
                "team/app/manifests/by-tag/v1",
                "team/app/manifests/v1.json",
            ],
        )

    def test_prefixes(self) -> None:
        """Each key lies directly under the prefix that lists its kind."""
        prefixes = [
            blobs_prefix("a"),
            manifests_prefix("a"),
            manifests_prefix("a"),
            tags_prefix("a"),
            legacy_prefix("a"),
        ]

        found = [key.rpartition("/")[0] for key in keys("a", SHA512, Tag("v1"))]

        self.assertEqual(found, prefixes)

    def test_other_algorithms(self) -> None:
        """A digest that is not sha256 says its algorithm in the file's name."""
        self.assertEqual(blob_key("a", SHA512), f"a/blobs/sha512-{SHA512.encoded}")


class DirectoryTests(SynchronousTestCase):
    """A repository's directory: its name, with the layout's own words escaped."""

    def test_plain(self) -> None:
        """A name without reserved words is its own directory, and the only place to look."""
        name = RepositoryName("docker.io/library/alpine")

        self.assertEqual(directories(name), ("docker.io/library/alpine",))

    def test_escaped(self) -> None:
        """A reserved word is escaped wherever it stands; content from before the escape is still found."""
        name = RepositoryName("a/blobs/manifests/by-tag")

        self.assertEqual(directories(name), ("a/=blobs/=manifests/by-tag", "a/blobs/manifests/by-tag"))

    @bounded
    @given(NAMES)
    def test_inverse(self, name: RepositoryName) -> None:
        """The name can be read from the directory; so no two names share one."""
        self.assertEqual(name_of(directory(name)), name)

    @bounded
    @given(NAMES, NAMES)
    def test_injective(self, one: RepositoryName, other: RepositoryName) -> None:
        """Two repositories have one directory only if they are the same."""
        self.assertEqual(directory(one) == directory(other), one == other)

    @bounded
    @given(NAMES, NAMES, DIGESTS, TAGS)
    def test_apart(self, one: RepositoryName, other: RepositoryName, digest: Digest, tag: Tag) -> None:
        """No key of a repository lies among another's blobs, manifests or tags, nor in the spool."""
        if one == other:
            return
        owned = (f"{blobs_prefix(directory(other))}/", f"{legacy_prefix(directory(other))}/", f"{SPOOL}/")

        for key in keys(directory(one), digest, tag):
            self.assertFalse(f"{key}/".startswith(owned), key)

    @bounded
    @given(NAMES, NAMES, DIGESTS, TAGS)
    def test_no_file_is_a_directory(self, one: RepositoryName, other: RepositoryName, digest: Digest, tag: Tag) -> None:
        """No object of a repository has the place of a directory of any repository."""
        files = keys(directory(one), digest, tag)

        for key in keys(directory(other), digest, tag):
            above = key.rpartition("/")[0] + "/"
            self.assertFalse(any(above.startswith(f"{file}/") for file in files))

    @bounded
    @given(NAMES, DIGESTS, TAGS)
    def test_harmless(self, name: RepositoryName, digest: Digest, tag: Tag) -> None:
        """Every key is a relative path of parts that a file system takes as they are."""
        for key in keys(directory(name), digest, tag):
            for part in key.split("/"):
                self.assertNotIn(part, ("", ".", ".."))
                self.assertLessEqual(len(part), 255)

    def test_longest(self) -> None:
        """The longest name, tag and digest fit into a file name each."""
        name, tag = RepositoryName.parse("a" * 255), Tag.parse("a" * 128)

        self.assertLessEqual(
            max(len(part) for key in keys(directory(name), SHA512, tag) for part in key.split("/")), 255
        )


class NameOfTests(SynchronousTestCase):
    """`name_of` reads a directory's path, whatever else lies in the tree."""

    def test_no_repository(self) -> None:
        """What belongs to another repository, to the spool or to nobody is no repository."""
        paths = ["", "/", "a/", "/a", "a//b", "a/blobs", "blobs", "a/manifests/by-tag", SPOOL, f"{SPOOL}/uploads", "=a"]
        for path in [
            *paths,
            "==blobs",
            "=",
            "=blobsx",
            "a/=",
            "a/==manifests",
            "A",
            "a\n",
            "..",
            "a/..",
            "__mirror__/a",
        ]:
            self.assertIsNone(name_of(path), path)

    @bounded
    @given(
        ANY_TEXT | st.lists(PARTS | st.sampled_from(["=blobs", "=manifests", "=a", "=", ""]), max_size=4).map("/".join)
    )
    def test_any_path(self, path: str) -> None:
        """Any path is nobody's, or exactly the directory of the repository that it gives."""
        name = name_of(path)

        if name is not None:
            self.assertEqual(directory(name), path)


class FileTests(SynchronousTestCase):
    """File names of blobs, manifests and legacy manifests, and what they stand for."""

    @bounded
    @given(st.binary(max_size=8), st.sampled_from(["sha256", "sha512"]))
    def test_inverse(self, data: bytes, algorithm: str) -> None:
        """A digest can be read from its file's name."""
        digest = Digest.of(data, algorithm)

        self.assertEqual(digest_of_file(file_of(digest)), digest)

    def test_foreign_files(self) -> None:
        """A file that no digest is kept under stands for none, though its name may look like one."""
        hex256, hex512 = SHA256.encoded, SHA512.encoded
        names = [
            "",
            "-",
            f"{hex256}.meta",
            f"{hex256}\n",
            hex256.upper(),
            hex256[:-1],
            hex512,
            f"sha256:{hex256}",
            f"sha256-{hex256}",
        ]
        for name in [
            *names,
            f"sha512-{hex256}",
            f"sha512-{hex512}.meta",
            f"md5-{'0' * 32}",
            f"-{hex256}",
            f".{hex256}",
            "by-tag",
        ]:
            self.assertIsNone(digest_of_file(name), name)

    @bounded
    @given(
        ANY_TEXT
        | st.sampled_from([SHA256, SHA512]).flatmap(
            lambda one: st.sampled_from([file_of(one), f"sha256-{one.encoded}"])
        )
    )
    def test_any_file(self, name: str) -> None:
        """Any name stands for nothing, or for the digest that is kept under exactly that name."""
        digest = digest_of_file(name)

        if digest is not None:
            self.assertEqual(file_of(digest), name)

    @bounded
    @given(TAGS)
    def test_legacy_inverse(self, tag: Tag) -> None:
        """A tag can be read from the name of its legacy file, one that ends like a file name too."""
        self.assertEqual(tag_of_legacy(legacy_key("a", tag).rpartition("/")[2]), tag)

    def test_not_legacy(self) -> None:
        """What has another ending, or no tag before it, is no legacy manifest."""
        for name in (
            "",
            ".json",
            "by-tag",
            "by-digest",
            "latest",
            "latest.JSON",
            "latest.json\n",
            "a b.json",
            "..json",
            "-.json",
        ):
            self.assertIsNone(tag_of_legacy(name), name)
