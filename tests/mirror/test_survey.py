"""The survey: what the tree holds is in the ledger then, and nothing else."""

from __future__ import annotations

import tempfile

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail

from pkgd.errors import FailedStorage
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, RepositoryName, Tag
from pkgd.mirror.survey import BATCH
from pkgd.state import Cached
from pkgd.state.ledger import MAX_CHANGES
from pkgd.storage.interfaces import Entry
from pkgd.storage.layout import blob_key, directory, manifest_key, media_type_key, tag_key
from tests.cached import PLACES, Thing, blob_thing, image_thing, index_thing, uses, worlds
from tests.mirror.caches import Cache, CacheCase
from tests.properties import brief

A, B, C = PLACES


class _Case(CacheCase):
    """A cache after an unclean stop."""

    def setUp(self) -> None:
        """A cache whose ledger may have missed something."""
        super().setUp()
        self.cache.restart(None)
        self.layer = blob_thing(b"layer")
        self.image = image_thing(self.layer)

    def survey(self) -> None:
        """Take the survey to its end."""
        self.do(self.cache.survey().run())

    def known(self) -> list[Cached]:
        """What is in the ledger."""
        return self.get(self.cache.ledger.page(None, 10_000))

    def digests(self) -> list[str]:
        """The digests that are in the ledger."""
        return [one.digest for one in self.known()]


class AddTests(_Case):
    """What is in the tree only."""

    def test_equal_bytes(self) -> None:
        """A blob is known to who looks for equal bytes, or the next one would be a second file that counts as none."""
        for thing in (self.layer, self.image):
            self.cache.write(A, thing, "v1" if thing.is_manifest else "")

        self.survey()

        self.assertEqual(self.get(self.cache.index.holders(self.layer.digest)), [A])
        self.assertEqual(self.get(self.cache.index.holders(self.image.digest)), [])

    def test_image(self) -> None:
        """Manifests and blobs are entered with their sizes, as used now, and a manifest with what it needs."""
        for thing in (self.layer, self.image):
            self.cache.write(A, thing, "v1" if thing.is_manifest else "")

        self.survey()

        self.assertEqual(
            sorted(self.known(), key=lambda one: one.is_manifest),
            [Cached(A, one.digest, one.is_manifest, one.size, 100.0) for one in (self.layer, self.image)],
        )
        self.assertEqual([one.digest for one in self.get(self.cache.ledger.roots())], [self.image.digest])
        self.assertIs(self.get(self.cache.ledger.is_complete()), True)

    def test_index(self) -> None:
        """An index needs its images."""
        for thing in (self.layer, self.image, index_thing(self.image)):
            self.cache.write(A, thing)

        self.survey()

        self.assertEqual([one.digest for one in self.get(self.cache.ledger.roots())], [index_thing(self.image).digest])

    def test_what_is_known(self) -> None:
        """What is in the ledger already keeps the time of its last use."""
        self.cache.keep(A, self.layer, 7)
        self.cache.write(A, self.image)

        self.survey()

        self.assertEqual({one.digest: one.used for one in self.known()}[self.layer.digest], 7)

    def test_both(self) -> None:
        """A manifest that was pulled as a blob, too, is entered as both."""
        self.cache.write(A, self.image)
        self.cache.store.objects[blob_key(A, Digest.parse(self.image.digest))] = self.image.data

        self.survey()

        self.assertEqual([one.is_manifest for one in self.known()], [False, True])

    def test_every_place(self) -> None:
        """Repositories of any depth, one within another and with reserved names, of all hosts; and no hosted one."""
        names = ["a", "a/b", "a/b/c/d", "blobs/x", "x/manifests"]
        places = {directory(Origin("docker.io", RepositoryName(name))) for name in names}
        places.add(directory(Origin("localhost:5000", RepositoryName("a"))))
        for place in (*places, "hosted/app"):
            self.cache.write(place, self.layer)

        self.survey()

        self.assertEqual({one.place for one in self.known()}, places)

    def test_other_algorithm(self) -> None:
        """A digest of another algorithm is entered under that."""
        digest = Digest.of(b"layer", "sha512")
        self.cache.store.objects[blob_key(A, digest)] = b"layer"

        self.survey()

        self.assertEqual(self.digests(), [str(digest)])

    def test_other_files(self) -> None:
        """What is no object is left alone: media types, tags, lists of referrers, marks, and what is not ours."""
        for key in (
            media_type_key(A, Digest.of(b"x")),
            tag_key(A, Tag("v1")),
            f"{A}/manifests/referrers/{'0' * 64}",
            f"{A}/.private",
            f"{A}/blobs/readme",
            f"__mirror__/{'0' * 64}",
            f"__mirror__/docker.io/Upper/blobs/{'0' * 64}",
        ):
            self.cache.store.objects[key] = b"{}"

        self.survey()

        self.assertEqual(self.known(), [])
        self.assertIs(self.get(self.cache.ledger.is_complete()), True)

    def test_type_beside_the_manifest(self) -> None:
        """What a manifest needs is read with the type that is kept beside it."""
        layer = Digest.of(b"layer")
        entry = b'{"digest": "%s", "size": 5, "mediaType": "x"}' % str(layer).encode()
        artifact = Thing(b'{"blobs": [%s]}' % entry, True)
        self.cache.write(A, artifact)
        kept = b'{"mediaType": "application/vnd.oci.artifact.manifest.v1+json"}'
        self.cache.store.objects[media_type_key(A, Digest.parse(artifact.digest))] = kept

        self.survey()

        self.assertEqual(self.get(self.cache.ledger.group(A, artifact.digest)).digests, {artifact.digest, str(layer)})

    def test_damaged_manifests(self) -> None:
        """A manifest that cannot be read needs nothing, for it can be served to nobody; the others are read."""
        damaged = [Thing(data, True) for data in (b"", b"{", b"\xff", b"[]", b'{"manifests": 1}')]
        for thing in (*damaged, self.image):
            self.cache.write(A, thing)
            self.cache.store.objects[media_type_key(A, Digest.parse(thing.digest))] = b"{"

        self.survey()

        self.assertEqual(set(self.digests()), {one.digest for one in (*damaged, self.image)})
        group = self.get(self.cache.ledger.group(A, self.image.digest))
        self.assertIn(self.layer.digest, group.digests)

    def test_many(self) -> None:
        """More than is entered at a time."""
        things = [blob_thing(b"%d" % number) for number in range(3 * BATCH + 1)]
        for thing in things:
            self.cache.write(A, thing)

        self.survey()

        self.assertEqual(len(self.known()), len(things))


