"""Clients that pull through the mirror and look at every byte: whole images, some blobs by HEAD first, some in part."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tests.crash.content import INDEX_TYPE, MANIFEST_TYPE, Content
from tests.crash.mirror.catalogue import Catalogue, Image, Key, Place
from tests.crash.mirror.server import Mirror
from tests.crash.wire import Answer, Client, ConnectionLost

_ACCEPT = {"Accept": f"{MANIFEST_TYPE}, {INDEX_TYPE}"}
_CONNECTIONS = 6
_HEADS, _PARTS = 0.15, 0.15
_REFUSALS = frozenset({404, 502, 503, 504})


class Wrong(Exception):
    """The mirror answered something else than it should have."""

    def __init__(self, what: str, answer: Answer, method: str = "GET") -> None:
        super().__init__(f"{method} of {what}: {answer.status}, {len(answer.body)} bytes {answer.body[:120]!r}")
        self._answer = answer
        self._method = method

    @property
    def is_refusal(self) -> bool:
        """Whether the mirror has said that it cannot have it, as the protocol says such things."""
        if self._answer.status not in _REFUSALS:
            return False
        try:
            return self._method == "HEAD" or bool(json.loads(self._answer.body)["errors"])
        except (ValueError, KeyError, TypeError):
            return False


@dataclass
class Report:
    """What the clients saw; once `ended`, what breaks is expected to."""

    pulls: int = 0
    requests: int = 0
    failures: list[str] = field(default_factory=list)
    ended: bool = False


class Puller:
    """One client on one connection."""

    def __init__(self, client: Client, server: Mirror, rng: random.Random, report: Report) -> None:
        self._client = client
        self._server = server
        self._rng = rng
        self._report = report

    async def pull(self, key: Key, permitted: Sequence[Image], *, thorough: bool = True) -> None:
        """Pull what a tag stands for, which must be one of some images; of an index one or all of its images.

        :raises Wrong: if an answer is not right.
        :raises ConnectionLost: if one is cut short.
        """
        place, tag = key
        image = await self._manifest(place, tag, permitted)
        for child in image.children if thorough else image.children[:1]:
            await self._manifest(place, child.manifest.digest, [child])
            for blob in child.blobs:
                await self.blob(place, blob)
        for blob in image.blobs:
            await self.blob(place, blob)
        self._report.pulls += 1

    async def blob(self, place: Place, blob: Content) -> None:
        """Take a blob, perhaps only the end of it.

        :raises Wrong: see `pull`.
        :raises ConnectionLost: see `pull`.
        """
        chance = self._rng.random()
        if chance < _HEADS:
            answer = await self.ask("HEAD", place, "blobs", blob.digest)
            if (answer.status, answer.headers.get("content-length")) != (200, str(blob.size)):
                raise Wrong(f"{place} {blob.digest} of {blob.size} bytes", answer, "HEAD")
        start = self._rng.randrange(blob.size) if chance > 1 - _PARTS and self._server.answers_ranges else 0
        fields = {"Range": f"bytes={start}-"} if start else {}
        answer = await self.ask("GET", place, "blobs", blob.digest, fields)
        if answer.status != (206 if start else 200) or answer.body != blob.data()[start:]:
            raise Wrong(f"{place} {blob.digest} from {start} of {blob.size} bytes", answer)

    async def ask(
        self, method: str, place: Place, kind: str, reference: str, fields: dict[str, str] | None = None
    ) -> Answer:
        """One request.

        :raises ConnectionLost: if the answer is not complete.
        """
        self._report.requests += 1
        return await self._client.request(method, self._server.target(place, kind, reference), headers=fields)

    async def _manifest(self, place: Place, reference: str, permitted: Sequence[Image]) -> Image:
        answer = await self.ask("GET", place, "manifests", reference, _ACCEPT)
        for image in permitted:
            manifest = image.manifest
            told = (answer.headers.get("content-type"), answer.headers.get("docker-content-digest"))
            if answer.status == 200 and answer.body == manifest.data and told == (manifest.media_type, manifest.digest):
                return image
        raise Wrong(f"manifest of {place}, {reference}", answer)


async def pull_all(server: Mirror, catalogue: Catalogue, keys: Iterable[Key], report: Report) -> None:
    """Pull what each tag stands for, or once did, over a few connections; failures go into the report."""
    waiting = iter(keys)

    async def work() -> None:
        async with Client(server.port) as client:
            puller = Puller(client, server, catalogue.rng, report)
            for key in waiting:
                await _attempt(puller, key, catalogue, report, thorough=True)

    await asyncio.gather(*(work() for _ in range(_CONNECTIONS)))


async def pull_until(
    server: Mirror,
    catalogue: Catalogue,
    choose: Callable[[], Key],
    seconds: float,
    end: Callable[[], None],
    clients: int,
) -> Report:
    """Many clients pull what `choose` says, again and again, for so long; then `end`, which kills the server."""
    report = Report()

    async def work(seed: int) -> None:
        async with Client(server.port) as client:
            puller = Puller(client, server, random.Random(seed), report)
            while not report.ended:
                await _attempt(puller, choose(), catalogue, report, thorough=False)

    tasks = [asyncio.create_task(work(catalogue.rng.getrandbits(32))) for _ in range(clients)]
    await asyncio.sleep(seconds)
    report.ended = True
    end()
    await asyncio.gather(*tasks)
    return report


async def _attempt(puller: Puller, key: Key, catalogue: Catalogue, report: Report, *, thorough: bool) -> None:
    try:
        await puller.pull(key, catalogue.tags[key], thorough=thorough)
    except (ConnectionLost, Wrong) as error:
        if not report.ended:
            report.failures.append(f"{key[0].host}/{key[0].name}:{key[1]}: {error}")
            await asyncio.sleep(0.05)
