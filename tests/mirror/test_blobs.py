"""Blobs through the mirror: the cache, one fetch for all who ask, and what is served without being kept."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from pkgd.errors import (
    FailedStorage,
    LoopDetected,
    UnknownBlob,
    UpstreamBusy,
    UpstreamCorrupt,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, RepositoryName
from pkgd.mirror.manifests import Freshness
from pkgd.mirror.passthrough import Passthrough
from tests.fixtures import HeldBlocking
from tests.mirror.fill_fixtures import APP, Follower, MirrorCase, follow
from tests.mirror.scripted import HUB, Reply, ScriptedUpstream, whole

DATA = bytes(range(256)) * 40
DIGEST = Digest.of(DATA)
EMPTY = Digest.of(b"")
BLOB = f"GET blobs/{DIGEST}"
HEAD = f"HEAD blobs/{DIGEST}"
FAILURES = (
    UpstreamUnavailable(HUB, "is gone"),
    UpstreamTimeout(HUB, "is slow"),
    UpstreamRefused(HUB, "denies access"),
    UpstreamBusy(HUB, "wants a pause", 3.0),
    UpstreamCorrupt(HUB, "answers 418"),
    LoopDetected("via"),
)


class BlobsCase(MirrorCase):
    """A test case with clients."""

    def pull(self, **how: Any) -> Deferred[Follower]:
        """A client that pulls."""
        return Deferred.fromCoroutine(follow(self.mirror.blobs.open(APP, DIGEST, "1.1 before"), **how))

    def size(self, digest: Digest = DIGEST) -> int:
        """What a client gets to know by HEAD."""
        return self.do(self.mirror.blobs.size(APP, digest, "1.1 before"))


class OpeningTests(BlobsCase):
    """Who gets a blob from where."""

    def test_miss_then_hit(self) -> None:
        """The first client has it fetched, the next has it from the cache."""
        self.mirror.hub.script = [Reply(DATA)]

        pulled = [self.get(DIGEST).data for _ in range(3)]

        self.assertEqual((pulled, self.mirror.hub.requests), ([DATA] * 3, [BLOB]))
        self.assertEqual(self.mirror.results, ["miss", "hit", "hit"])

    def test_one_fetch(self) -> None:
        """However many ask meanwhile, the upstream is asked once, and each gets all of it."""
        waiting: Deferred[Any] = Deferred()
        self.mirror.hub.script = [waiting]
        before = [self.pull() for _ in range(3)]
        waiting.callback(Reply(DATA[:4000], length=len(DATA), ends=False))
        within = [self.pull() for _ in range(3)]

        self.mirror.hub.senders[0].send(DATA[4000:])
        self.mirror.hub.senders[0].end()

        clients = [self.successResultOf(one) for one in before + within]
        self.assertEqual([one.data for one in clients], [DATA] * 6)
        self.assertEqual(self.mirror.hub.requests, [BLOB])
        self.assertEqual(sorted(self.mirror.results), ["coalesced"] * 5 + ["miss"])

    def test_fifty_paces(self) -> None:
        """Fifty clients at fifty places and paces share one fetch and one descriptor."""
        self.mirror.hub.script = [Reply(DATA[:1000], length=len(DATA), ends=False)]
        clients = [self.successResultOf(self.pull(start=number, window=number * 7)) for number in range(50)]
        fs: Any = self.mirror.fs
        self.assertEqual(len(fs.open_files), 2)

        for start in range(1000, len(DATA), 1000):
            self.mirror.hub.senders[0].send(DATA[start : start + 1000])
        self.mirror.hub.senders[0].end()
        for one in clients:
            one.take(len(DATA))

        self.assertEqual([one.data for one in clients], [DATA[number:] for number in range(50)])

    def test_other_repository(self) -> None:
        """Another repository's blob is another, equal bytes or not: who may read one may not read the other."""
        other = Origin(HUB, RepositoryName("other/app"))
        self.mirror.hub.script = [Reply(DATA), None]
        self.get(DIGEST)

        self.refusal(self.mirror.blobs.open(other, DIGEST, ""), UnknownBlob)

    def test_ends_between_look_ups(self) -> None:
        """A fetch that begins and ends while somebody looks into the cache leaves it there: nobody is short of it."""
        held = HeldBlocking()
        self.use(blocking=held)
        self.mirror.hub.always = whole(DATA)
        first = self.pull()
        self.assertEqual(len(held), 1)  # the look into the cache

        second = self.pull()
        held.release()
        self.assertIsNotNone(self.mirror.fills.find(APP, DIGEST))
        self.mirror.run()

        self.assertEqual([self.successResultOf(one).data for one in (first, second)], [DATA, DATA])
        self.assertEqual(self.mirror.hub.requests, [BLOB])

    def test_joining_takes_no_look(self) -> None:
        """Whoever asks for what is on its way is not kept waiting by the disk."""
        held = HeldBlocking()
        self.use(blocking=held)
        self.mirror.hub.script = [Reply(DATA[:1000], length=len(DATA), ends=False)]
        self.pull()
        held.release_all()

        second = self.successResultOf(self.pull())

        self.assertEqual(second.data, DATA[:1000])
        self.mirror.hub.senders[0].send(DATA[1000:])
        self.mirror.hub.senders[0].end()

    def test_every_interleaving(self) -> None:
        """A second client may come at any moment of the first one's pull: the upstream is asked once."""
        hops = 0
        while True:
            held = HeldBlocking()
            self.use(blocking=held)
            self.mirror.hub.always = whole(DATA)
            first = self.pull()
            for _ in range(hops):
                held.release()
            over = not len(held)

            second = self.pull()
            self.mirror.run()

            self.assertEqual([self.successResultOf(one).data for one in (first, second)], [DATA, DATA], hops)
            self.assertEqual(self.mirror.hub.requests, [BLOB], hops)
            if over:
                break
            hops += 1
        self.assertGreater(hops, 8)

    def test_failures(self) -> None:
        """What the upstream says reaches every client; nothing of it is remembered, so that the next one asks again."""
        for error in FAILURES:
            waiting: Deferred[Any] = Deferred()
            self.mirror.hub.script = [waiting]
            clients = [self.pull() for _ in range(3)]

            waiting.errback(error)

            for one in clients:
                self.assertIs(self.failureResultOf(one, type(error)).value, error)
            self.assertEqual(self.mirror.results, ["error"] * 3)
        self.mirror.hub.script = [Reply(DATA)]
        self.assertEqual(self.get(DIGEST).data, DATA)

    def test_absent(self) -> None:
        """What the upstream does not have is not asked for again for a while; HEAD knows it as well."""
        self.mirror.hub.script = [None]
        for _ in range(2):
            self.refusal(self.mirror.blobs.open(APP, DIGEST, ""), UnknownBlob)
        self.refusal(self.mirror.blobs.size(APP, DIGEST, ""), UnknownBlob)
        self.assertEqual((len(self.mirror.hub.asked), self.mirror.results), (1, ["miss", "negative", "negative"]))

        self.mirror.clock.advance(60)
        self.mirror.hub.script = [Reply(DATA)]

        self.assertEqual(self.get(DIGEST).data, DATA)

    def test_present_although_absent(self) -> None:
        """What is cached is served, whatever is remembered."""
        self.mirror.hub.script = [None]
        self.refusal(self.mirror.blobs.open(APP, DIGEST, ""), UnknownBlob)
        self.do(self.mirror.store.put_bytes(f"__mirror__/docker.io/team/app/blobs/{DIGEST.encoded}", DATA))

        self.assertEqual(self.get(DIGEST).data, DATA)

    def test_switched_off(self) -> None:
        """Without the proxy, what is cached is served, and nobody is asked for the rest."""
        self.use(freshness=Freshness(enabled=False))
        self.do(self.mirror.store.put_bytes(f"__mirror__/docker.io/team/app/blobs/{DIGEST.encoded}", DATA))

        self.assertEqual((self.get(DIGEST).data, self.size()), (DATA, len(DATA)))
        self.refusal(self.mirror.blobs.open(APP, EMPTY, ""), UnknownBlob)
        self.refusal(self.mirror.blobs.size(APP, EMPTY, ""), UnknownBlob)
        self.assertEqual(self.mirror.hub.asked, [])

    def test_unreadable(self) -> None:
        """What is cached and cannot be read is fetched anew, and passed on if it cannot be written either."""
        self.mirror.hub.always = whole(DATA)
        self.get(DIGEST)
        fs: Any = self.mirror.fs
        fs.fail_calls("stat", "open")

        client = self.get(DIGEST)

        fs.heal()
        self.assertEqual((client.data, type(client.reader)), (DATA, Passthrough))

    def test_used(self) -> None:
        """Each use is noted for the eviction, HEAD as well."""
        self.mirror.hub.script = [Reply(DATA)]
        self.get(DIGEST)
        touched = self.mirror.ledger._touched
        touched.clear()

        self.get(DIGEST)
        self.assertEqual(len(touched), 1)
        touched.clear()
        self.size()

        self.assertEqual(len(touched), 1)


