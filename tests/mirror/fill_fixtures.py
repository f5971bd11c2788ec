"""The mirror without a network: upstreams that answer what the test says, piece by piece, and clients that follow.

`Mirror` makes everything behind `/v2/` that reads upstream repositories, on a tree in a temporary directory.
`MirrorCase` makes sure, when a test ends, that no descriptor is open, no buffer lent, and no file left in the spool.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import Blocking, InlineBlocking
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, RepositoryName
from pkgd.mirror.absences import Absences
from pkgd.mirror.blobs import MirroredBlobs
from pkgd.mirror.cache import MirrorCache
from pkgd.mirror.eviction import EvictionLimits, Evictor
from pkgd.mirror.fills import Fills
from pkgd.mirror.manifests import Freshness, MirroredManifests
from pkgd.mirror.referrers import MirroredReferrers
from pkgd.mirror.removal import Removal
from pkgd.mirror.tags import MirroredTags
from pkgd.mirror.upstreams import Upstreams
from pkgd.registry.blobs import Blobs
from pkgd.registry.contents import ContentsReader
from pkgd.registry.leases import Leases
from pkgd.registry.legacy import LegacyManifests
from pkgd.registry.stored import StoredManifests
from pkgd.sharing import KeyedLock
from pkgd.state import Index, Ledger
from pkgd.storage.fsops import FileSystem
from pkgd.storage.interfaces import Reader
from pkgd.storage.layout import SPOOL
from pkgd.storage.space import FreeSpace
from tests.fixtures import HeldBlocking, inline_database
from tests.mirror.scripted import HUB, ScriptedUpstream
from tests.storage.fixtures import FaultyFileSystem, Place

__all__ = ["APP", "NOON", "Follower", "Mirror", "MirrorCase", "follow"]

T = TypeVar("T")
Call = Coroutine[Deferred[Any], Any, T]

APP = Origin(HUB, RepositoryName("team/app"))
# The clock never stands at the epoch.
NOON = 1_750_000_000.0


class Counts:
    """In place of `pkgd.metrics.Metrics`: what clients' requests have come to."""

    def __init__(self) -> None:
        self.results: list[tuple[str, str]] = []

    def mirror_request(self, upstream: str, kind: str, result: str) -> None:
        """See `Metrics.mirror_request`."""
        self.results.append((kind, result))


class Mirror:
    """Everything of the mirror on one tree. `hosts` are the upstreams, made when they are first asked for."""

    def __init__(
        self,
        root: str,
        fs: FileSystem | None = None,
        blocking: Blocking | None = None,
        *,
        parents: Sequence[ScriptedUpstream] = (),
        freshness: Freshness | None = None,
        negative_ttl: float = 60.0,
        max_size: int = 0,
        min_free: int = 0,
        store: Any = None,
        credentialed: frozenset[str] = frozenset(),
        clock: Clock | None = None,
    ) -> None:
        self.fs = FaultyFileSystem() if fs is None else fs
        self.blocking = InlineBlocking() if blocking is None else blocking
        self.place = Place(root, self.fs, self.blocking)
        self.store = self.place.store if store is None else store
        self.clock = Clock() if clock is None else clock
        self.clock.rightNow = NOON
        self.counts: Any = Counts()
        self.hosts: dict[str, ScriptedUpstream] = {}
        self.parents = list(parents)
        made: Any = self._upstream
        everybody: Any = self.parents
        self.upstreams = Upstreams(everybody, made)
        self.freshness = Freshness(enabled=True) if freshness is None else freshness
        self._build(root, negative_ttl, max_size, min_free, credentialed)

    def _build(
        self, root: str, negative_ttl: float, max_size: int, min_free: int, credentialed: frozenset[str]
    ) -> None:
        store, blocking, clock, freshness = self.store, self.blocking, self.clock, self.freshness
        database = inline_database(f"{root}.sqlite")
        self.index, self.ledger = Index(database), Ledger(database)
        self.ledger.complete()
        self.locks = KeyedLock()
        legacy = LegacyManifests(store, store, blocking)
        self.stored = StoredManifests(store, store, blocking, legacy)
        self.hosted = Blobs(store, self.index, KeyedLock(), Leases(lambda: 0.0))
        self.contents = ContentsReader(store, self.index, legacy, blocking)
        self.cache = MirrorCache(
            *(store, self.stored, self.hosted, self.ledger),
            *(self.locks, blocking, clock, lambda host: host in credentialed),
        )
        self.evictor = Evictor(
            Removal(store, self.ledger, blocking),
            self.ledger,
            self.locks,
            FreeSpace(self.place.tree, blocking, clock, min_free),
            EvictionLimits(max_size, 0),
            lambda place, digest: self.fills.is_flying(place, digest),
            clock.seconds,
        )
        self.fills = Fills(self.upstreams, self.cache, self.evictor, self.place.spool, blocking, clock)
        absences = Absences(clock, negative_ttl)
        self.blobs = MirroredBlobs(
            *(self.upstreams, self.cache, self.fills, blocking),
            *(self.counts, absences, freshness.enabled),
        )
        self.manifests = MirroredManifests(
            *(self.upstreams, self.cache, blocking, self.counts),
            *(clock, freshness, absences),
        )
        self.referrers = MirroredReferrers(
            *(self.upstreams, self.cache, self.manifests, blocking),
            *(self.counts, clock, freshness),
        )
        self.tags = MirroredTags(self.upstreams, self.contents, blocking, self.counts, freshness)

    def _upstream(self, host: str) -> ScriptedUpstream:
        return self.hosts.setdefault(host, ScriptedUpstream(host))

    @property
    def hub(self) -> ScriptedUpstream:
        """The upstream that most tests are about."""
        return self._upstream(HUB)

    @property
    def results(self) -> list[str]:
        """What clients' requests have come to, since the last look."""
        found = [result for _, result in self.counts.results]
        self.counts.results.clear()
        return found

    def fill_files(self) -> list[str]:
        """What lies in the spool for fills."""
        directory = self.place.tree.path(f"{SPOOL}/fills")
        return sorted(os.listdir(directory)) if os.path.isdir(directory) else []

    def run(self) -> None:
        """Let held calls and due timers happen until nothing is left of either."""
        moving = True
        while moving:
            moving = isinstance(self.blocking, HeldBlocking) and bool(self.blocking.release_all())
            moving = bool(self.clock.getDelayedCalls()) or moving
            self.clock.advance(0.02)


