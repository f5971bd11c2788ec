"""Blobs through the mirror: from the cache, or by one fetch that everybody who asks meanwhile follows."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import (
    LoopDetected,
    NoSpace,
    NotReady,
    PkgdError,
    Storage,
    UnknownBlob,
    UpstreamCorrupt,
    UpstreamRefused,
    UpstreamUnavailable,
)
from pkgd.errors import (
    Upstream as UpstreamError,
)
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin
from pkgd.metrics import Metrics
from pkgd.mirror.absences import Absences
from pkgd.mirror.cache import MirrorCache
from pkgd.mirror.eviction import Evictor
from pkgd.mirror.fill import Fill, total_size
from pkgd.mirror.passthrough import Passthrough
from pkgd.mirror.upstream import Stream, Upstream
from pkgd.mirror.upstreams import Upstreams
from pkgd.sharing import Tasks
from pkgd.storage.interfaces import Reader
from pkgd.storage.layout import directory
from pkgd.storage.spool import Spool

__all__ = ["Fills", "MirroredBlobs"]

log = Logger()

# How often one endpoint is asked again after a cut that brought nothing new, and how often in all.
FRUITLESS_TRIES = 2
MAX_TRIES = 64


class Fills:
    """The blobs that are on their way, one fetch for each; the fetches outlive their clients."""

    def __init__(
        self,
        upstreams: Upstreams,
        cache: MirrorCache,
        evictor: Evictor,
        spool: Spool,
        blocking: Blocking,
        clock: IReactorTime,
    ) -> None:
        self._upstreams = upstreams
        self._cache = cache
        self._evictor = evictor
        self._spool = spool
        self._blocking = blocking
        self._clock = clock
        self._tasks = Tasks()
        self._flying: dict[tuple[Origin, Digest], Fill] = {}
        self._stopping = False

    def find(self, origin: Origin, digest: Digest) -> Fill | None:
        """The fetch that is under way, or None."""
        return self._flying.get((origin, digest))

    def is_flying(self, place: str, digest: str) -> bool:
        """Whether a blob of a repository's directory is on its way."""
        return any(directory(origin) == place and str(one) == digest for origin, one in self._flying)

    def start(self, origin: Origin, digest: Digest, via: str) -> Fill:
        """Begin a fetch."""
        fill = Fill(digest, self._spool, self._blocking, self._clock)
        self._flying[origin, digest] = fill
        self._tasks.start("fill", self._run(origin, fill, via))
        return fill

    async def stop(self) -> None:
        """Give up what is under way; the cache can do without."""
        self._stopping = True
        for fill in list(self._flying.values()):
            fill.fail(NotReady())
        await self._tasks.finished()

    async def _run(self, origin: Origin, fill: Fill, via: str) -> None:
        reserved: list[int] = []
        try:
            last = await self._upstreams.first(origin, lambda one: self._from(one, origin, fill, via, reserved))
            if last is None:
                raise UnknownBlob(str(fill.digest))
            staged = await fill.verify(last.host)
            # Readers have it all by now; keeping it is for the next ones.
            await self._blocking.disk(staged.seal, fill.digest.algorithm)
            await self._cache.keep_blob(origin, fill.digest, staged, last.endpoint.credentials is not None)
        except Storage as error:
            log.warn(
                "{digest} of {origin} is not kept: {reason}", digest=fill.digest, origin=origin, reason=error.message
            )
            fill.fail(error)
        except PkgdError as error:
            fill.fail(error)
        except Exception as error:
            log.failure("the fetch of {digest} from {origin} failed", digest=fill.digest, origin=origin)
            fill.fail(error)
        finally:
            # Nobody finds it from here on, but those who have may still be reading.
            del self._flying[origin, fill.digest]
            await fill.close()
            for size in reserved:
                self._evictor.release(size)

    async def _from(
        self, upstream: Upstream, origin: Origin, fill: Fill, via: str, reserved: list[int]
    ) -> Upstream | None:
        """Take the blob, or the rest of it, from one endpoint; None if it doesn't have it."""
        fruitless = 0
        for _ in range(MAX_TRIES):
            if self._stopping:
                raise NotReady()
            before = fill.received
            try:
                if not await self._try(upstream, origin, fill, via, reserved):
                    return None
                return upstream
            except UpstreamUnavailable as error:
                fruitless = 0 if fill.received > before else fruitless + 1
                if not fill.received or fruitless >= FRUITLESS_TRIES:
                    raise
                log.info(
                    "{digest} of {origin} was cut at {offset}: {reason}",
                    digest=fill.digest,
                    origin=origin,
                    offset=fill.received,
                    reason=error.message,
                )
        raise UpstreamUnavailable(upstream.host, "closes the connection again and again")

    async def _try(self, upstream: Upstream, origin: Origin, fill: Fill, via: str, reserved: list[int]) -> bool:
        """One request and its body. False if the endpoint doesn't have the blob."""
        headers = {"Range": f"bytes={fill.received}-"} if fill.received else {}
        stream = await upstream.stream(origin, f"blobs/{fill.digest}", via, headers)
        if stream is None:
            if fill.received:
                raise UpstreamCorrupt(upstream.host, "has no more of what it began to send")
            return False
        try:
            if fill.file is None:
                size, _ = total_size(stream, upstream.host, 0)
                if not await self._evictor.reserve(size or 0):
                    raise NoSpace("cache")
                reserved.append(size or 0)
            await fill.pour(stream, upstream.host)
        finally:
            stream.close()
        return True


