"""Mirrors behind mirrors: edge → site → hub → origin, what happens when a link is missing, and circles."""

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
    referrers_path,
    refused,
    require,
)
from tests.upstream.content import REPOSITORY, TAG, Image
from tests.upstream.exchange import Exchange, Part
from tests.upstream.faults.statuses import answered
from tests.upstream.mirror import PATIENT, Mirror, Options, Settings
from tests.upstream.scripted import Upstream
from tests.upstream.verdict import listed

_HOST = host_of("chained")
_SHELVES = ("whole", "heads", "ranges", "siteless", "again", "lost", "circle", "forwarded")
_MOST_REQUESTS = 4


async def cases(bench: Bench) -> AsyncIterator[Case]:
    """All groups of mirrors; the origin has a repository for each case, so that all of them are cold."""
    origin = bench.upstream(**{name: bench.shelf() for name in (REPOSITORY, *_SHELVES)})
    async with origin:
        async for case in _in_a_row(bench, origin):
            yield case
        async for case in _parents(bench, origin):
            yield case
        async for case in _circles(bench, origin):
            yield case


def _settings(bench: Bench, origin: Upstream, *parents: str, **more: object) -> Settings:
    registries = {_HOST: bench.section(origin)}
    return {"registries": registries, "upstream_mirror": list(parents), "tag_ttl": "1h", **more}


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


async def _in_a_row(bench: Bench, origin: Upstream) -> AsyncIterator[Case]:
    async with (
        bench.mirror(_settings(bench, origin), "hub", Options(limits=PATIENT)) as hub,
        bench.mirror(_settings(bench, origin, _url(hub.port)), "site", Options(limits=PATIENT)) as site,
        bench.mirror(_settings(bench, origin, _url(site.port)), "edge", Options(limits=PATIENT)) as edge,
    ):
        for case in Row(edge, site, hub, origin, bench.image).cases():
            yield case


class Row:
    """Three mirrors in a row."""

    def __init__(self, edge: Mirror, site: Mirror, hub: Mirror, origin: Upstream, image: Image) -> None:
        self._edge = edge
        self._site = site
        self._hub = hub
        self._origin = origin
        self._image = image

    def cases(self) -> Sequence[Case]:
        """All of them; the last ones unplug."""
        return (
            Case("three in a row: an image", self._whole),
            Case("three in a row: HEAD on a miss", self._heads),
            Case("three in a row: a range on a miss", self._ranges),
            Case("three in a row: what is absent is absent", self._absent),
            Case("three in a row: each says that it has passed the request on", self._via),
            Case("the parent is down: the origin is asked", self._siteless),
            Case("the parent is down: what is cached keeps pulling", self._cached),
        )

    async def _whole(self) -> None:
        image = self._image
        self._origin.forget()
        await self._pull("whole")
        answer = await pull(self._edge, referrers_path(image.index.digest, _HOST, "whole"))
        expect("referrers", listed(answer.body), [image.signature.digest])
        asked = [f"{one.method} {one.part.value}" for one in self._origin.requests]
        wanted = ["GET manifests", "GET manifests", "GET blobs", "GET blobs", "GET referrers"]
        expect("requests at the origin", asked, wanted)

    async def _pull(self, repository: str) -> None:
        image = self._image
        for reference, manifest in ((TAG, image.index), (image.manifest.digest, image.manifest)):
            answer = await pull_right(self._edge, manifest_path(reference, _HOST, repository), manifest.data)
            expect("Content-Type", answer.value("content-type"), manifest.media_type)
            expect("OCI-Namespace", answer.value("oci-namespace"), _HOST)
        for digest, data in ((image.largest, image.layers[-1]), (image.strong, image.layers[1])):
            await pull_right(self._edge, blob_path(digest, _HOST, repository), data)

    async def _heads(self) -> None:
        image = self._image
        self._origin.forget()
        for target, data in (
            (manifest_path(TAG, _HOST, "heads"), image.index.data),
            (manifest_path(image.manifest.digest, _HOST, "heads"), image.manifest.data),
            (blob_path(image.largest, _HOST, "heads"), image.layers[-1]),
        ):
            answer = await pull(self._edge, target, "HEAD")
            expect(f"HEAD {target}", (answer.status, answer.value("content-length")), (200, str(len(data))))
        expect("requests at the origin", [one.method for one in self._origin.requests], ["HEAD"] * 3)
        await refused(self._edge, blob_path(f"sha256:{'0' * 64}", _HOST, "heads"), 404, "BLOB_UNKNOWN")

    async def _ranges(self) -> None:
        answer = await pull(self._edge, blob_path(self._image.largest, _HOST, "ranges"), Range="bytes=1000-1999")
        expect("status", answer.status, 206)
        expect("bytes", answer.body, self._image.layers[-1][1000:2000])

    async def _absent(self) -> None:
        await refused(self._edge, manifest_path("nothing", _HOST, "whole"), 404, "MANIFEST_UNKNOWN")
        await refused(self._edge, manifest_path(TAG, _HOST, "nothing/here"), 404)
        self._origin.misbehave(answered(403))
        try:
            await refused(self._edge, manifest_path("forbidden", _HOST, "whole"), 403, "DENIED")
        finally:
            self._origin.misbehave(None)

    async def _via(self) -> None:
        self._origin.forget()
        await pull_right(self._edge, manifest_path(TAG, _HOST, "forwarded"), self._image.index.data)
        via = (self._origin.requests[0].value("via") or "").split(", ")
        good = len(set(via)) == 3 and all(one.startswith("1.1 pkgd-") for one in via)
        require(f"three different mirrors in Via: {via}", good)

    async def _siteless(self) -> None:
        await asyncio.to_thread(self._site.stop)
        self._origin.forget()
        await self._pull("siteless")
        via = self._origin.requests[0].value("via") or ""
        expect(f"mirrors in Via ({via})", via.count("pkgd-"), 1)
        await asyncio.to_thread(self._site.start)

    async def _cached(self) -> None:
        await asyncio.to_thread(self._site.stop)
        await self._origin.close()
        try:
            await self._pull("whole")
        finally:
            await self._origin.open()
            await asyncio.to_thread(self._site.start)


