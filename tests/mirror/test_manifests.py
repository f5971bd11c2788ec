"""Manifests through the mirror: the table in the module's docstring, row after row."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from pkgd.errors import (
    AddressRefused,
    LoopDetected,
    PkgdError,
    UnknownManifest,
    UpstreamBusy,
    UpstreamCorrupt,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, Reference, RepositoryName, Tag
from pkgd.formats.oci import IMAGE, INDEX, detect_media_type
from pkgd.mirror.answers import ACCEPT
from pkgd.mirror.heads import HEAD_SECONDS
from pkgd.mirror.manifests import READ_INLINE, Freshness, MirroredManifest
from pkgd.mirror.tokens import Credentials
from pkgd.storage.layout import directory, manifest_key
from tests.fixtures import HeldBlocking
from tests.mirror.fill_fixtures import APP, NOON, MirrorCase
from tests.mirror.scripted import HUB, Asked, Reply, ScriptedUpstream
from tests.registry.fixtures import image, image_index

TTL = 300.0
LATEST = Tag("latest")
DATA = image(Digest.of(b"config"), Digest.of(b"layer"))
DIGEST = Digest.of(DATA)
MOVED = image(Digest.of(b"config"), Digest.of(b"another layer"))
MOVED_DIGEST = Digest.of(MOVED)
GET_TAG, HEAD_TAG = "GET manifests/latest", "HEAD manifests/latest"
GET_DIGEST, HEAD_DIGEST = f"GET manifests/{DIGEST}", f"HEAD manifests/{DIGEST}"
DOWN: tuple[PkgdError, ...] = (
    UpstreamUnavailable(HUB, "is gone"),
    UpstreamTimeout(HUB, "is slow"),
    AddressRefused(HUB, "has no public address"),
    UpstreamBusy(HUB, "wants a pause", 3.0),
    UpstreamCorrupt(HUB, "sends HTML"),
    LoopDetected("via"),
)
REFUSED = UpstreamRefused(HUB, "denies access")


def reply(data: bytes = DATA, kind: str = IMAGE, stated: Digest | None = None, **headers: str) -> Reply:
    """A manifest as an upstream sends it."""
    digest = Digest.of(data) if stated is None else stated
    return Reply(data, headers={"Content-Type": kind, "Docker-Content-Digest": str(digest), **headers})


class Registry:
    """An upstream that has manifests, and answers as a registry does."""

    def __init__(self, upstream: ScriptedUpstream) -> None:
        self.tags: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        upstream.always = self.answer

    def push(self, data: bytes, tag: str = "latest") -> None:
        """Let a tag stand for this from now on."""
        self.tags[tag] = data
        self.manifests[str(Digest.of(data))] = data

    def answer(self, asked: Asked) -> Reply | None:
        """What a request gets."""
        reference = asked.path.removeprefix("manifests/")
        data = self.manifests.get(reference) if ":" in reference else self.tags.get(reference)
        return None if data is None else reply(data, detect_media_type(data))


class ManifestsCase(MirrorCase):
    """A test case with clients, and an upstream that has an image."""

    def use(self, **options: Any) -> Any:
        """Make the mirror that the test is about, in front of a new upstream."""
        mirror = super().use(**options)
        self.registry = Registry(mirror.hub)
        self.registry.push(DATA)
        return mirror

    def pull(self, reference: Reference = LATEST, origin: Origin = APP, head_only: bool = False) -> MirroredManifest:
        """What a client gets."""
        return self.do(self.mirror.manifests.get(origin, reference, "1.1 before", head_only))

    def head(self, reference: Reference = LATEST) -> MirroredManifest:
        """What a client gets by HEAD."""
        return self.pull(reference, head_only=True)

    def fail_pull(self, *kinds: type[Exception], reference: Reference = LATEST, head_only: bool = False) -> Any:
        """The error that a client gets."""
        return self.refusal(self.mirror.manifests.get(APP, reference, "", head_only), *kinds)

    def later(self, seconds: float = TTL) -> None:
        """Time passes; by default as much as makes a tag stale."""
        self.mirror.clock.advance(seconds)

    def asked(self) -> list[str]:
        """What the upstream has been asked since the last look."""
        found = self.mirror.hub.requests
        self.mirror.hub.asked.clear()
        return found

    def is_cached(self, reference: Reference) -> bool:
        """Whether there is something to serve without an upstream."""
        return self.do(self.mirror.cache.manifest(APP, reference)) is not None


class DigestTests(ManifestsCase):
    """What is asked for by its digest never changes."""

    def test_fetched(self) -> None:
        """Fetched once, whole, with every media type accepted; then served for ever."""
        first = self.pull(DIGEST)
        (asked,) = self.mirror.hub.asked
        self.assertEqual((str(asked), asked.headers, asked.via), (GET_DIGEST, {"Accept": ACCEPT}, "1.1 before"))
        self.later(1e9)

        second = self.pull(DIGEST)

        for one in (first, second):
            self.assertEqual((one.data, one.stale, one.head.digest), (DATA, False, DIGEST))
            self.assertEqual((one.head.media_type, one.head.size), (IMAGE, len(DATA)))
        self.assertEqual((len(self.mirror.hub.asked), self.mirror.results), (1, ["miss", "hit"]))

    def test_by_tag_before(self) -> None:
        """What came by a tag is there by its digest."""
        self.pull()

        self.assertEqual(self.pull(DIGEST).data, DATA)
        self.assertEqual(self.asked(), [GET_TAG])

    def test_strong(self) -> None:
        """A sha512 is another name, under which it is fetched and kept."""
        strong = Digest.of(DATA, "sha512")
        self.registry.manifests[str(strong)] = DATA

        self.assertEqual(self.pull(strong).head.digest, strong)
        self.assertEqual(self.pull(strong).head.digest, strong)

        self.assertEqual(self.asked(), [f"GET manifests/{strong}"])

    def test_failures(self) -> None:
        """Without it there is nothing to be served: the client gets what the upstream says."""
        for error in (*DOWN, REFUSED):
            self.mirror.hub.script = [error]
            self.assertIs(self.fail_pull(type(error), reference=DIGEST), error)
        self.assertEqual(self.mirror.results, ["error"] * 7)

        self.assertEqual(self.pull(DIGEST).data, DATA)

    def test_cached_whatever(self) -> None:
        """With it, the upstream is not asked, and so can neither fail nor refuse."""
        self.pull(DIGEST)
        self.asked()
        self.mirror.hub.always = REFUSED

        self.assertEqual(self.pull(DIGEST).data, DATA)
        self.assertEqual(self.head(DIGEST).data, DATA)

        self.assertEqual(self.asked(), [])

    def test_private(self) -> None:
        """What was fetched with credentials marks its repository."""
        parent = ScriptedUpstream("parent.test", Credentials("me", "secret"), is_mirror=True)
        self.use(parents=[parent])
        Registry(parent).push(DATA)

        self.pull(DIGEST)

        self.assertTrue(self.do(self.mirror.cache.is_private(APP)))

    def test_other_repository(self) -> None:
        """Another repository's manifest is another."""
        self.pull(DIGEST)

        self.assertEqual(self.pull(DIGEST, Origin(HUB, RepositoryName("other"))).data, DATA)

        self.assertEqual(self.asked(), [GET_DIGEST] * 2)


