"""What is switched off stays off: `enableProxy`, `REGISTRY_UPSTREAM_MIRROR`, the proxies of the environment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from tests.upstream import places
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
    refused,
    require,
)
from tests.upstream.content import TAG
from tests.upstream.mirror import Mirror, Options
from tests.upstream.scripted import Upstream
from tests.upstream.verdict import listed

_HOST = host_of("switched")
_VARIABLE = "REGISTRY_UPSTREAM_MIRROR"
_PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


async def cases(bench: Bench) -> AsyncIterator[Case]:
    """A mirror that is filled, then switched off on the same state; then two that only look as if they were on."""
    async with bench.upstream() as upstream, bench.upstream() as parent:
        async for case in _switched_off(bench, upstream):
            yield case
        async for case in _variable_alone(bench, parent, upstream):
            yield case
        async for case in _variable(bench, parent, upstream):
            yield case
        async for case in _proxies(bench, upstream):
            yield case


async def _switched_off(bench: Bench, upstream: Upstream) -> AsyncIterator[Case]:
    settings = {"registries": bench.registries(switched=upstream), "fallback": [_HOST]}
    async with bench.mirror(settings, "switched-off") as mirror:
        switch = _Switch(bench, mirror, upstream)
        yield Case("filled while it is on", switch.fill)
        yield Case("off: what is cached is served where it is named", switch.cached)
        yield Case("off: what is not cached is 404", switch.absent)
        yield Case("off: pulls that name nobody get what is hosted", switch.plain)
        yield Case("off: the upstream has not been connected to", switch.untouched)


class _Switch:
    """A mirror before and after it is switched off."""

    def __init__(self, bench: Bench, mirror: Mirror, upstream: Upstream) -> None:
        self._image = bench.image
        self._other = bench.moved
        self._mirror = mirror
        self._upstream = upstream

    async def fill(self) -> None:
        """Pull some of it, then start anew with the mirror off."""
        await self._pull_cached()
        await pull(self._mirror, referrers_path(self._image.index.digest, _HOST))
        expect("exit status", await asyncio.to_thread(self._mirror.stop), 0)
        self._mirror.settings["enableProxy"] = False
        self._upstream.forget()
        await asyncio.to_thread(self._mirror.start)

    async def cached(self) -> None:
        """All that was pulled."""
        await self._pull_cached()
        answer = await pull(self._mirror, referrers_path(self._image.index.digest, _HOST))
        expect("referrers", listed(answer.body), [self._image.signature.digest])

    async def _pull_cached(self) -> None:
        await pull_right(self._mirror, manifest_path(TAG, _HOST), self._image.index.data)
        await pull_right(self._mirror, manifest_path(self._image.index.digest, _HOST), self._image.index.data)
        await pull_right(self._mirror, blob_path(self._image.strong, _HOST), self._image.layers[1])

    async def absent(self) -> None:
        """All that was not."""
        await refused(self._mirror, manifest_path("other", _HOST), 404)
        await refused(self._mirror, manifest_path(self._image.manifest.digest, _HOST), 404)
        await refused(self._mirror, blob_path(self._image.largest, _HOST), 404)
        await refused(self._mirror, manifest_path(TAG, _HOST, "never/seen"), 404)
        await refused(self._mirror, manifest_path(TAG, host_of("elsewhere")), 404)
        answer = await pull(self._mirror, blob_path(self._image.largest, _HOST), "HEAD")
        expect("HEAD of what is not cached", answer.status, 404)

    async def plain(self) -> None:
        """The fallback list is off, too."""
        await refused(self._mirror, manifest_path("other"), 404)
        await push(self._mirror, "team/app", "hosted", self._other)
        await pull_right(self._mirror, manifest_path("hosted"), self._other.index.data)

    async def untouched(self) -> None:
        """Nothing of this has reached the upstream."""
        expect("connections to the upstream", self._upstream.accepted, 0)


async def _variable_alone(bench: Bench, parent: Upstream, upstream: Upstream) -> AsyncIterator[Case]:
    settings = {"enableProxy": False, "registries": bench.registries(switched=upstream), "fallback": [_HOST]}
    async with bench.mirror(settings, "variable-alone", Options(environment={_VARIABLE: parent.url})) as mirror:

        async def quiet() -> None:
            parent.forget()
            upstream.forget()
            for target in (manifest_path(TAG, _HOST), manifest_path(TAG), blob_path(bench.image.strong, _HOST)):
                await refused(mirror, target, 404)
            expect("connections", (parent.accepted, upstream.accepted), (0, 0))

        async def hint() -> None:
            lines = [line for line in mirror.log_text().splitlines() if _VARIABLE in line]
            require(f"one line that names {_VARIABLE} and enableProxy: {lines}", len(lines) == 1)
            require(f"the hint says what is missing: {lines[0]}", "enableProxy" in lines[0])

        yield Case(f"{_VARIABLE} without enableProxy: nobody is asked", quiet)
        yield Case(f"{_VARIABLE} without enableProxy: one hint in the log", hint)


async def _variable(bench: Bench, parent: Upstream, upstream: Upstream) -> AsyncIterator[Case]:
    settings = {"registries": bench.registries(switched=upstream), "upstream_mirror": ["http://127.0.0.1:9"]}
    async with bench.mirror(settings, "variable", Options(environment={_VARIABLE: f"{parent.url},"})) as mirror:

        async def asked() -> None:
            parent.forget()
            upstream.forget()
            await pull_right(mirror, manifest_path(TAG, _HOST), bench.image.index.data)
            await pull_right(mirror, blob_path(bench.image.strong, _HOST), bench.image.layers[1])
            expect("ns that the parent was told", {one.query.get("ns") for one in parent.requests}, {_HOST})
            expect("connections to the origin", upstream.accepted, 0)

        yield Case(f"{_VARIABLE} with enableProxy: the parent is asked, with ns", asked)


async def _proxies(bench: Bench, upstream: Upstream) -> AsyncIterator[Case]:
    settings = {"registries": bench.registries(switched=upstream)}
    environment = dict.fromkeys(_PROXIES, places.ELSEWHERE_URL)
    async with bench.mirror(settings, "proxies", Options(environment=environment)) as mirror:

        async def ignored() -> None:
            await pull_right(mirror, manifest_path(TAG, _HOST), bench.image.index.data)
            lines = [line for line in mirror.log_text().splitlines() if "http_proxy" in line]
            expect("lines of the log that name the variables", len(lines), 1)

        yield Case("proxies of the environment are named and ignored", ignored)
