"""The original server's trees, served in place: `manifests/<tag>.json`, read and never written (safety.md, C12)."""

from __future__ import annotations

import os

from pkgd.errors import UnknownManifest
from pkgd.formats.digest import Digest
from pkgd.formats.names import RepositoryName, Tag
from pkgd.formats.oci import DOCKER_IMAGE, IMAGE
from pkgd.storage.layout import legacy_key, manifest_key, tag_key
from tests.registry.fixtures import APP, Registry, RegistryCase, image, image_index, tree
from tests.storage.fixtures import FaultyFileSystem, FullFileSystem

V1 = Tag("v1")


class LegacyCase(RegistryCase):
    """A tree as the original server left it."""

    def setUp(self) -> None:
        """A repository with one image under two tags, and another image."""
        super().setUp()
        self.old = image(Digest.of(b"{}"), Digest.of(b"layer"))
        self.other = image(Digest.of(b"{}"), annotations={"other": "yes"})
        for tag, data in (("v1", self.old), ("v1.0", self.old), ("v2", self.other)):
            self.write(legacy_key(APP, Tag(tag)), data)

    def pull(self, reference: str) -> bytes:
        """The bytes that a reference stands for."""
        return self.do(self.registry.pull(APP, reference))

    def tags(self) -> list[str]:
        """What is listed."""
        return self.do(self.registry.contents.tags(APP))

    def push(self, tag: str, data: bytes) -> None:
        """Push a manifest without blobs."""
        self.do(self.registry.push(APP, tag, data))

    def delete(self, reference: Tag | Digest) -> None:
        """Delete a tag or a manifest."""
        self.do(self.registry.manifests.delete(APP, reference))

    def assert_unknown(self, *references: str) -> None:
        """None of the references stands for anything, now or after a restart."""
        for reference in references:
            self.refusal(self.registry.pull(APP, reference), UnknownManifest)
            self.refusal(self.registry.restarted().pull(APP, reference), UnknownManifest)


