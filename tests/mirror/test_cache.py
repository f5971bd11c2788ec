"""What upstreams have delivered, as it is kept: where, for whom, and what happens when the disk fails."""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.internet.defer import Deferred

from pkgd.errors import FailedStorage, Storage
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, RepositoryName, Tag
from pkgd.formats.oci import IMAGE, parse_manifest
from pkgd.mirror.cache import MAX_LISTED, MAX_MARKS
from pkgd.storage.layout import blob_key, directory, manifest_key, private_key, referrers_key, tag_key
from pkgd.storage.memory import MemoryStore
from tests.fixtures import HeldBlocking
from tests.mirror.fill_fixtures import APP, NOON, MirrorCase
from tests.registry.fixtures import descriptor, image

DATA = b"some bytes"
DIGEST = Digest.of(DATA)
LATEST = Tag("latest")
IMAGE_DATA = image(DIGEST, Digest.of(b"layer"))
IMAGE_DIGEST = Digest.of(IMAGE_DATA)
UNTYPED = image(DIGEST, mediaType=None)
PLACE = directory(APP)
ENTRY = json.dumps(descriptor(b"signature")).encode()


class CacheCase(MirrorCase):
    """A test case with a cache."""

    def keep_manifest(self, data: bytes = IMAGE_DATA, origin: Origin = APP, private: bool = False) -> Digest:
        """Keep a manifest."""
        digest = Digest.of(data)
        self.do(self.mirror.cache.keep_manifest(origin, digest, parse_manifest(data, IMAGE), data, private))
        return digest

    def keep_blob(self, data: bytes = DATA, origin: Origin = APP, private: bool = False) -> bool:
        """Keep a blob; returns whether its file was consumed."""
        spool = self.mirror.place.spool
        staged = spool.create_fill("sha256")
        staged.append(memoryview(data))
        staged.seal("sha256")
        try:
            return self.do(self.mirror.cache.keep_blob(origin, Digest.of(data), staged, private))
        finally:
            spool.remove_fill(staged)

    def point(self, told_at: float = NOON, tag: Tag = LATEST, digest: Digest = IMAGE_DIGEST) -> bool:
        """Point a tag at a manifest."""
        return self.do(self.mirror.cache.point(APP, tag, digest, told_at))

    def needed(self) -> set[str]:
        """What the ledger knows to be needed by the image."""
        group = self.successResultOf(self.mirror.ledger.group(PLACE, str(IMAGE_DIGEST)))
        assert group is not None
        return set(group.digests)