class FreshTests(ManifestsCase):
    """A tag that has been confirmed lately."""

    def test_served(self) -> None:
        """It is served without asking, until its time is over."""
        self.pull()
        self.asked()
        for _ in range(3):
            self.later(TTL / 3 - 0.01)
            self.assertEqual((self.pull().data, self.asked()), (DATA, []))

        self.later(0.03)
        self.pull()

        self.assertEqual(self.asked(), [HEAD_TAG])

    def test_head(self) -> None:
        """HEAD is answered from it, too."""
        self.pull()

        self.assertEqual(self.head().data, DATA)
        self.assertEqual(self.asked(), [GET_TAG])

    def test_at_once(self) -> None:
        """What is in memory and fresh is answered without a wait; by its digest always."""
        manifests = self.mirror.manifests
        size = len(DATA)
        self.assertIsNone(manifests.at_once(APP, "latest", size))
        self.pull()
        self.pull()
        self.pull(DIGEST)
        for reference in ("latest", str(DIGEST)):
            found = manifests.at_once(APP, reference, size)
            assert found is not None
            self.assertEqual((found.data, found.stale), (DATA, False))
            self.assertIsNone(manifests.at_once(APP, reference, size - 1))

        self.later()

        self.assertIsNone(manifests.at_once(APP, "latest", size))
        self.assertIsNotNone(manifests.at_once(APP, str(DIGEST), size))
        self.assertEqual(self.mirror.results, ["miss", "hit", "hit", "hit", "hit", "hit"])

    def test_survives_restart(self) -> None:
        """When it was confirmed stands on disk."""
        self.pull()
        self.mirror.stored._cache.clear()

        self.assertEqual((self.pull().data, self.asked()), (DATA, [GET_TAG]))

    def test_clock_set_back(self) -> None:
        """A clock that has been set back makes no tag fresh for ever."""
        self.later(TTL * 10)
        self.pull()
        self.asked()
        self.mirror.clock.rightNow = NOON

        self.pull()

        self.assertEqual(self.asked(), [HEAD_TAG])

    def test_always_asked(self) -> None:
        """With no time at all, each pull asks."""
        self.use(freshness=Freshness(enabled=True, tag_ttl=0.0))
        for _ in range(3):
            self.pull()

        self.assertEqual(self.asked(), [GET_TAG, HEAD_TAG, HEAD_TAG])


