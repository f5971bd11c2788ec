"""Every call to the file system failing once, and what happens at the same time in many orders."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from pkgd.errors import (
    ClientGone,
    MissingBlob,
    NoSpace,
    PkgdError,
    SessionBusy,
    Storage,
    UnknownBlob,
    UnknownManifest,
    UnknownUpload,
)
from pkgd.formats.digest import Digest
from pkgd.formats.names import RepositoryName, Tag
from pkgd.registry.upload import UploadSession
from pkgd.storage.layout import blob_key, digest_of_file, legacy_key, manifest_key, tag_key
from tests.fixtures import HeldBlocking
from tests.registry.fixtures import APP, OTHER, Call, Client, Registry, RegistryCase, body, image, image_index, tree
from tests.storage.fixtures import SHORT, DiskModel, FaultyFileSystem, outcome

LAYER = bytes(range(256)) * 8
LAYER_DIGEST, CONFIG_DIGEST = Digest.of(LAYER), Digest.of(b"{}")
IMAGE = image(CONFIG_DIGEST, LAYER_DIGEST)
DIGEST = Digest.of(IMAGE)
ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE)

# A blob, as a digest, or a manifest, as a tag or the text of a digest; and the repository that has it.
Fact = tuple[RepositoryName, Digest | str]


@frozen
class Step:
    """One thing that a client asks for, what is there once it has been acknowledged, and what is not any more."""

    run: Callable[[], Call[object]]
    adds: frozenset[Fact] = frozenset()
    removes: frozenset[Fact] = frozenset()


class Life:
    """All that can be done with an image, one step after the other.

    `there` is what has been acknowledged and must be there, `gone` what must not.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.there: set[Fact] = set()
        self.gone: set[Fact] = set()
        self.session: UploadSession | None = None

    def live(self) -> Storage | None:
        """Go through the steps up to the first that fails; returns its error. What that one began is undecided."""
        for step in self._steps():
            ended = outcome(step.run())
            self.there -= step.removes
            self.gone -= step.adds
            if isinstance(ended, Storage):
                return ended
            self.there |= step.adds
            self.gone |= step.removes
        return None

    def _steps(self) -> list[Step]:
        manifests, blobs, registry = self.registry.manifests, self.registry.blobs, self.registry
        by_digest: Fact = (APP, str(DIGEST))
        return [
            Step(self._start),
            Step(lambda: self._append(LAYER[:1000])),
            Step(lambda: self._append(LAYER[1000:2000])),
            Step(self._commit, frozenset([(APP, LAYER_DIGEST)])),
            Step(lambda: registry.push_blob(APP, b"{}"), frozenset([(APP, CONFIG_DIGEST)])),
            Step(lambda: registry.push(APP, "v1", IMAGE), frozenset([(APP, "v1"), by_digest])),
            Step(lambda: registry.push(APP, str(DIGEST), IMAGE, tags=["v2"]), frozenset([(APP, "v2")])),
            Step(lambda: blobs.mount(OTHER, LAYER_DIGEST, APP), frozenset([(OTHER, LAYER_DIGEST)])),
            Step(lambda: registry.push_blob(OTHER, b"{}"), frozenset([(OTHER, CONFIG_DIGEST)])),
            Step(lambda: registry.stored.get(APP, Tag("v2"))),
            Step(lambda: manifests.delete(APP, Tag("v2")), removes=frozenset([(APP, "v2")])),
            Step(lambda: manifests.delete(APP, DIGEST), removes=frozenset([(APP, "v1"), by_digest])),
            Step(lambda: blobs.delete(APP, LAYER_DIGEST), removes=frozenset([(APP, LAYER_DIGEST)])),
        ]

    async def _start(self) -> None:
        self.session = await self.registry.uploads.start(APP)

    async def _append(self, data: bytes) -> None:
        assert self.session is not None
        await self.registry.uploads.append(self.session, body(data), None)

    async def _commit(self) -> None:
        assert self.session is not None
        await self.registry.uploads.commit(self.session, LAYER_DIGEST, body(LAYER[2000:]), None)