class PassingTests(BlobsCase):
    """A blob that cannot be kept goes straight to each client, verified all the same."""

    def setUp(self) -> None:
        """The cache is too small for it."""
        self.use(max_size=len(DATA) - 1)

    def test_passed(self) -> None:
        """Each client gets it; nothing is written."""
        self.mirror.hub.always = whole(DATA)

        clients = [self.get(DIGEST) for _ in range(2)]

        self.assertEqual([one.data for one in clients], [DATA] * 2)
        self.assertIsNone(self.cached(DIGEST))
        fs: Any = self.mirror.fs
        self.assertEqual((fs.counts["write"], self.mirror.results), (0, ["miss", "miss"]))

    def test_whoever_waits(self) -> None:
        """All who wait for the fetch that cannot be kept are served."""
        waiting: Deferred[Any] = Deferred()
        self.mirror.hub.script = [waiting]
        self.mirror.hub.always = whole(DATA)
        clients = [self.pull() for _ in range(3)]

        waiting.callback(Reply(DATA))

        self.assertEqual([self.successResultOf(one).data for one in clients], [DATA] * 3)

    def test_wrong(self) -> None:
        """Wrong bytes are told by the missing last one."""
        self.mirror.hub.always = whole(DATA[:-1] + b"!")

        client = self.get(DIGEST)

        self.assertEqual((client.data, type(client.error)), (DATA[:-1], UpstreamCorrupt))

    def test_next_endpoint(self) -> None:
        """A parent that fails is followed by the registry."""
        parent = ScriptedUpstream("parent.test", is_mirror=True)
        self.use(max_size=len(DATA) - 1, parents=[parent])
        parent.always = UpstreamUnavailable("parent.test", "is gone")
        self.mirror.hub.always = whole(DATA)

        self.assertEqual(self.get(DIGEST).data, DATA)

    def test_unknown_length(self) -> None:
        """An answer of ours has a length, so one without it cannot be passed on."""
        self.mirror.hub.always = lambda asked: Reply(DATA, length=None)

        self.refusal(self.mirror.blobs.open(APP, DIGEST, ""), UpstreamCorrupt)

    def test_gone_meanwhile(self) -> None:
        """It may be gone when it is asked for again."""
        self.mirror.hub.script = [Reply(DATA), None]

        self.refusal(self.mirror.blobs.open(APP, DIGEST, ""), UnknownBlob)

    def test_disk_refuses(self) -> None:
        """So is one for which the disk has no file, for whatever reason."""
        for call in ("open", "mkdir", "free"):
            self.use()
            self.mirror.hub.always = whole(DATA)
            fs: Any = self.mirror.fs
            fs.fail_calls(call)

            client = self.get(DIGEST)

            fs.heal()
            self.assertEqual((client.data, type(client.reader)), (DATA, Passthrough), call)


