"""The list of repositories."""

from __future__ import annotations

import os
import shutil

from hypothesis import given
from hypothesis import strategies as st

from pkgd.formats.digest import Digest
from pkgd.formats.names import RepositoryName, Tag
from pkgd.registry.catalog import MAX_EXISTING, Catalog
from pkgd.storage.layout import blob_key, directory, legacy_key, manifest_key, tag_key
from pkgd.storage.memory import MemoryStore
from tests.properties import brief
from tests.registry.fixtures import APP, RegistryCase, image_index

DIGEST = Digest.of(image_index())
# Few and short parts, so that names nest and sort around the slash; with those that the layout escapes.
PARTS = st.sampled_from(["a", "a-b", "a.b", "a0", "a_b", "b", "blobs", "manifests", "by-tag", "z--z"])
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
AFTER = NAMES | st.sampled_from(["", "a/", "a-", "a/a", "zzz", "0", "a" * 300, "ü", "/"])


class OrderTests(RegistryCase):
    """All names, in byte order, from anywhere on."""

    def catalog(self, names: set[str]) -> Catalog:
        """A store that has these repositories."""
        store = MemoryStore()
        for name in names:
            place = directory(RepositoryName.parse(name))
            store.objects[manifest_key(place, DIGEST)] = image_index()
            store.objects[tag_key(place, Tag("latest"))] = b"{}"
            store.objects[blob_key(place, DIGEST)] = b""
        return Catalog(store)

    @brief
    @given(st.sets(NAMES, max_size=12))
    def test_byte_order(self, names: set[str]) -> None:
        """The list has each repository once, as their names' bytes sort."""
        found, more = self.do(self.catalog(names).page("", 1000))

        self.assertEqual(found, sorted(names, key=str.encode))
        self.assertIs(more, False)

    @brief
    @given(st.sets(NAMES, max_size=12), AFTER, st.integers(0, 13))
    def test_page(self, names: set[str], after: str, count: int) -> None:
        """A page has exactly what sorts behind any text, as far as it goes, and says whether there is more."""
        rest = sorted(name for name in names if name > after)

        self.assertEqual(self.do(self.catalog(names).page(after, count)), (rest[:count], len(rest) > count))

    @brief
    @given(st.sets(NAMES, min_size=1, max_size=12), st.integers(1, 4))
    def test_all_pages(self, names: set[str], count: int) -> None:
        """Who follows the pages meets every repository once."""
        catalog, found, after, more = self.catalog(names), [], "", True
        while more:
            page, more = self.do(catalog.page(after, count))
            found += page
            after = page[-1]

        self.assertEqual(found, sorted(names))


