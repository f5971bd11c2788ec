"""Garbage collection: what goes, what stays, and every race in which it could go wrong."""

from __future__ import annotations

import errno
import os

from pkgd.errors import UnknownBlob
from pkgd.formats.digest import Digest
from pkgd.formats.names import RepositoryName
from pkgd.progress import Silent, Until
from pkgd.registry.garbage import Collector, Found, Policy
from pkgd.storage.fsops import FileSystem
from pkgd.storage.layout import blob_key, manifest_key
from tests.registry.fixtures import APP, OTHER, Registry, RegistryCase, body, descriptor, image, image_index
from tests.storage.fixtures import FaultyFileSystem

GRACE = 100.0


def manifest_of(layer: bytes) -> bytes:
    """What `push_image` pushes."""
    return image(Digest.of(b"{}"), Digest.of(layer))


class GarbageCase(RegistryCase):
    """A registry and its collector; both clocks are the test's. Files are as old as the epoch."""

    def setUp(self) -> None:
        """Begin with nothing."""
        super().setUp()
        self.begin_with(self.registry)

    def begin_with(self, registry: Registry) -> None:
        """Go on with this registry."""
        self.registry = registry
        self.wall = 10_000_000_000.0
        self.collector = Collector(
            *(registry.place.store, registry.index, registry.locks, registry.leases, registry.place.store._blocking),
            *(registry.clock.seconds, lambda: self.wall),
        )

    def pass_(self, apply: bool = True, after: float = GRACE + 1, alone: bool = False) -> list[Found]:
        """A pass, some time after what was before."""
        self.registry.clock.advance(after)
        return self.do(self.collector.run(Policy(GRACE, apply, alone, lambda name: name != "kept"), Silent()))

    def passes(self) -> None:
        """So many that whatever is garbage has gone."""
        for _ in range(3):
            self.pass_()

    def has(self, digest: Digest, name: str = APP) -> bool:
        """Whether the file is there; asks nobody who would take that for a use."""
        return os.path.exists(self.path(blob_key(name, digest)))


