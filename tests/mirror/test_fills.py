"""Fetches: one for each blob, from endpoint to endpoint, to the cache or to a clean end."""

from __future__ import annotations

import errno
import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from pkgd.errors import (
    LoopDetected,
    NoSpace,
    NotReady,
    Storage,
    UnknownBlob,
    UpstreamBusy,
    UpstreamCorrupt,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, RepositoryName
from pkgd.mirror.fill import Fill
from pkgd.mirror.fills import DISTRUST_SECONDS, FRUITLESS_TRIES, MAX_FLYING, MAX_TRIES
from pkgd.mirror.tokens import Credentials
from pkgd.storage.layout import blob_key, directory
from tests.fixtures import HeldBlocking
from tests.mirror.fill_fixtures import APP, Follower, MirrorCase
from tests.mirror.scripted import HUB, Reply, ScriptedUpstream, cut, part, whole
from tests.storage.fixtures import FaultyFileSystem

DATA = bytes(range(256)) * 40
DIGEST = Digest.of(DATA)
OTHER = Digest.of(b"other")
BLOB = f"GET blobs/{DIGEST}"
GONE = UpstreamUnavailable(HUB, "is gone")


class FillsCase(MirrorCase):
    """A test case with fetches."""

    def start(self, digest: Digest = DIGEST, origin: Origin = APP) -> Fill:
        """Begin one."""
        return self.mirror.fills.start(origin, digest, "1.1 pkgd-before")

    def opened(self, fill: Fill) -> Deferred[Any]:
        """Somebody who asks for it."""
        return Deferred.fromCoroutine(fill.reader())

    def follow(self, fill: Fill, **how: Any) -> Follower:
        """Somebody who follows it."""
        return Follower(self.successResultOf(self.opened(fill)), **how)

    def failed(self, fill: Fill, *kinds: type[Exception]) -> Any:
        """What it has come to for everybody who asks."""
        self.assertIsNone(self.mirror.fills.find(APP, DIGEST))
        return self.failureResultOf(self.opened(fill), *kinds).value


class FetchTests(FillsCase):
    """One fetch that goes well."""

    def test_request(self) -> None:
        """The blob is asked for whole, and the client's way to us is told."""
        self.mirror.hub.script = [Reply(DATA)]

        self.start()

        (asked,) = self.mirror.hub.asked
        self.assertEqual((str(asked), asked.headers, asked.via), (BLOB, {}, "1.1 pkgd-before"))

    def test_kept(self) -> None:
        """What was right is in the cache and its ledger, and nothing is in the spool any more."""
        self.mirror.hub.script = [Reply(DATA)]

        self.start()

        self.assertEqual(self.cached(DIGEST), DATA)
        self.assertEqual(self.successResultOf(self.mirror.ledger.total()), len(DATA))
        self.assertIsNone(self.mirror.fills.find(APP, DIGEST))
        self.assertFalse(self.do(self.mirror.cache.is_private(APP)))

    def test_found_while_under_way(self) -> None:
        """Until it is kept, it is found; so is what the eviction asks for."""
        self.mirror.hub.script = [Reply(length=len(DATA), ends=False)]
        fill = self.start()
        fills, place = self.mirror.fills, directory(APP)

        self.assertIs(fills.find(APP, DIGEST), fill)
        self.assertIsNone(fills.find(APP, OTHER))
        self.assertTrue(fills.is_flying(place, str(DIGEST)))
        self.assertFalse(fills.is_flying(place, str(OTHER)))
        self.assertFalse(fills.is_flying("team/app", str(DIGEST)))

        self.mirror.hub.senders[0].send(DATA)
        self.mirror.hub.senders[0].end()
        self.assertFalse(fills.is_flying(place, str(DIGEST)))

    def test_escaped_place(self) -> None:
        """A repository whose directory is escaped is found by that."""
        origin = Origin(HUB, RepositoryName("team/blobs"))
        waiting: Deferred[Any] = Deferred()
        self.mirror.hub.script = [waiting]
        self.start(origin=origin)

        self.assertTrue(self.mirror.fills.is_flying(directory(origin), str(DIGEST)))

        waiting.errback(GONE)

    def test_nobody_follows(self) -> None:
        """It goes to its end although everybody has left."""
        self.mirror.hub.script = [Reply(DATA[:100], length=len(DATA), ends=False)]
        clients = [self.follow(self.start(), window=10)]
        for one in clients:
            one.leave()

        self.mirror.hub.senders[0].send(DATA[100:])
        self.mirror.hub.senders[0].end()

        self.assertEqual(self.cached(DIGEST), DATA)

    def test_read_on_while_kept(self) -> None:
        """Readers have the last byte before the disk has synced it, and keep what they read when it is renamed."""
        held = HeldBlocking()
        self.use(blocking=held)
        self.mirror.hub.script = [Reply(DATA)]
        fill = self.start()
        opening = self.opened(fill)
        while not opening.called:
            self.assertTrue(held.release())
        reader = Follower(self.successResultOf(opening), window=10)

        while not fill._verified:
            self.assertTrue(held.release())
        reader.take(len(DATA) - 10)
        self.assertEqual((reader.data, reader.done), (DATA, True))
        self.assertEqual(len(self.mirror.fill_files()), 1)

        late = self.follow(fill, window=10)
        self.mirror.run()
        self.assertEqual(self.mirror.fill_files(), [])
        late.take(len(DATA))
        self.assertEqual(late.data, DATA)

    def test_equal_elsewhere(self) -> None:
        """Equal bytes of another repository are linked to, so that they are one file."""
        other = Origin("quay.io", RepositoryName("team/app"))
        self.mirror.hub.script = [Reply(DATA)]
        self.mirror._upstream("quay.io").script = [Reply(DATA)]

        self.start()
        self.start(origin=other)

        paths = [self.mirror.place.tree.path(blob_key(directory(one), DIGEST)) for one in (APP, other)]
        self.assertEqual(os.stat(paths[0]).st_ino, os.stat(paths[1]).st_ino)

    def test_private(self) -> None:
        """What was fetched with credentials, in part even, marks its repository."""
        parent = ScriptedUpstream("parent.test", Credentials("me", "secret"), is_mirror=True)
        self.use(parents=[parent])
        parent.script = [cut(DATA, 100), GONE, GONE]
        self.mirror.hub.script = [part(DATA, 100)]

        self.start()

        self.assertEqual(self.cached(DIGEST), DATA)
        self.assertTrue(self.do(self.mirror.cache.is_private(APP)))

    def test_absent(self) -> None:
        """A definite "not here" is one for everybody."""
        self.mirror.hub.script = [None]

        self.failed(self.start(), UnknownBlob)

    def test_answers_of_the_upstream(self) -> None:
        """What the upstream says otherwise reaches everybody as it is, and the next one asks again."""
        for error in (
            GONE,
            UpstreamTimeout(HUB, "is slow"),
            UpstreamRefused(HUB, "denies access"),
            UpstreamBusy(HUB, "wants a pause", 3.0),
            UpstreamCorrupt(HUB, "answers 418"),
            LoopDetected("via"),
        ):
            self.mirror.hub.script = [error]
            self.assertIs(self.failed(self.start(), type(error)), error)

        self.mirror.hub.script = [Reply(DATA)]
        self.start()
        self.assertEqual(self.cached(DIGEST), DATA)

    def test_bug(self) -> None:
        """What nobody has expected fails it, too, and is logged as what it is."""
        self.mirror.hub.script = [ZeroDivisionError()]

        self.failed(self.start(), ZeroDivisionError)

        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_too_many(self) -> None:
        """There is a limit to what is on its way: clients can leave, and ask for something else."""
        waiting: list[Deferred[Any]] = []

        def hold(asked: Any) -> Deferred[Any]:
            waiting.append(Deferred())
            return waiting[-1]

        self.mirror.hub.always = hold
        for number in range(MAX_FLYING):
            self.start(Digest.of(b"%d" % number))

        error = self.assertRaises(UpstreamBusy, self.start)

        self.assertGreater(error.retry_after, 0)
        for one in waiting:
            one.callback(None)
        self.mirror.hub.always = whole(DATA)
        self.start()
        self.assertEqual(self.cached(DIGEST), DATA)


class ResumingTests(FillsCase):
    """A connection that breaks."""

    def test_resumed(self) -> None:
        """The rest is asked for at the same place, and readers don't notice."""
        self.mirror.hub.script = [cut(DATA, 4000), cut(DATA, 100, start=4000), part(DATA, 4100)]

        fill = self.start()

        self.assertEqual(
            [one.headers for one in self.mirror.hub.asked][1:], [{"Range": "bytes=4000-"}, {"Range": "bytes=4100-"}]
        )
        self.assertEqual(self.cached(DIGEST), DATA)
        self.assertIsNone(fill.failure)

    def test_range_ignored(self) -> None:
        """A place that knows no Range sends all of it again."""
        self.mirror.hub.script = [cut(DATA, 4000), Reply(DATA)]

        self.start()

        self.assertEqual(self.cached(DIGEST), DATA)

    def test_reader_across_cuts(self) -> None:
        """A reader goes on across cuts."""
        self.mirror.hub.script = [Reply(DATA[:4000], length=len(DATA), ends=False), part(DATA, 4000)]
        reader = self.follow(self.start())
        self.assertEqual(reader.data, DATA[:4000])

        self.mirror.hub.senders[0].fail(GONE)

        self.assertEqual((reader.data, reader.done), (DATA, True))

    def test_wrong_part(self) -> None:
        """Another part than was asked for ends it: nobody knows what that is."""
        self.mirror.hub.script = [cut(DATA, 4000), part(DATA, 4001)]

        self.failed(self.start(), UpstreamCorrupt)

    def test_fruitless(self) -> None:
        """A place that has broken off, and then brings nothing new, is given up after some tries."""
        self.mirror.hub.script = [cut(DATA, 4000), *[GONE] * FRUITLESS_TRIES]

        self.failed(self.start(), UpstreamUnavailable)

    def test_nothing_at_first(self) -> None:
        """A place that has not brought anything is not asked again: the next one is."""
        self.mirror.hub.script = [cut(DATA, 0)]

        self.failed(self.start(), UpstreamUnavailable)

    def test_endless(self) -> None:
        """Nobody is asked for ever, not even for a byte each time."""
        self.mirror.hub.always = lambda asked: cut(DATA, 1, start=len(self.mirror.hub.asked) - 1)

        self.failed(self.start(), UpstreamUnavailable)

        self.assertEqual(len(self.mirror.hub.asked), MAX_TRIES)

    def test_vanished(self) -> None:
        """What is "not here" in the middle of it is a lie."""
        self.mirror.hub.script = [cut(DATA, 4000), None]

        self.failed(self.start(), UpstreamCorrupt)

    def test_refused_in_the_middle(self) -> None:
        """Other refusals end it at once."""
        self.mirror.hub.script = [cut(DATA, 4000), UpstreamRefused(HUB, "denies access")]

        self.failed(self.start(), UpstreamRefused)

    def test_every_reader_once(self) -> None:
        """When it fails for good, every reader learns so, once, and every descriptor is closed."""
        self.mirror.hub.script = [Reply(DATA[:4000], length=len(DATA), ends=False), *[GONE] * FRUITLESS_TRIES]
        fill = self.start()
        readers = [self.follow(fill, window=window) for window in (None, 10, 4000)]

        self.mirror.hub.senders[0].fail(GONE)
        for one in readers[1:]:
            one.take(len(DATA))

        self.assertEqual([(one.data, one.error, one.errors) for one in readers], [(DATA[:4000], GONE, 1)] * 3)


class EndpointTests(FillsCase):
    """Parent mirrors first, then the registry itself."""

    def setUp(self) -> None:
        """One parent."""
        self.parent = ScriptedUpstream("parent.test", is_mirror=True)
        self.use(parents=[self.parent])

    def test_parent(self) -> None:
        """A parent that has it is enough."""
        self.parent.script = [Reply(DATA)]

        self.start()

        self.assertEqual((self.cached(DIGEST), self.mirror.hub.asked), (DATA, []))

    def test_absent_at_parent(self) -> None:
        """What a parent does not have, or cannot tell, the registry may."""
        for step in (None, GONE, UpstreamRefused("parent.test", "denies access"), LoopDetected("via")):
            self.parent.script, self.mirror.hub.script = [step], [Reply(DATA)]
            self.start()
            self.assertEqual(self.cached(DIGEST), DATA)
            self.do(self.mirror.store.delete(blob_key(directory(APP), DIGEST)))

    def test_goes_on(self) -> None:
        """The next one goes on from where a parent has broken off, and nobody notices."""
        self.parent.script = [Reply(DATA[:4000], length=len(DATA), ends=False), *[GONE] * FRUITLESS_TRIES]
        self.mirror.hub.script = [part(DATA, 4000)]
        reader = self.follow(self.start())

        self.parent.senders[0].fail(GONE)

        self.assertEqual((reader.data, reader.done), (DATA, True))
        self.assertEqual(self.mirror.hub.asked[0].headers, {"Range": "bytes=4000-"})

    def test_other_size(self) -> None:
        """Two places that state different sizes do not have the same blob."""
        self.parent.script = [cut(DATA, 4000), *[GONE] * FRUITLESS_TRIES]
        self.mirror.hub.script = [Reply(DATA + b"!")]

        self.failed(self.start(), UpstreamCorrupt)

    def test_wrong_bytes_of_a_parent(self) -> None:
        """A parent that has sent wrong bytes is passed over for this blob from then on, so that the next pull heals."""
        self.parent.script = [Reply(b"!" + DATA[1:])]
        self.failed(self.start(), UpstreamCorrupt)
        self.mirror.hub.script = [Reply(DATA)]

        self.start()

        self.assertEqual((self.cached(DIGEST), len(self.parent.asked)), (DATA, 1))
        self.parent.script = [Reply(b"other")]
        self.start(OTHER)
        self.assertEqual(self.cached(OTHER), b"other")

    def test_wrong_beginning(self) -> None:
        """Also if another place has sent the end."""
        self.parent.script = [cut(b"!" + DATA[1:], 4000), *[GONE] * FRUITLESS_TRIES]
        self.mirror.hub.script = [part(DATA, 4000), Reply(DATA)]

        self.failed(self.start(), UpstreamCorrupt)
        self.start()

        self.assertEqual(self.cached(DIGEST), DATA)

    def test_trusted_again(self) -> None:
        """After a while it is asked again."""
        self.parent.script = [Reply(b"!" + DATA[1:])]
        self.failed(self.start(), UpstreamCorrupt)
        self.mirror.clock.advance(DISTRUST_SECONDS)

        self.parent.script = [Reply(DATA)]
        self.start()

        self.assertEqual(self.cached(DIGEST), DATA)

    def test_wrong_bytes_of_the_last(self) -> None:
        """The last place is always asked: there is no other."""
        self.parent.always = None
        self.mirror.hub.script = [Reply(b"!" + DATA[1:]), Reply(DATA)]

        self.failed(self.start(), UpstreamCorrupt)
        self.start()

        self.assertEqual(self.cached(DIGEST), DATA)


class WrongTests(FillsCase):
    """Nothing wrong is kept, and no last byte of it shown."""

    def fetch(self, reply: Reply) -> tuple[Fill, Follower | None]:
        """A fetch, and a reader of it if there could be one."""
        waiting: Deferred[Any] = Deferred()
        self.mirror.hub.script = [waiting]
        fill = self.start()
        opening = self.opened(fill)
        opening.addCallback(Follower).addErrback(lambda failure: self.errors.append(failure.value))
        waiting.callback(reply)
        reader = self.successResultOf(opening)
        return fill, reader

    def setUp(self) -> None:
        """No errors yet."""
        super().setUp()
        self.errors: list[Exception] = []

    def test_bodies(self) -> None:
        """Whatever is wrong with it: nothing is cached, nothing left, and the next fetch heals."""
        wrong = {
            "a wrong byte": Reply(DATA[:500] + b"!" + DATA[501:]),
            "the last byte wrong": Reply(DATA[:-1] + b"!"),
            "another blob": Reply(b"other"),
            "a byte more": Reply(DATA + b"\n"),
            "a byte less": Reply(DATA[:-1]),
            "nothing": Reply(b""),
            "a byte more, of unknown length": Reply(DATA + b"\n", length=None),
            "a byte less, of unknown length": Reply(DATA[:-1], length=None),
            "nothing, of unknown length": Reply(b"", length=None),
            "a part not asked for": Reply(DATA, 206, {"Content-Range": f"bytes 0-{len(DATA) - 1}/{len(DATA)}"}),
        }
        for what, reply in wrong.items():
            fill, reader = self.fetch(reply)
            self.assertIsInstance(fill.failure, UpstreamCorrupt, what)
            if reader is None:
                self.assertIs(self.errors.pop(), fill.failure)
            else:
                self.assertEqual(
                    (reader.error, reader.data), (fill.failure, reply.data[: reader.reader.size - 1]), what
                )
            self.assertIsNone(self.cached(DIGEST), what)
            self.assertEqual(self.mirror.fill_files(), [], what)

        self.mirror.hub.script = [Reply(DATA)]
        self.start()
        self.assertEqual(self.cached(DIGEST), DATA)
        self.assertEqual(self.errors, [])


class RoomTests(FillsCase):
    """Room is made before, and given back after, whatever comes of it."""

    def test_reserved_meanwhile(self) -> None:
        """As long as it is on its way, its size is reserved."""
        self.mirror.hub.script = [Reply(DATA[:10], length=len(DATA), ends=False)]
        self.start()
        self.assertEqual(self.mirror.evictor._reserved, len(DATA))

        self.mirror.hub.senders[0].send(DATA[10:])
        self.mirror.hub.senders[0].end()

        self.assertEqual(self.mirror.evictor._reserved, 0)

    def test_too_large(self) -> None:
        """What is larger than the whole cache may be is not begun."""
        self.use(max_size=len(DATA) - 1)
        self.mirror.hub.script = [Reply(DATA)]

        self.failed(self.start(), NoSpace)

        self.assertFalse(self.mirror.hub.senders[0].wanted)

    def test_resumed(self) -> None:
        """Room is made once, however often it is resumed."""
        self.use(max_size=len(DATA))
        self.mirror.hub.script = [cut(DATA, 4000), part(DATA, 4000)]

        self.start()

        self.assertEqual(self.cached(DIGEST), DATA)

    def test_unremovable(self) -> None:
        """Room is given back also where the file stays."""
        self.mirror.hub.script = [Reply(DATA[:10], length=len(DATA), ends=False)]
        self.start()
        fs: Any = self.mirror.fs
        fs.fail_calls("unlink")

        self.mirror.hub.senders[0].fail(UpstreamRefused(HUB, "is gone"))

        self.assertEqual((self.mirror.evictor._reserved, len(self.mirror.fill_files())), (0, 1))
        self.assertEqual(fs.open_files, set())
        fs.heal()
        os.unlink(self.mirror.place.tree.path(f"__spool__/fills/{self.mirror.fill_files()[0]}"))


class StorageTests(FillsCase):
    """The disk fails, at every single call: a reader gets all or an error, and nothing is left."""

    def attempt(self, at: int, error: int, lasting: bool) -> tuple[FaultyFileSystem, Follower | None, Exception | None]:
        fs = FaultyFileSystem()
        self.use(fs=fs)
        mirror = self.mirror
        waiting: Deferred[Any] = Deferred()
        mirror.hub.script = [waiting]
        fill = self.start()
        opening = self.opened(fill)
        fs.fail(at, error, lasting)
        followed = opening.addCallback(lambda reader: Follower(reader))
        waiting.callback(Reply(DATA[:4000], length=len(DATA), ends=False))
        mirror.hub.senders[0].send(DATA[4000:])
        mirror.hub.senders[0].end()
        reached = bool(fs.failed)
        fs.heal()
        fs.failed = ["reached"] if reached else []
        if fill.failure is not None and not isinstance(followed.result, Follower):
            return fs, None, self.failureResultOf(followed, Storage).value
        return fs, self.successResultOf(followed), None

    def test_every_call(self) -> None:
        """Each call fails once."""
        at = served = refused = 0
        while True:
            fs, reader, error = self.attempt(at, errno.EIO, lasting=False)
            if reader is None:
                refused += 1
                self.assertIsInstance(error, Storage)
            elif reader.error is None:
                served += 1
                self.assertEqual((reader.data, reader.done), (DATA, True), at)
            else:
                self.assertIsInstance(reader.error, Storage)
                self.assertLess(len(reader.data), len(DATA))
            self.assertIn(self.cached(DIGEST), (None, DATA), at)
            left = self.mirror.fill_files()
            self.assertLessEqual(len(left), 1)
            for name in left:  # only where the unlink itself has failed
                os.unlink(self.mirror.place.tree.path(f"__spool__/fills/{name}"))
            self.assertEqual(fs.open_files, set(), at)
            if not fs.failed:
                break
            at += 1
        self.assertGreater(served, 5)
        self.assertGreater(refused, 2)

    def test_full_disk(self) -> None:
        """From some call on the disk is full: what could be finished is, and nothing is left of the rest."""
        at = 0
        while True:
            fs, reader, _ = self.attempt(at, errno.ENOSPC, lasting=True)
            if reader is not None and reader.error is None:
                self.assertEqual(reader.data, DATA)
            for name in self.mirror.fill_files():
                os.unlink(self.mirror.place.tree.path(f"__spool__/fills/{name}"))
            self.assertEqual((fs.open_files, self.mirror.evictor._reserved), (set(), 0), at)
            if not fs.failed:
                break
            at += 1
        self.assertEqual(self.cached(DIGEST), DATA)

    def test_not_synced(self) -> None:
        """A disk that cannot keep it after it was found right fails no reader; it is just not kept."""
        fs: Any = self.mirror.fs
        self.mirror.hub.script = [Reply(DATA[:10], length=len(DATA), ends=False)]
        reader = self.follow(self.start())
        late = self.follow(self.mirror.fills.find(APP, DIGEST) or self.fail(), window=10)
        fs.fail_calls("fsync")

        self.mirror.hub.senders[0].send(DATA[10:])
        self.mirror.hub.senders[0].end()
        late.take(len(DATA))

        self.assertEqual((reader.data, late.data, late.error), (DATA, DATA, None))
        fs.heal()
        self.assertIsNone(self.cached(DIGEST))

    def test_spool_emptied_by_hand(self) -> None:
        """A file that somebody has removed from the spool is still read; then it cannot be kept."""
        self.mirror.hub.script = [Reply(length=len(DATA), ends=False)]
        reader = self.follow(self.start())
        (name,) = self.mirror.fill_files()
        os.unlink(self.mirror.place.tree.path(f"__spool__/fills/{name}"))

        self.mirror.hub.senders[0].send(DATA)
        self.mirror.hub.senders[0].end()

        self.assertEqual((reader.data, reader.done, self.cached(DIGEST)), (DATA, True, None))


class StopTests(FillsCase):
    """Giving up, in every phase."""

    def give_up(self) -> Deferred[None]:
        """As the daemon does it."""
        self.mirror.fills.give_up()
        self.do(self.mirror.upstreams.close())
        return Deferred.fromCoroutine(self.mirror.fills.finished())

    def test_nothing_under_way(self) -> None:
        """There is nothing to wait for; what is begun afterwards fails, and asks nobody."""
        self.successResultOf(self.give_up())

        self.failed(self.start(), NotReady)

        self.assertEqual(self.mirror.hub.asked, [])

    def test_before_the_answer(self) -> None:
        """What waits for an answer fails at once for its clients, and ends with the upstream's connections."""
        waiting: Deferred[Any] = Deferred()
        self.mirror.hub.script = [waiting]
        opening = self.opened(self.start())

        self.mirror.fills.give_up()
        self.failureResultOf(opening, NotReady)
        ended = Deferred.fromCoroutine(self.mirror.fills.finished())
        self.assertNoResult(ended)

        waiting.errback(UpstreamUnavailable(HUB, "is not asked any more"))
        self.successResultOf(ended)

    def test_answer_all_the_same(self) -> None:
        """An answer that comes all the same is not read."""
        waiting: Deferred[Any] = Deferred()
        self.mirror.hub.script = [waiting]
        self.start()
        self.mirror.fills.give_up()

        waiting.callback(Reply(DATA, ends=False))

        self.assertFalse(self.mirror.hub.senders[0].wanted)

    def test_body(self) -> None:
        """A body is given up: readers fail, nothing is asked again, nothing is left."""
        self.mirror.hub.script = [Reply(DATA[:4000], length=len(DATA), ends=False)]
        reader = self.follow(self.start())

        self.successResultOf(self.give_up())

        self.assertEqual((reader.data, type(reader.error), reader.errors), (DATA[:4000], NotReady, 1))
        self.assertEqual(len(self.mirror.hub.asked), 1)

    def test_every_hop(self) -> None:
        """In the middle of any blocking call: it ends, and either all of it is kept or nothing."""
        hops = 0
        while True:
            held = HeldBlocking()
            self.use(blocking=held)
            self.mirror.hub.script = [Reply(DATA)]
            self.start()
            for _ in range(hops):
                held.release()
            over = not len(held)

            ended = self.give_up()
            held.release_all()

            self.successResultOf(ended)
            self.assertEqual(self.mirror.fill_files(), [])
            if over:
                break
            hops += 1
        self.assertGreater(hops, 6)


class LogTests(FillsCase):
    """What the operator learns: one line for each thing that has happened, and no traceback."""

    def test_wrong_digest(self) -> None:
        """Wrong bytes are worth a line."""
        events: list[Any] = []
        self.observe(events)
        self.mirror.hub.script = [Reply(b"!" + DATA[1:])]

        self.start()

        (event,) = [one for one in events if one.get("what")]
        self.assertEqual((event["what"], event["digest"]), ("is dropped", DIGEST))

    def test_not_kept(self) -> None:
        """So is a disk that does not keep it."""
        events: list[Any] = []
        self.observe(events)
        fs: Any = self.mirror.fs
        self.mirror.hub.script = [Reply(DATA)]
        fs.fail_calls("fsync")

        self.start()

        (event,) = [one for one in events if one.get("what")]
        self.assertEqual(event["what"], "is not kept")
        fs.heal()

    def observe(self, events: list[Any]) -> None:
        """Keep what is logged during the test."""
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
