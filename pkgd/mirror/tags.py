"""Tag lists through the mirror (distribution-spec, "Listing Tags"): the upstream's, or what is cached of it.

Registries differ: some know neither `n` nor `last`, some have an order of their own, some go on by a token
that only they understand. What comes back is told apart by what it holds.
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from attrs import frozen

from pkgd.blocking import Blocking
from pkgd.errors import InvalidReference, LoopDetected, UnknownName, UpstreamCorrupt, UpstreamRefused
from pkgd.errors import Upstream as UpstreamError
from pkgd.formats.names import Origin, Tag
from pkgd.metrics import MirrorMetrics
from pkgd.mirror.manifests import Freshness
from pkgd.mirror.paging import next_page
from pkgd.mirror.upstream import Upstream
from pkgd.mirror.upstreams import Upstreams
from pkgd.registry.contents import ContentsReader

__all__ = ["MirroredTags", "TagPage"]

# A page of a thousand tags of the greatest length is far smaller; some registries ignore `n`.
MAX_BYTES = 4 << 20
# How far a list is followed whose beginning has been seen already.
MAX_PAGES = 32
MAX_TAGS = 100_000

_PATH = "tags/list"


@frozen
class TagPage:
    """A part of the list, and whether there is more; `stale` says that the upstream could not be asked."""

    tags: list[str]
    more: bool
    stale: bool = False


class _Listing(msgspec.Struct):
    """An upstream's answer; `null` stands for an empty list where the server is written in Go."""

    tags: list[str] | None = None


class MirroredTags:
    """Lists an upstream repository. Nothing is kept: a list is asked for to learn what is new."""

    def __init__(
        self,
        upstreams: Upstreams,
        contents: ContentsReader,
        blocking: Blocking,
        metrics: MirrorMetrics,
        freshness: Freshness,
    ) -> None:
        self._upstreams = upstreams
        self._contents = contents
        self._blocking = blocking
        self._metrics = metrics
        self._freshness = freshness

    async def page(self, origin: Origin, count: int, last: str | None, via: str) -> TagPage:
        """Up to `count` tags behind `last`.

        :raises UnknownName: if the upstream does not have the repository.
        :raises Upstream: if the upstream does not tell, and no tag of it is cached.
        """
        if not self._freshness.enabled:
            return await self._cached(origin, count, last, UnknownName(str(origin)))
        try:
            page = await self._upstreams.first(origin, lambda one: self._ask(one, origin, count, last, via))
        except (UpstreamError, LoopDetected) as error:
            if isinstance(error, UpstreamRefused) or not self._freshness.serve_stale:
                self._count(origin, "error")
                raise
            return await self._cached(origin, count, last, error)
        self._count(origin, "miss")
        if page is None:
            raise UnknownName(str(origin))
        return page

    async def _ask(self, upstream: Upstream, origin: Origin, count: int, last: str | None, via: str) -> TagPage | None:
        target = f"{_PATH}?n={max(count, 1)}"
        if last is not None:
            target += f"&last={quote(last, safe='')}"
        tags: list[str] = []
        ignores_last = False
        for _ in range(MAX_PAGES):
            document = await upstream.document("GET", origin, target, via, {"Accept": "application/json"}, MAX_BYTES)
            if document is None:
                return None
            tags += await self._blocking.work(_read, upstream.host, document.data)
            following = next_page(document.answer, _PATH)
            if last is not None:
                ignores_last |= last in tags or (following is not None and "last=" not in following)
            if not ignores_last or following is None or len(tags) > MAX_TAGS:
                break
            # This is the list from its beginning, which has to be followed to where the client is.
            target = following
        if ignores_last or len(tags) > count or (following is None and last is None):
            return await self._blocking.work(_cut, tags, count, last)
        return TagPage(tags, more=bool(tags) and following is not None)

    async def _cached(self, origin: Origin, count: int, last: str | None, error: Exception) -> TagPage:
        """What is cached, or the error if that is nothing."""
        tags = await self._contents.tags(origin)
        self._count(origin, "stale" if tags else "error")
        if not tags:
            raise error
        page = _cut(tags, count, last)
        return TagPage(page.tags, page.more, stale=True)

    def _count(self, origin: Origin, result: str) -> None:
        self._metrics.mirror_request(origin.host, "tags", result)


def _read(host: str, data: bytes) -> list[str]:
    """The tags of an answer, without what is none.

    :raises UpstreamCorrupt: if it is no such answer.
    """
    try:
        listed = msgspec.json.decode(data, type=_Listing).tags
    except (ValueError, RecursionError) as error:
        raise UpstreamCorrupt(host, "sends no list of tags") from error
    return [one for one in listed or [] if _is_tag(one)]


def _cut(tags: list[str], count: int, last: str | None) -> TagPage:
    """A page of a list that is whole, whatever was asked for."""
    behind = sorted(one for one in tags if last is None or one > last)
    return TagPage(behind[:count], len(behind) > count > 0)


def _is_tag(value: str) -> bool:
    try:
        return bool(Tag.parse(value))
    except InvalidReference:
        return False