class DropTests(_Case):
    """What is in the ledger only."""

    def test_vanished(self) -> None:
        """What is gone from the tree is dropped, a whole place, too."""
        for place in (A, B):
            for thing in (self.layer, self.image):
                self.cache.keep(place, thing, 7)
        del self.cache.store.objects[blob_key(A, Digest.parse(self.layer.digest))]
        for thing in (self.layer, self.image):
            kind = manifest_key if thing.is_manifest else blob_key
            del self.cache.store.objects[kind(B, Digest.parse(thing.digest))]

        self.survey()

        self.assertEqual([(one.place, one.digest) for one in self.known()], [(A, self.image.digest)])

    def test_many(self) -> None:
        """More than is looked up at a time."""
        things = [blob_thing(b"%d" % number) for number in range(3 * BATCH + 1)]
        for thing in things:
            self.cache.keep(A, thing, 7)
        for thing in things[::2]:
            del self.cache.store.objects[blob_key(A, Digest.parse(thing.digest))]

        self.survey()

        self.assertEqual(set(self.digests()), {one.digest for one in things[1::2]})

    def test_another_size(self) -> None:
        """What has another size than it should counts as it is."""
        self.cache.keep(A, self.layer, 7)
        self.cache.store.objects[blob_key(A, Digest.parse(self.layer.digest))] = b"lay"

        self.survey()

        self.assertEqual(self.known(), [Cached(A, self.layer.digest, False, 3, 100.0)])
        self.assertEqual(self.get(self.cache.ledger.total()), 3)


