"""Manifests and tags: exactly what was pushed, under the names it was pushed under."""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.logger import LogLevel, capturedLogs

from pkgd.errors import (
    Denied,
    DigestMismatch,
    FailedStorage,
    InvalidManifest,
    MissingBlob,
    NoSpace,
    UnknownManifest,
)
from pkgd.formats.digest import Digest
from pkgd.formats.names import RepositoryName, Tag
from pkgd.formats.oci import DOCKER_IMAGE, IMAGE, INDEX
from pkgd.registry.manifests import TagChange
from pkgd.registry.stored import CACHE_BYTES
from pkgd.storage.layout import manifest_key, media_type_key, tag_key
from tests.fixtures import HeldBlocking
from tests.registry.fixtures import (
    APP,
    OTHER,
    Registry,
    RegistryCase,
    body,
    broken_database,
    descriptor,
    image,
    image_index,
    tree,
)
from tests.storage.fixtures import DiskModel, FaultyFileSystem

LATEST = Tag("latest")


class ManifestCase(RegistryCase):
    """With an image's blobs pushed."""

    def setUp(self) -> None:
        """A repository that has a config and a layer."""
        super().setUp()
        self.fill(self.registry)
        self.image = image(self.config, self.layer)
        self.digest = Digest.of(self.image)

    def fill(self, registry: Registry) -> None:
        """Push the blobs."""
        self.config = self.do(registry.push_blob(APP, b"{}"))
        self.layer = self.do(registry.push_blob(APP, b"layer"))

    def other(self, number: int = 0) -> bytes:
        """Another image of the same blobs."""
        return image(self.config, self.layer, annotations={"number": str(number)})

    def push(self, reference: str, data: bytes, content_type: str = "", tags: tuple[str, ...] = ()) -> Any:
        """Push a manifest."""
        return self.do(self.registry.push(APP, reference, data, content_type, tags))

    def pull(self, reference: str) -> bytes:
        """The bytes that a reference stands for."""
        return self.do(self.registry.pull(APP, reference))

    def assert_unknown(self, *references: str) -> None:
        """None of the references stands for anything."""
        for reference in references:
            self.refusal(self.registry.pull(APP, reference), UnknownManifest)

    def digest_of(self, tag: str) -> str:
        """What a tag's file says."""
        found: str = json.loads(self.read(tag_key(APP, Tag(tag))))["digest"]
        return found


