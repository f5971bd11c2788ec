"""Manifests through the mirror: what is fresh, what has to be asked, and what is served although it is stale.

    digest                cached -> served for ever; else fetched, verified, kept
    tag   fresh           served without asking
          else            HEAD upstream: same digest -> confirmed, served; another -> fetched, kept, pointed at
          upstream down   the last known manifest, marked as stale
          404             forgotten;  401, 403: refused, whatever is cached

HEAD of what is not cached asks by HEAD, which costs no rate limit; what it tells is remembered (`heads`).
"""

from __future__ import annotations

from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import (
    LoopDetected,
    Storage,
    UnknownManifest,
    UpstreamCorrupt,
    UpstreamRefused,
)
from pkgd.errors import (
    Upstream as UpstreamError,
)
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, Reference, Tag
from pkgd.formats.oci import Manifest
from pkgd.metrics import MirrorMetrics
from pkgd.mirror.absences import Absences
from pkgd.mirror.answers import ACCEPT, ManifestHead, read_head, read_manifest
from pkgd.mirror.cache import MirrorCache
from pkgd.mirror.heads import Heads
from pkgd.mirror.upstream import Upstream
from pkgd.mirror.upstreams import Upstreams
from pkgd.registry.stored import StoredManifest
from pkgd.sharing import SingleFlight

__all__ = ["Freshness", "MirroredManifest", "MirroredManifests"]

log = Logger()

# Larger documents are verified in a thread.
READ_INLINE = 16 * 1024


@frozen
class Freshness:
    """How long what is cached is believed; seconds, and `inf` for ever.

    `enabled` says whether anything may be fetched at all.
    """

    enabled: bool
    tag_ttl: float = 300.0
    serve_stale: float = float("inf")
    manifest_size: int = 4 << 20


@frozen
class MirroredManifest:
    """An answer. `data` is None if only the head is known; `stale` says that the upstream could not be asked."""

    head: ManifestHead
    data: bytes | None
    stale: bool = False


