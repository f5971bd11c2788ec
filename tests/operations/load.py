"""Clients of every kind at once: they pull and push images, upload packages, and pull through the mirror."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from attrs import define, field

from tests.operations.client import Client, Exchange, Fate
from tests.operations.server import Pkgd
from tests.packages.fixtures import made_deb

__all__ = ["Content", "Load", "missing", "seed"]

NAME = "team/app"
ORIGIN = "origin.example"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_SMALL, _LARGE = 4 * 1024, 4 << 20


def digest_of(data: bytes) -> str:
    """A digest."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@define
class Content:
    """What is there to be pulled, and what has been acknowledged: that must be there from then on."""

    small: str = ""
    large: str = ""
    manifest: str = ""
    upstream: list[str] = field(factory=list)
    blobs: list[str] = field(factory=list)
    tags: dict[str, str] = field(factory=dict)
    packages: list[str] = field(factory=list)


async def push_blob(client: Client, data: bytes) -> str:
    """Push a blob in one request."""
    digest = digest_of(data)
    answer = await client.ask("POST", f"/v2/{NAME}/blobs/uploads/?digest={digest}", data)
    assert answer.status == 201, answer
    return digest


async def seed(server: Pkgd, upstream: Pkgd, chance: random.Random) -> Content:
    """Push what is pulled later, and what the upstream has."""
    log: list[Exchange] = []
    client, content = Client(server, True, log), Content()
    content.small = await push_blob(client, chance.randbytes(_SMALL))
    content.large = await push_blob(client, chance.randbytes(_LARGE))
    _, content.manifest = await push_image(client, content.small, _SMALL, "latest")
    client.close()
    other = Client(upstream, True, log)
    content.upstream = [await push_blob(other, chance.randbytes(1 << 20)) for _ in range(40)]
    other.close()
    return content


async def push_image(client: Client, layer: str, size: int, tag: str) -> tuple[Exchange, str]:
    """Push a manifest over a blob, which is its configuration too; returns the answer, and its digest."""
    one = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": layer, "size": size}
    text = json.dumps(
        {"schemaVersion": 2, "mediaType": _MANIFEST, "config": one, "layers": [one], "annotations": {"tag": tag}}
    ).encode()
    answer = await client.ask("PUT", f"/v2/{NAME}/manifests/{tag}", text, {"Content-Type": _MANIFEST})
    return answer, digest_of(text)


class Load:
    """Runs them until `stop`; each ends when nobody listens any more.

    `wrong` says what was answered, and not as it had to be.
    """

    def __init__(self, server: Pkgd, content: Content, chance: random.Random) -> None:
        self.log: list[Exchange] = []
        self.wrong: list[str] = []
        self._server = server
        self._content = content
        self._chance = chance
        self._stopped = False
        self._running: asyncio.Future[Any] | None = None

    def start(self) -> None:
        """Begin."""
        pulls = [(self._pull_small, keeps) for keeps in (True, False) for _ in range(4)]
        kinds: list[tuple[Callable[[Client], Coroutine[Any, Any, None]], bool]] = [
            *pulls,
            *[(self._pull_large, keeps) for keeps in (True, True, False)],
            *[(self._pull_manifest, keeps) for keeps in (True, False)],
            *[(self._push_in_chunks, keeps) for keeps in (True, False)],
            *[(self._push_image, keeps) for keeps in (True, False)],
            *[(self._upload_package, keeps) for keeps in (True, False)],
            *[(self._pull_mirrored, keeps) for keeps in (True, True, False)],
        ]
        self._running = asyncio.gather(*[self._loop(kind, keeps) for kind, keeps in kinds])

    async def stop(self) -> None:
        """End after the requests under way."""
        self._stopped = True
        assert self._running is not None
        await self._running

    async def _loop(self, kind: Callable[[Client], Coroutine[Any, Any, None]], keeps: bool) -> None:
        client = Client(self._server, keeps, self.log)
        # Who finds nobody there goes home; a lost connection is a reason to try again.
        while not self._stopped and not client.refused:
            await kind(client)
            await asyncio.sleep(0.005)
        client.close()

    def _expect(self, exchange: Exchange, status: int, digest: str | None = None) -> bool:
        """Whether it was answered, and as it had to be."""
        if exchange.fate is not Fate.ANSWERED:
            return False
        if exchange.status != status or (digest is not None and exchange.digest != digest):
            self.wrong.append(f"{exchange.name}: {exchange.status} {exchange.body[:200]!r}")
            return False
        return True

    # -- the kinds --

    async def _pull_small(self, client: Client) -> None:
        digest = self._content.small
        self._expect(await client.ask("GET", f"/v2/{NAME}/blobs/{digest}"), 200, digest)

    async def _pull_large(self, client: Client) -> None:
        digest = self._content.large
        self._expect(await client.ask("GET", f"/v2/{NAME}/blobs/{digest}", pause=0.002), 200, digest)

    async def _pull_manifest(self, client: Client) -> None:
        self._expect(await client.ask("GET", f"/v2/{NAME}/manifests/latest"), 200, self._content.manifest)

    async def _pull_mirrored(self, client: Client) -> None:
        if self._content.upstream:
            digest = self._content.upstream.pop()
            self._expect(await client.ask("GET", f"/v2/{NAME}/blobs/{digest}?ns={ORIGIN}"), 200, digest)
        else:
            await asyncio.sleep(0.05)

    async def _push_in_chunks(self, client: Client) -> None:
        pieces = [self._chance.randbytes(32 * 1024) for _ in range(6)]
        digest = digest_of(b"".join(pieces))
        begun = await client.ask("POST", f"/v2/{NAME}/blobs/uploads/")
        if not self._expect(begun, 202):
            return
        place = begun.headers["location"]
        sent = await client.ask("PATCH", place, _slowly(pieces))
        if not self._expect(sent, 202):
            return
        if sent.headers["range"] != f"0-{32 * 1024 * 6 - 1}":
            self.wrong.append(f"{sent.name}: {sent.headers['range']}")
        done = await client.ask("PUT", f"{place}?digest={digest}")
        if self._expect(done, 201):
            self._content.blobs.append(digest)

    async def _push_image(self, client: Client) -> None:
        data = self._chance.randbytes(_SMALL)
        digest, tag = digest_of(data), f"t{self._chance.randrange(1 << 48)}"
        if self._expect(await client.ask("POST", f"/v2/{NAME}/blobs/uploads/?digest={digest}", data), 201):
            self._content.blobs.append(digest)
            answer, manifest = await push_image(client, digest, _SMALL, tag)
            if self._expect(answer, 201):
                self._content.tags[tag] = manifest

    async def _upload_package(self, client: Client) -> None:
        name = f"p{self._chance.randrange(1 << 48)}"
        answer = await client.ask("PUT", f"/apt/main/stable/main/{name}.deb", made_deb(name))
        if self._expect(answer, 201):
            self._content.packages.append(name)


async def _slowly(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(0.02)


async def missing(server: Pkgd, content: Content) -> list[str]:
    """What was acknowledged, and is not there."""
    client = Client(server, True, [])

    async def has(target: str, digest: str) -> bool:
        answer = await client.ask("GET", target)
        return (answer.status, answer.digest) == (200, digest)

    found = [one for one in content.blobs if not await has(f"/v2/{NAME}/blobs/{one}", one)]
    found += [tag for tag, digest in content.tags.items() if not await has(f"/v2/{NAME}/manifests/{tag}", digest)]
    client.close()
    listed = set(server.text("/apt/main/dists/stable/main/binary-amd64/Packages").splitlines())
    return found + [name for name in content.packages if f"Package: {name}" not in listed]
