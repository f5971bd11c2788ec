"""Immutable tags: what is set for good stays, by whichever way somebody tries to change it."""

from __future__ import annotations

import os

from pkgd.errors import FailedStorage, ImmutableTag, UnknownManifest
from pkgd.formats.digest import Digest
from pkgd.formats.names import RepositoryName, Tag, parse_reference
from pkgd.storage.layout import legacy_key, manifest_key
from tests.registry.fixtures import APP, OTHER, Registry, RegistryCase, image, image_index, tree


class ImmutableCase(RegistryCase):
    """Tags of every repository that begin with a v are immutable, and all of `locked`; v1 and latest are there."""

    def setUp(self) -> None:
        """One image under both."""
        self.registry = Registry(self.mktemp(), immutable=["**:v*", "locked/*:*"])
        self.fill(APP)
        self.push("v1", self.image, "latest")

    def fill(self, name: RepositoryName) -> None:
        """Push the blobs that two images are made of."""
        config, layer = self.do(self.registry.push_blob(name, b"{}")), self.do(self.registry.push_blob(name, b"layer"))
        self.image, self.other = image(config, layer), image(config, layer, annotations={"other": "1"})
        self.digest, self.other_digest = Digest.of(self.image), Digest.of(self.other)

    def push(self, reference: str, data: bytes, *tags: str, name: RepositoryName = APP) -> None:
        """Push a manifest under a tag, and under further ones by its digest."""
        self.do(self.registry.push(name, reference, data))
        if tags:
            self.do(self.registry.push(name, str(Digest.of(data)), data, "", tags))

    def assert_kept(self, reference: str, data: bytes, *tags: str, name: RepositoryName = APP) -> None:
        """A push is refused, and has changed nothing at all."""
        before = tree(self.registry.place.tree.root)
        error = self.refusal(self.registry.push(name, reference, data, "", tags), ImmutableTag)
        self.assertEqual(tree(self.registry.place.tree.root), before)
        self.assertIn("immutable", error.message)

    def delete(self, reference: str) -> None:
        """Delete a tag or a manifest."""
        self.do(self.registry.manifests.delete(APP, parse_reference(reference)))

    def assert_not_deleted(self, reference: str) -> None:
        """A delete is refused, and has changed nothing at all."""
        before = tree(self.registry.place.tree.root)
        self.refusal(self.registry.manifests.delete(APP, parse_reference(reference)), ImmutableTag)
        self.assertEqual(tree(self.registry.place.tree.root), before)


class PushTests(ImmutableCase):
    """Pushes to immutable tags."""

    def test_new(self) -> None:
        """A tag that is not there can be set."""
        self.push("v2", self.other)
        self.assertEqual(self.do(self.registry.pull(APP, "v2")), self.other)

    def test_moved(self) -> None:
        """One that is there cannot be moved, and the error names it."""
        self.assert_kept("v1", self.other)
        self.assertEqual(self.do(self.registry.pull(APP, "v1")), self.image)

    def test_same(self) -> None:
        """The same content again is no change: a repeated job succeeds."""
        self.push("v1", self.image, "v1", "latest")

    def test_by_digest(self) -> None:
        """A push by digest with tag parameters moves no immutable tag either, and none of the others then."""
        self.assert_kept(str(self.other_digest), self.other, "v1")
        self.assert_kept(str(self.other_digest), self.other, "new", "latest", "v1")
        self.assert_kept("latest", self.other, "v1")

    def test_other_algorithm(self) -> None:
        """An immutable tag keeps its very digest, also for equal bytes."""
        self.assert_kept(str(Digest.of(self.image, "sha512")), self.image, "v1")

    def test_mutable(self) -> None:
        """Other tags move as ever."""
        self.push("latest", self.other)
        self.assertEqual(self.do(self.registry.pull(APP, "latest")), self.other)

    def test_globs(self) -> None:
        """A glob's repository counts, too."""
        name = RepositoryName("locked/app")
        self.fill(name)
        self.push("anything", self.image, name=name)
        self.assert_kept("anything", self.other, name=name)
        self.fill(OTHER)
        self.push("anything", self.image, name=OTHER)
        self.push("anything", self.other, name=OTHER)

    def test_legacy(self) -> None:
        """A tag in a file of the original server is as immutable as any."""
        self.write(legacy_key(APP, Tag("v0")), self.image)
        self.assert_kept("v0", self.other)
        self.assert_not_deleted("v0")
        self.push("v0", self.image)