class KeepingTests(CacheCase):
    """Manifests and blobs."""

    def test_manifest(self) -> None:
        """A manifest is found by its digest, byte for byte, in the tree of its host."""
        self.keep_manifest()

        found = self.do(self.mirror.cache.manifest(APP, IMAGE_DIGEST))

        assert found is not None
        self.assertEqual((found.digest, found.media_type, found.data), (IMAGE_DIGEST, IMAGE, IMAGE_DATA))
        key = f"__mirror__/docker.io/team/app/manifests/by-digest/{IMAGE_DIGEST.encoded}"
        self.assertTrue(os.path.isfile(self.mirror.place.tree.path(key)))

    def test_untyped_manifest(self) -> None:
        """One that does not say its media type keeps the one that it came with."""
        digest = self.keep_manifest(UNTYPED)

        found = self.do(self.mirror.cache.manifest(APP, digest))

        assert found is not None
        self.assertEqual((found.media_type, found.data), (IMAGE, UNTYPED))

    def test_ledger(self) -> None:
        """The ledger learns what is kept, and what needs what."""
        self.keep_manifest()
        self.keep_blob()

        self.assertLessEqual({str(IMAGE_DIGEST), str(DIGEST)}, self.needed())
        self.assertEqual(self.successResultOf(self.mirror.ledger.total()), len(IMAGE_DATA) + len(DATA))

    def test_blob(self) -> None:
        """A blob's staged file becomes the cached one."""
        self.assertTrue(self.keep_blob())

        self.assertEqual(self.cached(DIGEST), DATA)
        self.assertEqual(self.do(self.mirror.cache.blob_size(APP, DIGEST)), len(DATA))

    def test_equal_blob(self) -> None:
        """Equal bytes of another host are linked to; the staged file is left to the caller."""
        self.keep_blob()
        other = Origin("quay.io", RepositoryName("a"))

        self.assertFalse(self.keep_blob(origin=other))

        self.assertEqual(self.cached(DIGEST, other), DATA)

    def test_absent(self) -> None:
        """What is not here is None, whatever it is."""
        cache = self.mirror.cache
        for found in (
            self.do(cache.manifest(APP, IMAGE_DIGEST)),
            self.do(cache.manifest(APP, LATEST)),
            cache.manifest_at_once(APP, "latest"),
            self.do(cache.blob(APP, DIGEST)),
            self.do(cache.blob_size(APP, DIGEST)),
            self.do(cache.referrers(APP, IMAGE_DIGEST)),
        ):
            self.assertIsNone(found)

    def test_hosted_is_not_cached(self) -> None:
        """A hosted repository's content is none of an upstream's, nor is that of another host."""
        self.do(self.mirror.store.put_bytes(blob_key("team/app", DIGEST), DATA))
        self.do(self.mirror.store.put_bytes(blob_key(directory(Origin("quay.io", APP.name)), DIGEST), DATA))

        self.assertIsNone(self.cached(DIGEST))

    def test_at_once(self) -> None:
        """A manifest that has been read is in memory, until a file that it was read from changes."""
        self.keep_manifest()
        self.point()
        self.assertIsNone(self.mirror.cache.manifest_at_once(APP, "latest"))
        self.do(self.mirror.cache.manifest(APP, LATEST))
        found = self.mirror.cache.manifest_at_once(APP, "latest")
        assert found is not None
        self.assertEqual((found.digest, found.validated), (IMAGE_DIGEST, NOON))

        self.point(NOON + 60)

        self.assertIsNone(self.mirror.cache.manifest_at_once(APP, "latest"))

    def test_waits_for_the_eviction(self) -> None:
        """Nothing is written to a place while somebody else is at it."""
        holding = self.mirror.locks.holding(PLACE)
        self.do(holding.__aenter__())
        manifest = parse_manifest(IMAGE_DATA, IMAGE)
        cache = self.mirror.cache

        keeping = self.begin(cache.keep_manifest(APP, IMAGE_DIGEST, manifest, IMAGE_DATA, False))
        pointing = self.begin(cache.point(APP, LATEST, IMAGE_DIGEST, NOON))
        forgetting = self.begin(cache.forget_tag(APP, LATEST))
        listing = self.begin(cache.keep_referrers(APP, IMAGE_DIGEST, []))
        for one in (keeping, pointing, forgetting, listing):
            self.assertNoResult(one)

        self.do(holding.__aexit__(None, None, None))
        for one in (keeping, pointing, forgetting, listing):
            self.successResultOf(one)