class PushTests(ManifestCase):
    """What a push stores."""

    def test_exact_bytes(self) -> None:
        """A manifest is served as it was pushed, to the byte, by tag and by digest; unknown fields are kept."""
        data = (
            b' {"schemaVersion": 2, \n'
            + self.image.removeprefix(b'{"schemaVersion": 2,')[:-1]
            + b', "new": [ 1.50 ]}\n'
        )

        pushed = self.push("latest", data)

        self.assertEqual(pushed.digest, Digest.of(data))
        self.assertEqual(self.pull("latest"), data)
        self.assertEqual(self.pull(str(Digest.of(data))), data)
        self.assertEqual(self.read(manifest_key(APP, Digest.of(data))), data)

    def test_tag_file(self) -> None:
        """A tag's file is JSON with the digest, as the original server wrote it."""
        self.push("latest", self.image)
        self.assertEqual(json.loads(self.read(tag_key(APP, LATEST))), {"digest": str(self.digest)})

    def test_by_digest(self) -> None:
        """A manifest pushed by digest has no tag."""
        self.push(str(self.digest), self.image)

        self.assertEqual(self.pull(str(self.digest)), self.image)
        self.assertEqual(self.do(self.registry.contents.tags(APP)), [])

    def test_wrong_digest(self) -> None:
        """A manifest under a digest that it hasn't is refused, and nothing is stored."""
        before = tree(self.registry.place.tree.root)
        for wrong in (Digest.of(b"other"), Digest.of(b"other", "sha512")):
            error = self.refusal(self.registry.push(APP, str(wrong), self.image), DigestMismatch)
            self.assertEqual(error.actual, str(Digest.of(self.image, wrong.algorithm)))

        self.assertEqual(tree(self.registry.place.tree.root), before)

    def test_sha512(self) -> None:
        """A manifest pushed under its sha512 is known by that, and its tags remember it."""
        digest = Digest.of(self.image, "sha512")

        self.push(str(digest), self.image, tags=("v1",))

        self.assertEqual(self.pull(str(digest)), self.image)
        self.assertEqual(self.do(self.registry.stored.get(APP, Tag("v1"))).digest, digest)
        self.assertEqual(self.digest_of("v1"), str(digest))
        self.assert_unknown(str(self.digest))

    def test_same_bytes_under_another_algorithm(self) -> None:
        """A tag has the digest of its last push: bytes pushed again by tag are known by their sha256."""
        self.push(str(Digest.of(self.image, "sha512")), self.image, tags=("v1",))

        self.push("v1", self.image)

        self.assertEqual(self.do(self.registry.stored.get(APP, Tag("v1"))).digest, self.digest)

    def test_several_tags(self) -> None:
        """One push may set several tags; the same one twice is one."""
        self.push(str(self.digest), self.image, tags=("v1", "v1.2", "v1", "latest"))

        self.assertEqual(self.do(self.registry.contents.tags(APP)), ["latest", "v1", "v1.2"])
        for tag in ("latest", "v1", "v1.2"):
            self.assertEqual(self.pull(tag), self.image)

    def test_moved_tag(self) -> None:
        """A tag that moves leaves the older manifest where it was."""
        self.push("latest", self.image)
        self.push("latest", self.other())

        self.assertEqual(self.pull("latest"), self.other())
        self.assertEqual(self.pull(str(self.digest)), self.image)

    def test_answer(self) -> None:
        """The pusher learns the digest, and the subject whose referrer it is now."""
        subject = Digest.of(b"subject")

        plain = self.push("latest", self.image)
        about = self.push("about", image(self.config, self.layer, subject=descriptor(subject)))

        self.assertEqual((plain.digest, plain.subject, plain.warning), (self.digest, None, None))
        self.assertEqual(about.subject, subject)

    def test_same_again(self) -> None:
        """A push that changes nothing writes nothing but its tag, which is as old as its last push."""
        fs = FaultyFileSystem()
        self.registry = Registry(self.mktemp(), fs)
        self.fill(self.registry)
        self.push("latest", self.image)
        fs.counts.clear()

        self.push(str(self.digest), self.image)
        self.assertEqual((fs.counts["rename"], fs.counts["write"]), (0, 0))
        os.utime(self.path(tag_key(APP, Tag("latest"))), (1, 1))

        self.push("latest", self.image)

        self.assertEqual((fs.counts["rename"], fs.counts["write"]), (1, 1))
        self.assertGreater(os.stat(self.path(tag_key(APP, Tag("latest")))).st_mtime, 1)

    def test_malformed(self) -> None:
        """What is no manifest is refused, small or large, and nothing is stored."""
        before = tree(self.registry.place.tree.root)
        for data in (b"", b"[]", b"{", b'{"schemaVersion": 2}', b'{"a": ' + b"[" * 40_000, b" " * 40_000):
            self.refusal(self.registry.push(APP, "latest", data), InvalidManifest)

        self.assertEqual(tree(self.registry.place.tree.root), before)

    def test_no_space(self) -> None:
        """Below the floor of free space nothing is taken; reading and deleting go on."""
        self.push("latest", self.image)
        self.registry = Registry(self.registry.place.tree.root, min_free=1 << 60, run=1)

        self.refusal(self.registry.push(APP, "v2", self.other()), NoSpace)

        self.assertEqual(self.pull("latest"), self.image)
        self.do(self.registry.manifests.delete(APP, self.digest))
        self.assert_unknown("latest")

    def test_order(self) -> None:
        """Blobs are durable before the manifest that names them, its type before it, it before its tags."""
        disk = DiskModel()
        self.registry = Registry(self.mktemp(), disk)
        self.fill(self.registry)
        data = image(self.config, self.layer, mediaType=None)

        self.push("v1", data, IMAGE)

        digest = Digest.of(data)
        keys = [media_type_key(APP, digest), manifest_key(APP, digest), tag_key(APP, Tag("v1"))]
        self.assertEqual([one.target for one in disk.published[2:]], [self.path(key) for key in keys])
        self.assertEqual({one.at_risk for one in disk.published}, {frozenset()})
        self.assertEqual(disk.at_risk(), frozenset())