class DeleteTests(ImmutableCase):
    """Deletes of what immutable tags point to."""

    def test_tag(self) -> None:
        """The tag cannot be deleted."""
        self.assert_not_deleted("v1")

    def test_manifest(self) -> None:
        """Nor can the manifest that it points to, though a mutable tag does as well: not even that one goes."""
        self.assert_not_deleted(str(self.digest))

    def assert_blob_kept(self, blob: Digest) -> None:
        """A blob cannot be deleted."""
        before = tree(self.registry.place.tree.root)
        deleting = self.registry.blobs.delete(APP, blob, lambda: self.registry.immutable.check(APP, blob))
        self.refusal(deleting, ImmutableTag)
        self.assertEqual(tree(self.registry.place.tree.root), before)

    def test_blobs(self) -> None:
        """Nor can what its image is made of; what only other images are made of can."""
        for data in (b"{}", b"layer"):
            self.assert_blob_kept(Digest.of(data))
        loose = self.do(self.registry.push_blob(APP, b"loose"))
        self.push("latest", image(Digest.of(b"{}"), loose))

        self.do(self.registry.blobs.delete(APP, loose, lambda: self.registry.immutable.check(APP, loose)))

    def test_index(self) -> None:
        """Of an index, that is the manifests in it, at any depth, and their blobs; some of them may be absent."""
        inner = image_index(self.other, Digest.of(b"absent"))
        self.push(str(self.other_digest), self.other)
        self.push(str(Digest.of(inner)), inner)
        self.push("v-all", image_index(inner))
        self.delete_mutable()

        for reference in ("v-all", str(Digest.of(inner)), str(self.other_digest)):
            self.assert_not_deleted(reference)

    def delete_mutable(self) -> None:
        """What is in an index that has no immutable tag can be deleted."""
        lone = image(Digest.of(b"{}"), annotations={"lone": "1"})
        self.push(str(Digest.of(lone)), lone)
        self.push("latest", image_index(lone))
        self.delete(str(Digest.of(lone)))

    def test_no_manifest(self) -> None:
        """What an old tree has in a manifest's place names nothing, and is in nobody's way."""
        odd = b"no manifest"
        self.write(manifest_key(APP, Digest.of(odd)), odd)
        self.push("v-odd", image_index(Digest.of(odd), Digest.of(odd)))

        self.push("free", self.other)
        self.delete(str(self.other_digest))

    def test_damaged(self) -> None:
        """As long as it cannot be read what an immutable tag leads to, nothing is deleted."""
        self.push("free", self.other)
        self.write(manifest_key(APP, self.digest), b"damaged")
        registry = Registry(self.registry.place.tree.root, run=1, immutable=["**:v*"])

        self.refusal(registry.manifests.delete(APP, self.other_digest), FailedStorage)

    def test_recreated(self) -> None:
        """So there is no way to another content by deleting and setting it anew."""
        for reference in ("v1", str(self.digest)):
            self.assert_not_deleted(reference)
        self.assert_kept("v1", self.other)

    def test_mutable(self) -> None:
        """Other tags, and manifests with none but other tags, can be deleted."""
        self.push("latest", self.other, "next")

        self.delete("next")
        self.delete(str(self.other_digest))

        self.refusal(self.registry.pull(APP, "latest"), UnknownManifest)
        self.assertEqual(self.do(self.registry.pull(APP, "v1")), self.image)

    def test_absent(self) -> None:
        """What is not there is not there, immutable or not."""
        for reference in ("v9", str(self.other_digest)):
            self.refusal(self.registry.manifests.delete(APP, parse_reference(reference)), UnknownManifest)

    def test_after_a_restart(self) -> None:
        """It holds for what an earlier process has stored, too."""
        registry = Registry(self.registry.place.tree.root, run=1, immutable=["**:v*"])
        self.refusal(registry.manifests.delete(APP, self.digest), ImmutableTag)

    def test_lost_manifest(self) -> None:
        """A tag whose manifest is gone stays, and can be healed by a push of the same."""
        os.unlink(self.path(manifest_key(APP, self.digest)))

        self.assert_not_deleted("v1")
        self.assert_kept("v1", self.other)
        self.push("v1", self.image)
        self.assertEqual(self.do(self.registry.pull(APP, "v1")), self.image)