async def _parents(bench: Bench, origin: Upstream) -> AsyncIterator[Case]:
    """Parents that are scripted, beside an honest origin."""
    image = bench.image
    async with bench.upstream(lost=image.shelf()) as parent:
        settings = _settings(bench, origin, parent.url)
        only = _settings(bench, origin, parent.url, upstream_only=True)
        async with bench.mirror(settings, "child") as child, bench.mirror(only, "only-child") as only_child:

            async def nothing() -> None:
                origin.forget()
                await pull_right(child, manifest_path(TAG, _HOST, "again"), image.index.data)
                require("the parent was asked", parent.asked(Part.MANIFEST))
                expect("requests at the origin", len(origin.requests), 1)

            async def only_parent() -> None:
                origin.forget()
                await refused(only_child, manifest_path(TAG, _HOST, "again"), 404)
                await pull_right(only_child, manifest_path(TAG, _HOST, "lost"), image.index.data)
                expect("connections to the origin", origin.accepted, 0)

            async def cut() -> None:
                parent.misbehave(_cut_midway, Part.BLOB)
                origin.forget()
                await pull_right(child, blob_path(image.largest, _HOST, "lost"), image.layers[-1])
                half = len(image.layers[-1]) // 2
                expect("range asked of the origin", [one.value("range") for one in origin.requests], [f"bytes={half}-"])

            async def down() -> None:
                await parent.close()
                origin.forget()
                await refused(only_child, manifest_path("new", _HOST, "lost"), 502, "UNAVAILABLE")
                await refused(only_child, blob_path(image.strong, _HOST, "lost"), 502, "UNAVAILABLE")
                expect("connections to the origin", origin.accepted, 0)
                await pull_right(child, blob_path(image.strong, _HOST, "lost"), image.layers[1])

            yield Case("the parent has it not: the origin is asked", nothing)
            yield Case("upstream_only: the origin is not asked", only_parent)
            yield Case("the parent is cut midway: the origin goes on", cut)
            yield Case("the parent is down, upstream_only: 502, and the origin is not asked", down)


async def _cut_midway(exchange: Exchange) -> None:
    """Half of the content, and never more."""
    if not exchange.has_body:
        await exchange.deliver()
        return
    half = (exchange.begins + len(exchange.reply.body)) // 2
    await exchange.send(exchange.reply.head())
    await exchange.send(exchange.reply.body[: max(0, half - exchange.begins)])
    exchange.close()


async def _circles(bench: Bench, origin: Upstream) -> AsyncIterator[Case]:
    """Mirrors whose parents are themselves, or each other."""
    own, ring = bench.port(), (bench.port(), bench.port())
    settings = {
        "alone": _settings(bench, origin, _url(own), upstream_only=True),
        "first": _settings(bench, origin, _url(ring[1]), upstream_only=True),
        "second": _settings(bench, origin, _url(ring[0])),
    }
    async with (
        bench.mirror(settings["alone"], "alone", Options(port=own)) as alone,
        bench.mirror(settings["first"], "first", Options(port=ring[0])) as first,
        bench.mirror(settings["second"], "second", Options(port=ring[1])) as second,
    ):

        async def itself() -> None:
            origin.forget()
            answer = await refused(alone, manifest_path(TAG, _HOST, "circle"), 508)
            require(f"an error document: {answer}", answer.code)
            await refused(alone, blob_path(bench.image.strong, _HOST, "circle"), 508)
            _expect_few(alone, "circle")
            expect("connections to the origin", origin.accepted, 0)

        async def each_other() -> None:
            origin.forget()
            await pull_right(first, manifest_path(TAG, _HOST, "circle"), bench.image.index.data)
            _expect_few(first, "circle")
            _expect_few(second, "circle")
            expect("requests at the origin", len(origin.requests), 1)

        async def far() -> None:
            origin.forget()
            hops = ", ".join(f"1.1 pkgd-{number:016x}" for number in range(5))
            await refused(second, manifest_path("far", _HOST, "circle"), 508, Via=hops)
            expect("connections to the origin", origin.accepted, 0)

        yield Case("a mirror that is its own parent", itself)
        yield Case("two mirrors that are each other's parents: the origin is asked, once", each_other)
        yield Case("a request that has come through five mirrors", far)


def _expect_few(mirror: Mirror, repository: str) -> None:
    """A circle must end after very few requests."""
    lines = [line for line in mirror.access_text().splitlines() if f"/v2/{repository}/" in line]
    require(f"{len(lines)} requests in a circle", len(lines) <= _MOST_REQUESTS)