class ConfirmTests(ManifestsCase):
    """A tag whose time is over is asked for by HEAD."""

    def setUp(self) -> None:
        """It is cached, and stale."""
        super().setUp()
        self.pull()
        self.later()
        self.asked()
        self.mirror.counts.results.clear()

    def test_same(self) -> None:
        """If it still stands for the same, it is served from here, and fresh again."""
        found = self.pull()
        self.assertEqual((found.data, found.stale, self.asked()), (DATA, False, [HEAD_TAG]))

        self.later(TTL - 1)
        self.pull()

        self.assertEqual((self.asked(), self.mirror.results), ([], ["hit", "hit"]))

    def test_accepts(self) -> None:
        """HEAD accepts every media type, or the upstream would convert, and state another digest."""
        self.pull()

        (asked,) = self.mirror.hub.asked
        self.assertEqual((asked.headers, asked.via), ({"Accept": ACCEPT}, "1.1 before"))

    def test_moved(self) -> None:
        """If it stands for another manifest, that is fetched, kept and pointed at."""
        self.registry.push(MOVED)

        self.assertEqual((self.pull().data, self.asked()), (MOVED, [HEAD_TAG, GET_TAG]))

        self.assertEqual((self.pull().data, self.asked()), (MOVED, []))
        self.assertTrue(self.is_cached(DIGEST))

    def test_moved_to_what_is_here(self) -> None:
        """If that is here already, nothing is fetched."""
        self.registry.push(MOVED, "next")
        self.pull(Tag("next"))
        self.registry.push(MOVED)
        self.asked()

        self.assertEqual((self.pull().data, self.asked()), (MOVED, [HEAD_TAG]))
        self.assertEqual((self.pull().data, self.asked()), (MOVED, []))

    def test_evicted_meanwhile(self) -> None:
        """If the manifest is evicted in between, it is fetched: a tag never points at nothing."""
        upstream, registry = self.mirror.hub, self.registry

        def evict(asked: Asked) -> Reply | None:
            self.do(self.mirror.store.delete(manifest_key(directory(APP), DIGEST)))
            return registry.answer(asked)

        upstream.script = [evict]

        self.assertEqual((self.pull().data, self.asked()), (DATA, [HEAD_TAG, GET_TAG]))
        self.assertTrue(self.is_cached(DIGEST))

    def test_head_untold(self) -> None:
        """Where HEAD is refused or tells too little, GET decides: not every registry has HEAD."""
        for head in (
            UpstreamRefused(HUB, "denies access"),
            UpstreamCorrupt(HUB, "answers 405"),
            Reply(DATA),
            Reply(DATA, headers={"Content-Type": IMAGE}),
            Reply(length=None, headers={"Content-Type": IMAGE, "Docker-Content-Digest": str(MOVED_DIGEST)}),
            reply(kind="text/html", stated=MOVED_DIGEST),
        ):
            self.mirror.hub.script = [head]
            self.assertEqual((self.pull().data, self.asked()), (DATA, [HEAD_TAG, GET_TAG]))
            self.later()

    def test_lying_head(self) -> None:
        """A HEAD that states another digest than the GET gives only costs a GET."""
        self.mirror.hub.script = [reply(stated=MOVED_DIGEST)]

        self.assertEqual((self.pull().data, self.pull().data), (DATA, DATA))

    def test_gone(self) -> None:
        """If the upstream has it no more, it is forgotten; its manifest is not."""
        self.registry.tags.clear()

        self.fail_pull(UnknownManifest)

        self.assertFalse(self.is_cached(LATEST))
        self.assertEqual(self.pull(DIGEST).data, DATA)
        self.assertEqual(self.asked(), [HEAD_TAG])

    def test_gone_at_get(self) -> None:
        """So it is if only the GET says so."""
        self.mirror.hub.script = [UpstreamCorrupt(HUB, "answers 405"), None]

        self.fail_pull(UnknownManifest)

        self.assertFalse(self.is_cached(LATEST))

    def test_storage_refuses(self) -> None:
        """If that it is confirmed cannot be written down, it is served all the same."""
        fs: Any = self.mirror.fs
        fs.fail_calls("rename")

        found = self.pull()

        fs.heal()
        self.assertEqual((found.data, found.stale), (DATA, False))

    def test_storage_refuses_to_forget(self) -> None:
        """So is that it is gone."""
        fs: Any = self.mirror.fs
        self.registry.tags.clear()
        fs.fail_calls("unlink")

        self.fail_pull(UnknownManifest)

        fs.heal()


