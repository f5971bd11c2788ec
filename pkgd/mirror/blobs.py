"""Blobs through the mirror: from the cache, or by one fetch that everybody who asks meanwhile follows."""

from __future__ import annotations

from pkgd.blocking import Blocking
from pkgd.errors import (
    LoopDetected,
    PkgdError,
    Storage,
    UnknownBlob,
    UpstreamCorrupt,
    UpstreamRefused,
)
from pkgd.errors import (
    Upstream as UpstreamError,
)
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin
from pkgd.metrics import MirrorMetrics
from pkgd.mirror.absences import Absences
from pkgd.mirror.cache import MirrorCache
from pkgd.mirror.fill import total_size
from pkgd.mirror.fills import Fills
from pkgd.mirror.passthrough import Passthrough
from pkgd.mirror.upstream import Stream, Upstream
from pkgd.mirror.upstreams import Upstreams
from pkgd.storage.interfaces import Reader

__all__ = ["MirroredBlobs"]


class MirroredBlobs:
    """The reading side of `pkgd.registry.blobs`, for upstream repositories."""

    def __init__(
        self,
        upstreams: Upstreams,
        cache: MirrorCache,
        fills: Fills,
        blocking: Blocking,
        metrics: MirrorMetrics,
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
        try:
            return await self._follow(origin, digest, via)
        except (UpstreamError, LoopDetected):
            self._count(origin, "error")
            raise

    async def _follow(self, origin: Origin, digest: Digest, via: str) -> Reader:
        """A reader of what is on its way; if nothing is, then it is from now on."""
        fill = self._fills.find(origin, digest)
        result = "miss" if fill is None else "coalesced"
        if fill is None:
            self._require(origin, digest)
            fill = self._fills.start(origin, digest, via)
        try:
            reader: Reader = await fill.reader()
        except UnknownBlob:
            self._absences.note((origin, digest))
            self._count(origin, result)
            raise
        except Storage:
            reader = await self._pass(origin, digest, via)
        self._count(origin, result)
        return reader

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
        try:
            size = await self._upstreams.first(origin, lambda one: self._ask_size(one, origin, digest, via))
        except (UpstreamError, LoopDetected):
            self._count(origin, "error")
            raise
        self._count(origin, "miss")
        if size is None:
            self._absences.note((origin, digest))
            raise UnknownBlob(str(digest))
        return size

    async def _ask_size(self, upstream: Upstream, origin: Origin, digest: Digest, via: str) -> int | None:
        """By HEAD; where that is refused or says "not here", by GET of one byte: not every registry has HEAD."""
        path = f"blobs/{digest}"
        try:
            head = await upstream.document("HEAD", origin, path, via, {}, 0)
            length = None if head is None else head.answer.length
            if length or (length == 0 and digest == Digest.of(b"", digest.algorithm)):
                return length
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
