"""Tag lists through the mirror (distribution-spec, "Listing Tags"): the upstream's, or what is cached of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
from attrs import frozen

from pkgd.errors import InvalidReference, LoopDetected, UnknownName, UpstreamCorrupt
from pkgd.errors import Upstream as UpstreamError
from pkgd.formats.names import Origin, Tag
from pkgd.metrics import Metrics
from pkgd.mirror.upstream import Upstream
from pkgd.mirror.upstreams import Upstreams
from pkgd.registry.contents import ContentsReader

__all__ = ["MirroredTags", "TagPage"]

# A page of a thousand tags of the greatest length is far smaller; some registries ignore `n`.
MAX_BYTES = 4 << 20


@frozen
class TagPage:
    """A part of the list, and whether there is more; `stale` says that the upstream could not be asked."""

    tags: list[str]
    more: bool
    stale: bool = False


class MirroredTags:
    """Lists an upstream repository. Nothing is kept: a list is asked for to learn what is new."""

    def __init__(self, upstreams: Upstreams, contents: ContentsReader, metrics: Metrics, enabled: bool) -> None:
        """
        :param enabled: whether anything may be fetched.
        """
        self._upstreams = upstreams
        self._contents = contents
        self._metrics = metrics
        self._enabled = enabled

    async def page(self, origin: Origin, count: int, last: str | None, via: str) -> TagPage:
        """Up to `count` tags behind `last`.

        :raises UnknownName: if the upstream does not have the repository.
        :raises Upstream: if the upstream does not tell, and no tag of it is cached.
        """
        if not self._enabled:
            return await self._cached(origin, count, last)
        try:
            page = await self._upstreams.first(origin, lambda one: self._ask(one, origin, count, last, via))
        except (UpstreamError, LoopDetected):
            cached = await self._cached(origin, count, last)
            if not cached.tags and last is None:
                self._count(origin, "error")
                raise
            self._count(origin, "stale")
            return cached
        self._count(origin, "miss")
        if page is None:
            raise UnknownName(str(origin))
        return page

    async def _ask(self, upstream: Upstream, origin: Origin, count: int, last: str | None, via: str) -> TagPage | None:
        path = f"tags/list?n={count}"
        if last is not None:
            path += f"&last={quote(last, safe='')}"
        document = await upstream.document("GET", origin, path, via, {"Accept": "application/json"}, MAX_BYTES)
        if document is None:
            return None
        try:
            listed: Any = msgspec.json.decode(document.data, type=dict).get("tags")
        except ValueError as error:
            raise UpstreamCorrupt(upstream.host, "sends no list of tags") from error
        tags = [one for one in listed if _is_tag(one)] if isinstance(listed, list) else []
        if 'rel="next"' in (document.answer.header("link") or "") and len(tags) <= count:
            return TagPage(tags, more=bool(tags))
        return _cut(tags, count, last)

    async def _cached(self, origin: Origin, count: int, last: str | None) -> TagPage:
        page = _cut(await self._contents.tags(origin), count, last)
        return TagPage(page.tags, page.more, stale=True)

    def _count(self, origin: Origin, result: str) -> None:
        self._metrics.mirror_request(origin.host, "tags", result)


def _cut(tags: list[str], count: int, last: str | None) -> TagPage:
    """A page of a list that is whole, whatever was asked for."""
    behind = sorted(one for one in tags if last is None or one > last)
    return TagPage(behind[:count], len(behind) > count > 0)


def _is_tag(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(Tag.parse(value))
    except InvalidReference:
        return False