class StaleTests(ManifestsCase):
    """The upstream cannot be asked, and the tag is cached."""

    def setUp(self) -> None:
        """It is cached, and stale."""
        super().setUp()
        self.stale()

    def stale(self) -> None:
        """Pull it, and let its time pass."""
        self.pull()
        self.later()
        self.asked()
        self.mirror.counts.results.clear()

    def test_down(self) -> None:
        """The last known manifest is served, marked as stale, for GET and for HEAD."""
        for error in DOWN:
            for head_only in (False, True):
                self.mirror.hub.always = error
                found = self.pull(head_only=head_only)
                self.assertEqual((found.data, found.stale), (DATA, True), error)
        self.assertEqual(self.mirror.results, ["stale"] * 2 * len(DOWN))

    def test_stays_stale(self) -> None:
        """It is not taken for confirmed: the next pull asks again."""
        self.mirror.hub.script = [DOWN[0]]
        self.pull()

        self.assertEqual((self.pull().stale, self.asked()), (False, [HEAD_TAG, HEAD_TAG]))

    def test_moved_and_broken(self) -> None:
        """A new manifest that cannot be had, or is none, leaves the old one."""
        self.registry.push(MOVED)
        for spoilt in (
            DOWN[0],
            reply(b"<html>", stated=MOVED_DIGEST),
            Reply(MOVED[:-1], ends=UpstreamUnavailable(HUB, "closed the connection early"), length=len(MOVED)),
        ):
            self.mirror.hub.script = [reply(MOVED), spoilt]
            found = self.pull()
            self.assertEqual((found.data, found.stale), (DATA, True))
        self.assertFalse(self.is_cached(MOVED_DIGEST))

    def test_refused(self) -> None:
        """An upstream that denies access is never covered up for."""
        self.mirror.hub.always = REFUSED

        self.assertIs(self.fail_pull(UpstreamRefused), REFUSED)
        self.assertIs(self.fail_pull(UpstreamRefused, head_only=True), REFUSED)

        self.assertEqual(self.mirror.results, ["error", "error"])

    def test_absent(self) -> None:
        """Nor is one that does not have it."""
        self.mirror.hub.always = None

        self.fail_pull(UnknownManifest)
        self.mirror.hub.always = DOWN[0]

        self.fail_pull(UnknownManifest)  # negative
        self.later(60)
        self.fail_pull(UpstreamUnavailable)

    def test_limit(self) -> None:
        """Beyond the limit nothing stale is served."""
        self.use(freshness=Freshness(enabled=True, serve_stale=TTL + 100))
        self.stale()
        self.mirror.hub.always = DOWN[0]
        self.later(100)
        self.assertTrue(self.pull().stale)

        self.later(1)

        self.fail_pull(UpstreamUnavailable)

    def test_never(self) -> None:
        """Stale answers can be switched off."""
        self.use(freshness=Freshness(enabled=True, serve_stale=0.0))
        self.stale()
        self.mirror.hub.always = DOWN[0]

        self.fail_pull(UpstreamUnavailable)

    def test_limit_with_clock_set_back(self) -> None:
        """The limit holds for a clock that has been set back as well."""
        self.use(freshness=Freshness(enabled=True, serve_stale=TTL + 100))
        self.stale()
        self.mirror.hub.always = DOWN[0]
        self.mirror.clock.rightNow = NOON - TTL - 101

        self.fail_pull(UpstreamUnavailable)

    def test_unknown_tag(self) -> None:
        """Of a tag that was never pulled there is nothing to be served."""
        self.mirror.hub.always = DOWN[0]

        self.fail_pull(UpstreamUnavailable, reference=Tag("other"))


