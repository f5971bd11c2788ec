"""Referrers through the mirror (distribution-spec, "Listing Referrers", "Referrers Tag Schema").

From the upstream's API where it has one; else from the tag `<algorithm>-<hex>` that clients keep for
registries without: to the client both look like the API. What was listed is kept, for when the
upstream is down.
"""

from __future__ import annotations

from contextlib import suppress

from twisted.internet.interfaces import IReactorTime

from pkgd.blocking import Blocking
from pkgd.errors import (
    LoopDetected,
    Storage,
    UnexpectedStatus,
    UnknownManifest,
    UpstreamCorrupt,
    UpstreamRefused,
)
from pkgd.errors import (
    Upstream as UpstreamError,
)
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, Tag
from pkgd.formats.oci import INDEX, plain_media_type
from pkgd.metrics import MirrorMetrics
from pkgd.mirror.cache import Listed, MirrorCache
from pkgd.mirror.manifests import Freshness, MirroredManifests
from pkgd.mirror.paging import next_page
from pkgd.mirror.upstream import Document, Upstream
from pkgd.mirror.upstreams import Upstreams
from pkgd.registry.referrers import ReferrersPage, fallback_tag, page_of, parse_entries, wellformed_entries
from pkgd.sharing import SingleFlight

__all__ = ["MirroredReferrers"]

# What is taken of one list; longer ones have no end.
MAX_PAGES = 32
MAX_BYTES = 8 << 20


# Entries, each as JSON, and whether they are stale.
_Answer = tuple[list[bytes], bool]


class MirroredReferrers:
    """The reading side of `pkgd.registry.referrers`, for upstream repositories."""

    def __init__(
        self,
        upstreams: Upstreams,
        cache: MirrorCache,
        manifests: MirroredManifests,
        blocking: Blocking,
        metrics: MirrorMetrics,
        clock: IReactorTime,
        freshness: Freshness,
    ) -> None:
        self._upstreams = upstreams
        self._cache = cache
        self._manifests = manifests
        self._blocking = blocking
        self._metrics = metrics
        self._clock = clock
        self._freshness = freshness
        self._flights: SingleFlight[_Answer] = SingleFlight()

    async def page(
        self, origin: Origin, subject: Digest, artifact_type: str | None, after: str, via: str
    ) -> tuple[ReferrersPage, bool]:
        """As `Referrers.page`; and whether it is stale.

        :raises Upstream: if the upstream does not tell, and nothing that may be served is cached.
        """
        known = await self._cache.referrers(origin, subject)
        entries, stale = await self._entries(origin, subject, known, via)
        return await self._blocking.work(page_of, entries, artifact_type, after), stale

    async def _entries(self, origin: Origin, subject: Digest, known: Listed | None, via: str) -> _Answer:
        age = float("inf") if known is None else abs(self._clock.seconds() - known.validated)
        if known is not None and age < self._freshness.tag_ttl:
            self._count(origin, "hit")
            return known.entries, False
        if not self._freshness.enabled:
            self._count(origin, "negative" if known is None else "stale")
            return ([] if known is None else known.entries), known is not None
        try:
            entries, stale = await self._flights.join((origin, subject), lambda: self._fetch(origin, subject, via))
        except UpstreamRefused:
            self._count(origin, "error")
            raise
        except (UpstreamError, LoopDetected):
            if known is None or age > self._freshness.serve_stale:
                self._count(origin, "error")
                raise
            self._count(origin, "stale")
            return known.entries, True
        self._count(origin, "stale" if stale else "miss")
        return entries, stale

    async def _fetch(self, origin: Origin, subject: Digest, via: str) -> _Answer:
        """Ask the API, then the tag, and keep what they say."""

        async def ask(upstream: Upstream) -> list[bytes] | None:
            return await self._ask_api(upstream, origin, subject, via)

        entries, stale = await self._upstreams.first(origin, ask), False
        if entries is None:
            entries, stale = await self._by_tag(origin, subject, via)
        if not stale:
            with suppress(Storage):  # then the next one asks again
                await self._cache.keep_referrers(origin, subject, entries)
        return entries, stale

    async def _ask_api(self, upstream: Upstream, origin: Origin, subject: Digest, via: str) -> list[bytes] | None:
        """Every page of the list; None where there is no such API, in whatever words."""
        entries: list[bytes] = []
        path = target = f"referrers/{subject}"
        for _ in range(MAX_PAGES):
            document = await self._page(upstream, origin, target, via)
            if document is None:
                if entries:
                    raise UpstreamCorrupt(upstream.host, f"has no more of the referrers of {subject}")
                return None
            try:
                entries += await self._blocking.work(parse_entries, document.data)
            except ValueError as error:
                raise UpstreamCorrupt(upstream.host, "sends no list of referrers") from error
            following = next_page(document.answer, path)
            if following is None:
                return entries
            if sum(map(len, entries)) > MAX_BYTES:
                break
            target = following
        raise UpstreamCorrupt(upstream.host, f"lists referrers of {subject} without end")

    async def _page(self, upstream: Upstream, origin: Origin, target: str, via: str) -> Document | None:
        """One page; None where there is no such API, which each registry says in its own way.

        :raises UpstreamCorrupt: if there is one, and what it sends is damaged: no signatures is not what that means.
        """
        limit = self._freshness.manifest_size
        try:
            document = await upstream.document("GET", origin, target, via, {"Accept": INDEX}, limit)
        except UnexpectedStatus:
            return None
        if document is None or document.answer.status != 200:
            return None
        return document if plain_media_type(document.answer.header("content-type") or "") == INDEX else None

    async def _by_tag(self, origin: Origin, subject: Digest, via: str) -> _Answer:
        try:
            found = await self._manifests.get(origin, Tag.parse(fallback_tag(subject)), via)
        except UnknownManifest:
            return [], False
        return await self._blocking.work(wellformed_entries, found.data or b""), found.stale

    def _count(self, origin: Origin, result: str) -> None:
        self._metrics.mirror_request(origin.host, "referrers", result)