class ReadTests(LegacyCase):
    """Pulls from an old tree."""

    def test_by_tag(self) -> None:
        """A tag is its file's bytes, and says their digest and type."""
        found = self.do(self.registry.stored.get(APP, V1))

        self.assertEqual((found.data, found.digest, found.media_type), (self.old, Digest.of(self.old), IMAGE))

    def test_by_digest(self) -> None:
        """A digest is found among the repository's files, under either algorithm."""
        for data in (self.old, self.other):
            self.assertEqual(self.pull(str(Digest.of(data))), data)
            self.assertEqual(self.pull(str(Digest.of(data, "sha512"))), data)
        self.assert_unknown(str(Digest.of(b"absent")))

    def test_of_another_repository(self) -> None:
        """And among no other's."""
        below = RepositoryName("team/app/below")
        self.refusal(self.registry.pull(below, str(Digest.of(self.old))), UnknownManifest)
        self.refusal(self.registry.pull(RepositoryName("team"), "v1"), UnknownManifest)

    def test_tags(self) -> None:
        """Old and new tags are listed together, each once; other files are none."""
        self.push("v2", image_index())
        self.push("v3", image_index())
        for name in ("readme.txt", ".json", "a b.json", "-x.json", "v9.json.tmp"):
            self.write(f"{APP}/manifests/{name}", b"{}")

        self.assertEqual(self.tags(), ["v1", "v1.0", "v2", "v3"])

    def test_type_without_meta(self) -> None:
        """The type is what the bytes say, or what they look like; there are no `.meta` files."""
        for number, (data, media_type) in enumerate(
            (
                (image(Digest.of(b"{}"), mediaType=DOCKER_IMAGE), DOCKER_IMAGE),
                (image(Digest.of(b"{}"), mediaType=None), IMAGE),
                (b"not json", "application/octet-stream"),
                (b"", "application/octet-stream"),
            )
        ):
            tag = Tag(f"t{number}")
            self.write(legacy_key(APP, tag), data)
            self.assertEqual(self.do(self.registry.stored.get(APP, tag)).media_type, media_type)
            self.assertEqual(self.do(self.registry.stored.get(APP, Digest.of(data))).media_type, media_type)

    def test_nothing_is_written(self) -> None:
        """Reading rewrites nothing: the original server could go on with the tree."""
        before = tree(self.registry.place.tree.root)

        self.pull("v1")
        self.pull(str(Digest.of(self.old)))
        self.do(self.registry.referrers.page(APP, Digest.of(self.old), None))

        self.assertEqual(tree(self.registry.place.tree.root), before)

    def test_name_that_collides(self) -> None:
        """A tag may be called as the other way to keep tags is."""
        self.write(legacy_key(APP, Tag("by-tag")), self.other)
        self.push("v3", image_index())

        self.assertEqual((self.pull("by-tag"), self.pull("v3")), (self.other, image_index()))

    def test_tag_with_the_ending(self) -> None:
        """A tag `v1.json` is the file `v1.json.json`, and not the tag `v1`."""
        self.write(legacy_key(APP, Tag("v1.json")), self.other)
        self.assertEqual((self.pull("v1.json"), self.pull("v1")), (self.other, self.old))

    def test_unescaped(self) -> None:
        """An old tree keeps a name's parts as they are, even those called `blobs` and `manifests`."""
        for name in ("team/blobs", "manifests/app", "a/manifests/by-tag/blobs"):
            self.write(f"{name}/manifests/v1.json", self.old)
            self.assertEqual(self.do(self.registry.pull(RepositoryName(name), "v1")), self.old)
            self.assertEqual(self.do(self.registry.pull(RepositoryName(name), str(Digest.of(self.old)))), self.old)
            self.assertEqual(self.do(self.registry.contents.tags(RepositoryName(name))), ["v1"])

    def test_changed_behind_our_back(self) -> None:
        """While both servers run on one tree, what the original writes is seen at once."""
        self.pull("v1")
        self.pull(str(Digest.of(self.old)))

        os.unlink(self.path(legacy_key(APP, Tag("v1.0"))))
        self.write(legacy_key(APP, V1), self.other)

        self.assertEqual(self.pull("v1"), self.other)
        self.assert_unknown(str(Digest.of(self.old)))
        os.unlink(self.path(legacy_key(APP, V1)))
        self.assert_unknown("v1")


class WriteTests(LegacyCase):
    """Pushes to an old tree."""

    def test_pushed_tag_hides_the_old_one(self) -> None:
        """A pushed tag counts, from the moment it is pushed; the old file stays as it is."""
        self.assertEqual(self.pull("v1"), self.old)

        self.push("v1", image_index())

        self.assertEqual(self.pull("v1"), image_index())
        self.assertEqual(self.read(legacy_key(APP, V1)), self.old)
        self.assertEqual(self.pull(str(Digest.of(self.old))), self.old)

    def test_damaged_pushed_tag(self) -> None:
        """A damaged tag is unknown: what it hid must not be taken for what was pushed last."""
        self.push("v1", image_index())
        self.write(tag_key(APP, V1), b"{")

        self.assert_unknown("v1")

    def test_same_manifest(self) -> None:
        """A push of what an old tag has already changes no tag."""
        data = image_index()
        self.write(legacy_key(APP, V1), data)
        asked: list[object] = []

        self.do(self.registry.manifests.put(APP, V1, data, "", [], asked.append))

        self.assertEqual(asked, [])
        self.assertEqual(self.pull("v1"), data)

    def test_move(self) -> None:
        """To push another manifest under an old tag is to move it."""
        asked: list[bool] = []
        self.do(self.registry.manifests.put(APP, V1, image_index(), "", [], lambda change: asked.append(change.moves)))
        self.assertEqual(asked, [True])


