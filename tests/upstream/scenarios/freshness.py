"""How often the upstream is asked: never within `tag_ttl`, then by HEAD, and not at all once it has asked for peace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from tests.upstream.bench import (
    Bench,
    Case,
    blob_path,
    expect,
    host_of,
    manifest_path,
    pull,
    pull_right,
    refused,
    require,
)
from tests.upstream.client import ACCEPT
from tests.upstream.content import REPOSITORY, TAG, Image
from tests.upstream.exchange import Exchange, Part
from tests.upstream.faults.statuses import answered
from tests.upstream.mirror import Mirror
from tests.upstream.scripted import Upstream

_TTL = 1.0
_PULLS = 5
HOSTS = ("young", "old", "moving", "leaving", "headless", "busy", "digests", "absent")


async def cases(bench: Bench) -> AsyncIterator[Case]:
    """One mirror with a short `tag_ttl`, and an upstream for each case."""
    upstreams = {name: bench.upstream() for name in HOSTS}
    for upstream in upstreams.values():
        await upstream.open()
    settings = {"registries": bench.registries(**upstreams), "tag_ttl": f"{_TTL:.0f}s", "negative_ttl": "1s"}
    try:
        async with bench.mirror(settings, "freshness") as mirror:
            freshness = Freshness(mirror, upstreams, bench.image, bench.moved)
            for case in freshness.cases():
                yield case
    finally:
        for upstream in upstreams.values():
            await upstream.close()


class Freshness:
    """The cases; each has an upstream of its own."""

    def __init__(self, mirror: Mirror, upstreams: dict[str, Upstream], image: Image, moved: Image) -> None:
        self._mirror = mirror
        self._upstreams = upstreams
        self._image = image
        self._moved = moved

    def cases(self) -> Sequence[Case]:
        """All of them."""
        return (
            Case("a fresh tag is answered without asking", self._young),
            Case("after tag_ttl one HEAD confirms, without GET", self._old),
            Case("a tag that has moved is fetched", self._moving),
            Case("a tag that is gone is gone", self._leaving),
            Case("an upstream without HEAD is asked by GET", self._headless),
            Case("429 with Retry-After is kept for its time", self._busy),
            Case("digests are never asked about again", self._digests),
            Case("what is absent is not asked for again at once", self._absent),
        )

    async def _pull(self, name: str, image: Image | None = None) -> None:
        await pull_right(self._mirror, manifest_path(TAG, host_of(name)), (image or self._image).index.data)

    async def _young(self) -> None:
        upstream = self._upstreams["young"]
        await self._pull("young")
        upstream.forget()
        for _ in range(_PULLS):
            await self._pull("young")
        expect("requests within the TTL", [str(one) for one in upstream.requests], [])

    async def _old(self) -> None:
        upstream = self._upstreams["old"]
        await self._pull("old")
        upstream.forget()
        await asyncio.sleep(_TTL + 0.1)
        await asyncio.gather(*(self._pull("old") for _ in range(_PULLS)))
        expect("requests after the TTL", [one.method for one in upstream.requests], ["HEAD"])
        accept = upstream.requests[0].value("accept") or ""
        missing = [one for one in ACCEPT.split(", ") if one not in accept]
        expect("media types missing from the HEAD's Accept", missing, [])

    async def _moving(self) -> None:
        upstream = self._upstreams["moving"]
        await self._pull("moving")
        upstream.shelves[REPOSITORY] = self._moved.shelf()
        await self._pull("moving")
        await asyncio.sleep(_TTL + 0.1)
        await self._pull("moving", self._moved)
        old = manifest_path(self._image.index.digest, host_of("moving"))
        await pull_right(self._mirror, old, self._image.index.data)

    async def _leaving(self) -> None:
        upstream = self._upstreams["leaving"]
        await self._pull("leaving")
        upstream.shelves[REPOSITORY] = upstream.shelves[REPOSITORY].tagged(TAG, None)
        await asyncio.sleep(_TTL + 0.1)
        await refused(self._mirror, manifest_path(TAG, host_of("leaving")), 404, "MANIFEST_UNKNOWN")
        upstream.misbehave(answered(503))
        await asyncio.sleep(_TTL + 0.1)
        await refused(self._mirror, manifest_path(TAG, host_of("leaving")), 502, "UNAVAILABLE")

    async def _headless(self) -> None:
        """Some registries answer GET, but not HEAD."""
        upstream = self._upstreams["headless"]
        await self._pull("headless")
        upstream.misbehave(_no_head)
        await asyncio.sleep(_TTL + 0.1)
        await self._pull("headless")
        answer = await pull(self._mirror, blob_path(self._image.largest, host_of("headless")), "HEAD")
        expect(
            "HEAD of a blob", (answer.status, answer.value("content-length")), (200, str(len(self._image.layers[-1])))
        )

    async def _busy(self) -> None:
        upstream = self._upstreams["busy"]
        await self._pull("busy")
        upstream.misbehave(answered(429, Retry_After="3"))
        await asyncio.sleep(_TTL + 0.1)
        upstream.forget()
        answer = await pull(self._mirror, manifest_path(TAG, host_of("busy")))
        require(f"a cached tag is answered stale: {answer}", answer.status == 200 and answer.is_stale)
        for _ in range(_PULLS):
            answer = await refused(self._mirror, manifest_path("other", host_of("busy")), 429, "TOOMANYREQUESTS")
            require(f"Retry-After: {answer}", 1 <= int(answer.value("retry-after")) <= 3)
        expect("requests while the upstream wants peace", len(upstream.requests), 1)
        upstream.misbehave(None)
        await asyncio.sleep(3.1)
        await self._pull("busy")

    async def _digests(self) -> None:
        upstream, host = self._upstreams["digests"], host_of("digests")
        manifest, blob = manifest_path(self._image.index.digest, host), blob_path(self._image.strong, host)
        await pull_right(self._mirror, manifest, self._image.index.data)
        await pull_right(self._mirror, blob, self._image.layers[1])
        await asyncio.sleep(_TTL + 0.1)
        upstream.forget()
        await pull_right(self._mirror, manifest, self._image.index.data)
        await pull_right(self._mirror, blob, self._image.layers[1])
        expect("requests for what is cached by digest", upstream.accepted + len(upstream.requests), 0)

    async def _absent(self) -> None:
        upstream, target = self._upstreams["absent"], manifest_path("nowhere", host_of("absent"))
        for _ in range(_PULLS):
            await refused(self._mirror, target, 404, "MANIFEST_UNKNOWN")
        expect("requests for a tag that is absent", len(upstream.requests), 1)
        shelf = upstream.shelves[REPOSITORY]
        upstream.shelves[REPOSITORY] = shelf.tagged("nowhere", self._image.index.digest)
        await asyncio.sleep(1.1)
        await pull_right(self._mirror, target, self._image.index.data)


async def _no_head(exchange: Exchange) -> None:
    if exchange.asked.method == "HEAD" and exchange.asked.part is not Part.PING:
        await answered(405)(exchange)
    else:
        await exchange.deliver()