class CourseTests(_Case):
    """When it is taken, and how it ends."""

    def test_not_needed(self) -> None:
        """With a complete ledger the tree is not looked at."""
        self.cache.write(A, self.layer)
        self.get(self.cache.ledger.complete())

        self.survey()

        self.assertEqual(self.known(), [])

    def test_stopped(self) -> None:
        """When the daemon stops it ends at the next step, and the ledger stays incomplete."""
        for number in range(2 * BATCH):
            self.cache.write(A, blob_thing(b"%d" % number))
        turns = iter([False] * 2)

        self.do(self.cache.survey().run(lambda: next(turns, True)))

        self.assertEqual(len(self.known()), BATCH)
        self.assertIs(self.get(self.cache.ledger.is_complete()), False)

    def test_after_changes_were_given_up(self) -> None:
        """When the ledger had to give up changes a survey of the same process makes it complete again."""
        self.get(self.cache.ledger.complete())
        self.cache.write(A, self.layer)
        works, self.cache.database.run = self.cache.database.run, lambda call: fail(FailedStorage("disk full"))
        for number in range(MAX_CHANGES + 1):
            self.cache.keep(A, blob_thing(b"%d" % number), 7)
        self.cache.database.run = works
        self.assertIs(self.get(self.cache.ledger.is_complete()), False)

        self.survey()

        self.assertEqual(len(self.known()), MAX_CHANGES + 2)
        self.assertIs(self.get(self.cache.ledger.is_complete()), True)

    def test_unreadable_place(self) -> None:
        """A place that cannot be read does not hide the others; the survey counts when all could be."""
        for place in (A, C):
            self.cache.write(place, self.layer)
        works = self.cache.store.list

        async def list_others(prefix: str) -> list[Entry]:
            if prefix == f"{A}/blobs":
                raise FailedStorage("Input/output error")
            return await works(prefix)

        self.cache.store.list = list_others
        self.survey()
        self.assertEqual([one.place for one in self.known()], [C])
        self.assertIs(self.get(self.cache.ledger.is_complete()), False)

        self.cache.store.list = works
        self.survey()
        self.assertEqual({one.place for one in self.known()}, {A, C})
        self.assertIs(self.get(self.cache.ledger.is_complete()), True)

    def test_writer_at_work(self) -> None:
        """What is written or evicted while its place is locked is seen as it is afterwards."""
        self.cache.write(A, self.layer)
        self.cache.write(A, blob_thing(b"evicted"))
        lock = self.cache.locks.holding(A)
        self.do(lock.__aenter__())
        surveying = Deferred.fromCoroutine(self.cache.survey().run())
        self.assertNoResult(surveying)

        del self.cache.store.objects[blob_key(A, Digest.of(b"evicted"))]
        self.cache.keep(A, self.layer, 7)
        self.do(lock.__aexit__(None, None, None))

        self.successResultOf(surveying)
        self.assertEqual(self.digests(), [self.layer.digest])
        self.assertIs(self.get(self.cache.ledger.is_complete()), True)

    def test_came_back(self) -> None:
        """What had vanished and is fetched again meanwhile is not dropped."""
        self.cache.keep(A, self.layer, 7)
        del self.cache.store.objects[blob_key(A, Digest.parse(self.layer.digest))]
        lock = self.cache.locks.holding(A)
        self.do(lock.__aenter__())
        surveying = Deferred.fromCoroutine(self.cache.survey().run())

        self.cache.keep(A, self.layer, 8)
        self.do(lock.__aexit__(None, None, None))

        self.successResultOf(surveying)
        self.assertEqual([one.used for one in self.known()], [8])


class PropertyTests(CacheCase):
    """Whatever is in the tree, and whatever the ledger thinks."""

    @brief
    @given(st.data())
    def test_agreement(self, data: st.DataObject) -> None:
        """Afterwards the ledger holds just what the tree does, with the same roots and totals."""
        world = data.draw(worlds())
        thought = world.copy()
        for use in data.draw(uses(world)):
            world.use(use)
        for use in data.draw(uses(world)):
            thought.use(use)
        with tempfile.TemporaryDirectory() as directory_:
            cache = Cache(directory_)
            try:
                cache.keep_world(thought)
                cache.store.objects.clear()
                for place, digest in world.cached:
                    cache.write(place, world.things[digest])

                self.do(cache.survey().run())

                known = self.get(cache.ledger.page(None, 1000))
                self.assertEqual({(one.place, one.digest) for one in known}, set(world.cached))
                roots = {(one.place, one.digest) for one in self.get(cache.ledger.roots())}
                self.assertEqual(roots, {(place, root) for place in PLACES for root in world.roots(place)})
                self.assertEqual(self.get(cache.ledger.total()), world.total())
            finally:
                cache.close()
