"""The blobs that are on their way, one fetch for each; the fetches outlive their clients."""

from __future__ import annotations

from attrs import field, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import (
    NoSpace,
    NotReady,
    PkgdError,
    Storage,
    UnknownBlob,
    UpstreamBusy,
    UpstreamCorrupt,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin
from pkgd.mirror.absences import Absences
from pkgd.mirror.cache import MirrorCache
from pkgd.mirror.eviction import Evictor
from pkgd.mirror.fill import Fill
from pkgd.mirror.upstream import Upstream
from pkgd.mirror.upstreams import Upstreams
from pkgd.sharing import Tasks
from pkgd.storage.layout import repository_of
from pkgd.storage.spool import Spool

__all__ = ["Fills"]

log = Logger()

# How often one endpoint is asked again after a cut that brought nothing new, and how often in all.
FRUITLESS_TRIES = 2
# Less than this until a time-out is nothing: an upstream that drips must not be asked for hours.
DRIP_BYTES = 64 * 1024
MAX_TRIES = 64
# How many may be on their way: clients that have left no longer wait for theirs, but they are still there.
MAX_FLYING = 4096
BUSY_SECONDS = 5.0
# How long a mirror that has sent wrong bytes of a blob is passed over for it, in seconds.
DISTRUST_SECONDS = 300.0


@frozen
class _Fetch:
    """One fill, the room that has been made for it, and the endpoints that have answered."""

    origin: Origin
    fill: Fill
    via: str
    reserved: list[int]
    sources: list[Upstream] = field(factory=list)

    @property
    def blob(self) -> tuple[Origin, Digest]:
        """What is fetched."""
        return self.origin, self.fill.digest


class Fills:
    """Begins them, and sees each to its end."""

    def __init__(
        self,
        upstreams: Upstreams,
        cache: MirrorCache,
        evictor: Evictor,
        spool: Spool,
        blocking: Blocking,
        clock: IReactorTime,
    ) -> None:
        self.upstreams = upstreams
        self._cache = cache
        self._evictor = evictor
        self._spool = spool
        self._blocking = blocking
        self._clock = clock
        self._tasks = Tasks()
        self._flying: dict[tuple[Origin, Digest], Fill] = {}
        self._distrusted = Absences(clock, DISTRUST_SECONDS)
        self._stopping = False

    def find(self, origin: Origin, digest: Digest) -> Fill | None:
        """The fetch that is under way, or None."""
        return self._flying.get((origin, digest))

    def is_flying(self, place: str, digest: str) -> bool:
        """Whether a blob of a repository's directory is on its way."""
        origin = repository_of(place)
        return isinstance(origin, Origin) and (origin, Digest.parse(digest)) in self._flying

    def start(self, origin: Origin, digest: Digest, via: str) -> Fill:
        """Begin a fetch.

        :raises UpstreamBusy: if too many are under way.
        """
        if len(self._flying) >= MAX_FLYING:
            raise UpstreamBusy(origin.host, "is asked for more than it delivers", BUSY_SECONDS)
        reserved: list[int] = []
        fill = Fill(digest, self._spool, self._blocking, self._clock, lambda size: self._make_room(size, reserved))
        self._flying[origin, digest] = fill
        self._tasks.start("fill", self._run(_Fetch(origin, fill, via, reserved)))
        return fill

    def give_up(self) -> None:
        """Fail what is under way, and what is begun from now on; the cache can do without."""
        self._stopping = True
        for fill in list(self._flying.values()):
            fill.fail(NotReady())

    async def finished(self) -> None:
        """Wait until nothing is under way. What waits for an upstream does so until that is closed, or too slow."""
        await self._tasks.finished()

    # -- one fetch --

    async def _run(self, fetch: _Fetch) -> None:
        fill = fetch.fill
        try:
            last = await self.upstreams.first(fetch.origin, lambda one: self._from(one, fetch))
            if last is None:
                raise UnknownBlob(str(fill.digest))
            await self._keep(fetch, last)
        except Storage as error:
            self._warn(fetch, "is not kept", error)
            fill.fail(error)
        except PkgdError as error:
            fill.fail(error)
        except Exception as error:
            log.failure("the fetch of {digest} from {origin} failed", digest=fill.digest, origin=fetch.origin)
            fill.fail(error)
        finally:
            await self._close(fetch)

    async def _from(self, upstream: Upstream, fetch: _Fetch) -> Upstream | None:
        """Take the blob, or the rest of it, from one endpoint; None if it doesn't have it."""
        fill = fetch.fill
        is_last = upstream is self.upstreams.of(fetch.origin.host)[-1]
        if not is_last and self._distrusted.holds((upstream.host, fetch.blob)):
            raise UpstreamCorrupt(upstream.host, f"has lately sent other bytes than those of {fill.digest}")
        fruitless = 0
        for _ in range(MAX_TRIES):
            if self._stopping:
                raise NotReady()
            before = fill.received
            try:
                return upstream if await self._try(upstream, fetch) else None
            except UpstreamUnavailable as error:
                gained = fill.received - before
                is_drip = isinstance(error, UpstreamTimeout) and gained < DRIP_BYTES
                fruitless = 0 if gained and not is_drip else fruitless + 1
                if not fill.received or fruitless >= FRUITLESS_TRIES:
                    raise
                self._warn(fetch, f"was cut at byte {fill.received}", error)
        raise UpstreamUnavailable(upstream.host, "closes the connection again and again")

    async def _try(self, upstream: Upstream, fetch: _Fetch) -> bool:
        """One request and its body. False if the endpoint doesn't have the blob."""
        fill = fetch.fill
        headers = {"Range": f"bytes={fill.received}-"} if fill.received else {}
        stream = await upstream.stream(fetch.origin, f"blobs/{fill.digest}", fetch.via, headers)
        if stream is None:
            if fill.received:
                raise UpstreamCorrupt(upstream.host, "has no more of what it began to send")
            return False
        if upstream not in fetch.sources:
            fetch.sources.append(upstream)
        try:
            await fill.pour(stream, upstream.host)
        finally:
            stream.close()
        return True

    async def _keep(self, fetch: _Fetch, last: Upstream) -> None:
        """All has come: verify it, let readers have all of it, and keep it for the next ones."""
        fill = fetch.fill
        try:
            staged = await fill.verify(last.host)
        except UpstreamCorrupt as error:
            self._warn(fetch, "is dropped", error)
            for one in fetch.sources:
                self._distrusted.note((one.host, fetch.blob))
            raise
        await self._blocking.disk(staged.seal, fill.digest.algorithm)
        private = any(one.endpoint.credentials is not None for one in fetch.sources)
        await self._cache.keep_blob(fetch.origin, fill.digest, staged, private)

    async def _make_room(self, size: int, reserved: list[int]) -> None:
        if not await self._evictor.reserve(size):
            raise NoSpace("cache")
        reserved.append(size)

    async def _close(self, fetch: _Fetch) -> None:
        """Nobody finds it from here on, but those who have may still be reading."""
        del self._flying[fetch.blob]
        try:
            await fetch.fill.close()
        except Storage as error:
            self._warn(fetch, "leaves a file in the spool", error)
        finally:
            for size in fetch.reserved:
                self._evictor.release(size)

    def _warn(self, fetch: _Fetch, what: str, error: PkgdError) -> None:
        log.warn(
            "{digest} of {origin} {what}: {reason}",
            digest=fetch.fill.digest,
            origin=fetch.origin,
            what=what,
            reason=error.message,
        )
