"""What has no end, is too large, or too many: the mirror's memory, disk and patience are bounded."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tests.crash.content import Content, digest_of
from tests.upstream.bench import (
    Bench,
    Case,
    blob_path,
    expect,
    host_of,
    manifest_path,
    pull,
    pull_right,
    push,
    referrers_path,
    require,
    wait_until,
)
from tests.upstream.client import ask
from tests.upstream.content import REPOSITORY, TAG, Image, Shelf
from tests.upstream.exchange import Exchange, Part
from tests.upstream.mirror import PATIENT, Mirror, Options
from tests.upstream.scripted import Upstream

_DISK = 96
_FLOOR = 32
"""The size of the mirror's disk, and what must stay free of it, in MiB."""
_PLACES = 3
_MANY = 24
_UNKNOWN = f"sha256:{'5' * 64}"
_TOO_LARGE = 70 << 20
HOSTS = ("endless", "announced", "paging", "crowded", "honest", "large")


async def cases(bench: Bench) -> AsyncIterator[Case]:
    """A mirror on a small disk."""
    upstreams = {name: bench.upstream() for name in HOSTS}
    for upstream in upstreams.values():
        await upstream.open()
    registries = bench.registries(**upstreams)
    options = Options(limits=PATIENT, disk=_DISK, min_free=_FLOOR)
    registries[host_of("crowded")] = bench.section(upstreams["crowded"], max_concurrent=_PLACES)
    try:
        async with bench.mirror({"registries": registries}, "limits", options) as mirror:
            for case in Limits(bench, mirror, upstreams).cases():
                yield case
    finally:
        for upstream in upstreams.values():
            await upstream.close()