class MediaTypeTests(ManifestCase):
    """What a manifest is served as."""

    def type_of(self, reference: str) -> str:
        """The media type of a manifest, as this process and as the next one tells it."""
        found = Digest.parse(reference) if ":" in reference else Tag(reference)
        ours = self.do(self.registry.stored.get(APP, found)).media_type
        self.assertEqual(self.do(self.registry.restarted().stored.get(APP, found)).media_type, ours)
        return ours

    def metas(self) -> list[str]:
        """The files that say a media type."""
        return [key for key in tree(self.registry.place.tree.root) if key.endswith(".meta")]

    def test_stated_by_the_bytes(self) -> None:
        """A type that the bytes state is kept nowhere else."""
        self.push("latest", self.image, IMAGE)

        self.assertEqual(self.type_of("latest"), IMAGE)
        self.assertEqual(self.metas(), [])

    def test_stated_by_the_client(self) -> None:
        """A type that only the Content-Type said is kept beside the bytes."""
        data = image(self.config, self.layer, mediaType=None)
        for content_type, media_type in (
            (DOCKER_IMAGE, DOCKER_IMAGE),
            (f"{IMAGE}; charset=utf-8", IMAGE),
            ("application/vnd.example+json", "application/vnd.example+json"),
        ):
            self.push("latest", data, content_type)

            self.assertEqual(self.type_of("latest"), media_type)
            self.assertEqual(self.metas(), [media_type_key(APP, Digest.of(data))])
            self.assertEqual(json.loads(self.read(self.metas()[0])), {"mediaType": media_type})

    def test_pushed_again_as_another_type(self) -> None:
        """Bytes that say no type have the one of their last push, at once and under every reference."""
        data = image(self.config, self.layer, mediaType=None)
        digest = str(Digest.of(data))
        self.write(manifest_key(APP, Digest.of(data)), data)
        self.assertEqual(self.type_of(digest), IMAGE)

        for content_type in (DOCKER_IMAGE, IMAGE):
            self.push("latest", data, content_type)
            self.assertEqual((self.type_of("latest"), self.type_of(digest)), (content_type, content_type))

    def test_stated_by_nobody(self) -> None:
        """Without either, the shape decides, and is kept like a stated one."""
        self.push("image", image(self.config, self.layer, mediaType=None))
        self.push("index", image_index(mediaType=None), "application/json")

        self.assertEqual((self.type_of("image"), self.type_of("index")), (IMAGE, INDEX))

    def test_contradiction(self) -> None:
        """A Content-Type that is not the stated type is refused: nobody shall read one digest as two things."""
        self.refusal(self.registry.push(APP, "latest", self.image, INDEX), InvalidManifest)

    def test_damaged(self) -> None:
        """Where the kept type is damaged, the shape decides, and the damage is reported."""
        data = image(self.config, self.layer, mediaType=None)
        self.push("latest", data, DOCKER_IMAGE)
        for damage in (b"", b"{", b"[]", b'{"mediaType": 1}', b'{"mediaType": "\xff"}'):
            self.write(media_type_key(APP, Digest.of(data)), damage)
            with capturedLogs() as logs:
                self.assertEqual(self.type_of("latest"), IMAGE)
            self.assertIn(LogLevel.error, [event["log_level"] for event in logs])

    def test_of_no_shape(self) -> None:
        """What an old tree has under a digest is served, whatever it is."""
        self.write(manifest_key(APP, Digest.of(b"odd")), b"odd")
        self.assertEqual(self.type_of(str(Digest.of(b"odd"))), "application/octet-stream")


