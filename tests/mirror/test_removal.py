"""The removal of a group: what goes with it, in which order, and what is left of a place."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from pkgd.errors import FailedStorage
from pkgd.formats.digest import Digest
from pkgd.formats.names import Tag
from pkgd.mirror.removal import Removal
from pkgd.state import Cached
from pkgd.storage.layout import (
    blob_key,
    fallback_key,
    manifest_key,
    media_type_key,
    private_key,
    referrers_key,
    tag_key,
)
from pkgd.storage.memory import MemoryReader
from tests.cached import PLACES, Thing, blob_thing, image_thing
from tests.mirror.caches import CacheCase

A, B, _ = PLACES
OTHER = Digest.of(b"other")


class RemovalTests(CacheCase):
    """One image, with everything that may stand beside it."""

    def setUp(self) -> None:
        """An image with two layers and two tags, and what was kept with it."""
        super().setUp()
        self.blobs = [blob_thing(name) for name in (b"config", b"layer")]
        self.image = image_thing(*self.blobs)
        self.digest = Digest.parse(self.image.digest)
        for thing in (*self.blobs, self.image):
            self.cache.keep(A, thing, 1)
        for tag in ("v1", "latest"):
            self.cache.write(A, self.image, tag)
        self.put(media_type_key(A, self.digest), b'{"mediaType": "x"}')
        self.put(referrers_key(A, self.digest))
        self.removal = Removal(self.cache.store, self.cache.ledger, self.cache.blocking)

    def put(self, key: str, data: bytes = b"{}") -> None:
        """Put an object into the tree."""
        self.cache.store.objects[key] = data

    def remove(self, thing: Thing | None = None) -> list[Cached]:
        """Remove the group of the image, or of another thing."""
        digest = (thing or self.image).digest
        return self.do(self.removal.remove(self.get(self.cache.ledger.group(A, digest))))

    def test_order(self) -> None:
        """Tags first, then the manifest and what depends on it, then the blobs."""
        self.remove()

        deleted = self.cache.store.deleted
        self.assertEqual(sorted(deleted[:2]), [tag_key(A, Tag("latest")), tag_key(A, Tag("v1"))])
        beside = [key(A, self.digest) for key in (manifest_key, media_type_key, referrers_key)]
        self.assertEqual(deleted[2:5], beside)
        self.assertEqual(sorted(deleted[5:]), sorted(blob_key(A, Digest.parse(one.digest)) for one in self.blobs))

    def test_result(self) -> None:
        """It tells what went, and the ledger knows."""
        gone = self.remove()

        self.assertEqual({one.digest for one in gone}, {self.image.digest, *(one.digest for one in self.blobs)})
        self.assertEqual(sum(one.size for one in gone), self.image.size + sum(one.size for one in self.blobs))
        self.assertEqual(self.get(self.cache.ledger.total()), 0)

    def test_other_tags(self) -> None:
        """A tag on another manifest stays, and so does a damaged one while there is something that it may mean."""
        other = image_thing(blob_thing(b"{}"))
        self.cache.keep(A, other, 1, "other")
        for number, damage in enumerate((b"", b"{", b"[]", b'{"digest": 1}')):
            self.put(tag_key(A, Tag(f"damaged-{number}")), damage)

        self.remove()

        left = {key for key in self.cache.store.objects if "/by-tag/" in key}
        self.assertEqual(left, {tag_key(A, Tag(one)) for one in ("other", *(f"damaged-{n}" for n in range(4)))})

    def test_tags_that_move(self) -> None:
        """A tag counts where it points now, however often the place has been looked at before."""
        images = [image_thing(blob_thing(b"%d" % number)) for number in range(3)]
        for number, image in enumerate(images):
            self.cache.keep(A, image, 1, f"n{number}")
        self.remove(images[0])
        self.cache.write(A, images[2], "n1")
        self.cache.write(A, images[1], "n2")
        self.cache.write(A, images[1], "new")

        self.remove(images[1])

        self.assertEqual({tag for _, tag in self.cache.tags()}, {"v1", "latest", "n1"})

    def test_tags_are_read_once(self) -> None:
        """Tags that have not changed are not read again for the next group."""
        images = self.tagged_images(A)
        self.remove()
        opened = self.opened()

        self.cache.write(A, images[1], "n2")
        self.remove(images[0])

        self.assertEqual(opened, [tag_key(A, Tag("n2"))])

    def test_few_are_remembered(self) -> None:
        """There is a limit to what is remembered; of the place that was seen last it is kept."""
        self.removal = Removal(self.cache.store, self.cache.ledger, self.cache.blocking, max_targets=4)
        here, there = self.tagged_images(A), self.tagged_images(B)
        self.remove()
        self.do(self.removal.remove(self.get(self.cache.ledger.group(B, there[0].digest))))
        opened = self.opened()

        self.do(self.removal.remove(self.get(self.cache.ledger.group(B, there[1].digest))))
        self.assertEqual(opened, [])
        self.remove(here[0])
        self.assertEqual(len(opened), 3)
        self.assertEqual(sorted(self.cache.tags()), [(A, "n1"), (A, "n2"), (B, "n2")])

    def tagged_images(self, place: str) -> list[Thing]:
        """Three more images, each with a tag and nothing else of its own."""
        images = [image_thing(blob_thing(b"%d" % number)) for number in range(3)]
        for number, image in enumerate(images):
            self.cache.keep(place, image, 1, f"n{number}")
        return images

    def opened(self) -> list[str]:
        """The keys of the objects that are opened from now on."""
        keys, works = list[str](), self.cache.store.open

        async def count(key: str) -> MemoryReader | None:
            keys.append(key)
            return await works(key)

        self.cache.store.open = count
        return keys

    def test_other_places(self) -> None:
        """The same image of another place has its own tags, manifest and blobs."""
        for thing in (*self.blobs, self.image):
            self.cache.keep(B, thing, 1, "v1" if thing is self.image else "")

        self.remove()

        self.assertEqual({place for place, _ in self.cache.found()}, {B})
        self.assertEqual(len(self.cache.found()), 3)
        self.assertEqual(self.cache.tags(), {(B, "v1"): self.image.digest})

    def test_empty_place(self) -> None:
        """Of a place without content nothing stays but the marks: whose content it was, and what its name means."""
        marks = {private_key(A): b"{}", fallback_key(A): b"{}"}
        self.cache.store.objects.update(marks)
        for key in (referrers_key(A, OTHER), media_type_key(A, OTHER), tag_key(A, Tag("damaged"))):
            self.put(key)

        self.remove()

        self.assertEqual(self.cache.store.objects, marks)

    def test_place_that_is_not_empty(self) -> None:
        """As long as something is left, the lists of referrers are, too."""
        self.cache.keep(A, blob_thing(b"other"), 1)
        self.put(referrers_key(A, OTHER))

        self.remove()

        self.assertIn(referrers_key(A, OTHER), self.cache.store.objects)

    def test_place_that_seems_empty(self) -> None:
        """Nor is anything cleared away where there is a manifest that the ledger has missed."""
        self.cache.write(A, image_thing(blob_thing(b"{}")), "missed")

        self.remove()

        self.assertEqual(set(self.cache.tags()), {(A, "missed")})

    def test_nested_place(self) -> None:
        """A repository below is another place."""
        below = f"{A}/below"
        self.cache.keep(below, self.image, 1, "v1")

        self.remove()

        self.assertEqual(self.cache.found(), {(below, self.image.digest)})
        self.assertEqual(set(self.cache.tags()), {(below, "v1")})

    def test_blob(self) -> None:
        """A blob that nothing needs goes without a look at the tags."""
        lone = blob_thing(b"lone")
        self.cache.keep(A, lone, 1)

        self.remove(lone)

        self.assertEqual(self.cache.store.deleted, [blob_key(A, Digest.parse(lone.digest))])

    def test_half_way(self) -> None:
        """What could not be deleted stays in the ledger, and what has been does not."""
        stuck = blob_key(A, Digest.parse(self.blobs[1].digest))

        def fail(key: str) -> None:
            if key == stuck:
                raise FailedStorage("Input/output error")

        self.cache.store.before_delete = fail
        group = self.get(self.cache.ledger.group(A, self.image.digest))

        self.failureResultOf(Deferred.fromCoroutine(self.removal.remove(group)), FailedStorage)

        left = {one.digest for one in self.get(self.cache.ledger.page(None, 9))}
        self.assertEqual(left, {digest for _, digest in self.cache.found()})
        self.assertIn(self.blobs[1].digest, left)
        self.assertNotIn(self.image.digest, left)