class HeadTests(ManifestsCase):
    """HEAD of what is not cached costs no GET, which upstreams count."""

    def test_tag(self) -> None:
        """It is asked by HEAD, and what that tells is passed on."""
        found = self.head()

        self.assertEqual((found.data, found.head.digest, found.head.media_type), (None, DIGEST, IMAGE))
        self.assertEqual((found.head.size, self.asked(), self.mirror.results), (len(DATA), [HEAD_TAG], ["miss"]))

    def test_digest(self) -> None:
        """So it is for a digest."""
        self.assertEqual((self.head(DIGEST).head.digest, self.asked()), (DIGEST, [HEAD_DIGEST]))

    def test_remembered(self) -> None:
        """What was told is believed as long as a tag is."""
        self.head()
        self.later(TTL - 1)
        self.head()
        self.assertEqual(self.asked(), [HEAD_TAG])

        self.later(1)
        self.head()

        self.assertEqual(self.asked(), [HEAD_TAG])

    def test_clock_set_back(self) -> None:
        """But not for ever, if the clock is set back."""
        self.later(TTL * 10)
        self.head()
        self.mirror.clock.rightNow = NOON

        self.head()

        self.assertEqual(self.asked(), [HEAD_TAG] * 2)

    def test_then_get_by_digest(self) -> None:
        """Clients go on by digest: the manifest gets the tag, as old as the HEAD is."""
        self.head()
        self.later(100)
        self.pull(DIGEST)
        self.assertEqual(self.asked(), [HEAD_TAG, GET_DIGEST])
        self.assertEqual((self.pull().data, self.asked()), (DATA, []))

        self.later(TTL - 100)
        self.pull()

        self.assertEqual(self.asked(), [HEAD_TAG])

    def test_then_get_by_digest_much_later(self) -> None:
        """A HEAD of long ago says nothing any more."""
        self.head()
        self.later(TTL + 1)

        self.pull(DIGEST)

        self.assertFalse(self.is_cached(LATEST))

    def test_always_asked(self) -> None:
        """Where each pull asks, the tag is kept all the same, for when the upstream is down."""
        self.use(freshness=Freshness(enabled=True, tag_ttl=0.0))
        self.head()
        self.later(HEAD_SECONDS)
        self.pull(DIGEST)
        self.mirror.hub.always = DOWN[0]

        found = self.pull()

        self.assertEqual((found.data, found.stale), (DATA, True))

    def test_digest_is_here(self) -> None:
        """A new tag on what is here gets it at once: the client will not fetch that any more."""
        self.pull(DIGEST)
        self.registry.push(DATA, "other")
        self.asked()

        found = self.head(Tag("other"))

        self.assertEqual((found.data, self.asked()), (DATA, ["HEAD manifests/other"]))
        self.mirror.hub.always = DOWN[0]
        self.assertEqual(self.pull(Tag("other")).data, DATA)

    def test_stale(self) -> None:
        """Of a stale tag it confirms, or tells what is new without fetching it."""
        self.pull()
        self.later()
        self.assertEqual(self.head().data, DATA)
        self.later()
        self.registry.push(MOVED)
        self.asked()

        found = self.head()

        self.assertEqual((found.data, found.head.digest, self.asked()), (None, MOVED_DIGEST, [HEAD_TAG]))
        self.assertEqual(self.pull(MOVED_DIGEST).data, MOVED)
        self.assertEqual((self.pull().data, self.asked()), (MOVED, [f"GET manifests/{MOVED_DIGEST}"]))

    def test_untold(self) -> None:
        """Where HEAD tells too little, the manifest is fetched, and its head told."""
        self.mirror.hub.script = [UpstreamCorrupt(HUB, "answers 405")]

        found = self.head()

        self.assertEqual((found.head.digest, found.data, self.asked()), (DIGEST, DATA, [HEAD_TAG, GET_TAG]))

    def test_absent(self) -> None:
        """What is not there is remembered for GET as well."""
        self.registry.tags.clear()
        self.fail_pull(UnknownManifest, head_only=True)

        self.fail_pull(UnknownManifest)

        self.assertEqual((self.asked(), self.mirror.results), ([HEAD_TAG], ["negative"]))

    def test_failures(self) -> None:
        """A failure is passed on; a refusal only if GET is refused, too."""
        for error in DOWN:
            if not isinstance(error, UpstreamCorrupt):
                self.mirror.hub.script = [error]
                self.assertIs(self.fail_pull(type(error), head_only=True), error)
        self.mirror.hub.script = [REFUSED, REFUSED]
        self.fail_pull(UpstreamRefused, head_only=True)


