"""What a repository's tree holds, and how the index is filled from it."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import FailedStorage
from pkgd.formats.digest import Digest
from pkgd.formats.names import RepositoryName, Tag
from pkgd.formats.oci import DOCKER_IMAGE, parse_manifest
from pkgd.registry.contents import referrer_of
from pkgd.storage.layout import blob_key, legacy_key, manifest_key, tag_key
from tests.registry.fixtures import APP, Registry, RegistryCase, broken_database, descriptor, image, image_index
from tests.storage.fixtures import FaultyFileSystem

CONFIG = Digest.of(b"{}")
SUBJECT = Digest.of(b"subject")


class ReferrerTests(SynchronousTestCase):
    """A manifest's entry in the list of its subject's referrers."""

    def entry(self, data: bytes, content_type: str = "") -> dict[str, object] | None:
        """The entry, as a document."""
        found = referrer_of(Digest.of(data), len(data), parse_manifest(data, content_type))
        if found is None:
            return None
        self.assertEqual((found.subject, found.digest), (str(SUBJECT), str(Digest.of(data))))
        document: dict[str, object] = json.loads(found.descriptor)
        return document

    def test_without_subject(self) -> None:
        """Most manifests refer to none."""
        self.assertIsNone(self.entry(image(CONFIG)))

    def test_everything(self) -> None:
        """Type, digest and size are the manifest's own; artifact type and annotations are copied."""
        about = {"subject": descriptor(SUBJECT), "artifactType": "application/x", "annotations": {"a": "ü\n"}}
        data = image(CONFIG, **about)

        self.assertEqual(
            self.entry(data),
            {
                **descriptor(data, "application/vnd.oci.image.manifest.v1+json"),
                "artifactType": "application/x",
                "annotations": {"a": "ü\n"},
            },
        )

    def test_artifact_type_of_an_image(self) -> None:
        """An image without one has its config's type."""
        data = image(CONFIG, subject=descriptor(SUBJECT))
        self.assertEqual(
            self.entry(data),
            {
                **descriptor(data, "application/vnd.oci.image.manifest.v1+json"),
                "artifactType": "application/vnd.oci.image.config.v1+json",
            },
        )

    def test_artifact_type_of_an_index(self) -> None:
        """An index without one has none."""
        data = image_index(subject=descriptor(SUBJECT))
        self.assertEqual(self.entry(data), descriptor(data, "application/vnd.oci.image.index.v1+json"))


class TagTests(RegistryCase):
    """The list of tags."""

    def test_order_and_foreign_files(self) -> None:
        """Tags of all places in byte order, each once; a file that cannot be a tag is not listed."""
        for name in ("b", "B", "a.b", "a", "_", "0", "a" * 128):
            self.write(tag_key(APP, Tag(name)), b"{}")
        for foreign in (".hidden", "-x", "a b", "a" * 129, "ü", "a~"):
            self.write(f"{APP}/manifests/by-tag/{foreign}", b"{}")
        self.write(legacy_key(APP, Tag("a")), b"{}")
        self.write(legacy_key(APP, Tag("old")), b"{}")

        self.assertEqual(self.do(self.registry.contents.tags(APP)), ["0", "B", "_", "a", "a.b", "a" * 128, "b", "old"])

    def test_none(self) -> None:
        """A repository that nobody has pushed to has none."""
        self.assertEqual(self.do(self.registry.contents.tags(APP)), [])