class Limits:
    """The cases."""

    def __init__(self, bench: Bench, mirror: Mirror, upstreams: dict[str, Upstream]) -> None:
        self._bench = bench
        self._mirror = mirror
        self._upstreams = upstreams
        self._image: Image = bench.image

    def cases(self) -> Sequence[Case]:
        """All of them."""
        return (
            Case("an endless manifest", lambda: self._endless(manifest_path(TAG, host_of("endless")))),
            Case("an endless list of referrers", lambda: self._endless(referrers_path(_UNKNOWN, host_of("endless")))),
            Case("lists of referrers that go on for ever", self._paging),
            Case("a blob that announces a terabyte", self._announced),
            Case("an endless blob does not fill the disk", self._endless_blob),
            Case("a blob that is too large for the disk is passed on", self._too_large),
            Case("a blob that is passed on is verified, too", self._too_large_and_wrong),
            Case("afterwards the mirror works as before", self._honest),
            Case(f"{_MANY} blobs at once from an upstream with {_PLACES} places", self._crowded),
        )

    async def _endless(self, target: str) -> None:
        """It must be given up before long, however fast it comes."""
        upstream = self._upstreams["endless"]
        upstream.misbehave(_endless)
        began = time.monotonic()
        answer = await pull(self._mirror, target)
        upstream.misbehave(None)
        expect(f"status ({answer})", (answer.status, answer.code), (502, "UNAVAILABLE"))
        require("it took less than 20 s", time.monotonic() - began < 20)

    async def _paging(self) -> None:
        upstream = self._upstreams["paging"]
        upstream.misbehave(_next_page, Part.REFERRERS)
        answer = await pull(self._mirror, referrers_path(self._image.index.digest, host_of("paging")))
        require(f"an answer: {answer}", answer.status in (200, 502))
        require(f"{len(upstream.requests)} requests for one list", len(upstream.requests) <= 100)

    async def _announced(self) -> None:
        upstream = self._upstreams["announced"]
        upstream.misbehave(_announcing, Part.BLOB)
        answer = await pull(self._mirror, blob_path(self._image.largest, host_of("announced")))
        require(f"it breaks or is refused: {answer}", answer.status >= 400 or answer.is_broken)
        upstream.misbehave(None)
        await pull_right(self._mirror, blob_path(self._image.largest, host_of("announced")), self._image.layers[-1])

    async def _endless_blob(self) -> None:
        """Of a size that it doesn't tell. The disk is everybody's: pushes must go on."""
        upstream = self._upstreams["endless"]
        upstream.misbehave(_endless, Part.BLOB)
        client = asyncio.create_task(ask(self._mirror.port, "GET", blob_path(_UNKNOWN, host_of("endless"))))
        least = _DISK
        while not client.done():
            least = min(least, _free(self._mirror.state))
            await asyncio.sleep(0.01)
        upstream.misbehave(None)
        answer = client.result()
        broken = answer.status >= 400 or answer.is_broken
        require(f"it breaks or is refused: {answer.status} with {len(answer.body)} bytes", broken)
        require(f"{least} MiB were free, of which {_FLOOR} must stay so", least >= _FLOOR - 8)

    def _large(self) -> tuple[str, bytes]:
        """A blob that doesn't fit, at its upstream."""
        data = Content(4, _TOO_LARGE).data()
        upstream = self._upstreams["large"]
        upstream.shelves[REPOSITORY] = Shelf({digest_of(data): data}, {}, {})
        return digest_of(data), data

    async def _too_large(self) -> None:
        digest, data = self._large()
        await pull_right(self._mirror, blob_path(digest, host_of("large")), data)
        free = _free(self._mirror.state)
        require(f"{free} MiB are free", free >= _FLOOR)

    async def _too_large_and_wrong(self) -> None:
        digest, data = self._large()
        upstream = self._upstreams["large"]
        upstream.shelves[REPOSITORY] = Shelf({digest: data[:-1] + b"!"}, {}, {})
        answer = await pull(self._mirror, blob_path(digest, host_of("large")))
        require(f"the connection breaks: {answer}", answer.status == 200 and answer.is_broken)

    async def _honest(self) -> None:
        await push(self._mirror, "pushed/app", TAG, self._bench.moved)
        host = host_of("honest")
        await pull_right(self._mirror, manifest_path(TAG, host), self._image.index.data)
        await pull_right(self._mirror, blob_path(self._image.largest, host), self._image.layers[-1])

    async def _crowded(self) -> None:
        """Only so many at once are asked for; manifests do not wait for them; and all arrive."""
        upstream, host = self._upstreams["crowded"], host_of("crowded")
        layers = [bytes([number]) * 50_000 for number in range(_MANY)]
        shelf = upstream.shelves[REPOSITORY]
        blobs = {digest_of(data): data for data in layers}
        upstream.shelves[REPOSITORY] = Shelf({**shelf.blobs, **blobs}, shelf.manifests, shelf.tags)
        gauge = _Gauge()
        upstream.misbehave(gauge.counted, Part.BLOB)
        pulls = [asyncio.create_task(pull_right(self._mirror, blob_path(one, host), blobs[one])) for one in blobs]
        await wait_until("all places are taken", lambda: gauge.now == _PLACES)
        await pull_right(self._mirror, manifest_path(TAG, host), self._image.index.data)
        require("the blobs still wait", gauge.now == _PLACES)
        gauge.gate.set()
        await asyncio.gather(*pulls)
        expect("most blobs at once", gauge.most, _PLACES)


class _Gauge:
    """Counts how many answers are on their way, and holds them back until the gate opens."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.now = self.most = 0

    async def counted(self, exchange: Exchange) -> None:
        """Answer, while the gauge counts."""
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.gate.wait()
            await exchange.wait(0.01)
            await exchange.deliver()
        finally:
            self.now -= 1


def _free(folder: Path) -> int:
    """What is free on the disk, in MiB."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize >> 20


async def _endless(exchange: Exchange) -> None:
    """A body without an end, as fast as it is taken."""
    fields = f"Content-Type: {exchange.reply.value('Content-Type') or 'application/octet-stream'}"
    await exchange.send(f"HTTP/1.1 200 OK\r\n{fields}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    chunk = b"%x\r\n%b\r\n" % (1 << 18, b" " * (1 << 18))
    while True:
        await exchange.send(chunk)


async def _announcing(exchange: Exchange) -> None:
    """A length of a terabyte, some bytes, and the end."""
    await exchange.deliver_changed(length=1 << 40)
    exchange.close()


async def _next_page(exchange: Exchange) -> None:
    """A list of which there is always more."""
    page = int(exchange.asked.query.get("page", "0")) + 1
    link = f'<{exchange.asked.path}?page={page}>; rel="next"'
    await exchange.deliver(exchange.reply.set("Link", link))