class MirroredBlobs:
    """The reading side of `pkgd.registry.blobs`, for upstream repositories."""

    def __init__(
        self,
        upstreams: Upstreams,
        cache: MirrorCache,
        fills: Fills,
        blocking: Blocking,
        metrics: Metrics,
        absences: Absences,
        enabled: bool,
    ) -> None:
        """
        :param enabled: whether anything may be fetched.
        """
        self._upstreams = upstreams
        self._cache = cache
        self._fills = fills
        self._blocking = blocking
        self._metrics = metrics
        self._absences = absences
        self._enabled = enabled

    async def open(self, origin: Origin, digest: Digest, via: str) -> Reader:
        """A reader of the blob, which the caller closes; it may wait for bytes that are still on their way.

        :raises UnknownBlob: if neither the cache nor the upstream has it.
        :raises Upstream: if the upstream does not deliver.
        """
        # A fill that ends in between has been kept, and one that begins is found.
        reader = None if self._fills.find(origin, digest) else await self._cache.blob(origin, digest)
        if reader is not None:
            self._count(origin, "hit")
            return reader
        fill = self._fills.find(origin, digest)
        self._count(origin, "miss" if fill is None else "coalesced")
        if fill is None:
            self._require(origin, digest)
            fill = self._fills.start(origin, digest, via)
        try:
            return await fill.reader()
        except UnknownBlob:
            self._absences.note((origin, digest))
            raise
        except Storage:
            return await self._pass(origin, digest, via)
        except (UpstreamError, LoopDetected):
            self._count(origin, "error")
            raise

    async def size(self, origin: Origin, digest: Digest, via: str) -> int:
        """The blob's size; asks the upstream for its head only.

        :raises UnknownBlob: if neither the cache nor the upstream has it.
        :raises Upstream: if the upstream does not tell.
        """
        fill = self._fills.find(origin, digest)
        size = await self._cache.blob_size(origin, digest) if fill is None or fill.size is None else fill.size
        if size is not None:
            self._count(origin, "hit")
            return size
        self._require(origin, digest)
        self._count(origin, "miss")
        size = await self._upstreams.first(origin, lambda one: self._ask_size(one, origin, digest, via))
        if size is None:
            self._absences.note((origin, digest))
            raise UnknownBlob(str(digest))
        return size

    async def _ask_size(self, upstream: Upstream, origin: Origin, digest: Digest, via: str) -> int | None:
        """By HEAD; where that is refused or says "not here", by GET of one byte: not every registry has HEAD."""
        path = f"blobs/{digest}"
        try:
            head = await upstream.document("HEAD", origin, path, via, {}, 0)
            if head is not None and head.answer.length is not None:
                return head.answer.length
        except (UpstreamRefused, UpstreamCorrupt):
            pass
        stream = await upstream.stream(origin, path, via, {"Range": "bytes=0-0"})
        if stream is None:
            return None
        try:
            return _first_byte_total(stream, upstream.host)
        finally:
            stream.close()

    async def _pass(self, origin: Origin, digest: Digest, via: str) -> Reader:
        """Serve a blob that cannot be kept.

        :raises UnknownBlob: if the upstream doesn't have it.
        """

        async def ask(upstream: Upstream) -> Reader | None:
            stream = await upstream.stream(origin, f"blobs/{digest}", via, {})
            if stream is None:
                return None
            try:
                size, _ = total_size(stream, upstream.host, 0)
                if size is None:
                    raise UpstreamCorrupt(upstream.host, "does not say how long the blob is")
            except PkgdError:
                stream.close()
                raise
            return Passthrough(stream, upstream.host, digest, size, self._blocking)

        reader = await self._upstreams.first(origin, ask)
        if reader is None:
            raise UnknownBlob(str(digest))
        return reader

    def _require(self, origin: Origin, digest: Digest) -> None:
        """Make sure that it makes sense to ask.

        :raises UnknownBlob: if not.
        """
        if not self._enabled or self._absences.holds((origin, digest)):
            self._count(origin, "negative")
            raise UnknownBlob(str(digest))

    def _count(self, origin: Origin, result: str) -> None:
        self._metrics.mirror_request(origin.host, "blob", result)


def _first_byte_total(stream: Stream, host: str) -> int:
    """The size that the answer to `Range: bytes=0-0` tells."""
    answer = stream.answer
    if answer.status == 200 and answer.length is not None:
        return answer.length
    total = (answer.header("content-range") or "").rpartition("/")[2]
    if answer.status != 206 or not total.isascii() or not total.isdigit() or len(total) > 18:
        raise UpstreamCorrupt(host, "does not say how long the blob is")
    return int(total)