class LeaseTests(ManifestCase):
    """Manifests that no tag points to stay for a while when somebody has to do with them."""

    def touched(self, digest: Digest) -> float:
        """When it was last touched."""
        return self.registry.leases.last_touch(APP, digest)

    def test_push(self) -> None:
        """What is pushed is touched, what it names, its subject too, and the manifest that it takes a tag from."""
        subject, child = Digest.of(b"subject"), Digest.of(b"child")
        self.push("latest", self.image)
        self.registry.clock.advance(5)

        pushed = self.push("latest", image_index(child, subject=descriptor(subject)))

        for one in (pushed.digest, subject, child, self.digest):
            self.assertEqual(self.touched(one), 5)

    def test_delete(self) -> None:
        """Whoever loses a tag is touched."""
        self.push("latest", self.image)
        self.registry.clock.advance(5)

        self.do(self.registry.manifests.delete(APP, Tag("latest")))

        self.assertEqual(self.touched(self.digest), 5)

    def test_check(self) -> None:
        """Who deletes may look once more while nothing else changes, and refuse: then nothing goes."""
        self.push("latest", self.image)

        async def check() -> None:
            self.assertFalse(self.begin(self.registry.push(APP, "latest", self.image)).called)
            raise UnknownManifest("on second thoughts")

        for reference in (Tag("latest"), self.digest):
            self.refusal(self.registry.manifests.delete(APP, reference, check), UnknownManifest)

        self.assertEqual(self.do(self.registry.pull(APP, "latest")), self.image)