class FaultTests(RegistryCase):
    """An operation fails as a whole or succeeds, and nothing before it is touched (safety.md, G3)."""

    def life(self, at: int, error: int, lasting: bool = False) -> bool:
        """A life in which one call fails, or all from it on. Returns whether there was such a call."""
        fs = FaultyFileSystem()
        registry = Registry(self.mktemp(), fs)
        life = Life(registry)
        fs.fail(at, error, lasting)
        failed = life.live()
        struck, fs.calls = fs.calls > at, 0
        fs.heal()
        about = f"call {at}, {fs.failed}, {os.strerror(error) if error else 'short'}: {failed!r}"

        self.assert_kept(life, registry, about)
        self.assert_kept(life, Registry(registry.place.tree.root, database=registry.database), about)
        self.assert_whole(registry, about)
        self.assert_nothing_held(registry, fs, life, about)
        if not lasting and fs.failed != ["unlink"]:
            self.assertEqual(registry.place.temporaries(), [], about)
        self.assert_heals(registry, about)
        return struck

    def assert_kept(self, life: Life, registry: Registry, about: str) -> None:
        """What has been acknowledged is there, byte for byte, and what has been deleted is not."""
        for name, what in life.there:
            if isinstance(what, str):
                self.assertEqual(self.do(registry.pull(name, what)), IMAGE, about)
            else:
                self.assertEqual(self.blob(registry, name, what), b"{}" if what == CONFIG_DIGEST else LAYER, about)
        for name, what in life.gone:
            if isinstance(what, str):
                self.refusal(registry.pull(name, what), UnknownManifest)
            else:
                self.refusal(registry.blobs.open(name, what), UnknownBlob)

    def blob(self, registry: Registry, name: RepositoryName, digest: Digest) -> bytes:
        """A blob's bytes."""
        reader = self.do(registry.blobs.open(name, digest))
        try:
            return reader.read_at(0, reader.size)
        finally:
            reader.close()

    def assert_whole(self, registry: Registry, about: str) -> None:
        """Whatever has a name is complete: bytes have their digest, and pointers point at what is there."""
        for key, data in tree(registry.place.tree.root).items():
            kind, file = key.split("/")[-2:]
            if kind == "by-tag":
                self.do(registry.pull(RepositoryName(key.removesuffix(f"/manifests/by-tag/{file}")), file))
            else:
                digest = digest_of_file(file)
                assert digest is not None, about
                self.assertEqual(Digest.of(data, digest.algorithm), digest, about)

    def assert_nothing_held(self, registry: Registry, fs: FaultyFileSystem, life: Life, about: str) -> None:
        """No descriptor is left open, and no session or repository is locked."""
        self.assertEqual(fs.open_files, set(), about)
        self.assertEqual(registry.locks._locks, {}, about)
        if life.session is not None:
            self.assertIs(life.session.busy, False, about)

    def assert_heals(self, registry: Registry, about: str) -> None:
        """Once the fault is over, everything works."""
        again = Life(registry)
        self.assertIsNone(again.live(), about)
        self.assert_kept(again, registry, about)
        self.assert_whole(registry, about)

    def test_each_call(self) -> None:
        """Each call of a whole life fails once, the causes taking turns."""
        self.assertGreater(self.lives(lambda at: self.life(at, ERRORS[at % len(ERRORS)])), 150)

    def test_each_call_and_all_that_follow(self) -> None:
        """The disk is dead from some call on, until somebody mends it; every third call is the first in turn."""
        self.assertGreater(self.lives(lambda at: self.life(3 * at, ERRORS[at % len(ERRORS)], lasting=True)), 50)

    def test_short_writes(self) -> None:
        """A disk that takes only a part of every write loses nothing."""
        self.life(0, SHORT, lasting=True)

    def lives(self, live: Callable[[int], bool]) -> int:
        """Live as long as there is another call to fail; returns how often."""
        at = 0
        while live(at):
            at += 1
        return at

    def test_full_disk(self) -> None:
        """Where nothing more can be written, what is there can be read and deleted, old files included."""
        fs = FaultyFileSystem()
        registry = Registry(self.mktemp(), fs)
        for name in (APP, OTHER):
            self.do(registry.push_image(name, "v1", LAYER))
        self.registry = registry
        self.write(legacy_key(APP, Tag("old")), image_index())
        fs.fail_calls("write", "mkdir", error=errno.ENOSPC)

        self.refusal(registry.push(APP, "v2", image_index()), NoSpace)
        self.refusal(registry.uploads.start(APP), NoSpace)

        self.assertEqual(self.do(registry.pull(APP, "old")), image_index())
        for reference in (Tag("old"), Tag("v1"), DIGEST):
            self.do(registry.manifests.delete(APP, reference))
        self.do(registry.blobs.delete(APP, LAYER_DIGEST))
        self.assertEqual(self.do(registry.contents.tags(APP)), [])
        self.assertEqual(self.do(registry.pull(OTHER, "v1")), IMAGE)

    def test_deletion_of_a_tag_that_hides_an_old_one(self) -> None:
        """At whatever call it fails, the tag is what it was or nothing: never the old one again."""
        for at in range(40):
            fs = FaultyFileSystem()
            self.registry = Registry(self.mktemp(), fs)
            old = image_index(annotations={"old": "yes"})
            self.write(legacy_key(APP, Tag("v1")), old)
            self.do(self.registry.push(APP, "v1", image_index()))
            fs.fail(at, errno.EIO)
            outcome(self.registry.manifests.delete(APP, Tag("v1")))
            fs.heal()

            for registry in (self.registry, self.registry.restarted()):
                found = self.found(registry, "v1")
                self.assertIn(found, (None, image_index()), fs.failed)
                self.assertEqual(self.do(registry.pull(APP, str(Digest.of(old)))), old)

    def found(self, registry: Registry, reference: str) -> bytes | None:
        """A manifest, or None if there is none."""
        try:
            return self.do(registry.pull(APP, reference))
        except self.failureException:
            self.refusal(registry.pull(APP, reference), UnknownManifest)
            return None

    def test_upload_goes_on_after_each_fault(self) -> None:
        """A session that a fault has not ended is where it says that it is, and ends with the right digest."""
        went_on = 0
        for at in range(30):
            fs = FaultyFileSystem()
            registry = Registry(self.mktemp(), fs)
            session = self.do(registry.uploads.start(APP))
            fs.fail(at, ERRORS[at % len(ERRORS)])
            outcome(registry.uploads.append(session, body(LAYER[:1000]), None))
            fs.heal()
            if registry.uploads._open:
                self.assertEqual(os.path.getsize(session.file.path), session.offset)
                self.do(registry.uploads.commit(session, LAYER_DIGEST, body(LAYER[session.offset :]), None))
                went_on += 1
        self.assertGreater(went_on, 25)