class TagTests(CacheCase):
    """What a tag stands for, and since when that is known."""

    def test_point(self) -> None:
        """A tag leads to its manifest, and says when the upstream has told so."""
        self.keep_manifest()

        self.assertTrue(self.point(NOON + 7))

        found = self.do(self.mirror.cache.manifest(APP, LATEST))
        assert found is not None
        self.assertEqual((found.digest, found.validated), (IMAGE_DIGEST, NOON + 7))
        with open(self.mirror.place.tree.path(tag_key(PLACE, LATEST)), "rb") as file:
            self.assertEqual(json.load(file), {"digest": str(IMAGE_DIGEST), "validated": NOON + 7})

    def test_moved(self) -> None:
        """A tag that is pointed elsewhere leads there."""
        self.keep_manifest()
        other = self.keep_manifest(image(Digest.of(b"other")))
        self.point()

        self.point(digest=other)

        found = self.do(self.mirror.cache.manifest(APP, LATEST))
        assert found is not None
        self.assertEqual(found.digest, other)

    def test_no_manifest(self) -> None:
        """A tag is never pointed at what is not here."""
        self.assertFalse(self.point())

        self.assertIsNone(self.do(self.mirror.cache.manifest(APP, LATEST)))

    def test_evicted_manifest(self) -> None:
        """A tag whose manifest is gone stands for nothing."""
        self.keep_manifest()
        self.point()
        self.do(self.mirror.store.delete(manifest_key(PLACE, IMAGE_DIGEST)))

        self.assertIsNone(self.do(self.mirror.cache.manifest(APP, LATEST)))

    def test_forget(self) -> None:
        """A tag that is forgotten is gone, its manifest is not; forgetting what is not here does nothing."""
        self.keep_manifest()
        self.point()

        self.do(self.mirror.cache.forget_tag(APP, LATEST))
        self.do(self.mirror.cache.forget_tag(APP, LATEST))

        self.assertIsNone(self.do(self.mirror.cache.manifest(APP, LATEST)))
        self.assertIsNotNone(self.do(self.mirror.cache.manifest(APP, IMAGE_DIGEST)))

    def test_damaged(self) -> None:
        """A damaged tag file stands for nothing."""
        self.keep_manifest()
        for data in (b"", b"{", b"[]", b'{"digest": "sha256:x"}', b'{"digest": 5}', b'{"validated": "x"}'):
            self.do(self.mirror.store.put_bytes(tag_key(PLACE, LATEST), data))
            self.assertIsNone(self.do(self.mirror.cache.manifest(APP, LATEST)))