class NegativeTests(ManifestsCase):
    """What is not there."""

    def setUp(self) -> None:
        """Nothing is."""
        super().setUp()
        self.registry.tags.clear()
        self.registry.manifests.clear()

    def test_remembered(self) -> None:
        """It is not asked for again at once, by tag or by digest."""
        for reference in (LATEST, DIGEST):
            for _ in range(2):
                self.fail_pull(UnknownManifest, reference=reference)
        self.assertEqual(self.asked(), [GET_TAG, GET_DIGEST])
        self.assertEqual(self.mirror.results, ["miss", "negative"] * 2)

        self.registry.push(DATA)
        self.later(59)
        self.fail_pull(UnknownManifest)
        self.later(1)

        self.assertEqual(self.pull().data, DATA)

    def test_switched_off(self) -> None:
        """Unless that is switched off."""
        self.use(negative_ttl=0.0)
        self.registry.tags.clear()
        self.fail_pull(UnknownManifest)
        self.registry.push(DATA)

        self.assertEqual(self.pull().data, DATA)

    def test_failures_are_none(self) -> None:
        """Failures and refusals are not remembered."""
        self.registry.push(DATA)
        for error in (*DOWN, REFUSED):
            self.mirror.hub.script = [error]
            self.fail_pull(type(error))
            self.assertEqual(self.pull(Tag("latest")).data, DATA)
            self.do(self.mirror.cache.forget_tag(APP, LATEST))

    def test_exact(self) -> None:
        """Another tag, repository or host is another thing."""
        self.fail_pull(UnknownManifest)
        self.registry.push(DATA, "other")
        self.assertEqual(self.pull(Tag("other")).data, DATA)

        Registry(self.mirror._upstream("quay.io")).push(DATA)

        self.assertEqual(self.pull(origin=Origin("quay.io", APP.name)).data, DATA)

    def test_parent_does_not_have_it(self) -> None:
        """What a parent does not have, the registry may."""
        parent = ScriptedUpstream("parent.test", is_mirror=True)
        self.use(parents=[parent])

        self.assertEqual(self.pull().data, DATA)

        self.assertEqual((parent.requests, self.asked()), ([GET_TAG], [GET_TAG]))