class FillTests(RegistryCase):
    """What the index learns of a tree that it doesn't know."""

    def known(self, registry: Registry, name: RepositoryName = APP) -> None:
        """Have the repository read."""
        self.do(registry.contents.ensure_known(name, registry.locks))

    def tags_of(self, registry: Registry, data: bytes) -> list[str]:
        """The tags that the index knows of a manifest."""
        return sorted(self.successResultOf(registry.index.tags_of(APP, str(Digest.of(data)))))

    def referrers(self, registry: Registry) -> list[dict[str, object]]:
        """What the index knows of the subject's referrers."""
        found = self.successResultOf(registry.index.referrers(APP, str(SUBJECT)))
        return [json.loads(one) for _, one in found]

    def test_blobs(self) -> None:
        """All blobs, under either algorithm; other files are none."""
        digests = [Digest.of(b"a"), Digest.of(b"b", "sha512")]
        for digest in digests:
            self.write(blob_key(APP, digest), b"")
        for foreign in ("readme", "sha256-" + "0" * 64, "A" * 64):
            self.write(f"{APP}/blobs/{foreign}", b"")

        self.known(self.registry)

        for digest in digests:
            self.assertEqual(self.successResultOf(self.registry.index.holders(str(digest))), [APP])

    def test_tags(self) -> None:
        """Every tag with its digest: a pushed tag counts and not the old one it hides, and a damaged one not at all."""
        old, new = image(CONFIG), image_index()
        for tag in ("both", "old"):
            self.write(legacy_key(APP, Tag(tag)), old)
        for tag in ("both", "new"):
            self.write(tag_key(APP, Tag(tag)), json.dumps({"digest": str(Digest.of(new))}).encode())
        for number, damage in enumerate((b"", b"{", b"[]", b"{}", b'{"digest": "\xff"}', b'{"digest": 1}')):
            self.write(tag_key(APP, Tag(f"damaged-{number}")), damage)

        self.known(self.registry)

        self.assertEqual(self.tags_of(self.registry, old), ["old"])
        self.assertEqual(self.tags_of(self.registry, new), ["both", "new"])

    def test_referrers(self) -> None:
        """Every referrer, old files included, exactly as at its push."""
        self.do(self.registry.push_blob(APP, b"{}"))
        for number in range(3):
            data = image(CONFIG, subject=descriptor(SUBJECT), annotations={"n": str(number)})
            self.do(self.registry.push(APP, f"t{number}", data))
        restarted = self.registry.restarted()

        self.known(restarted)

        self.assertEqual(self.referrers(restarted), self.referrers(self.registry))
        self.assertEqual(len(self.referrers(restarted)), 3)

    def test_legacy_referrer(self) -> None:
        """An old file may refer to a subject too."""
        data = image_index(subject=descriptor(SUBJECT))
        self.write(legacy_key(APP, Tag("old")), data)

        self.known(self.registry)

        self.assertEqual([one["digest"] for one in self.referrers(self.registry)], [str(Digest.of(data))])

    def test_referrer_whose_type_is_kept_beside_it(self) -> None:
        """A manifest whose bytes don't say its type refers as what it was pushed as, a type unknown to us included."""
        self.do(self.registry.push_blob(APP, b"{}"))
        for content_type, data in (
            (DOCKER_IMAGE, image(CONFIG, subject=descriptor(SUBJECT), mediaType=None)),
            ("application/vnd.example+json", json.dumps({"subject": descriptor(SUBJECT)}).encode()),
        ):
            self.do(self.registry.push(APP, str(Digest.of(data)), data, content_type))
        restarted = self.registry.restarted()

        self.known(restarted)

        self.assertEqual(self.referrers(restarted), self.referrers(self.registry))
        self.assertEqual(len(self.referrers(restarted)), 2)

    def test_damaged_manifests(self) -> None:
        """What is no manifest refers to nothing, and the others are read."""
        good = image_index(subject=descriptor(SUBJECT))
        self.do(self.registry.push(APP, "good", good))
        for damage in (b"", b"{", b"\xff", b"[]", b'{"subject": 1, "manifests": []}'):
            self.write(manifest_key(APP, Digest.of(damage)), damage)
            self.write(manifest_key(APP, Digest.of(damage)) + ".meta", damage)
        restarted = self.registry.restarted()

        self.known(restarted)

        self.assertEqual([one["digest"] for one in self.referrers(restarted)], [str(Digest.of(good))])

    def test_unescaped(self) -> None:
        """An old tree's unescaped place counts as well."""
        name = RepositoryName("a/blobs")
        self.write(blob_key("a/blobs", SUBJECT), b"")
        self.write(blob_key("a/=blobs", CONFIG), b"")

        self.known(self.registry, name)

        for digest in (SUBJECT, CONFIG):
            self.assertEqual(self.do(self.registry.blobs.holders(digest)), [name])

    def test_once(self) -> None:
        """A repository is read once, however often it is asked for."""
        fs = FaultyFileSystem()
        registry = Registry(self.mktemp(), fs)
        self.known(registry)
        fs.counts.clear()

        self.known(registry)

        self.assertEqual(fs.counts["scandir"], 0)

    def test_unreadable(self) -> None:
        """A repository that cannot be read stays unknown, and is read when it can be."""
        fs = FaultyFileSystem()
        registry = Registry(self.mktemp(), fs)
        self.do(registry.push(APP, "v1", image_index()))
        fs.fail_calls("scandir")
        self.refusal(registry.contents.ensure_known(APP, registry.locks), FailedStorage)
        self.assertIs(self.successResultOf(registry.index.knows(APP)), False)

        fs.heal()
        self.known(registry)

        self.assertEqual(self.tags_of(registry, image_index()), ["v1"])

    def test_delete_without_the_index(self) -> None:
        """Where the index takes nothing, as on a full disk, a manifest goes with its tags in the tree."""
        for tag in ("v1", "v2"):
            self.do(self.registry.push(APP, tag, image_index()))
        self.registry.database._pool.runInteraction = broken_database
        self.do(self.registry.manifests.delete(APP, Digest.of(image_index())))
        self.assertEqual(self.do(self.registry.contents.tags(APP)), [])

    def test_after_a_missed_change(self) -> None:
        """A repository of which the index has missed something is read again."""
        self.known(self.registry)
        works = self.registry.database._pool.runInteraction
        self.registry.database._pool.runInteraction = broken_database
        self.do(self.registry.push(APP, "v1", image_index()))
        self.registry.database._pool.runInteraction = works

        self.known(self.registry)

        self.assertEqual(self.tags_of(self.registry, image_index()), ["v1"])
