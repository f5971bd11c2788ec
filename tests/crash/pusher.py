"""The pushes: every way a client has to put bytes, manifests and tags into a registry, each recorded in the ledger."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.crash.content import CONFIG_TYPE, LAYER_TYPE, Content, Descriptor, Manifest, image, index
from tests.crash.ledger import BlobStored, Effect, Ending, Ledger, ManifestStored, Operation, TagSet, UploadSession
from tests.crash.wire import Answer, Body, Client

_WEIGHTS = {
    "image": 30,
    "monolithic": 10,
    "single_put": 10,
    "chunked": 15,
    "streamed": 15,
    "mount": 10,
    "retag": 20,
    "untag": 8,
    "index": 5,
    "referrer": 5,
    "cancel": 3,
}
_OCTETS = {"Content-Type": "application/octet-stream"}


class Unexpected(Exception):
    """The server answered something that the protocol does not allow here."""


@dataclass
class Stock:
    """What the workload knows to be in the registry, to mount it, refer to it and tag it again."""

    repositories: Sequence[str]
    shared_tags: Sequence[str]
    largest: int
    lacks: frozenset[str] = frozenset()
    blobs: dict[str, list[Descriptor]] = field(default_factory=dict)
    manifests: dict[str, list[Manifest]] = field(default_factory=dict)
    popular: list[Content] = field(default_factory=list)

    def add_blob(self, repository: str, content: Content) -> Descriptor:
        """Remember an acknowledged blob."""
        descriptor = Descriptor(LAYER_TYPE, content.digest, content.size)
        self.blobs.setdefault(repository, []).append(descriptor)
        return descriptor

    def add_manifest(self, repository: str, manifest: Manifest) -> None:
        """Remember an acknowledged manifest."""
        self.manifests.setdefault(repository, []).append(manifest)

    def draw_content(self, rng: random.Random) -> Content:
        """Content for a push: mostly new, now and then what another pusher may be pushing at this moment."""
        if self.popular and rng.random() < 0.25:
            return rng.choice(self.popular[-6:])
        content = Content.draw(rng, self.largest)
        self.popular.append(content)
        return content


class Pusher:
    """One client that pushes without a pause, until its connection is lost."""

    def __init__(self, client: Client, ledger: Ledger, stock: Stock, rng: random.Random, name: str) -> None:
        self._client = client
        self._ledger = ledger
        self._stock = stock
        self._rng = rng
        self._name = name
        self._pushes = 0
        self._own_tags = [f"{name}-{i}" for i in range(3)]

    async def push(self) -> None:
        """Do one randomly chosen thing."""
        self._pushes += 1
        offered = {name: weight for name, weight in _WEIGHTS.items() if name not in self._stock.lacks}
        (name,) = self._rng.choices(list(offered), list(offered.values()))
        push: Callable[[], Awaitable[object]] = getattr(self, name)
        await push()

    async def monolithic(self) -> Descriptor:
        """POST with the digest and the whole body."""
        repository, content = self._repository(), self._content()
        return await self._store(repository, content)

    async def single_put(self) -> None:
        """POST, then a PUT with the whole body."""
        session = await self._open(self._repository(), self._content())
        await self._close(session, session.content.data())

    async def chunked(self) -> None:
        """POST, PATCHes with Content-Range, and a PUT that sometimes carries the last chunk."""
        session = await self._open(self._repository(), self._content())
        data = session.content.data()
        size = max(1, len(data) // self._rng.randint(2, 6))
        chunks = [data[i : i + size] for i in range(0, len(data), size)]
        last = chunks.pop() if self._rng.random() < 0.5 else b""
        for chunk in chunks:
            start = session.acknowledged
            await self._append(session, [chunk], {"Content-Range": f"{start}-{start + len(chunk) - 1}"})
        await self._close(session, last)

    async def streamed(self) -> None:
        """POST, one chunked PATCH of unknown length, and an empty PUT: what docker and podman do."""
        session = await self._open(self._repository(), self._content())
        await self._append(session, list(_pieces(session.content.data(), self._rng)), {})
        await self._close(session, b"")

    async def mount(self) -> None:
        """Mount a blob that another repository holds."""
        source, target = self._repository(), self._repository()
        known = self._stock.blobs.get(source)
        if not known:
            return
        blob = self._rng.choice(known)
        operation = self._ledger.begin(BlobStored(target, blob.digest, blob.size))
        await self._change(operation, "POST", f"{_uploads(target)}?mount={blob.digest}&from={source}", b"", {201})
        self._stock.blobs.setdefault(target, []).append(blob)

    async def image(self) -> None:
        """Push a config and layers as needed, then the manifest, by tag or by digest."""
        repository = self._repository()
        config = await self._store(repository, Content.draw(self._rng, 4096))
        known = self._stock.blobs[repository]
        layers = self._rng.sample(known, min(len(known), self._rng.randint(1, 3)))
        if self._rng.random() < 0.5:
            layers.append(await self._store(repository, self._content()))
        config = Descriptor(CONFIG_TYPE, config.digest, config.size)
        await self._put_manifest(repository, image(config, layers, self._note()), tagged=self._rng.random() < 0.7)

    async def index(self) -> None:
        """Push an index of manifests that are there, by tag."""
        repository = self._repository()
        if known := self._stock.manifests.get(repository):
            children = [_descriptor(child) for child in self._rng.sample(known, min(len(known), 2))]
            await self._put_manifest(repository, index(children, self._note()), tagged=True)

    async def referrer(self) -> None:
        """Push an artifact that refers to a manifest that is there, by digest."""
        repository = self._repository()
        if known := self._stock.manifests.get(repository):
            subject = _descriptor(self._rng.choice(known))
            config = self._rng.choice(self._stock.blobs[repository])
            await self._put_manifest(repository, image(config, [], self._note(), subject), tagged=False)

    async def retag(self) -> None:
        """Point a tag, the pusher's own or one that all fight over, at a manifest that is there."""
        repository = self._repository()
        if known := self._stock.manifests.get(repository):
            await self._put_manifest(repository, self._rng.choice(known), tagged=True)

    async def untag(self) -> None:
        """Delete a tag; that it is not there is a good answer too."""
        repository, tag = self._repository(), self._tag()
        operation = self._ledger.begin(TagSet(repository, tag, None))
        answer = await self._change(operation, "DELETE", f"/v2/{repository}/manifests/{tag}", None, {202, 404})
        if answer.status == 404:
            self._ledger.withdraw(operation)

    async def cancel(self) -> None:
        """Open a session, give it some bytes, and delete it."""
        session = await self._open(self._repository(), self._content())
        await self._append(session, [session.content.data()[:1000]], {})
        session.ending = Ending.CANCEL
        await self._ask("DELETE", session.location, None, {204})
        del self._ledger.sessions[session.identifier]

    def _repository(self) -> str:
        return self._rng.choice(self._stock.repositories)

    def _content(self) -> Content:
        return self._stock.draw_content(self._rng)

    def _tag(self) -> str:
        return self._rng.choice([*self._own_tags, *self._stock.shared_tags])

    def _note(self) -> str:
        return f"{self._name}/{self._pushes}/{self._rng.getrandbits(32):x}"

    async def _store(self, repository: str, content: Content) -> Descriptor:
        if "monolithic" in self._stock.lacks:
            return await self._close(await self._open(repository, content), content.data())
        operation = self._ledger.begin(BlobStored(repository, content.digest, content.size))
        target = f"{_uploads(repository)}?digest={content.digest}"
        await self._change(operation, "POST", target, content.data(), {201}, _OCTETS)
        return self._stock.add_blob(repository, content)

    async def _open(self, repository: str, content: Content) -> UploadSession:
        answer = await self._ask("POST", _uploads(repository), b"", {202})
        session = UploadSession(repository, answer.headers["location"], content)
        self._ledger.sessions[session.identifier] = session
        return session

    async def _append(self, session: UploadSession, pieces: Sequence[bytes], headers: Mapping[str, str]) -> None:
        end = session.acknowledged + sum(map(len, pieces))
        body = pieces if not headers else b"".join(pieces)
        answer = await self._ask("PATCH", session.location, body, {202}, {**_OCTETS, **headers})
        if answer.headers["range"] != f"0-{end - 1}":
            raise Unexpected(f"PATCH {session.location}: Range {answer.headers['range']}, expected 0-{end - 1}")
        session.location = answer.headers["location"]
        session.acknowledged = end

    async def _close(self, session: UploadSession, rest: bytes) -> Descriptor:
        content, repository = session.content, session.repository
        session.ending = Ending.COMMIT
        operation = self._ledger.begin(BlobStored(repository, content.digest, content.size))
        target = f"{session.location}{'&' if '?' in session.location else '?'}digest={content.digest}"
        await self._change(operation, "PUT", target, rest, {201}, _OCTETS)
        del self._ledger.sessions[session.identifier]
        return self._stock.add_blob(repository, content)

    async def _put_manifest(self, repository: str, manifest: Manifest, tagged: bool) -> None:
        reference = self._tag() if tagged else manifest.digest
        effects: list[Effect] = [ManifestStored(repository, manifest)]
        if tagged:
            effects.append(TagSet(repository, reference, manifest.digest))
        headers = {"Content-Type": manifest.media_type}
        target = f"/v2/{repository}/manifests/{reference}"
        await self._change(self._ledger.begin(*effects), "PUT", target, manifest.data, {201}, headers)
        self._stock.add_manifest(repository, manifest)

    async def _change(
        self,
        operation: Operation,
        method: str,
        target: str,
        body: Body,
        expected: set[int],
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        answer = await self._ask(method, target, body, expected, headers)
        self._ledger.acknowledge(operation)
        return answer

    async def _ask(
        self, method: str, target: str, body: Body, expected: set[int], headers: Mapping[str, str] | None = None
    ) -> Answer:
        answer = await self._client.request(method, target, body, headers)
        if answer.status not in expected:
            raise Unexpected(f"{method} {target}: {answer}, expected {sorted(expected)}")
        return answer


def _uploads(repository: str) -> str:
    return f"/v2/{repository}/blobs/uploads/"


def _descriptor(manifest: Manifest) -> Descriptor:
    return Descriptor(manifest.media_type, manifest.digest, len(manifest.data))


def _pieces(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """The data in pieces of changing size, as a client that compresses while it sends makes them."""
    start = 0
    while start < len(data):
        end = start + rng.choice((500, 4096, 65_536, 300_000))
        yield data[start:end]
        start = end
