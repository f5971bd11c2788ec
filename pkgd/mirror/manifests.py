"""Manifests through the mirror: what is fresh, what has to be asked, and what is served although it is stale.

    digest                cached -> served for ever; else fetched, verified, kept
    tag   fresh           served without asking
          else            HEAD upstream: same digest -> confirmed, served; another -> fetched, kept, pointed at
          upstream down   the last known manifest, marked as stale
          404             forgotten;  401, 403: refused, whatever is cached

HEAD of what is not cached asks by HEAD, which costs no rate limit; what it tells is remembered, so that
the manifest, once it is fetched by its digest, gets the tag.
"""

from __future__ import annotations

from collections import OrderedDict

from attrs import evolve, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import (
    InvalidDigest,
    InvalidManifest,
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
from pkgd.formats.oci import Manifest, parse_manifest, plain_media_type
from pkgd.metrics import Metrics
from pkgd.mirror.absences import Absences
from pkgd.mirror.cache import MirrorCache
from pkgd.mirror.upstream import Document, Upstream
from pkgd.mirror.upstreams import Upstreams
from pkgd.registry.stored import StoredManifest
from pkgd.sharing import SingleFlight

__all__ = ["ACCEPT", "Freshness", "ManifestHead", "MirroredManifest", "MirroredManifests"]

log = Logger()

# Everything that is stored is accepted: nothing is to be converted for us.
ACCEPT = ", ".join(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.artifact.manifest.v1+json",
        "*/*",
    ]
)
# Types that say nothing of the content: the bytes decide then.
_UNTYPED = frozenset(["", "application/json", "application/octet-stream", "text/plain", "binary/octet-stream"])
# Larger documents are parsed in a thread.
PARSE_INLINE = 16 * 1024
# What HEAD requests have told is remembered for so many tags, and for so long at least.
MAX_HEADS = 4096
HEAD_SECONDS = 60.0


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
class ManifestHead:
    """What a HEAD of a manifest tells; `told_at` is when."""

    digest: Digest
    media_type: str
    size: int
    told_at: float = 0.0


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
        metrics: Metrics,
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
        self._heads: OrderedDict[tuple[Origin, str], ManifestHead] = OrderedDict()
        self._fetches: SingleFlight[StoredManifest | None] = SingleFlight()
        self._asks: SingleFlight[ManifestHead | None] = SingleFlight()

    def at_once(self, origin: Origin, reference: str) -> MirroredManifest | None:
        """The manifest if it is in memory and needs no asking."""
        found = self._cache.manifest_at_once(origin, reference)
        if found is None or not (":" in reference or self._is_fresh(found)):
            return None
        self._count(origin, "hit")
        return _served(found)

    async def get(self, origin: Origin, reference: Reference, via: str, head_only: bool = False) -> MirroredManifest:
        """The manifest that a tag or digest stands for at its upstream.

        :param head_only: the manifest itself is not needed.
        :raises UnknownManifest: if the upstream does not have it.
        :raises Upstream: if the upstream does not tell, and nothing that may be served is cached.
        """
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
            return await self._ask(origin, reference, found, via, head_only)
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
        self, origin: Origin, reference: Reference, found: StoredManifest | None, via: str, head_only: bool
    ) -> MirroredManifest:
        """Learn from the upstream, as cheaply as possible, what the reference stands for."""
        head = self._told(origin, reference) if head_only else None
        if head is None and (head_only or found is not None):
            head = await self._head(origin, reference, via)
        if head is not None and found is not None and head.digest == found.digest:
            assert isinstance(reference, Tag)
            if await self._point(origin, reference, found.digest):
                self._count(origin, "hit")
                return _served(evolve(found, validated=self._clock.seconds()))
        elif head is not None and head_only:
            self._count(origin, "miss")
            return MirroredManifest(head, None)
        key = (origin, str(reference))
        self._count(origin, "coalesced" if self._fetches.flying(key) else "miss")
        fetched = await self._fetches.join(key, lambda: self._fetch(origin, reference, via))
        if fetched is None:
            await self._gone(origin, reference)
            raise UnknownManifest(str(reference))
        return _served(fetched)

    def _told(self, origin: Origin, reference: Reference) -> ManifestHead | None:
        """What has been told within the tag's time, or None."""
        head = self._heads.get((origin, str(reference)))
        if head is None or self._clock.seconds() - head.told_at >= self._freshness.tag_ttl:
            return None
        return head

    async def _head(self, origin: Origin, reference: Reference, via: str) -> ManifestHead | None:
        """What the upstream tells by HEAD; None if that is not enough.

        :raises UnknownManifest: if it tells that there is no such manifest.
        """

        async def ask(upstream: Upstream) -> ManifestHead | None:
            try:
                document = await upstream.document("HEAD", origin, f"manifests/{reference}", via, {"Accept": ACCEPT}, 0)
            except (UpstreamRefused, UpstreamCorrupt):
                return _UNTOLD  # not every registry has HEAD; the GET will tell
            return None if document is None else self._read_head(document, reference)

        async def work() -> ManifestHead | None:
            return await self._upstreams.first(origin, ask)

        head = await self._asks.join((origin, str(reference)), work)
        if head is None:
            await self._gone(origin, reference)
            raise UnknownManifest(str(reference))
        if head is _UNTOLD:
            return None
        self._heads[origin, str(reference)] = head
        while len(self._heads) > MAX_HEADS:
            self._heads.popitem(last=False)
        return head

    def _read_head(self, document: Document, reference: Reference) -> ManifestHead:
        answer = document.answer
        digest = _stated_digest(document)
        media_type = plain_media_type(answer.header("content-type") or "")
        if digest is None or answer.length is None or media_type in _UNTYPED:
            return _UNTOLD
        if isinstance(reference, Digest) and digest != reference:
            return _UNTOLD
        return ManifestHead(digest, media_type, answer.length, self._clock.seconds())

    async def _gone(self, origin: Origin, reference: Reference) -> None:
        """The upstream has no such manifest (any more)."""
        self._absences.note((origin, str(reference)))
        self._heads.pop((origin, str(reference)), None)
        if isinstance(reference, Tag):
            try:
                await self._cache.forget_tag(origin, reference)
            except Storage as error:
                log.error(
                    "{origin}:{tag} cannot be forgotten: {reason}", origin=origin, tag=reference, reason=error.message
                )

    # -- fetching --

    async def _fetch(self, origin: Origin, reference: Reference, via: str) -> StoredManifest | None:
        """Fetch, verify and keep; None if the upstream doesn't have it."""

        async def ask(upstream: Upstream) -> tuple[StoredManifest, Manifest, bool] | None:
            limit = self._freshness.manifest_size
            document = await upstream.document("GET", origin, f"manifests/{reference}", via, {"Accept": ACCEPT}, limit)
            if document is None:
                return None
            digest, manifest = await self._verify(upstream.host, reference, document)
            stored = StoredManifest(digest, manifest.media_type, document.data, validated=self._clock.seconds())
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
        for tag in [reference] if isinstance(reference, Tag) else self._tags_told(origin, reference):
            await self._point(origin, tag, stored.digest)
        return stored

    async def _verify(self, host: str, reference: Reference, document: Document) -> tuple[Digest, Manifest]:
        """Make sure that the bytes are what was asked for, and a manifest.

        :raises UpstreamCorrupt: if not.
        """
        stated = _stated_digest(document)
        wanted = reference if isinstance(reference, Digest) else stated
        digest = Digest.of(document.data, wanted.algorithm if wanted is not None else "sha256")
        if document.answer.status != 200 or (wanted is not None and digest != wanted):
            raise UpstreamCorrupt(host, f"sends other bytes than those of {wanted}")
        if stated is not None and Digest.of(document.data, stated.algorithm) != stated:
            raise UpstreamCorrupt(host, "states a digest that its bytes do not have")
        media_type = plain_media_type(document.answer.header("content-type") or "")
        claimed = "" if media_type in _UNTYPED else media_type
        try:
            if len(document.data) <= PARSE_INLINE:
                return digest, parse_manifest(document.data, claimed)
            return digest, await self._blocking.work(parse_manifest, document.data, claimed)
        except InvalidManifest as error:
            raise UpstreamCorrupt(host, f"sends no manifest: {error.reason}") from error

    def _tags_told(self, origin: Origin, digest: Digest) -> list[Tag]:
        """The tags that the upstream has lately said to stand for a digest."""
        since = self._clock.seconds() - max(self._freshness.tag_ttl, HEAD_SECONDS)
        return [
            Tag(reference)
            for (one, reference), head in self._heads.items()
            if one == origin and head.digest == digest and head.told_at >= since and ":" not in reference
        ]

    async def _point(self, origin: Origin, tag: Tag, digest: Digest) -> bool:
        """Note that a tag has been confirmed; False if its manifest must be fetched again."""
        try:
            return await self._cache.point(origin, tag, digest)
        except Storage as error:
            log.error("{origin}:{tag} is not kept: {reason}", origin=origin, tag=tag, reason=error.message)
            return True

    # -- what is cached --

    def _is_fresh(self, found: StoredManifest) -> bool:
        return self._age(found) < self._freshness.tag_ttl

    def _age(self, found: StoredManifest) -> float:
        """Seconds since the tag was confirmed; a clock that has been set back makes nothing fresh for ever."""
        return abs(self._clock.seconds() - found.validated)

    def _count(self, origin: Origin, result: str) -> None:
        self._metrics.mirror_request(origin.host, "manifest", result)


# What `_head` gets from an upstream whose HEAD tells too little.
_UNTOLD = ManifestHead(Digest("sha256", ""), "", 0)


def _served(found: StoredManifest, stale: bool = False) -> MirroredManifest:
    return MirroredManifest(ManifestHead(found.digest, found.media_type, len(found.data)), found.data, stale)


def _stated_digest(document: Document) -> Digest | None:
    """The digest that the upstream states; None if it states none, or one that we don't know."""
    try:
        return Digest.parse(document.answer.header("docker-content-digest") or "")
    except InvalidDigest:
        return None