class SizeTests(BlobsCase):
    """HEAD asks the upstream for its head only."""

    def answered(self, *steps: Any, digest: Digest = DIGEST) -> int:
        """The size that an upstream's answers tell."""
        self.mirror.hub.script = list(steps)
        return self.size(digest)

    def test_cached(self) -> None:
        """Of what is cached nobody is asked."""
        self.mirror.hub.script = [Reply(DATA)]
        self.get(DIGEST)

        self.assertEqual((self.size(), self.mirror.hub.requests), (len(DATA), [BLOB]))

    def test_head(self) -> None:
        """By HEAD, and nothing is fetched."""
        self.assertEqual(self.answered(Reply(length=12345)), 12345)

        self.assertEqual([str(one) for one in self.mirror.hub.asked], [HEAD])
        self.assertEqual(self.mirror.hub.asked[0].via, "1.1 before")
        self.assertEqual(self.mirror.results, ["miss"])

    def test_under_way(self) -> None:
        """What is on its way tells its size."""
        self.mirror.hub.script = [Reply(length=len(DATA), ends=False)]
        client = self.successResultOf(self.pull())

        self.assertEqual(self.size(), len(DATA))

        self.assertEqual(self.mirror.hub.requests, [BLOB])
        self.mirror.hub.senders[0].fail(UpstreamRefused(HUB, "is gone"))
        self.assertIsInstance(client.error, UpstreamRefused)

    def test_not_known_yet(self) -> None:
        """As long as its size is not known, the upstream is asked."""
        waiting: Deferred[Any] = Deferred()
        self.mirror.hub.script = [waiting, Reply(length=12345)]
        client = self.pull()

        self.assertEqual(self.size(), 12345)

        waiting.callback(None)
        self.failureResultOf(client, UnknownBlob)

    def test_head_refused(self) -> None:
        """Not every registry has HEAD: where it is refused, says "not here" or nothing, one byte is asked for."""
        one_byte = Reply(DATA[:1], 206, {"Content-Range": f"bytes 0-0/{len(DATA)}"})
        for head in (
            None,
            UpstreamRefused(HUB, "denies access"),
            UpstreamCorrupt(HUB, "answers 405"),
            Reply(length=None),
            Reply(length=0),
        ):
            self.assertEqual(self.answered(head, one_byte), len(DATA))
            self.assertEqual(self.mirror.hub.asked[-1].headers, {"Range": "bytes=0-0"})

    def test_range_ignored(self) -> None:
        """If all of it comes instead, that has a length, and is not read."""
        self.assertEqual(self.answered(None, Reply(DATA)), len(DATA))

        self.assertFalse(self.mirror.hub.senders[-1].wanted)

    def test_empty(self) -> None:
        """A blob of no bytes has none."""
        self.assertEqual(self.answered(Reply(length=0), digest=EMPTY), 0)

    def test_untold(self) -> None:
        """A size that is not told, or not in so many words, is an error of the upstream."""
        for told in ("bytes 0-0/*", "bytes 0-0/-1", "bytes 0-0/1e3", "bytes 0-0/²", "bytes 0-0/" + "9" * 19, ""):
            self.mirror.hub.script = [None, Reply(DATA[:1], 206, {"Content-Range": told})]
            self.refusal(self.mirror.blobs.size(APP, DIGEST, ""), UpstreamCorrupt)
        self.mirror.hub.script = [None, Reply(DATA, length=None)]
        self.refusal(self.mirror.blobs.size(APP, DIGEST, ""), UpstreamCorrupt)

    def test_absent(self) -> None:
        """Only if both say so it is not here, and that is remembered."""
        self.mirror.hub.script = [None, None]
        for _ in range(2):
            self.refusal(self.mirror.blobs.size(APP, DIGEST, ""), UnknownBlob)

        self.assertEqual((len(self.mirror.hub.asked), self.mirror.results), (2, ["miss", "negative"]))

    def test_failures(self) -> None:
        """A failure is no absence."""
        for error in FAILURES:
            self.mirror.hub.script = [None, error]
            self.assertIs(self.refusal(self.mirror.blobs.size(APP, DIGEST, ""), type(error)), error)
        self.assertEqual(self.mirror.results, ["error"] * len(FAILURES))

    def test_unavailable_at_head(self) -> None:
        """An upstream that is down at HEAD is not asked again at once."""
        self.mirror.hub.script = [UpstreamUnavailable(HUB, "is gone")]

        self.refusal(self.mirror.blobs.size(APP, DIGEST, ""), UpstreamUnavailable)

    def test_unreadable_cache(self) -> None:
        """A cache that cannot be looked into is one that has nothing."""
        fs: Any = self.mirror.fs
        fs.fail_calls("stat")

        self.assertEqual(self.answered(Reply(length=12345)), 12345)

        fs.heal()


class ReaderTests(BlobsCase):
    """What clients hold keeps what they hold."""

    def test_evicted_meanwhile(self) -> None:
        """A blob that is evicted while it is read is read to its end."""
        self.mirror.hub.script = [Reply(DATA)]
        self.get(DIGEST)
        client = self.get(DIGEST, window=10)

        self.do(self.mirror.store.delete(f"__mirror__/docker.io/team/app/blobs/{DIGEST.encoded}"))
        client.take(len(DATA))

        self.assertEqual((client.data, self.cached(DIGEST)), (DATA, None))

    def test_left_before_the_answer(self) -> None:
        """A client that closes its reader without reading leaves the fetch alone."""
        self.mirror.hub.script = [Reply(DATA[:10], length=len(DATA), ends=False)]
        reader = self.do(self.mirror.blobs.open(APP, DIGEST, ""))
        reader.close()

        self.mirror.hub.senders[0].send(DATA[10:])
        self.mirror.hub.senders[0].end()

        self.assertEqual(self.cached(DIGEST), DATA)
        self.failureResultOf(Deferred.fromCoroutine(reader.available(0)), FailedStorage)
