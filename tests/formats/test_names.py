"""Names of repositories, tags and uploads: the specification's grammar, to the character."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidDigest, InvalidName, InvalidReference, UnknownUpload
from pkgd.formats.digest import Digest
from pkgd.formats.names import RepositoryName, Tag, UploadId, parse_reference
from tests.properties import ANY_TEXT, bounded

TEXTS = ANY_TEXT | st.text("ab/._-:=\n\0 ", max_size=20)


class RepositoryNameTests(SynchronousTestCase):
    """Repository names: parts of lower-case letters and digits, joined by `.`, `_`, `__` or dashes."""

    def test_names(self) -> None:
        """What the specification's grammar generates is a name, words of the layout included."""
        names = [
            "a",
            "0",
            "team/app",
            "a/b/c/d/e/f/g/h",
            "a.b",
            "a_b",
            "a__b",
            "a-b",
            "a---b",
            "docker.io/library/alpine",
        ]
        for name in [*names, "blobs", "a/blobs/b", "a/manifests/by-tag", "v2", "tags/list", "uploads"]:
            self.assertEqual(RepositoryName.parse(name), name)

    def test_not_names(self) -> None:
        """Empty, misplaced or doubled separators, upper case and everything else is refused."""
        bad = [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "aB",
            ".a",
            "a.",
            "a..b",
            "a._b",
            "a___b",
            "-a",
            "a-",
            "a_",
            "_a",
            "a/_b",
        ]
        bad += [
            "..",
            "a/../b",
            "a/./b",
            "__spool__",
            "__mirror__/x",
            "=blobs",
            "a b",
            "a:b",
            "a@b",
            "a%2fb",
            "a\\b",
            "a\0",
        ]
        bad += ["ä", "a/ﬀ", "а", "١", "a\u200b", "a\r", "a+b", "a~b", "*"]
        for name in bad:
            self.assertRaises(InvalidName, RepositoryName.parse, name)

    def test_trailing_newline(self) -> None:
        """A newline behind a name makes it none."""
        self.assertRaises(InvalidName, RepositoryName.parse, "team/app\n")

    def test_length(self) -> None:
        """A name has at most 255 characters."""
        self.assertEqual(len(RepositoryName.parse("a" * 255)), 255)
        self.assertRaises(InvalidName, RepositoryName.parse, "a" * 256)
        self.assertRaises(InvalidName, RepositoryName.parse, "/".join("a" * 129))

    def test_long_nonsense_is_cheap(self) -> None:
        """A name that almost matches costs no backtracking: what is too long is not matched at all."""
        self.assertRaises(InvalidName, RepositoryName.parse, "a-" * 500_000)

    @bounded
    @given(TEXTS)
    def test_any_text(self, text: str) -> None:
        """Any text is refused as InvalidName, or is a relative path of harmless parts."""
        try:
            name = RepositoryName.parse(text)
        except InvalidName:
            return
        self.assertTrue(all(part and part[0].isalnum() and part[-1].isalnum() for part in name.split("/")))
        self.assertTrue(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-/"))


class TagTests(SynchronousTestCase):
    """Tags: a letter, digit or `_`, then up to 127 of these, `.` and `-`."""

    def test_tags(self) -> None:
        """What the grammar allows is a tag, names of the layout and of files included."""
        for tag in ["latest", "v1.0", "_", "A", "1.2.3-rc.1", "x.json", "by-digest", "sha256-" + "0" * 64, "a" * 128]:
            self.assertEqual(Tag.parse(tag), tag)

    def test_not_tags(self) -> None:
        """Everything else is refused."""
        for tag in [
            "",
            ".",
            "..",
            ".a",
            "-a",
            "a/b",
            "a:b",
            "a b",
            "a" * 129,
            "a\n",
            "a\0",
            "ä",
            "a%",
            "a=",
            "a+b",
            "١",
        ]:
            self.assertRaises(InvalidReference, Tag.parse, tag)

    @bounded
    @given(TEXTS)
    def test_any_text(self, text: str) -> None:
        """Any text is refused as InvalidReference, or is one harmless file name."""
        try:
            tag = Tag.parse(text)
        except InvalidReference:
            return
        self.assertNotIn("/", tag)
        self.assertNotIn(tag[0], ".-")
        self.assertTrue(tag.isascii() and tag.isprintable())


class UploadIdTests(SynchronousTestCase):
    """Upload ids: 128 bits in lower-case hex."""

    def test_id(self) -> None:
        """32 hex digits are an id."""
        self.assertEqual(UploadId.parse("0123456789abcdef" * 2), "0123456789abcdef" * 2)

    def test_not_ids(self) -> None:
        """What no session can be called is an unknown session, and the answer does not repeat it at length."""
        for text in [
            "",
            "..",
            "0" * 31,
            "0" * 33,
            "0" * 32 + "\n",
            "F" * 32,
            "g" * 32,
            "0" * 15 + "/" + "0" * 16,
            "x" * 9999,
        ]:
            error = self.assertRaises(UnknownUpload, UploadId.parse, text)
            self.assertLessEqual(len(error.what), 64)

    @bounded
    @given(TEXTS)
    def test_any_text(self, text: str) -> None:
        """Any text is refused as UnknownUpload, or is an id."""
        with contextlib.suppress(UnknownUpload):
            self.assertEqual(len(UploadId.parse(text)), 32)


class ReferenceTests(SynchronousTestCase):
    """A reference is a digest if it has a colon, else a tag."""

    def test_digest(self) -> None:
        """What has a colon is a digest."""
        digest = Digest.of(b"hello")

        self.assertEqual(parse_reference(str(digest)), digest)

    def test_tag(self) -> None:
        """What has none is a tag, also where it looks like hex."""
        self.assertEqual(parse_reference("0" * 64), Tag("0" * 64))

    def test_malformed(self) -> None:
        """A malformed reference is refused as what it tries to be."""
        self.assertRaises(InvalidDigest, parse_reference, "sha256:baddigeststring")
        self.assertRaises(InvalidDigest, parse_reference, "latest:1")
        self.assertRaises(InvalidReference, parse_reference, "not a tag")
        self.assertRaises(InvalidReference, parse_reference, "")

    @bounded
    @given(TEXTS)
    def test_any_text(self, text: str) -> None:
        """Any text is refused as one of the two, or prints as itself."""
        with contextlib.suppress(InvalidDigest, InvalidReference):
            self.assertEqual(str(parse_reference(text)), text)