class ShuffledBlocking(HeldBlocking):
    """Calls that wait and are done in an order that a seed decides, as threads do them."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    def release(self) -> bool:
        """Run any of the calls that wait."""
        self._held.rotate(self._random.randrange(len(self._held) or 1))
        return super().release()


class InterleavingCase(RegistryCase):
    """A registry whose threads do their work when the test says so."""

    def prepare(self, blocking: HeldBlocking, fs: DiskModel | None = None) -> None:
        """An empty registry on these threads."""
        self.held = blocking
        self.registry = Registry(self.mktemp(), fs, blocking)

    def finish(self, *calls: Call[object]) -> list[object]:
        """Run calls at the same time to their ends; an expected error is a result."""
        running = [Deferred.fromCoroutine(call).addErrback(_expected) for call in calls]
        self.held.release_all()
        return [self.successResultOf(one) for one in running]

    def settled(self, call: Call[object]) -> object:
        """The result of one call, with nothing else going on."""
        (result,) = self.finish(call)
        return result


class SessionInterleavingTests(InterleavingCase):
    """Several requests for one upload session."""

    def started(self, data: bytes = b"") -> UploadSession:
        """A session that has these bytes."""
        session = self.settled(self.registry.uploads.start(APP))
        assert isinstance(session, UploadSession)
        if data:
            self.settled(self.registry.uploads.append(session, body(data), None))
        return session

    def test_two_writers(self) -> None:
        """While one request writes, every other is told so, whatever it wants; the first one is not disturbed."""
        for steps in range(6):
            self.prepare(HeldBlocking())
            session = self.started()
            first = self.begin(self.registry.uploads.append(session, body(LAYER), None))
            for _ in range(steps):
                self.held.release()
            if first.called:
                break
            uploads = self.registry.uploads
            for other in (
                uploads.append(session, body(b"other"), None),
                uploads.commit(session, LAYER_DIGEST, body(), None),
                uploads.cancel(session),
            ):
                self.refusal(other, SessionBusy)

            self.held.release_all()
            self.successResultOf(first)
            self.settled(uploads.commit(session, LAYER_DIGEST, body(), None))
            self.assertEqual(self.read(blob_key(APP, LAYER_DIGEST)), LAYER)
        self.assertGreater(steps, 1)

    def test_client_lost_while_it_sends(self) -> None:
        """Whenever a client leaves, what arrived is counted exactly, and the session can be ended."""
        for ending in (False, True):
            for steps in range(12):
                self.prepare(HeldBlocking())
                session, client = self.started(LAYER[:100]), Client(len(LAYER) - 100, buffer=256)
                uploads = self.registry.uploads
                call = (
                    uploads.commit(session, LAYER_DIGEST, client.body, None)
                    if ending
                    else uploads.append(session, client.body, None)
                )
                running = self.begin(call)
                client.send(LAYER[100:1000])
                for _ in range(steps):
                    self.held.release()
                client.fail(ClientGone())
                self.held.release_all()

                self.failureResultOf(running, ClientGone)
                self.assertIs(session.busy, False)
                self.assertEqual(self.read(f"__spool__/uploads/{session.id}"), LAYER[: session.offset])
                self.settled(uploads.commit(session, LAYER_DIGEST, body(LAYER[session.offset :]), None))
                self.assertEqual(self.read(blob_key(APP, LAYER_DIGEST)), LAYER)

    def test_client_lost_after_its_last_byte(self) -> None:
        """A commit whose bytes have all arrived runs to its end, whoever waits for it."""
        for steps in range(12):
            self.prepare(HeldBlocking())
            session, client = self.started(LAYER[:100]), Client(len(LAYER) - 100)
            running = self.begin(self.registry.uploads.commit(session, LAYER_DIGEST, client.body, None))
            client.send(LAYER[100:]).end()
            for _ in range(steps):
                self.held.release()
            client.body.fail(ClientGone())
            self.held.release_all()

            self.successResultOf(running)
            self.assertEqual(self.read(blob_key(APP, LAYER_DIGEST)), LAYER)

    def test_expiry_of_a_session_that_somebody_comes_back_to(self) -> None:
        """The session is gone, or goes on; it never takes bytes that lead nowhere."""
        for seed in range(30):
            self.prepare(ShuffledBlocking(seed))
            before = self.started(LAYER[:1000])
            os.utime(before.file.path, (0, 0))
            if seed % 2:
                self.registry = Registry(self.registry.place.tree.root, None, self.held, run=1)

            _, ended = self.finish(self.registry.uploads.expire(100, 1000.0), self.come_back(before))

            if isinstance(ended, UnknownUpload | SessionBusy):
                self.assertEqual(os.listdir(self.path("__spool__/uploads")), [])
            else:
                self.assertIsNone(ended)
                self.assertEqual(self.read(blob_key(APP, LAYER_DIGEST)), LAYER)

    async def come_back(self, before: UploadSession) -> None:
        """Find the session, and end it."""
        session = await self.registry.uploads.find(APP, before.id)
        await self.registry.uploads.commit(session, LAYER_DIGEST, body(LAYER[1000:]), None)

    def test_two_who_resume(self) -> None:
        """Two who come to a session after a restart at the same time: one writes, the other is told so."""
        for seed in range(20):
            self.prepare(ShuffledBlocking(seed))
            before = self.started(LAYER[:1000])
            self.registry = Registry(self.registry.place.tree.root, None, self.held, run=1)

            ended = self.finish(self.come_back(before), self.come_back(before))

            self.assertIn(None, ended)
            for one in ended:
                self.assertIsInstance(one, SessionBusy | UnknownUpload | None)
            self.assertEqual(self.read(blob_key(APP, LAYER_DIGEST)), LAYER)

    def test_equal_blobs(self) -> None:
        """Equal blobs that are pushed at the same time, to one repository and to another, all succeed."""
        for seed in range(20):
            self.prepare(ShuffledBlocking(seed))
            push = self.registry.push_blob
            pushed = self.finish(push(APP, LAYER), push(APP, LAYER), push(OTHER, LAYER), push(OTHER, LAYER))

            self.assertEqual(pushed, [LAYER_DIGEST] * 4)
            for name in (APP, OTHER):
                self.assertEqual(self.read(blob_key(name, LAYER_DIGEST)), LAYER)
            self.assertEqual(os.listdir(self.path("__spool__/uploads")), [])


class RegistryInterleavingTests(InterleavingCase):
    """Pushes, pulls and deletes at the same time."""

    def prepare_image(self, blocking: HeldBlocking, fs: DiskModel | None = None) -> None:
        """A registry that has the image as `v1`."""
        self.prepare(blocking, fs)
        self.settled(self.registry.push_image(APP, "v1", LAYER))

    def other(self, number: int) -> bytes:
        """Another image of the same blobs."""
        return image(CONFIG_DIGEST, LAYER_DIGEST, annotations={"number": str(number)})

    def test_presence_is_durable(self) -> None:
        """At every moment of a push, whatever is reported as present would survive a power cut."""
        for steps in range(60):
            disk = DiskModel()
            self.prepare(HeldBlocking(), disk)
            push = self.begin(self.registry.push_image(APP, "v1", LAYER))
            for _ in range(steps):
                self.held.release()
            if push.called:
                break
            for key in (blob_key(APP, LAYER_DIGEST), manifest_key(APP, DIGEST), tag_key(APP, Tag("v1"))):
                size = self.begin(self.registry.place.store.stat(key))
                while not size.called:
                    self.held.release()
                if self.successResultOf(size) is not None:
                    self.assertNotIn(self.path(key), disk.at_risk())
                    self.assertEqual([one for one in disk.at_risk() if self.path(key).startswith(f"{one}/")], [])
            self.held.release_all()
        self.assertGreater(steps, 20)

    def test_pushes_of_one_tag(self) -> None:
        """All succeed, one is the last, and who pulls meanwhile always gets one of them, whole."""
        for seed in range(15):
            self.prepare_image(ShuffledBlocking(seed))
            images = [self.other(number) for number in range(4)]
            pushes = [self.registry.push(APP, "v1", data) for data in images]
            pulls = [self.registry.pull(APP, "v1") for _ in range(4)]

            ended = self.finish(*(call for pair in zip(pushes, pulls, strict=True) for call in pair))

            for pushed, pulled in zip(ended[::2], ended[1::2], strict=True):
                self.assertNotIsInstance(pushed, PkgdError)
                self.assertIn(pulled, [IMAGE, *images])
            self.assertIn(self.settled(self.registry.pull(APP, "v1")), images)

    def test_last_push_of_a_tag(self) -> None:
        """A push that begins after another was answered is the one that counts."""
        for seed in range(10):
            self.prepare_image(ShuffledBlocking(seed))
            for number in range(3):
                pulls = [self.registry.pull(APP, "v1") for _ in range(2)]
                self.finish(pulls[0], self.registry.push(APP, "v1", self.other(number)), pulls[1])
                self.assertEqual(self.settled(self.registry.pull(APP, "v1")), self.other(number))

    def test_push_and_delete_of_a_manifest(self) -> None:
        """Whoever is first: afterwards the tag and its manifest are there together, or neither is."""
        for seed in range(30):
            self.prepare_image(ShuffledBlocking(seed))

            pushed, _ = self.finish(self.registry.push(APP, "v2", IMAGE), self.registry.manifests.delete(APP, DIGEST))

            self.assertNotIsInstance(pushed, PkgdError)
            for reference in self.settled(self.registry.contents.tags(APP)):  # type: ignore[attr-defined]
                self.assertEqual(self.settled(self.registry.pull(APP, reference)), IMAGE)

    def test_push_of_a_manifest_and_delete_of_its_blob(self) -> None:
        """A manifest is accepted while its blobs are there, or refused: both are whole answers."""
        for seed in range(30):
            self.prepare_image(ShuffledBlocking(seed))

            pushed, deleted = self.finish(
                self.registry.push(APP, "v2", self.other(0)), self.registry.blobs.delete(APP, LAYER_DIGEST)
            )

            self.assertIsNone(deleted)
            found = self.settled(self.registry.pull(APP, "v2"))
            if isinstance(pushed, MissingBlob):
                self.assertIsInstance(found, UnknownManifest)
            else:
                self.assertEqual(found, self.other(0))

    def test_push_and_delete_of_a_blob(self) -> None:
        """A blob that is pushed while it is deleted is there or not, and the index does no later push any harm."""
        for seed in range(30):
            self.prepare_image(ShuffledBlocking(seed))

            pushed, deleted = self.finish(
                self.registry.push_blob(APP, LAYER), self.registry.blobs.delete(APP, LAYER_DIGEST)
            )

            self.assertEqual((pushed, deleted), (LAYER_DIGEST, None))
            self.assertIn(self.settled(self.registry.blobs.has(APP, LAYER_DIGEST)), (True, False))
            self.assertEqual(self.settled(self.registry.push_blob(OTHER, LAYER)), LAYER_DIGEST)
            self.assertEqual(self.read(blob_key(OTHER, LAYER_DIGEST)), LAYER)

    def test_mount_and_delete_of_its_source(self) -> None:
        """A mount finds its source or not; neither is a fault."""
        for seed in range(30):
            self.prepare_image(ShuffledBlocking(seed))

            mounted, deleted = self.finish(
                self.registry.blobs.mount(OTHER, LAYER_DIGEST, APP), self.registry.blobs.delete(APP, LAYER_DIGEST)
            )

            self.assertIsNone(deleted)
            self.assertIs(self.settled(self.registry.blobs.has(OTHER, LAYER_DIGEST)), mounted)

    def test_deletes_of_one_thing(self) -> None:
        """Of many who delete one thing, one has done it, and the others are told that it is unknown (safety.md, S7)."""
        for seed in range(10):
            self.prepare_image(ShuffledBlocking(seed))
            manifests, blobs = self.registry.manifests, self.registry.blobs
            tag = self.finish(*(manifests.delete(APP, Tag("v1")) for _ in range(5)))
            manifest = self.finish(*(manifests.delete(APP, DIGEST) for _ in range(5)))
            blob = self.finish(*(blobs.delete(APP, LAYER_DIGEST) for _ in range(5)))

            for ended, error in ((tag, UnknownManifest), (manifest, UnknownManifest), (blob, UnknownBlob)):
                self.assertEqual(sum(one is None for one in ended), 1)
                self.assertEqual(sum(isinstance(one, error) for one in ended), 4)

    def test_locks_are_given_back(self) -> None:
        """When nothing goes on any more nobody holds a repository."""
        self.prepare_image(HeldBlocking())
        self.finish(*(self.registry.push(APP, "v1", self.other(number)) for number in range(3)))
        self.assertEqual(self.registry.locks._locks, {})


def _expected(failure: Failure) -> BaseException | None:
    failure.trap(PkgdError)
    return failure.value