class CoalescingTests(ManifestsCase):
    """Many clients at once."""

    def pulls(self, count: int, reference: Reference = LATEST, head_only: bool = False) -> list[Deferred[Any]]:
        """So many clients."""
        return [self.begin(self.mirror.manifests.get(APP, reference, "", head_only)) for _ in range(count)]

    def test_get(self) -> None:
        """They share one fetch."""
        self.mirror.hub.hold()
        clients = self.pulls(5) + self.pulls(5, DIGEST)

        self.mirror.hub.release()

        self.assertEqual([self.successResultOf(one).data for one in clients], [DATA] * 10)
        self.assertEqual(self.asked(), [GET_TAG, GET_DIGEST])
        self.assertEqual(sorted(self.mirror.results), ["coalesced"] * 8 + ["miss"] * 2)

    def test_confirmation(self) -> None:
        """They share one HEAD, and, if the tag has moved, one GET."""
        self.pull()
        self.later()
        self.asked()
        self.registry.push(MOVED)
        self.mirror.hub.hold()
        clients = self.pulls(5)
        self.mirror.hub.release()

        self.assertEqual([self.successResultOf(one).data for one in clients], [MOVED] * 5)

        self.assertEqual(self.asked(), [HEAD_TAG, GET_TAG])

    def test_late_look(self) -> None:
        """One whose look into the cache takes longer than all that another one does need not ask again."""
        held = HeldBlocking()
        self.use(blocking=held)
        self.pulls(1)
        self.finish(held)
        for tag, data, requests in (
            (LATEST, DATA, [HEAD_TAG]),
            (LATEST, MOVED, [HEAD_TAG, GET_TAG]),
            (Tag("other"), DATA, ["GET manifests/other"]),
        ):
            self.registry.push(data, str(tag))
            self.later()
            self.asked()
            (late,) = self.pulls(1, tag)
            looked, look = held._held.pop()
            found = look()
            (early,) = self.pulls(1, tag)
            self.finish(held)
            looked.callback(found)
            self.finish(held)

            self.assertEqual([self.successResultOf(one).data for one in (early, late)], [data] * 2)
            self.assertEqual(self.asked(), requests)

    def finish(self, held: HeldBlocking) -> None:
        """Let held calls happen, each in a moment of its own."""
        while held.release():
            self.later(0.001)

    def test_failure(self) -> None:
        """They share a failure."""
        self.mirror.hub.hold()
        self.mirror.hub.always = DOWN[0]
        clients = self.pulls(5)

        self.mirror.hub.release()

        for one in clients:
            self.assertIs(self.failureResultOf(one).value, DOWN[0])
        self.assertEqual((self.asked(), self.mirror.results), ([GET_TAG], ["error"] * 5))

    def test_stale(self) -> None:
        """What is stale for one is for all."""
        self.pull()
        self.later()
        self.asked()
        self.mirror.hub.hold()
        self.mirror.hub.always = DOWN[0]
        clients = self.pulls(5)

        self.mirror.hub.release()

        self.assertEqual([self.successResultOf(one).stale for one in clients], [True] * 5)
        self.assertEqual(self.asked(), [HEAD_TAG])

    def test_every_interleaving(self) -> None:
        """Whenever a second client comes, both get the manifest, and the upstream is asked once."""
        hops = 0
        while True:
            held = HeldBlocking()
            self.use(blocking=held)
            (first,) = self.pulls(1)
            for _ in range(hops):
                held.release()
            over = not len(held)

            (second,) = self.pulls(1)
            self.mirror.run()

            self.assertEqual([self.successResultOf(one).data for one in (first, second)], [DATA, DATA])
            self.assertLessEqual(len(self.asked()), 2)
            if over:
                break
            hops += 1
        self.assertGreater(hops, 5)