class ContentTests(RegistryCase):
    """What counts as a repository."""

    def names(self) -> list[str]:
        """The whole list."""
        return self.do(self.registry.catalog.page("", 1000))[0]

    def test_empty(self) -> None:
        """A new registry has none."""
        self.assertEqual(self.names(), [])

    def test_pushed(self) -> None:
        """A repository is listed once it has a manifest, by tag or by digest, escaped names included."""
        for name in ("team/app", "team", "team/blobs", "manifests/by-tag"):
            self.do(self.registry.push(RepositoryName(name), str(DIGEST), image_index()))

        self.assertEqual(self.names(), ["manifests/by-tag", "team", "team/app", "team/blobs"])

    def test_only_blobs(self) -> None:
        """Blobs alone, or an upload, make none that is listed."""
        self.do(self.registry.push_blob(APP, b"hello"))
        self.do(self.registry.uploads.start(RepositoryName("started")))

        self.assertEqual(self.names(), [])

    def test_deleted(self) -> None:
        """A repository whose last manifest is gone is not listed, though its directories stay."""
        self.do(self.registry.push(APP, "latest", image_index()))
        self.do(self.registry.manifests.delete(APP, DIGEST))

        self.assertEqual(self.names(), [])
        self.assertTrue(os.path.isdir(self.path(f"{APP}/manifests/by-digest")))

    def test_legacy(self) -> None:
        """An old tree's repositories are listed."""
        self.write(legacy_key(APP, Tag("v1")), image_index())

        self.assertEqual(self.names(), [APP])

    def test_foreign_files(self) -> None:
        """Files that are no manifests, and directories that are no names, are nobody's."""
        for key in (
            "a/manifests/readme.txt",
            "b/manifests/by-digest/readme",
            "C/manifests/v1.json",
            "d e/manifests/v1.json",
        ):
            self.write(key, b"{}")
        self.write("lost+found/manifests/v1.json", b"{}")
        self.write("file", b"")

        self.assertEqual(self.names(), [])

    def test_repository_below_a_manifests_directory(self) -> None:
        """An old tree's unescaped repository does not make the one above it appear."""
        self.write("team/manifests/app/manifests/v1.json", image_index())

        self.assertNotIn("team", self.names())

    def test_spool(self) -> None:
        """The spool is no repository."""
        self.registry.place.spool.write_temporary(b"{}")
        self.assertEqual(self.names(), [])

    def test_deep(self) -> None:
        """A name may have as many parts as its length allows."""
        deep = "/".join(["a"] * 128)
        self.do(self.registry.push(RepositoryName.parse(deep), "latest", image_index()))

        self.assertEqual(self.names(), [deep])


class ExistenceTests(RegistryCase):
    """Whether anything has been pushed: the difference between no tags and no repository."""

    def exists(self, name: str) -> bool:
        """Whether it exists."""
        return self.do(self.registry.catalog.exists(RepositoryName(name)))

    def test_exists(self) -> None:
        """A blob, a manifest or an old file is something; a repository below is not."""
        self.do(self.registry.push_blob(RepositoryName("a/blob"), b"hello"))
        self.do(self.registry.push(RepositoryName("a/manifest"), "latest", image_index()))
        self.write("a/old/manifests/v1.json", b"{}")

        self.assertEqual([self.exists(f"a/{name}") for name in ("blob", "manifest", "old")], [True] * 3)
        self.assertEqual([self.exists(name) for name in ("a", "a/blob/x", "b")], [False] * 3)

    def test_unescaped(self) -> None:
        """So is what an old tree keeps unescaped."""
        self.write("a/blobs/manifests/v1.json", b"{}")
        self.assertIs(self.exists("a/blobs"), True)

    def test_emptied(self) -> None:
        """A name that was hosted stays so when the last of it is deleted: it must not come to mean an upstream's."""
        digest = self.do(self.registry.push_blob(APP, b"hello"))
        self.assertIs(self.exists(APP), True)
        self.do(self.registry.blobs.delete(APP, digest))
        shutil.rmtree(self.path(APP))

        self.assertIs(self.exists(APP), True)

    def test_begun_meanwhile(self) -> None:
        """That nothing was there is not remembered."""
        self.assertIs(self.exists(APP), False)

        self.do(self.registry.push_blob(APP, b"hello"))

        self.assertIs(self.exists(APP), True)

    def test_upstream(self) -> None:
        """What is cached of an upstream is not hosted, under no name."""
        self.write(f"__mirror__/docker.io/{APP}/blobs/{DIGEST.encoded}", b"hello")

        self.assertEqual([self.exists(name) for name in (APP, f"docker.io/{APP}", "docker.io")], [False] * 3)

    def test_bounded(self) -> None:
        """A bounded number is remembered; the rest is looked at again."""
        catalog = self.registry.catalog
        catalog._existing.update(RepositoryName(f"r{number}") for number in range(MAX_EXISTING))
        self.do(self.registry.push_blob(APP, b"hello"))

        self.assertEqual([self.exists(APP), self.exists("r1"), self.exists(APP)], [True, False, True])
        self.assertLessEqual(len(catalog._existing), MAX_EXISTING)