class CollectTests(GarbageCase):
    """What goes and what stays."""

    def test_two_passes(self) -> None:
        """What nothing names is seen in one pass and goes in the next; the index forgets it, too."""
        digest = self.do(self.registry.push_blob(APP, b"garbage"))

        first, second = self.pass_(), self.pass_()

        self.assertEqual([(one.objects, one.waiting_objects, one.waiting_bytes) for one in first], [(0, 1, 7)])
        self.assertEqual([(one.objects, one.bytes) for one in second], [(1, 7)])
        self.assertFalse(self.has(digest))
        self.assertEqual(self.successResultOf(self.registry.index.holders(str(digest))), [])
        self.assertEqual(self.pass_(), [])

    def test_images_stay(self) -> None:
        """Whatever a manifest names stays: tagged, untagged, by an index, as a subject, as a blob of an index."""
        self.do(self.registry.push_image(APP, "v1", b"first"))
        self.do(self.registry.push_image(APP, "v1", b"second"))  # the first is untagged now
        cached = self.do(self.registry.push_blob(APP, b"a cache's layer"))
        self.do(self.registry.push(APP, "cache", image_index(cached)))
        self.do(self.registry.push(APP, "signature", image(Digest.of(b"{}"), subject=descriptor(b"a subject"))))

        self.passes()

        for data in (b"{}", b"first", b"second", b"a cache's layer"):
            self.assertTrue(self.has(Digest.of(data)), data)

    def test_deleted_image(self) -> None:
        """After a manifest is deleted its blobs go, except those that another one names."""
        manifest = self.do(self.registry.push_image(APP, "v1", b"first"))
        self.do(self.registry.push_image(APP, "v2", b"second"))
        self.do(self.registry.manifests.delete(APP, Digest.of(manifest)))

        self.passes()

        self.assertEqual([self.has(Digest.of(one)) for one in (b"{}", b"first", b"second")], [True, False, True])

    def test_each_repository(self) -> None:
        """A blob that is garbage in one repository stays in another that names it."""
        self.do(self.registry.push_image(APP, "v1", b"layer"))
        digest = Digest.of(b"layer")
        self.do(self.registry.blobs.mount(OTHER, digest, APP))

        self.passes()

        self.assertEqual((self.has(digest), self.has(digest, OTHER)), (True, False))

    def test_legacy(self) -> None:
        """The original server's manifests count."""
        config, layer = (self.do(self.registry.push_blob(APP, one)) for one in (b"{}", b"layer"))
        self.write(f"{APP}/manifests/old.json", image(config, layer))

        self.passes()

        self.assertTrue(self.has(config) and self.has(layer))

    def test_escapes(self) -> None:
        """A digest that is written with an escape is a digest."""
        layer = self.do(self.registry.push_blob(APP, b"layer"))
        config = self.do(self.registry.push_blob(APP, b"{}"))
        self.do(self.registry.push(APP, "v1", image(config, layer).replace(b"sha256:", b"sha256\\u003a")))

        self.passes()

        self.assertTrue(self.has(layer))

    def test_damaged_manifest(self) -> None:
        """Where a manifest is damaged nothing goes, for nobody knows what it named; elsewhere it does."""
        manifest = self.do(self.registry.push_image(APP, "v1", b"layer"))
        garbage = self.do(self.registry.push_blob(APP, b"garbage"))
        self.do(self.registry.push_blob(OTHER, b"garbage"))
        self.write(manifest_key(APP, Digest.of(manifest)), manifest.replace(b"sha256:", b"sha256:0", 1))

        self.passes()

        self.assertTrue(self.has(garbage) and self.has(Digest.of(b"layer")))
        self.assertFalse(self.has(garbage, OTHER))
        self.assertIn("damaged", self.pass_()[0].problem)

    def test_directories(self) -> None:
        """With the last blob the directories go, unless the name is to be remembered; those of others stay."""
        names = [RepositoryName(one) for one in ("team/gone", "team/gone/below", "kept", "sub/deep")]
        for name in names:
            manifest = self.do(self.registry.push_image(name, "v1", b"layer"))
            if name != "team/gone/below":
                self.do(self.registry.manifests.delete(name, Digest.of(manifest)))
        self.pass_()
        self.pass_(apply=False)
        self.assertTrue(os.path.isdir(self.path("sub/deep")))

        self.passes()

        self.assertEqual(sorted(os.listdir(self.path("team/gone"))), ["below"])
        self.assertFalse(os.path.exists(self.path("sub")))
        self.assertTrue(os.path.isdir(self.path("kept/manifests/by-digest")))
        self.assertEqual(self.do(self.registry.pull(names[1], "v1")), manifest_of(b"layer"))
        self.do(self.registry.push_image(names[0], "v2", b"again"))
        self.passes()
        self.assertEqual(self.do(self.registry.pull(names[0], "v2")), manifest_of(b"again"))

    def test_dry(self) -> None:
        """A dry run says what would go, and touches nothing."""
        digest = self.do(self.registry.push_blob(APP, b"garbage"))

        self.pass_(apply=False)
        found = self.pass_(apply=False)

        self.assertEqual([(one.objects, one.bytes) for one in found], [(1, 7)])
        self.assertTrue(self.has(digest))

    def test_alone(self) -> None:
        """Where no daemon runs, one pass is enough, if the file has not been changed or linked within the grace."""
        digest = self.do(self.registry.push_blob(APP, b"garbage"))
        self.wall = os.stat(self.path(blob_key(APP, digest))).st_ctime + GRACE - 1
        self.pass_(alone=True)
        self.assertTrue(self.has(digest))

        self.wall += 2
        self.pass_(alone=True)

        self.assertFalse(self.has(digest))

    def test_ends_early(self) -> None:
        """A pass that is over early leaves the rest to the next, which still knows what it knew."""
        digest = self.do(self.registry.push_blob(APP, b"garbage"))
        self.pass_()
        self.do(self.collector.run(Policy(GRACE, True), Until(lambda: True)))

        self.pass_()

        self.assertFalse(self.has(digest))