class Follower:
    """A client that follows a reader from `start` to `end`: `data` is what it has got, `error` what cut it short.

    :param window: how many bytes it takes before it waits for `take`; None for all.
    """

    def __init__(self, reader: Reader, start: int = 0, end: int | None = None, window: int | None = None) -> None:
        self.reader = reader
        self.data = b""
        self.error: BaseException | None = None
        self.errors = 0
        self.done = False
        self._offset = start
        self._end = reader.size if end is None else end
        self._window = window
        self._gone = False
        self._waiting: Deferred[None] | None = None
        Deferred.fromCoroutine(self._run()).addErrback(self._failed)

    def take(self, count: int) -> None:
        """Take more."""
        assert self._window is not None
        self._window += count
        self._wake()

    def leave(self) -> None:
        """Go away; this is noticed when something is sent next, or at once if nothing is waited for."""
        self._gone = True
        self._wake()

    async def _run(self) -> None:
        try:
            while self._offset < self._end and not self._gone:
                available = min(await self.reader.available(self._offset), self._end)
                while self._offset < available and not self._gone:
                    await self._read(available)
            self.done = not self._gone
        finally:
            self.reader.close()

    async def _read(self, available: int) -> None:
        while self._window == 0 and not self._gone:
            self._waiting = Deferred()
            await self._waiting
        if self._gone:
            return
        size = available - self._offset if self._window is None else min(available - self._offset, self._window)
        piece = self.reader.read_at(self._offset, size)
        assert piece, "nothing where there should be something"
        self.data += piece
        self._offset += len(piece)
        if self._window is not None:
            self._window -= len(piece)

    def _failed(self, failure: Any) -> None:
        self.errors += 1
        self.error = failure.value

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)


async def follow(opening: Coroutine[Any, Any, Reader], **how: Any) -> Follower:
    """Follow what is being opened."""
    return Follower(await opening, **how)


class MirrorCase(SynchronousTestCase):
    """A test case with a mirror, and with words for calls that must or must not succeed."""

    def setUp(self) -> None:
        """An empty mirror."""
        self.use()

    def use(self, **options: Any) -> Mirror:
        """Make the mirror that the test is about."""
        self.mirror = mirror = Mirror(self.mktemp(), **options)
        self.addCleanup(self.assertTidy, mirror)
        return mirror

    def begin(self, call: Call[T]) -> Deferred[T]:
        """Start a call that may have to wait."""
        return Deferred.fromCoroutine(call)

    def do(self, call: Call[T]) -> T:
        """The result of a call that has come to its end."""
        result: T = self.successResultOf(Deferred.fromCoroutine(call))
        return result

    def refusal(self, call: Call[Any], *kinds: type[Exception]) -> Any:
        """The error that a call has ended with."""
        return self.failureResultOf(Deferred.fromCoroutine(call), *kinds).value

    def assertTidy(self, mirror: Mirror) -> None:
        """Nothing is open, lent, waiting or left behind."""
        mirror.run()
        self.assertEqual(mirror.fill_files(), [], "files left in the spool")
        if isinstance(mirror.fs, FaultyFileSystem):
            self.assertEqual(mirror.fs.open_files, set(), "descriptors left open")
        for upstream in [*mirror.parents, *mirror.hosts.values()]:
            self.assertEqual(upstream.lent_buffers, 0, "buffers still lent")
            self.assertEqual(
                [one.closed for one in upstream.streams], [1] * len(upstream.streams), "streams not closed"
            )
            self.assertEqual(upstream.script, [], "answers that nobody asked for")
        self.assertEqual(mirror.evictor._reserved, 0, "room still reserved")
        self.assertEqual(mirror.fills._flying, {})

    # -- blobs, which most of the tests are about --

    def get(self, digest: Digest, origin: Origin = APP, **how: Any) -> Follower:
        """A client that pulls a blob, as soon as its upstreams answer."""
        upstreams = [*self.mirror.parents, self.mirror._upstream(origin.host)]
        for one in upstreams:
            one.hold()
        pulling = Deferred.fromCoroutine(follow(self.mirror.blobs.open(origin, digest, ""), **how))
        for one in upstreams:
            one.release()
        return self.successResultOf(pulling)

    def cached(self, digest: Digest, origin: Origin = APP) -> bytes | None:
        """The blob as it is cached."""
        reader = self.do(self.mirror.cache.blob(origin, digest))
        if reader is None:
            return None
        try:
            return reader.read_at(0, reader.size) if reader.size else b""
        finally:
            reader.close()