class MirroredManifests:
    """The reading side of `pkgd.registry.stored`, for upstream repositories."""

    def __init__(
        self,
        upstreams: Upstreams,
        cache: MirrorCache,
        blocking: Blocking,
        metrics: MirrorMetrics,
        clock: IReactorTime,
        freshness: Freshness,
        absences: Absences,
    ) -> None:
        self._upstreams = upstreams
        self._cache = cache
        self._blocking = blocking
        self._metrics = metrics
        self._clock = clock
        self._freshness = freshness
        self._absences = absences
        self._heads = Heads(clock, freshness.tag_ttl)
        self._fetches: SingleFlight[StoredManifest | None] = SingleFlight()
        self._asks: SingleFlight[ManifestHead | None] = SingleFlight()

    def at_once(self, origin: Origin, reference: str, limit: int) -> MirroredManifest | None:
        """The manifest if it is in memory, needs no asking, and has at most `limit` bytes."""
        found = self._cache.manifest_at_once(origin, reference)
        if found is None or len(found.data) > limit or not (":" in reference or self._is_fresh(found)):
            return None
        self._count(origin, "hit")
        return _served(found)

    async def get(self, origin: Origin, reference: Reference, via: str, head_only: bool = False) -> MirroredManifest:
        """The manifest that a tag or digest stands for at its upstream.

        :param head_only: the manifest itself is not needed.
        :raises UnknownManifest: if the upstream does not have it.
        :raises Upstream: if the upstream does not tell, and nothing that may be served is cached.
        """
        started = self._clock.seconds()
        found = await self._cache.manifest(origin, reference)
        if found is not None and (isinstance(reference, Digest) or self._is_fresh(found)):
            self._count(origin, "hit")
            return _served(found)
        if not self._freshness.enabled:
            if found is None:
                raise UnknownManifest(str(reference))
            self._count(origin, "stale")
            return _served(found, stale=True)
        if self._absences.holds((origin, str(reference))):
            self._count(origin, "negative")
            raise UnknownManifest(str(reference))
        try:
            return await self._ask(origin, reference, found, via, head_only, started)
        except UpstreamRefused:
            self._count(origin, "error")
            raise
        except (UpstreamError, LoopDetected) as error:
            if found is None or self._age(found) > self._freshness.serve_stale:
                self._count(origin, "error")
                raise
            log.warn("{origin}:{tag} is served stale: {why}", origin=origin, tag=reference, why=error.message)
            self._count(origin, "stale")
            return _served(found, stale=True)

    # -- asking --

    async def _ask(
        self,
        origin: Origin,
        reference: Reference,
        found: StoredManifest | None,
        via: str,
        head_only: bool,
        started: float,
    ) -> MirroredManifest:
        """Learn from the upstream, as cheaply as possible, what the reference stands for."""
        head = self._heads.told(origin, reference, head_only, started)
        if head is None and (head_only or found is not None):
            head = await self._head(origin, reference, via)
        if head is not None and isinstance(reference, Tag):
            confirmed = await self._confirm(origin, reference, head, found)
            if confirmed is not None:
                self._count(origin, "hit")
                return _served(confirmed)
        if head is not None and head_only:
            self._count(origin, "miss")
            return MirroredManifest(head, None)
        key = (origin, str(reference))
        result = "coalesced" if self._fetches.flying(key) else "miss"
        fetched = await self._fetches.join(key, lambda: self._fetch(origin, reference, via))
        self._count(origin, result)
        if fetched is None:
            await self._gone(origin, reference)
            raise UnknownManifest(str(reference))
        return _served(fetched)

    async def _confirm(
        self, origin: Origin, tag: Tag, head: ManifestHead, found: StoredManifest | None
    ) -> StoredManifest | None:
        """The manifest that the tag stands for now, if it is here: then the tag is pointed at it."""
        if not await self._point(origin, tag, head.digest, head.told_at):
            return None
        return (
            found
            if found is not None and found.digest == head.digest
            else await self._cache.manifest(origin, head.digest)
        )

    async def _head(self, origin: Origin, reference: Reference, via: str) -> ManifestHead | None:
        """What the upstream tells by HEAD; None if that is not enough.

        :raises UnknownManifest: if it tells that there is no such manifest.
        """

        async def ask(upstream: Upstream) -> ManifestHead | None:
            try:
                document = await upstream.document("HEAD", origin, f"manifests/{reference}", via, {"Accept": ACCEPT}, 0)
            except (UpstreamRefused, UpstreamCorrupt):
                return _UNTOLD  # not every registry has HEAD; the GET will tell
            if document is None:
                return None
            return read_head(document.answer, reference, self._clock.seconds()) or _UNTOLD

        async def work() -> ManifestHead | None:
            return await self._upstreams.first(origin, ask)

        head = await self._asks.join((origin, str(reference)), work)
        if head is None:
            await self._gone(origin, reference)
            raise UnknownManifest(str(reference))
        if head is _UNTOLD:
            return None
        self._heads.note(origin, reference, head)
        return head

    async def _gone(self, origin: Origin, reference: Reference) -> None:
        """The upstream has no such manifest (any more)."""
        self._absences.note((origin, str(reference)))
        self._heads.forget(origin, reference)
        if isinstance(reference, Tag):
            try:
                await self._cache.forget_tag(origin, reference)
            except Storage as error:
                log.error(
                    "{origin}:{tag} cannot be forgotten: {reason}", origin=origin, tag=reference, reason=error.message
                )

    # -- fetching --

    async def _fetch(self, origin: Origin, reference: Reference, via: str) -> StoredManifest | None:
        """Fetch, verify and keep; None if the upstream doesn't have it.

        Unless that has just been done: a fetch may have ended since whoever asks has looked.
        """
        found = await self._cache.manifest(origin, reference)
        if found is not None and (isinstance(reference, Digest) or self._is_fresh(found)):
            return found

        async def ask(upstream: Upstream) -> tuple[StoredManifest, Manifest, bool] | None:
            limit, told_at = self._freshness.manifest_size, self._clock.seconds()
            document = await upstream.document("GET", origin, f"manifests/{reference}", via, {"Accept": ACCEPT}, limit)
            if document is None:
                return None
            if len(document.data) <= READ_INLINE:
                digest, manifest = read_manifest(upstream.host, reference, document)
            else:
                digest, manifest = await self._blocking.work(read_manifest, upstream.host, reference, document)
            stored = StoredManifest(digest, manifest.media_type, document.data, validated=told_at)
            return stored, manifest, upstream.endpoint.credentials is not None

        got = await self._upstreams.first(origin, ask)
        if got is None:
            return None
        stored, manifest, private = got
        try:
            await self._cache.keep_manifest(origin, stored.digest, manifest, stored.data, private)
        except Storage as error:
            log.error(
                "{digest} of {origin} is not kept: {reason}", digest=stored.digest, origin=origin, reason=error.message
            )
            return stored
        told = {reference: stored.validated} if isinstance(reference, Tag) else self._heads.tags_of(origin, reference)
        for tag, told_at in told.items():
            await self._point(origin, tag, stored.digest, told_at)
        return stored

    async def _point(self, origin: Origin, tag: Tag, digest: Digest, told_at: float) -> bool:
        """Note that a tag has been confirmed; False if its manifest must be fetched again."""
        try:
            return await self._cache.point(origin, tag, digest, told_at)
        except Storage as error:
            log.error("{origin}:{tag} is not kept: {reason}", origin=origin, tag=tag, reason=error.message)
            return True

    # -- what is cached --

    def _is_fresh(self, found: StoredManifest) -> bool:
        return self._age(found) < self._freshness.tag_ttl

    def _age(self, found: StoredManifest) -> float:
        """Seconds since it was confirmed; a clock that has been set back makes nothing fresh for ever."""
        return abs(self._clock.seconds() - found.validated)

    def _count(self, origin: Origin, result: str) -> None:
        self._metrics.mirror_request(origin.host, "manifest", result)


# What `_head` gets from an upstream whose HEAD tells too little.
_UNTOLD = ManifestHead(Digest("sha256", ""), "", 0)


def _served(found: StoredManifest, stale: bool = False) -> MirroredManifest:
    return MirroredManifest(ManifestHead(found.digest, found.media_type, len(found.data)), found.data, stale)
