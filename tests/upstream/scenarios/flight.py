"""One fetch for everybody: however many clients, whatever part they want, and whoever leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from tests.crash.content import digest_of
from tests.upstream.bench import (
    Bench,
    Case,
    blob_path,
    expect,
    host_of,
    manifest_path,
    pull,
    pull_right,
    require,
    wait_until,
)
from tests.upstream.client import Pull
from tests.upstream.content import REPOSITORY, TAG, Image, image
from tests.upstream.crowd import pull_together
from tests.upstream.exchange import Exchange, Misbehaviour, Part
from tests.upstream.mirror import PATIENT, Mirror, Options
from tests.upstream.scripted import Upstream

_LARGE = 20 << 20
_CLIENTS = 30
_CROWD = 300
HOSTS = ("throttled", "ranges", "leaving", "stalled", "tags", "heads", "crowded", "abandoned")


async def cases(bench: Bench) -> AsyncIterator[Case]:
    """One mirror, and upstreams whose image has a layer of 20 MiB."""
    large = image(3, (5, 800, _LARGE))
    upstreams = {name: bench.upstream(**{REPOSITORY: large.shelf()}) for name in HOSTS}
    for upstream in upstreams.values():
        await upstream.open()
    settings = {"registries": bench.registries(**upstreams), "tag_ttl": "1h"}
    try:
        async with bench.mirror(settings, "flight", Options(limits=PATIENT)) as mirror:
            for case in Flight(mirror, upstreams, large).cases():
                yield case
    finally:
        for upstream in upstreams.values():
            await upstream.close()


class Flight:
    """The cases; each has an upstream of its own."""

    def __init__(self, mirror: Mirror, upstreams: dict[str, Upstream], large: Image) -> None:
        self._mirror = mirror
        self._upstreams = upstreams
        self._image = large
        self._data = large.layers[-1]

    def cases(self) -> Sequence[Case]:
        """All of them."""
        return (
            Case(f"{_CLIENTS} clients of one cold blob: one GET", self._throttled),
            Case("ranges are served from the same fill", self._ranges),
            Case("clients that leave change nothing", self._leaving),
            Case("the only client leaves, and the fill goes on", self._abandoned),
            Case("the manifest is answered while the layer stalls", self._stalled),
            Case(f"{_CLIENTS} clients of one cold tag: one GET", self._tags),
            Case("HEAD during a fill asks nothing", self._heads),
            Case(f"{_CROWD} other hosts are named during a fill", self._crowded),
        )

    def _target(self, name: str) -> str:
        return blob_path(self._image.largest, host_of(name))

    def _gets(self, name: str) -> list[str]:
        return [str(one) for one in self._upstreams[name].asked(Part.BLOB, "GET")]

    def _throttle(self, name: str, rate: int) -> None:
        self._upstreams[name].misbehave(throttled(rate), Part.BLOB)

    async def _throttled(self) -> None:
        self._throttle("throttled", _LARGE)
        target = self._target("throttled")
        ended = await pull_together(self._mirror.port, target, _CLIENTS)
        expect("how the pulls ended", ended, [f"200 {self._image.largest}"] * _CLIENTS)
        expect("GETs at the upstream", len(self._gets("throttled")), 1)
        await pull_right(self._mirror, target, self._data)
        expect("GETs after a pull of what is cached", len(self._gets("throttled")), 1)

    async def _ranges(self) -> None:
        self._throttle("ranges", _LARGE)
        target, size = self._target("ranges"), _LARGE
        spans = [(0, 99), (size // 2, size // 2 + 999), (size - 100, size - 1), (1000, 3 << 20), (size - 1, size - 1)]
        whole = asyncio.create_task(pull_right(self._mirror, target, self._data))
        await wait_until("the fill begins", lambda: self._gets("ranges"))
        answers = await asyncio.gather(
            *(pull(self._mirror, target, Range=f"bytes={first}-{last}") for first, last in spans)
        )
        for (first, last), answer in zip(spans, answers, strict=True):
            found = (answer.status, answer.value("content-range"), digest_of(answer.body))
            wanted = (206, f"bytes {first}-{last}/{size}", digest_of(self._data[first : last + 1]))
            expect(f"range {first}-{last}", found, wanted)
        await whole
        expect("GETs at the upstream", self._gets("ranges"), [f"GET {self._target('ranges').partition('?')[0]}"])

    async def _leaving(self) -> None:
        self._throttle("leaving", _LARGE)
        target = self._target("leaving")
        pulls = [await Pull.start(self._mirror.port, "GET", target) for _ in range(10)]
        staying = asyncio.create_task(pull_right(self._mirror, target, self._data))
        for number, one in enumerate(pulls):
            await one.head()
            await one.read(number * 100_000)
            one.leave()
        await staying
        expect("GETs at the upstream", len(self._gets("leaving")), 1)

    async def _abandoned(self) -> None:
        self._throttle("abandoned", 2 * _LARGE)
        upstream, target = self._upstreams["abandoned"], self._target("abandoned")
        one = await Pull.start(self._mirror.port, "GET", target)
        await one.head()
        await one.read(1000)
        one.leave()
        name = self._image.largest.partition(":")[2]
        path = self._mirror.tree / "__mirror__" / host_of("abandoned") / REPOSITORY / "blobs" / name
        await wait_until("the blob is cached", path.exists)
        await upstream.close()
        await pull_right(self._mirror, target, self._data)
        expect("GETs at the upstream", len(self._gets("abandoned")), 1)

    async def _stalled(self) -> None:
        gate = asyncio.Event()
        self._upstreams["stalled"].misbehave(_held(gate), Part.BLOB)
        host = host_of("stalled")
        layer = asyncio.create_task(pull_right(self._mirror, self._target("stalled"), self._data))
        await wait_until("the layer is asked for", lambda: self._gets("stalled"))
        await pull_right(self._mirror, manifest_path(TAG, host), self._image.index.data)
        await pull_right(self._mirror, manifest_path(self._image.manifest.digest, host), self._image.manifest.data)
        await pull_right(self._mirror, blob_path(self._image.strong, host), self._image.layers[1])
        require("the layer has not come yet", not layer.done())
        gate.set()
        await layer

    async def _tags(self) -> None:
        upstream, target = self._upstreams["tags"], manifest_path(TAG, host_of("tags"))
        upstream.misbehave(_slow, Part.MANIFEST)
        await asyncio.gather(*(pull_right(self._mirror, target, self._image.index.data) for _ in range(_CLIENTS)))
        expect("requests for the tag", [one.method for one in upstream.requests], ["GET"])

    async def _heads(self) -> None:
        self._throttle("heads", _LARGE)
        target = self._target("heads")
        whole = asyncio.create_task(pull_right(self._mirror, target, self._data))
        await wait_until("the fill begins", lambda: self._gets("heads"))
        await asyncio.sleep(0.2)
        answer = await pull(self._mirror, target, "HEAD")
        expect("HEAD", (answer.status, answer.value("content-length")), (200, str(_LARGE)))
        await whole
        expect("requests at the upstream", len(self._upstreams["heads"].requests), 1)

    async def _crowded(self) -> None:
        """What is kept of each host is bounded, and a fill must not be among what is given up."""
        self._throttle("crowded", _LARGE // 3)
        whole = asyncio.create_task(pull_right(self._mirror, self._target("crowded"), self._data))
        await wait_until("the fill begins", lambda: self._gets("crowded"))
        for start in range(0, _CROWD, 30):
            hosts = [host_of(f"nobody-{number}") for number in range(start, start + 30)]
            await asyncio.gather(*(pull(self._mirror, manifest_path(TAG, host)) for host in hosts))
        require("the fill ended before all hosts were named", not whole.done() or whole.exception())
        await whole
        expect("GETs at the upstream", len(self._gets("crowded")), 1)


def throttled(rate: int) -> Misbehaviour:
    """Deliver at so many bytes a second, about."""

    async def misbehave(exchange: Exchange) -> None:
        if not exchange.has_body:
            await exchange.deliver()
            return
        await exchange.send(exchange.reply.head())
        await exchange.send(exchange.reply.body, piece=max(1, rate // 50), pause=0.02)

    return misbehave


def _held(gate: asyncio.Event) -> Misbehaviour:
    """Deliver the largest layer only when the gate opens, but never so slowly that it would be given up."""

    async def misbehave(exchange: Exchange) -> None:
        if len(exchange.reply.body) < _LARGE or not exchange.has_body:
            await exchange.deliver()
            return
        await exchange.send(exchange.reply.head())
        sent = 0
        while not gate.is_set():
            await exchange.send(exchange.reply.body[sent : sent + 4096])
            sent += 4096
            await exchange.wait(0.1)
        await exchange.send(exchange.reply.body[sent:])

    return misbehave


async def _slow(exchange: Exchange) -> None:
    await exchange.wait(0.4)
    await exchange.deliver()