class DeleteTests(LegacyCase):
    """What is deleted stays deleted."""

    def test_tag(self) -> None:
        """A deleted tag is gone; the manifest stays under its digest, though no other tag keeps it."""
        self.delete(Tag("v2"))

        self.assert_unknown("v2")
        self.assertEqual(self.tags(), ["v1", "v1.0"])
        self.assertEqual(self.pull(str(Digest.of(self.other))), self.other)
        self.assertEqual(self.read(manifest_key(APP, Digest.of(self.other))), self.other)

    def test_tag_that_hides_an_old_one(self) -> None:
        """When the pushed tag is deleted the old one doesn't come back; both manifests stay."""
        self.push("v1", image_index())

        self.delete(V1)

        self.assert_unknown("v1")
        self.assertEqual(self.tags(), ["v1.0", "v2"])
        for data in (self.old, image_index()):
            self.assertEqual(self.pull(str(Digest.of(data))), data)

    def test_manifest(self) -> None:
        """With a manifest all old tags on it go."""
        self.delete(Digest.of(self.old))

        self.assert_unknown("v1", "v1.0", str(Digest.of(self.old)))
        self.assertEqual(self.tags(), ["v2"])

    def test_manifest_by_its_sha512(self) -> None:
        """By the other algorithm as well: an old file has both."""
        self.delete(Digest.of(self.old, "sha512"))

        self.assert_unknown("v1", "v1.0", str(Digest.of(self.old)))

    def test_manifest_with_old_and_new_tags(self) -> None:
        """Tags of both kinds go."""
        self.push("v3", image_index())
        self.write(legacy_key(APP, V1), image_index())

        self.delete(Digest.of(image_index()))

        self.assert_unknown("v1", "v3")
        self.assertEqual(self.tags(), ["v1.0", "v2"])

    def test_manifest_whose_tag_hides_an_old_one(self) -> None:
        """The tag of a deleted manifest doesn't fall back to what it hid; that stays under its digest."""
        self.push("v2", image_index())

        self.delete(Digest.of(image_index()))

        self.assert_unknown("v2", str(Digest.of(image_index())))
        self.assertEqual(self.pull(str(Digest.of(self.other))), self.other)

    def test_hidden_manifest(self) -> None:
        """A manifest that only a hidden file has is deleted, and the tag that hides it stays."""
        self.push("v2", image_index())

        self.delete(Digest.of(self.other))

        self.assert_unknown(str(Digest.of(self.other)))
        self.assertEqual(self.pull("v2"), image_index())

    def test_unescaped(self) -> None:
        """A tag of an unescaped tree is deleted for good too."""
        name = RepositoryName("team/manifests")
        self.write(f"{name}/manifests/v1.json", self.old)
        self.do(self.registry.push(name, "v1", image_index()))

        self.do(self.registry.manifests.delete(name, V1))

        self.refusal(self.registry.pull(name, "v1"), UnknownManifest)
        self.assertEqual(self.do(self.registry.pull(name, str(Digest.of(self.old)))), self.old)

    def test_needs_no_space(self) -> None:
        """The bytes of a deleted tag's manifest move by a link: on a full disk, too, it can be deleted."""
        inode = os.stat(self.path(legacy_key(APP, Tag("v2")))).st_ino

        self.delete(Tag("v2"))

        self.assertEqual(os.stat(self.path(manifest_key(APP, Digest.of(self.other)))).st_ino, inode)

    def test_has_the_reserve_for_what_it_needs(self) -> None:
        """A directory for that link, where there was none: on a full disk the reserve is given up for it."""
        fs = FullFileSystem()
        full = Registry(self.registry.place.tree.root, fs, run=1)
        full.place.spool.reserve.take()
        fs.full = True

        self.do(full.manifests.delete(APP, Tag("v2")))

        self.assert_unknown("v2")
        self.assertEqual(self.pull(str(Digest.of(self.other))), self.other)


class DigestTests(LegacyCase):
    """How a digest is found without reading everything each time."""

    def test_hashed_once(self) -> None:
        """A file is read and hashed once for each of its versions."""
        fs = FaultyFileSystem()
        legacy = Registry(self.registry.place.tree.root, fs, run=1).legacy
        for _ in range(3):
            self.assertEqual(self.do(legacy.with_digest(APP, Digest.of(b"absent"))), [])
        self.assertEqual(fs.counts["pread"], 3)

        self.write(legacy_key(APP, V1), self.other)
        found = self.do(legacy.with_digest(APP, Digest.of(self.other)))

        self.assertEqual({one.tag for one in found}, {"v1", "v2"})
