"""A hosted repository and upstreams' of the same name: each is answered where it is named, and nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from tests.upstream.bench import (
    Bench,
    Case,
    blob_path,
    expect,
    manifest_path,
    pull,
    pull_right,
    push,
    refused,
    send,
)
from tests.upstream.content import TAG, Image, image
from tests.upstream.mirror import Mirror, Options
from tests.upstream.scripted import Upstream

_HUB, _OTHER, _OWN = "docker.io", "quay.io", "registry.test-registry.org"
_ALPINE = "library/alpine"
_ALIASES = ("index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "docker.io:443", "Docker.IO.")


async def cases(bench: Bench) -> AsyncIterator[Case]:
    """Docker Hub, quay.io and the registry itself have `library/alpine`, each another one."""
    hub_image, other_image, own_image = (image(seed, (2, 300)) for seed in (7, 8, 9))
    hub = bench.upstream(**{_ALPINE: hub_image.shelf(), "team/app": hub_image.shelf()})
    other = bench.upstream(**{_ALPINE: other_image.shelf()})
    settings = {"registries": {_HUB: {"url": hub.url}, _OTHER: {"url": other.url}}, "fallback": [_HUB]}
    async with hub, other, bench.mirror(settings, "hosted", Options({"own_names": [_OWN]})) as mirror:
        await push(mirror, _ALPINE, TAG, own_image)
        for case in Hosted(mirror, hub, hub_image, other_image, own_image).cases():
            yield case


class Hosted:
    """The cases; all about the one name."""

    def __init__(self, mirror: Mirror, hub: Upstream, of_hub: Image, of_other: Image, own: Image) -> None:
        self._mirror = mirror
        self._hub = hub
        self._of_hub = of_hub
        self._of_other = of_other
        self._own = own

    def cases(self) -> Sequence[Case]:
        """All of them."""
        return (
            Case("a plain pull gets the hosted one", lambda: self._pull(manifest_path(repository=_ALPINE), self._own)),
            Case("?ns= gets the upstream's", self._by_ns),
            Case("X-Registry-Host gets the upstream's", self._by_header),
            Case("ns wins over the header", self._ns_wins),
            Case("a host in the path gets the upstream's", self._by_path),
            Case("aliases of Docker Hub are Docker Hub", self._aliases),
            Case("one-part names of Docker Hub are in library", self._library),
            Case("our own name means hosted", self._own_name),
            Case("blobs are looked for where they are named", self._blobs),
            Case("two ns are refused", self._two),
            Case("writes to an upstream are refused", self._writes),
            Case("the upstream cannot hide the hosted one", self._unhidden),
        )

    async def _pull(self, target: str, which: Image, namespace: str = "", **fields: str) -> None:
        answer = await pull_right(self._mirror, target, which.index.data, **fields)
        expect(f"OCI-Namespace of {target}", answer.value("oci-namespace"), namespace)

    async def _by_ns(self) -> None:
        await self._pull(manifest_path(TAG, _HUB, _ALPINE), self._of_hub, _HUB)
        await self._pull(manifest_path(TAG, _OTHER, _ALPINE), self._of_other, _OTHER)

    async def _by_header(self) -> None:
        await self._pull(manifest_path(repository=_ALPINE), self._of_hub, _HUB, X_Registry_Host=_HUB)
        await self._pull(manifest_path(repository=_ALPINE), self._of_other, _OTHER, X_Registry_Host=_OTHER)

    async def _ns_wins(self) -> None:
        await self._pull(manifest_path(TAG, _OTHER, _ALPINE), self._of_other, _OTHER, X_Registry_Host=_HUB)

    async def _by_path(self) -> None:
        await self._pull(manifest_path(repository=f"{_HUB}/{_ALPINE}"), self._of_hub, _HUB)
        await self._pull(manifest_path(repository=f"{_OTHER}/{_ALPINE}"), self._of_other, _OTHER)

    async def _aliases(self) -> None:
        for alias in _ALIASES:
            await self._pull(manifest_path(TAG, alias, _ALPINE), self._of_hub, _HUB)

    async def _library(self) -> None:
        await self._pull(manifest_path(TAG, _HUB, "alpine"), self._of_hub, _HUB)
        await self._pull(manifest_path(repository=f"{_HUB}/alpine"), self._of_hub, _HUB)

    async def _own_name(self) -> None:
        await self._pull(manifest_path(TAG, _OWN, _ALPINE), self._own)
        await refused(self._mirror, manifest_path(TAG, _OWN, "team/app"), 404)

    async def _blobs(self) -> None:
        await pull_right(self._mirror, blob_path(self._own.strong, repository=_ALPINE), self._own.layers[1])
        await pull_right(self._mirror, blob_path(self._of_hub.strong, _HUB, _ALPINE), self._of_hub.layers[1])
        await refused(self._mirror, blob_path(self._own.strong, _HUB, _ALPINE), 404, "BLOB_UNKNOWN")
        await refused(self._mirror, blob_path(self._of_hub.strong, repository=_ALPINE), 404, "BLOB_UNKNOWN")
        await refused(self._mirror, blob_path(self._of_hub.strong, _OTHER, _ALPINE), 404, "BLOB_UNKNOWN")

    async def _two(self) -> None:
        for second in (_HUB, _OTHER, ""):
            await refused(self._mirror, f"{manifest_path(TAG, _HUB, _ALPINE)}&ns={second}", 400)

    async def _writes(self) -> None:
        self._hub.forget()
        digest = self._own.index.digest
        for method, target in (
            ("PUT", manifest_path(TAG, _HUB, _ALPINE)),
            ("DELETE", manifest_path(TAG, _HUB, _ALPINE)),
            ("DELETE", manifest_path(digest, _HUB, _ALPINE)),
            ("DELETE", blob_path(self._own.strong, _HUB, _ALPINE)),
            ("POST", f"/v2/{_ALPINE}/blobs/uploads/?ns={_HUB}"),
            ("POST", f"/v2/{_HUB}/{_ALPINE}/blobs/uploads/"),
            ("PUT", manifest_path(TAG, repository=f"{_HUB}/{_ALPINE}")),
        ):
            body, fields = b"", {"Content-Length": "0"}
            if method == "PUT":
                body = self._own.index.data
                fields = {"Content-Length": str(len(body)), "Content-Type": self._own.index.media_type}
            answer = await send(self._mirror, method, target, body, fields)
            expect(f"{method} {target} ({answer})", (answer.status, answer.code), (405, "UNSUPPORTED"))
        expect("requests at the upstream", [str(one) for one in self._hub.requests], [])

    async def _unhidden(self) -> None:
        """After all that, each is still what it was; and what is not hosted comes from the fallback list."""
        await self._pull(manifest_path(repository=_ALPINE), self._own)
        await self._by_ns()
        await self._pull(manifest_path(repository="team/app"), self._of_hub, _HUB)
        answer = await pull(self._mirror, "/v2/_catalog")
        expect("catalog of what is hosted", answer.body.strip(), b'{"repositories":["library/alpine"]}')