class WholenessTests(ManifestCase):
    """A manifest's blobs are in its repository (DESIGN.md, decision 11)."""

    def test_missing(self) -> None:
        """A config or a layer that is not there is named, and nothing is stored."""
        before = tree(self.registry.place.tree.root)
        missing = Digest.of(b"missing")
        for data in (image(missing, self.layer), image(self.config, self.layer, missing)):
            error = self.refusal(self.registry.push(APP, "latest", data), MissingBlob)
            self.assertEqual(error.what, str(missing))

        self.assertEqual(tree(self.registry.place.tree.root), before)

    def test_in_another_repository(self) -> None:
        """What another repository has is missing here."""
        self.refusal(self.registry.push(OTHER, "latest", self.image), MissingBlob)

    def test_deleted(self) -> None:
        """What has been deleted is missing, though it was here."""
        self.push("latest", self.image)
        self.do(self.registry.blobs.delete(APP, self.layer))

        self.refusal(self.registry.push(APP, "v2", self.other()), MissingBlob)

    def test_under_another_algorithm(self) -> None:
        """A blob that was pushed under its sha512 is named by that."""
        digest = Digest.of(b"layer", "sha512")
        self.refusal(self.registry.push(APP, "v1", image(self.config, digest)), MissingBlob)
        session = self.do(self.registry.uploads.start(APP))
        self.do(self.registry.uploads.commit(session, digest, body(b"layer"), None))

        self.push("v1", image(self.config, digest))

    def test_foreign_layers(self) -> None:
        """Layers that live elsewhere need not be here."""
        gone = Digest.of(b"elsewhere")
        for layer in (
            descriptor(gone, "application/vnd.oci.image.layer.v1.tar", urls=["https://example.com/layer"]),
            descriptor(gone, "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
            descriptor(gone, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        ):
            self.push("latest", image(self.config, layers=[layer]))

    def test_without_layers(self) -> None:
        """An artifact may have no layers, or not even the word."""
        self.push("empty", image(self.config))
        self.push("none", image(self.config, layers=None))

    def test_subject(self) -> None:
        """A subject need not exist."""
        self.push("latest", image(self.config, subject=descriptor(Digest.of(b"nowhere"))))

    def test_children(self) -> None:
        """An index may come before its images; the pusher is told how many are absent."""
        self.push("v1", self.image)

        whole = self.push("whole", image_index(self.image))
        sparse = self.push("sparse", image_index(self.image, b"absent", b"absent as well"))

        self.assertIsNone(whole.warning)
        self.assertEqual(sparse.warning, "2 of the manifests in this index are not in the repository")

    def test_sparse_repository(self) -> None:
        """Where the configuration says so, layers may be absent too."""
        self.registry = Registry(self.mktemp(), sparse=["mirror/**"])
        data = image(Digest.of(b"no config"), Digest.of(b"no layer"))

        self.do(self.registry.push(RepositoryName("mirror/app"), "latest", data))

        self.refusal(self.registry.push(RepositoryName("mirrors/app"), "latest", data), MissingBlob)


class PermissionTests(ManifestCase):
    """Who pushes is asked for each tag by what it does (safety.md, A9)."""

    def changes(self, reference: str, data: bytes, *tags: str) -> list[tuple[str, bool]]:
        """The tags that the policy is asked about, each with whether it moves."""
        asked: list[TagChange] = []
        target = Digest.parse(reference) if ":" in reference else Tag(reference)
        self.do(self.registry.manifests.put(APP, target, data, "", [Tag(tag) for tag in tags], asked.append))
        return [(str(change.tag), change.moves) for change in asked]

    def test_new_and_moved(self) -> None:
        """A tag that was not there is new, one that leaves another manifest moves, and one that stays is no change."""
        self.assertEqual(self.changes("v1", self.image), [("v1", False)])
        self.assertEqual(self.changes("v1", self.image), [])
        self.assertEqual(self.changes(str(self.digest), self.image, "v1", "v2"), [("v2", False)])
        self.assertEqual(self.changes("v1", self.other()), [("v1", True)])
        self.assertEqual(self.changes(str(self.digest), self.image), [])

    def test_by_digest_with_tags(self) -> None:
        """A push by digest moves tags like any other."""
        self.changes("v1", self.image)
        self.assertEqual(self.changes(str(Digest.of(self.other())), self.other(), "v1"), [("v1", True)])

    def test_other_algorithm(self) -> None:
        """A tag that comes to mean another digest moves, though the bytes are equal."""
        self.changes("v1", self.image)
        self.assertEqual(self.changes(str(Digest.of(self.image, "sha512")), self.image, "v1"), [("v1", True)])

    def test_tag_without_its_manifest(self) -> None:
        """A tag whose manifest is gone is still a tag: to point it elsewhere is to move it."""
        self.changes("v1", self.image)
        os.unlink(self.path(manifest_key(APP, self.digest)))

        self.assertEqual(self.changes("v1", self.other()), [("v1", True)])

    def test_refused(self) -> None:
        """If one change is refused nothing at all is written, not even the manifest."""
        self.changes("v1", self.image)
        before = tree(self.registry.place.tree.root)

        def refuse_moves(change: TagChange) -> None:
            if change.moves:
                raise Denied("no")

        put = self.registry.manifests.put(APP, Tag("v2"), self.other(), "", [Tag("v1")], refuse_moves)
        self.refusal(put, Denied)

        self.assertEqual(tree(self.registry.place.tree.root), before)


class ReadTests(ManifestCase):
    """What is there, what is not, and what is damaged."""

    def test_unknown(self) -> None:
        """A tag or digest that was not pushed is unknown, here or in a repository that nobody has pushed to."""
        self.assert_unknown("latest", str(self.digest), str(Digest.of(b"", "sha512")))
        self.refusal(self.registry.pull(OTHER, "latest"), UnknownManifest)

    def test_of_another_repository(self) -> None:
        """A manifest of another repository is unknown here."""
        self.push("latest", self.image)
        self.refusal(self.registry.pull(OTHER, "latest"), UnknownManifest)
        self.refusal(self.registry.pull(OTHER, str(self.digest)), UnknownManifest)

    def test_tags_in_byte_order(self) -> None:
        """Tags are listed as their bytes sort."""
        for tag in ("b", "B", "a", "_", "1.10", "1.9", "a-b", "a.b", "a_b"):
            self.push(tag, self.image)

        self.assertEqual(
            self.do(self.registry.contents.tags(APP)), ["1.10", "1.9", "B", "_", "a", "a-b", "a.b", "a_b", "b"]
        )

    def test_damaged_tag(self) -> None:
        """A damaged tag is unknown and reported; the list goes on, and so do the other tags."""
        for tag in ("v1", "v2"):
            self.push(tag, self.image)
        for damage in (
            *(b"", b"{", b"[]", b"{}", b'{"digest": 7}', b'{"digest": "sha256:7"}', b'{"digest": "\xff"}'),
            *(b"\0" * 85, str(self.digest).encode(), b"[" * 10_000),
        ):
            self.write(tag_key(APP, Tag("v1")), damage)
            with capturedLogs() as logs:
                self.assert_unknown("v1")
            self.assertIn(LogLevel.error, [event["log_level"] for event in logs])

        self.assertEqual(self.pull("v2"), self.image)
        self.assertIn("v2", self.do(self.registry.contents.tags(APP)))

    def test_damaged_tag_pushed_again(self) -> None:
        """A push heals a damaged tag."""
        self.write(tag_key(APP, LATEST), b"")

        self.push("latest", self.image)

        self.assertEqual(self.pull("latest"), self.image)

    def test_damaged_tag_deleted(self) -> None:
        """A damaged tag can be deleted."""
        self.write(tag_key(APP, LATEST), b"")

        self.do(self.registry.manifests.delete(APP, LATEST))

        self.assertEqual(self.do(self.registry.contents.tags(APP)), [])

    def test_tag_file_with_more_keys(self) -> None:
        """A later version may keep more in a tag's file."""
        self.push(str(self.digest), self.image)
        self.write(tag_key(APP, LATEST), json.dumps({"since": 1, "digest": str(self.digest), "x": []}).encode())

        self.assertEqual(self.pull("latest"), self.image)

    def test_tag_without_its_manifest(self) -> None:
        """A tag whose manifest is gone is unknown."""
        self.push("latest", self.image)
        os.unlink(self.path(manifest_key(APP, self.digest)))

        self.assert_unknown("latest")

    def test_tree_from_before_the_escape(self) -> None:
        """In an old tree a name with a part called `manifests` stands as it is; what is pushed hides it."""
        name = RepositoryName("team/manifests")
        self.write(manifest_key("team/manifests", self.digest), self.image)
        self.write(tag_key("team/manifests", LATEST), json.dumps({"digest": str(self.digest)}).encode())
        self.assertEqual(self.do(self.registry.pull(name, "latest")), self.image)

        self.do(self.registry.push(name, "latest", image_index()))

        self.assertEqual(self.do(self.registry.pull(name, "latest")), image_index())
        self.assertEqual(self.do(self.registry.pull(name, str(self.digest))), self.image)
        self.do(self.registry.manifests.delete(name, LATEST))
        self.refusal(self.registry.pull(name, "latest"), UnknownManifest)


class BitRotTests(ManifestCase):
    """A stored manifest whose bytes have changed."""

    def setUp(self) -> None:
        """One that has, and one that has not."""
        super().setUp()
        self.push("latest", self.image)
        self.push("good", self.other())
        self.write(manifest_key(APP, self.digest), self.image.replace(b"2", b"3", 1))

    def test_not_served(self) -> None:
        """It is not served, neither by digest nor by tag; it is a fault of the storage, not an absence."""
        for reference in ("latest", str(self.digest)):
            self.refusal(self.registry.pull(APP, reference), FailedStorage)

        self.assertEqual(self.pull("good"), self.other())

    def test_pushed_again(self) -> None:
        """A push heals it, under the same tag or by digest."""
        for reference in ("latest", str(self.digest)):
            self.write(manifest_key(APP, self.digest), self.image.replace(b"2", b"3", 1))

            self.push(reference, self.image)

            self.assertEqual(self.pull("latest"), self.image)

    def test_tag_moved(self) -> None:
        """Its tag can be moved to another manifest."""
        self.push("latest", self.other(1))
        self.assertEqual(self.pull("latest"), self.other(1))

    def test_deleted(self) -> None:
        """It can be deleted with its tags."""
        self.do(self.registry.manifests.delete(APP, self.digest))
        self.assert_unknown("latest", str(self.digest))

    def test_shorter(self) -> None:
        """A file that has lost its end is no different."""
        self.write(manifest_key(APP, self.digest), self.image[:-1])
        self.refusal(self.registry.pull(APP, "latest"), FailedStorage)

        self.push("latest", self.image)
        self.assertEqual(self.pull("latest"), self.image)


class CacheTests(ManifestCase):
    """What is answered from memory is what a look at the disk would give."""

    def cached(self, reference: str) -> bytes | None:
        """What would be answered without a look."""
        found = self.registry.stored.cached(APP, reference)
        return None if found is None else found.data

    def test_remembered(self) -> None:
        """What was read once is answered at once."""
        self.push("latest", self.image)
        self.assertIsNone(self.cached("latest"))

        self.pull("latest")
        self.pull(str(self.digest))

        self.assertEqual((self.cached("latest"), self.cached(str(self.digest))), (self.image, self.image))

    def test_absence_is_not_remembered(self) -> None:
        """What was unknown is there as soon as it has been pushed."""
        self.assert_unknown("latest", str(self.digest))

        self.push("latest", self.image)

        self.assertEqual((self.pull("latest"), self.pull(str(self.digest))), (self.image, self.image))

    def test_replaced_tag(self) -> None:
        """A moved tag is seen at once."""
        for number in range(5):
            self.push("latest", self.other(number))
            self.assertEqual(self.pull("latest"), self.other(number))

    def test_deleted(self) -> None:
        """What was deleted is gone at once, under every name that it had."""
        for reference in (LATEST, self.digest):
            self.push("latest", self.image)
            self.pull("latest")
            self.pull(str(self.digest))
            self.do(self.registry.manifests.delete(APP, reference))

            self.assertIsNone(self.cached("latest"))
            self.assert_unknown("latest")
        self.assertIsNone(self.cached(str(self.digest)))
        self.assert_unknown(str(self.digest))

    def test_changed_behind_our_back(self) -> None:
        """So is what somebody did to the files."""
        self.push("latest", self.image)
        self.push("other", self.other())
        self.pull("latest")
        os.replace(self.path(tag_key(APP, Tag("other"))), self.path(tag_key(APP, LATEST)))
        self.assertEqual(self.pull("latest"), self.other())

        os.unlink(self.path(manifest_key(APP, Digest.of(self.other()))))
        self.assert_unknown("latest")

        os.unlink(self.path(tag_key(APP, LATEST)))
        self.assert_unknown("latest")

    def test_bounded(self) -> None:
        """The oldest manifests leave when there are too many bytes, and are read again when they are asked for."""
        padding = {"padding": "x" * (CACHE_BYTES // 3)}
        large = [image(self.config, self.layer, annotations={**padding, "n": str(n)}) for n in range(3)]
        for number, data in enumerate(large):
            self.push(f"v{number}", data)
            self.pull(f"v{number}")

        self.assertIsNone(self.cached("v0"))
        self.assertEqual((self.cached("v1"), self.cached("v2")), (large[1], large[2]))
        self.assertEqual(self.pull("v0"), large[0])

    def test_read_while_it_is_pushed_then_deleted(self) -> None:
        """A reader that came between the two halves of a push does not keep alive what is deleted later."""
        for steps in range(40):
            held = HeldBlocking()
            self.registry = Registry(self.mktemp(), blocking=held)
            self.fill_held(held)
            push = self.begin(self.registry.push(APP, "latest", self.image))
            for _ in range(steps):
                held.release()
            reads = [self.begin(self.registry.pull(APP, one)) for one in ("latest", str(self.digest))]
            for read in reads:
                read.addErrback(lambda failure: failure.trap(UnknownManifest))
            held.release_all()
            self.successResultOf(push)

            delete = self.begin(self.registry.manifests.delete(APP, self.digest))
            held.release_all()
            self.successResultOf(delete)

            self.assertIsNone(self.cached("latest"))
            self.assertIsNone(self.cached(str(self.digest)))

    def fill_held(self, held: HeldBlocking) -> None:
        """Push the blobs with threads that wait."""
        for data in (b"{}", b"layer"):
            pushed = self.begin(self.registry.push_blob(APP, data))
            held.release_all()
            self.successResultOf(pushed)


class DeleteTests(ManifestCase):
    """What goes with what."""

    def delete(self, reference: str) -> None:
        """Delete."""
        self.do(self.registry.manifests.delete(APP, Digest.parse(reference) if ":" in reference else Tag(reference)))

    def test_tag(self) -> None:
        """With a tag nothing goes but the tag."""
        self.push("v1", self.image)
        self.push("v2", self.image)

        self.delete("v1")

        self.assert_unknown("v1")
        self.assertEqual((self.pull("v2"), self.pull(str(self.digest))), (self.image, self.image))
        self.assertEqual(self.do(self.registry.contents.tags(APP)), ["v2"])

    def test_manifest(self) -> None:
        """With a manifest every tag on it goes, and no other."""
        for tag in ("v1", "v2", "moved"):
            self.push(tag, self.image)
        self.push("moved", self.other())

        self.delete(str(self.digest))

        self.assert_unknown("v1", "v2", str(self.digest))
        self.assertEqual(self.pull("moved"), self.other())
        self.assertEqual(self.do(self.registry.contents.tags(APP)), ["moved"])

    def test_manifest_of_an_earlier_process(self) -> None:
        """Its tags are found in the tree, where the index does not know them."""
        for tag in ("v1", "v2"):
            self.push(tag, self.image)
        self.push("v3", self.other())
        self.registry = self.registry.restarted()

        self.delete(str(self.digest))

        self.assertEqual(self.do(self.registry.contents.tags(APP)), ["v3"])

    def test_manifest_after_the_index_missed_a_push(self) -> None:
        """So it is where the index has missed something."""
        self.push("v1", self.image)
        self.do(self.registry.contents.ensure_known(APP, self.registry.locks))
        fails = self.registry.database._pool.runInteraction
        self.registry.database._pool.runInteraction = broken_database
        self.push("v2", self.image)
        self.registry.database._pool.runInteraction = fails

        self.delete(str(self.digest))

        self.assertEqual(self.do(self.registry.contents.tags(APP)), [])

    def test_media_type(self) -> None:
        """The kept media type goes with its manifest: the same bytes may come again as something else."""
        data = image(self.config, self.layer, mediaType=None)
        self.push("latest", data, DOCKER_IMAGE)

        self.delete(str(Digest.of(data)))

        self.assertEqual([key for key in tree(self.registry.place.tree.root) if "manifests" in key], [])

    def test_other_algorithm(self) -> None:
        """A manifest that was pushed under two digests is deleted under one, with the tags that have that one."""
        sha512 = str(Digest.of(self.image, "sha512"))
        self.push("v1", self.image)
        self.push(sha512, self.image, tags=("v2",))

        self.delete(sha512)

        self.assert_unknown("v2", sha512)
        self.assertEqual((self.pull("v1"), self.pull(str(self.digest))), (self.image, self.image))

    def test_unknown(self) -> None:
        """What is not there cannot be deleted, nor deleted twice."""
        self.refusal(self.registry.manifests.delete(APP, LATEST), UnknownManifest)
        self.refusal(self.registry.manifests.delete(APP, self.digest), UnknownManifest)
        self.push("latest", self.image)
        self.delete("latest")
        self.refusal(self.registry.manifests.delete(APP, LATEST), UnknownManifest)
        self.delete(str(self.digest))
        self.refusal(self.registry.manifests.delete(APP, self.digest), UnknownManifest)

    def test_in_another_repository(self) -> None:
        """Another repository's manifest of the same bytes stays."""
        for name in (APP, OTHER):
            self.do(self.registry.push(name, "index", image_index()))

        self.do(self.registry.manifests.delete(OTHER, Digest.of(image_index())))

        self.assertEqual(self.pull("index"), image_index())

    def test_tag_without_its_manifest(self) -> None:
        """A tag whose manifest is gone can be deleted."""
        self.push("latest", self.image)
        os.unlink(self.path(manifest_key(APP, self.digest)))

        self.delete("latest")

        self.assertEqual(self.do(self.registry.contents.tags(APP)), [])

    def test_pushed_again(self) -> None:
        """What was deleted can be pushed again."""
        self.push("latest", self.image)
        self.delete(str(self.digest))

        self.push("latest", self.image)

        self.assertEqual(self.pull("latest"), self.image)

    def test_durable(self) -> None:
        """A deletion that was answered does not come back, nor anything of it."""
        disk = DiskModel()
        self.registry = Registry(self.mktemp(), disk)
        self.fill(self.registry)
        self.push("v1", self.image)

        self.delete(str(self.digest))

        self.assertEqual(disk.at_risk(), frozenset())