class RaceTests(GarbageCase):
    """Clients that push while garbage is collected."""

    def test_upload_meanwhile(self) -> None:
        """What is uploaded once more after it was seen to be garbage stays for the grace."""
        digest = self.do(self.registry.push_blob(APP, b"layer"))
        self.pass_()
        self.registry.clock.advance(GRACE)
        self.do(self.registry.push_blob(APP, b"layer"))

        self.pass_(after=GRACE - 1)

        self.assertTrue(self.has(digest))

    def test_told_that_it_is_there(self) -> None:
        """After a HEAD that finds it, a blob stays as long as the grace, for the manifest that comes then."""
        config, layer = (self.do(self.registry.push_blob(APP, one)) for one in (b"{}", b"layer"))
        self.pass_()
        self.registry.clock.advance(GRACE)
        self.do(self.registry.blobs.open(APP, layer)).close()
        self.do(self.registry.blobs.size(APP, config))

        self.pass_(after=GRACE - 1)
        self.do(self.registry.push(APP, "v1", image(config, layer)))
        self.passes()

        self.assertTrue(self.has(layer) and self.has(config))

    def test_mount(self) -> None:
        """A blob that has been mounted stays for the grace, though its file is old."""
        self.do(self.registry.push_image(APP, "v1", b"layer"))
        digest = Digest.of(b"layer")
        self.do(self.registry.blobs.mount(OTHER, digest, APP))
        self.pass_()
        self.registry.clock.advance(GRACE)
        self.do(self.registry.blobs.mount(OTHER, digest, APP))

        self.pass_(after=GRACE - 1)

        self.assertTrue(self.has(digest, OTHER))

    def test_manifest_between_mark_and_sweep(self) -> None:
        """A manifest that is accepted after the others were read keeps what it names, however short the grace."""
        config, layer = (self.do(self.registry.push_blob(APP, one)) for one in (b"{}", b"layer"))
        self.pass_()
        self.registry.clock.advance(GRACE + 1)
        named = self.collector._named

        async def mark(name: object) -> frozenset[str]:
            found = await named(APP)
            await self.registry.push(APP, "v1", image(config, layer))
            self.registry.clock.advance(GRACE + 1)
            return found

        self.collector._named = mark  # type: ignore[method-assign, assignment]
        self.do(self.collector.run(Policy(GRACE, True), Silent()))

        self.assertTrue(self.has(config) and self.has(layer))

    def test_lock(self) -> None:
        """A blob does not go while a manifest of its repository is being accepted, and then it is looked at again."""
        digest = self.do(self.registry.push_blob(APP, b"layer"))
        self.pass_()
        self.registry.clock.advance(GRACE + 1)
        holding = self.registry.locks.holding(APP)
        self.do(holding.__aenter__())
        running = self.begin(self.collector.run(Policy(GRACE, True), Silent()))
        self.assertNoResult(running)
        self.assertTrue(self.has(digest))
        self.registry.leases.touch(APP, digest)

        self.do(holding.__aexit__(None, None, None))

        self.successResultOf(running)
        self.assertTrue(self.has(digest))

    def test_long_push(self) -> None:
        """As long as an upload is open, what was pushed before it in the repository stays."""
        digest = self.do(self.registry.push_blob(APP, b"small"))
        session = self.do(self.registry.uploads.start(APP))
        self.passes()
        self.assertTrue(self.has(digest))

        self.do(self.registry.uploads.commit(session, Digest.of(b"large"), body(b"large"), None))
        self.passes()

        self.assertFalse(self.has(digest))

    def test_clock_forward(self) -> None:
        """A wall clock that is set ten years forward removes nothing before its time."""
        digest = self.do(self.registry.push_blob(APP, b"layer"))
        self.pass_()
        self.wall += 10 * 365 * 86400

        self.pass_(after=1)

        self.assertTrue(self.has(digest))

    def test_clock_back(self) -> None:
        """One that is set back behind a file's time removes nothing, however long it is garbage."""
        digest = self.do(self.registry.push_blob(APP, b"layer"))
        self.wall = 0.0

        self.passes()

        self.assertTrue(self.has(digest))

    def test_restart(self) -> None:
        """After a restart nothing is known to be garbage: whoever was told that a blob is here has the grace again."""
        digest = self.do(self.registry.push_blob(APP, b"layer"))
        self.pass_()
        self.begin_with(self.registry.restarted())

        self.pass_()

        self.assertTrue(self.has(digest))

    def test_gone_is_gone(self) -> None:
        """What has gone is not found any more, and can be pushed again."""
        digest = self.do(self.registry.push_blob(APP, b"layer"))
        self.passes()
        self.refusal(self.registry.blobs.open(APP, digest), UnknownBlob)

        self.do(self.registry.push_blob(APP, b"layer"))

        self.assertTrue(self.has(digest))


class FaultTests(GarbageCase):
    """A disk that is full, or fails."""

    def start(self, fs: FileSystem) -> None:
        """Begin on this file system."""
        self.begin_with(Registry(self.mktemp(), fs))

    def test_full(self) -> None:
        """On a full disk garbage goes: nothing is written."""
        fs = FaultyFileSystem()
        self.start(fs)
        digest = self.do(self.registry.push_blob(APP, b"garbage"))
        fs.fail_calls("write", "mkdir", "link", "rename", error=errno.ENOSPC)

        self.passes()

        self.assertFalse(self.has(digest))

    def test_any_failure(self) -> None:
        """Whichever call fails, what is named stays, and garbage goes once nothing fails any more."""
        for at in range(40):
            fs = FaultyFileSystem()
            self.start(fs)
            self.do(self.registry.push_image(APP, "v1", b"layer"))
            garbage = self.do(self.registry.push_blob(APP, b"garbage"))
            self.pass_()
            fs.fail(at, errno.EIO)
            self.begin(self.collector.run(Policy(GRACE, True), Silent())).addErrback(lambda _: None)
            fs.heal()
            self.passes()
            self.assertTrue(self.has(Digest.of(b"layer")) and self.has(Digest.of(b"{}")), at)
            self.assertFalse(self.has(garbage), at)