class ReferrersTests(CacheCase):
    """Lists of referrers."""

    def listed(self) -> Any:
        """What is kept for the image."""
        return self.do(self.mirror.cache.referrers(APP, IMAGE_DIGEST))

    def keep(self, *entries: bytes, subject: Digest = IMAGE_DIGEST) -> None:
        """Keep a list."""
        self.do(self.mirror.cache.keep_referrers(APP, subject, list(entries)))

    def test_beside_the_subject(self) -> None:
        """The list of a manifest that is kept is kept beside it, and survives the process."""
        self.keep_manifest()
        self.keep(ENTRY)
        self.mirror.cache._listed.clear()

        listed = self.listed()

        self.assertEqual((json.loads(listed.entries[0]), listed.validated), (json.loads(ENTRY), NOON))

    def test_nothing_listed(self) -> None:
        """That there are none is known as well."""
        self.keep_manifest()
        self.keep()

        self.assertEqual(self.listed().entries, [])

    def test_without_subject(self) -> None:
        """Anybody may ask for the referrers of anything: what is not here costs no file, but a little memory."""
        self.keep(ENTRY)

        self.assertEqual(self.listed().entries, [ENTRY])
        self.assertFalse(os.path.exists(self.mirror.place.tree.path(referrers_key(PLACE, IMAGE_DIGEST))))

    def test_memory_is_bounded(self) -> None:
        """Of too many such lists, the oldest are forgotten; one that is larger than all may be is not kept."""
        self.keep(ENTRY)
        self.keep(b"x" * MAX_LISTED, subject=Digest.of(b"too large"))
        self.assertIsNotNone(self.listed())
        count = 8
        for number in range(count):
            self.keep(b"x" * (MAX_LISTED // 4), subject=Digest.of(b"%d" % number))

        cache = self.mirror.cache
        self.assertIsNone(self.listed())
        self.assertLessEqual(cache._listed_bytes, MAX_LISTED)
        self.assertIsNotNone(self.do(cache.referrers(APP, Digest.of(b"%d" % (count - 1)))))
        self.assertIsNone(self.do(cache.referrers(APP, Digest.of(b"too large"))))

    def test_subject_comes_later(self) -> None:
        """Once the subject is kept, the list is."""
        self.keep(ENTRY)
        self.keep_manifest()

        self.keep(ENTRY, ENTRY)

        self.assertEqual(len(self.listed().entries), 2)
        self.assertEqual((self.mirror.cache._listed, self.mirror.cache._listed_bytes), ({}, 0))

    def test_damaged(self) -> None:
        """A damaged list counts as none."""
        self.keep_manifest()
        for data in (b"", b"{", b"[]", b'{"manifests": []}', b'{"validated": 1}', b'{"validated":1,"manifests":5}'):
            self.do(self.mirror.store.put_bytes(referrers_key(PLACE, IMAGE_DIGEST), data))
            self.assertIsNone(self.listed(), data)

    def test_damaged_entries(self) -> None:
        """Of a list with entries that name nothing, those are left out."""
        self.keep_manifest()
        data = b'{"validated":1,"manifests":[5,null,{},{"digest":"x"},%b]}' % ENTRY
        self.do(self.mirror.store.put_bytes(referrers_key(PLACE, IMAGE_DIGEST), data))

        self.assertEqual([json.loads(one) for one in self.listed().entries], [json.loads(ENTRY)])


class MarkTests(CacheCase):
    """What is known of a repository as a whole."""

    def is_private(self, origin: Origin = APP) -> bool:
        """Whether it is private."""
        return self.do(self.mirror.cache.is_private(origin))

    def test_public(self) -> None:
        """What was fetched without credentials is public."""
        self.keep_manifest()
        self.keep_blob()

        self.assertFalse(self.is_private())

    def test_private(self) -> None:
        """What was fetched with credentials makes its repository private, and nothing else's; for good."""
        self.keep_manifest(private=True)
        self.keep_manifest(image(Digest.of(b"other")))

        self.assertTrue(self.is_private())
        self.assertFalse(self.is_private(Origin("docker.io", RepositoryName("team/other"))))
        self.assertFalse(self.is_private(Origin("quay.io", APP.name)))

    def test_private_blob(self) -> None:
        """So does a blob."""
        self.keep_blob(private=True)

        self.assertTrue(self.is_private())

    def test_marked_before(self) -> None:
        """The mark is there before the content: whenever a kill comes, nothing private is public."""
        fs: Any = self.mirror.fs
        at = 0
        while True:
            fs.fail(at, 28, lasting=True)
            kept = self.begin(
                self.mirror.cache.keep_manifest(APP, IMAGE_DIGEST, parse_manifest(IMAGE_DATA, IMAGE), IMAGE_DATA, True)
            )
            done = not fs.failed
            fs.heal()
            kept.addErrback(lambda failure: failure.trap(Storage))
            tree = self.mirror.place.tree
            if os.path.exists(tree.path(manifest_key(PLACE, IMAGE_DIGEST))):
                self.assertTrue(os.path.exists(tree.path(private_key(PLACE))))
            if done:
                break
            at += 1
        self.assertGreater(at, 5)

    def test_known_to_the_next_process(self) -> None:
        """The mark stands in the tree."""
        self.keep_manifest(private=True)
        self.mirror.cache._marks.clear()
        self.assertIsNone(self.mirror.cache.private_at_once(APP))

        self.assertTrue(self.is_private())

        self.assertIs(self.mirror.cache.private_at_once(APP), True)

    def test_credentials(self) -> None:
        """Where credentials are configured everything is private, before the first byte was fetched with them."""
        self.use(credentialed=frozenset(["docker.io"]))

        self.assertTrue(self.is_private())
        self.assertIs(self.mirror.cache.private_at_once(APP), True)
        self.assertFalse(self.is_private(Origin("quay.io", APP.name)))

    def test_untold(self) -> None:
        """If the disk doesn't tell, nobody is let in."""
        fs: Any = self.mirror.fs
        fs.fail_calls("stat")

        self.refusal(self.mirror.cache.is_private(APP), FailedStorage)

        fs.heal()

    def test_marked_while_asked(self) -> None:
        """Who asks while it is being marked does not make that forgotten."""
        held = HeldBlocking()
        self.use(blocking=held)
        cache = self.mirror.cache
        asking: Deferred[bool] = self.begin(cache.is_private(APP))
        late, _ = held._held.popleft()  # the disk has looked; its answer is on the way

        marking = self.begin(cache._mark(private_key(PLACE)))
        held.release_all()
        self.successResultOf(marking)
        late.callback(None)

        self.assertTrue(self.successResultOf(asking))
        self.assertIs(cache.private_at_once(APP), True)

    def test_fallback(self) -> None:
        """What a name was resolved to is written down."""
        cache = self.mirror.cache
        self.assertFalse(self.do(cache.is_fallback(APP)))

        self.do(cache.mark_fallback(APP))
        cache._marks.clear()

        self.assertTrue(self.do(cache.is_fallback(APP)))

    def test_bounded(self) -> None:
        """Anybody may name any number of repositories; they are not all remembered."""
        marks = self.mirror.cache._marks
        marks.update((str(number), False) for number in range(MAX_MARKS))

        self.is_private()

        self.assertEqual(len(marks), MAX_MARKS)


class TroubleTests(CacheCase):
    """The disk fails: what cannot be read is not here, what cannot be written is an error."""

    def test_reading(self) -> None:
        """Nothing of it fails a client: the upstream may have it."""
        self.keep_manifest()
        self.point()
        self.keep_blob()
        self.do(self.mirror.cache.keep_referrers(APP, IMAGE_DIGEST, [ENTRY]))
        cache = self.mirror.cache
        fs: Any = self.mirror.fs
        for error in (5, 13, 24):
            fs.fail_calls("open", "stat", error=error)
            for found in (
                self.do(cache.manifest(APP, IMAGE_DIGEST)),
                self.do(cache.manifest(APP, LATEST)),
                self.do(cache.blob(APP, DIGEST)),
                self.do(cache.blob_size(APP, DIGEST)),
                self.do(cache.referrers(APP, IMAGE_DIGEST)),
            ):
                self.assertIsNone(found)
            fs.heal()

    def test_damaged_manifest(self) -> None:
        """A manifest that has another digest by now is not here; fetched again, it is healed."""
        self.keep_manifest()
        self.do(self.mirror.store.put_bytes(manifest_key(PLACE, IMAGE_DIGEST), b"damaged"))
        self.assertIsNone(self.do(self.mirror.cache.manifest(APP, IMAGE_DIGEST)))

        self.keep_manifest()

        self.assertIsNotNone(self.do(self.mirror.cache.manifest(APP, IMAGE_DIGEST)))

    def test_writing(self) -> None:
        """What cannot be written is the caller's to bear, and nothing is left open."""
        self.keep_manifest()
        fs: Any = self.mirror.fs
        fs.fail_calls("rename")
        cache = self.mirror.cache

        self.refusal(cache.point(APP, LATEST, IMAGE_DIGEST, NOON), Storage)
        self.refusal(cache.keep_referrers(APP, IMAGE_DIGEST, [ENTRY]), Storage)
        self.refusal(cache.mark_fallback(APP), Storage)

        fs.heal()
        self.assertFalse(self.do(cache.is_fallback(APP)))


class InMemoryTests(KeepingTests, TagTests):
    """The same, on a store that is no file system."""

    def setUp(self) -> None:
        """A cache in memory."""
        self.use(store=MemoryStore())

    def test_manifest(self) -> None:
        """A manifest is kept under its key."""
        self.keep_manifest()

        self.assertEqual(self.mirror.store.objects[manifest_key(PLACE, IMAGE_DIGEST)], IMAGE_DATA)

    def test_point(self) -> None:
        """A tag is kept under its."""
        self.keep_manifest()
        self.point()

        pointer = json.loads(self.mirror.store.objects[tag_key(PLACE, LATEST)])
        self.assertEqual(pointer, {"digest": str(IMAGE_DIGEST), "validated": NOON})