class WrongTests(ManifestsCase):
    """What is no manifest, or another than was asked for, is neither served nor kept."""

    def test_not_kept(self) -> None:
        """Whatever is wrong with it, and it heals."""
        limit = self.mirror.freshness.manifest_size
        for what, wrong in {
            "HTML": Reply(b"<!doctype html>", headers={"Content-Type": "text/html"}),
            "HTML, labelled as asked": reply(b"<!doctype html>"),
            "nothing": reply(b""),
            "other bytes": reply(MOVED, stated=DIGEST),
            "too large": reply(DATA[:-1] + b" " * limit + b"}"),
            "cut": Reply(DATA[:9], length=len(DATA), ends=UpstreamCorrupt(HUB, "sends a malformed body")),
            "a part": Reply(DATA, 206, {"Content-Type": IMAGE}),
            "another type": reply(kind=INDEX),
        }.items():
            for reference in (LATEST, DIGEST):
                self.mirror.hub.script = [wrong]
                self.fail_pull(UpstreamCorrupt, reference=reference)
                self.assertFalse(self.is_cached(reference), what)

        self.assertEqual(self.pull(DIGEST).data, DATA)

    def test_another_manifest(self) -> None:
        """A right manifest with another digest than the one asked for is wrong."""
        self.mirror.hub.script = [reply(MOVED)]

        self.fail_pull(UpstreamCorrupt, reference=DIGEST)

        self.assertFalse(self.is_cached(MOVED_DIGEST))

    def test_wrong_at_parent(self) -> None:
        """What a parent gets wrong, the registry may get right."""
        parent = ScriptedUpstream("parent.test", is_mirror=True)
        self.use(parents=[parent])
        parent.always = reply(b"<!doctype html>")

        self.assertEqual(self.pull().data, DATA)

    def test_large(self) -> None:
        """A large one is verified in a thread, with the same result."""
        held = HeldBlocking()
        self.use(blocking=held)
        data = image_index(DIGEST, annotations={"x": "y" * READ_INLINE})
        self.registry.push(data)
        self.registry.manifests[str(DIGEST)] = data
        wrong: Deferred[Any] = self.begin(self.mirror.manifests.get(APP, DIGEST, ""))
        right: Deferred[Any] = self.begin(self.mirror.manifests.get(APP, LATEST, ""))
        self.mirror.run()

        self.failureResultOf(wrong, UpstreamCorrupt)
        self.assertEqual(self.successResultOf(right).data, data)


class TroubleTests(ManifestsCase):
    """The disk fails: the client is served all the same."""

    def test_every_call(self) -> None:
        """Whichever call fails, by tag and by digest."""
        for reference in (LATEST, DIGEST):
            at = 0
            while True:
                self.use()
                fs: Any = self.mirror.fs
                fs.fail(at, 28, lasting=True)
                found = self.pull(reference)
                reached = bool(fs.failed)
                fs.heal()
                self.assertEqual((found.data, found.stale), (DATA, False))
                self.assertEqual(self.pull(reference).data, DATA)
                if not reached:
                    break
                at += 1
            self.assertGreater(at, 5)

    def test_unreadable(self) -> None:
        """What is cached and cannot be read is fetched anew."""
        self.pull(DIGEST)
        self.mirror.stored._cache.clear()
        fs: Any = self.mirror.fs
        fs.fail_calls("open", "stat")

        found = self.pull(DIGEST)

        fs.heal()
        self.assertEqual((found.data, self.asked()), (DATA, [GET_DIGEST] * 2))


class SwitchedOffTests(ManifestsCase):
    """Without the proxy nothing is asked."""

    def setUp(self) -> None:
        """It was on, and something was pulled."""
        super().setUp()
        self.pull()
        self.asked()
        self.mirror.manifests._freshness = Freshness(enabled=False)

    def test_cached(self) -> None:
        """What is cached is served: by digest as it is, by tag as stale once its time is over."""
        self.assertEqual((self.pull(DIGEST).stale, self.pull().stale), (False, False))
        self.later()

        for found in (self.pull(), self.head()):
            self.assertEqual((found.data, found.stale), (DATA, True))

        self.assertEqual(self.asked(), [])

    def test_not_cached(self) -> None:
        """The rest is unknown."""
        for reference in (Tag("other"), MOVED_DIGEST):
            self.fail_pull(UnknownManifest, reference=reference)
            self.fail_pull(UnknownManifest, reference=reference, head_only=True)

        self.assertEqual(self.asked(), [])
