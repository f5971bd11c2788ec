"""Referrers through the mirror: by the upstream's API, by the tag of the fallback schema, or none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence

from tests.crash.content import INDEX_TYPE, Manifest
from tests.upstream.bench import Bench, Case, expect, host_of, pull, referrers_path
from tests.upstream.content import Image, Shelf
from tests.upstream.exchange import Part
from tests.upstream.faults.statuses import answered
from tests.upstream.mirror import Mirror
from tests.upstream.scripted import Upstream
from tests.upstream.verdict import listed

_TYPE = "application/vnd.example.crash.v1"


async def cases(bench: Bench) -> AsyncIterator[Case]:
    """An upstream with the API, one with the fallback tag, one with neither, and ones that break."""
    image = bench.image
    upstreams = {name: bench.upstream() for name in ("api", "tagged", "neither", "failing", "forbidden", "lost")}
    upstreams["tagged"].shelves["team/app"] = _with_tag(image)
    for name in ("tagged", "neither"):
        upstreams[name].referrers_api = False
    for upstream in upstreams.values():
        await upstream.open()
    try:
        async with bench.mirror({"registries": bench.registries(**upstreams)}, "referrers") as mirror:
            for case in Referrers(mirror, upstreams, image).cases():
                yield case
    finally:
        for upstream in upstreams.values():
            await upstream.close()


def _with_tag(image: Image) -> Shelf:
    """The list under the tag that clients keep at registries without the API."""
    shelf = image.shelf()
    document = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": list(shelf.referrers[image.index.digest])}
    manifest = Manifest(json.dumps(document).encode(), INDEX_TYPE)
    manifests = {**shelf.manifests, manifest.digest: manifest}
    tag = image.index.digest.replace(":", "-")
    return Shelf(shelf.blobs, manifests, shelf.tags).tagged(tag, manifest.digest)


class Referrers:
    """The cases; each has an upstream of its own."""

    def __init__(self, mirror: Mirror, upstreams: dict[str, Upstream], image: Image) -> None:
        self._mirror = mirror
        self._upstreams = upstreams
        self._image = image

    def cases(self) -> Sequence[Case]:
        """All of them."""
        return (
            Case("by the API", lambda: self._expect("api", [self._image.signature.digest])),
            Case("by the API, filtered", self._filtered),
            Case("by the fallback tag", lambda: self._expect("tagged", [self._image.signature.digest])),
            Case("neither: an empty list", lambda: self._expect("neither", [])),
            Case("an unknown subject: an empty list", self._unknown),
            Case("an upstream that fails is no empty list", self._failing),
            Case("an upstream that refuses is no empty list", self._forbidden),
            Case("the upstream lost: the list as it was", self._lost),
        )

    async def _expect(self, name: str, digests: list[str], query: str = "") -> None:
        answer = await pull(self._mirror, referrers_path(self._image.index.digest, host_of(name)) + query)
        expect(f"status ({answer})", answer.status, 200)
        expect("Content-Type", answer.value("content-type"), INDEX_TYPE)
        expect("listed", listed(answer.body), digests)

    async def _filtered(self) -> None:
        await self._expect("api", [self._image.signature.digest], f"&artifactType={_TYPE}")
        await self._expect("api", [], "&artifactType=application/vnd.example.other")

    async def _unknown(self) -> None:
        for name in ("api", "tagged", "neither"):
            answer = await pull(self._mirror, referrers_path(f"sha256:{'0' * 64}", host_of(name)))
            expect(f"{name} ({answer})", (answer.status, listed(answer.body)), (200, []))

    async def _failing(self) -> None:
        self._upstreams["failing"].misbehave(answered(500), Part.REFERRERS)
        answer = await pull(self._mirror, referrers_path(self._image.index.digest, host_of("failing")))
        expect(f"status ({answer})", (answer.status, answer.code), (502, "UNAVAILABLE"))
        self._upstreams["failing"].misbehave(None, Part.REFERRERS)
        await self._expect("failing", [self._image.signature.digest])

    async def _forbidden(self) -> None:
        self._upstreams["forbidden"].misbehave(answered(403))
        answer = await pull(self._mirror, referrers_path(self._image.index.digest, host_of("forbidden")))
        expect(f"status ({answer})", (answer.status, answer.code), (403, "DENIED"))

    async def _lost(self) -> None:
        await self._expect("lost", [self._image.signature.digest])
        await self._upstreams["lost"].close()
        await self._expect("lost", [self._image.signature.digest])
