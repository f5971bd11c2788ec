"""Referrers through the mirror (distribution-spec, "Listing Referrers", "Referrers Tag Schema").

From the upstream's API where it has one; else from the tag `<algorithm>-<hex>` that clients keep for
registries without: to the client both look like the API. What was listed is kept, for when the
upstream is down.
"""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urljoin, urlsplit

from twisted.internet.interfaces import IReactorTime

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
from pkgd.formats.names import Origin, Tag
from pkgd.formats.oci import INDEX, plain_media_type
from pkgd.metrics import Metrics
from pkgd.mirror.cache import Listed, MirrorCache
from pkgd.mirror.manifests import Freshness, MirroredManifests
from pkgd.mirror.upstream import Document, Upstream
from pkgd.mirror.upstreams import Upstreams
from pkgd.registry.referrers import ReferrersPage, fallback_tag, page_of, wellformed_entries
from pkgd.sharing import SingleFlight

__all__ = ["MirroredReferrers"]

# What is taken of one list: clients read no more than some megabytes either.
MAX_PAGES = 16


class MirroredReferrers:
    """The reading side of `pkgd.registry.referrers`, for upstream repositories."""

    def __init__(
        self,
        upstreams: Upstreams,
        cache: MirrorCache,
        manifests: MirroredManifests,
        metrics: Metrics,
        clock: IReactorTime,
        freshness: Freshness,
    ) -> None:
        self._upstreams = upstreams
        self._cache = cache
        self._manifests = manifests
        self._metrics = metrics
        self._clock = clock
        self._freshness = freshness
        self._flights: SingleFlight[list[bytes]] = SingleFlight()

    async def page(
        self, origin: Origin, subject: Digest, artifact_type: str | None, after: str, via: str
    ) -> tuple[ReferrersPage, bool]:
        """As `Referrers.page`; and whether it is stale.

        :raises Upstream: if the upstream does not tell, and nothing that may be served is cached.
        """
        known = await self._cache.referrers(origin, subject)
        entries, stale = await self._entries(origin, subject, known, via)
        return page_of(entries, artifact_type, after), stale

    async def _entries(
        self, origin: Origin, subject: Digest, known: Listed | None, via: str
    ) -> tuple[list[bytes], bool]:
        age = float("inf") if known is None else abs(self._clock.seconds() - known.validated)
        if known is not None and age < self._freshness.tag_ttl:
            self._count(origin, "hit")
            return known.entries, False
        if not self._freshness.enabled:
            return ([] if known is None else known.entries), known is not None
        try:
            entries = await self._flights.join((origin, subject), lambda: self._fetch(origin, subject, via))
        except UpstreamRefused:
            self._count(origin, "error")
            raise
        except (UpstreamError, LoopDetected):
            if known is None or age > self._freshness.serve_stale:
                self._count(origin, "error")
                raise
            self._count(origin, "stale")
            return known.entries, True
        self._count(origin, "miss")
        return entries, False

    async def _fetch(self, origin: Origin, subject: Digest, via: str) -> list[bytes]:
        """Ask the API, then the tag, and keep what they say."""

        async def ask(upstream: Upstream) -> list[bytes] | None:
            return await self._ask_api(upstream, origin, subject, via)

        entries = await self._upstreams.first(origin, ask)
        if entries is None:
            entries = await self._by_tag(origin, subject, via)
        with suppress(Storage):  # then the next one asks again
            await self._cache.keep_referrers(origin, subject, entries)
        return entries

    async def _ask_api(self, upstream: Upstream, origin: Origin, subject: Digest, via: str) -> list[bytes] | None:
        """Every page of the list; None where there is no such API, in whatever words."""
        entries: list[bytes] = []
        path = f"referrers/{subject}"
        for _ in range(MAX_PAGES):
            try:
                document = await upstream.document(
                    "GET", origin, path, via, {"Accept": INDEX}, self._freshness.manifest_size
                )
            except UpstreamCorrupt:
                return None
            if document is None or plain_media_type(document.answer.header("content-type") or "") != INDEX:
                return None
            entries += wellformed_entries(document.data)
            following = _next_page(document, path, f"/{origin.name}/")
            if following is None:
                break
            path = following
        return entries

    async def _by_tag(self, origin: Origin, subject: Digest, via: str) -> list[bytes]:
        try:
            found = await self._manifests.get(origin, Tag.parse(fallback_tag(subject)), via)
        except UnknownManifest:
            return []
        return wellformed_entries(found.data or b"")

    def _count(self, origin: Origin, result: str) -> None:
        self._metrics.mirror_request(origin.host, "referrers", result)


def _next_page(document: Document, path: str, behind: str) -> str | None:
    """The path, below the repository, of the next page that a Link header names (RFC 8288)."""
    target, _, parameters = (document.answer.header("link") or "").partition(";")
    if 'rel="next"' not in parameters and "rel=next" not in parameters:
        return None
    parts = urlsplit(urljoin(path, target.strip().strip("<>")))
    _, found, rest = f"/{parts.path}".rpartition(behind)
    wanted = rest if found else parts.path
    return f"{wanted}?{parts.query}" if wanted.startswith("referrers/") and parts.query else None
