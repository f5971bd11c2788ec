"""Asks a restarted server for everything that it promised, over HTTP, as a client would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field

from tests.crash.content import INDEX_TYPE, MANIFEST_TYPE, Manifest, digest_of
from tests.crash.ledger import BlobKey, Promise, TagKey
from tests.crash.wire import Client

_CONNECTIONS = 6
_ACCEPT = {"Accept": f"{MANIFEST_TYPE}, {INDEX_TYPE}"}

Check = Callable[[Client], Coroutine[object, object, None]]


@dataclass
class Inspector:
    """Runs checks over a few connections; counts them and collects what is wrong."""

    port: int
    checks: int = 0
    failures: list[str] = field(default_factory=list)
    seen_tags: dict[TagKey, str | None] = field(default_factory=dict)

    async def inspect(
        self,
        blobs: Mapping[BlobKey, int],
        manifests: Mapping[BlobKey, Manifest],
        tags: Mapping[TagKey, frozenset[str | None]],
    ) -> None:
        """Check that blobs and manifests are there, and that tags hold what they may.

        The tag lists are compared with `seen_tags`, which may have been filled before.
        """
        checks: list[Check] = [self._blob(key, size) for key, size in blobs.items()]
        checks += [self._manifest(key, manifest) for key, manifest in manifests.items()]
        checks += [self._tag(key, permitted) for key, permitted in tags.items()]
        await self.run(checks)
        await self.run(self._tag_list(repository) for repository in {key[0] for key in tags})

    async def inspect_in_flight(self, promise: Promise) -> None:
        """Check that what was in flight is either whole or absent."""
        checks = [self._possible("blobs", key) for key in promise.possible_blobs - promise.blobs.keys()]
        in_flight = promise.possible_manifests.keys() - promise.manifests.keys()
        await self.run(checks + [self._possible("manifests", key) for key in in_flight])

    async def inspect_referrers(self, manifests: Mapping[BlobKey, Manifest]) -> None:
        """Check that every manifest that names a subject is listed as its referrer."""
        referrers: dict[BlobKey, set[str]] = {}
        for (repository, digest), manifest in manifests.items():
            if manifest.subject is not None:
                referrers.setdefault((repository, manifest.subject), set()).add(digest)
        await self.run(self._referrers(key, digests) for key, digests in referrers.items())

    async def run(self, checks: Iterable[Check]) -> None:
        """Run the checks, a few at a time."""
        waiting = iter(checks)

        async def work() -> None:
            async with Client(self.port) as client:
                for check in waiting:
                    self.checks += 1
                    await check(client)

        await asyncio.gather(*(work() for _ in range(_CONNECTIONS)))

    def _blob(self, key: BlobKey, size: int) -> Check:
        async def check(client: Client) -> None:
            answer = await client.request("GET", f"/v2/{key[0]}/blobs/{key[1]}")
            if answer.status != 200 or len(answer.body) != size or digest_of(answer.body) != key[1]:
                self.failures.append(f"blob {key} of {size} bytes: {answer.status}, {len(answer.body)} bytes")

        return check

    def _possible(self, kind: str, key: BlobKey) -> Check:
        async def check(client: Client) -> None:
            answer = await client.request("GET", f"/v2/{key[0]}/{kind}/{key[1]}", headers=_ACCEPT)
            if answer.status != 404 and (answer.status != 200 or digest_of(answer.body) != key[1]):
                self.failures.append(f"{key} of {kind}, in flight: {answer.status}, {len(answer.body)} bytes")

        return check

    def _manifest(self, key: BlobKey, manifest: Manifest) -> Check:
        async def check(client: Client) -> None:
            answer = await client.request("GET", f"/v2/{key[0]}/manifests/{key[1]}", headers=_ACCEPT)
            found = (answer.status, answer.body, answer.headers.get("content-type"))
            if found != (200, manifest.data, manifest.media_type):
                self.failures.append(f"manifest {key}: {answer}")

        return check

    def _tag(self, key: TagKey, permitted: frozenset[str | None]) -> Check:
        async def check(client: Client) -> None:
            answer = await client.request("GET", f"/v2/{key[0]}/manifests/{key[1]}", headers=_ACCEPT)
            value = digest_of(answer.body) if answer.status == 200 else None
            self.seen_tags[key] = value
            if answer.status not in (200, 404) or value not in permitted:
                self.failures.append(f"tag {key}: {answer.status} {value}, permitted {sorted(map(str, permitted))}")

        return check

    def _tag_list(self, repository: str) -> Check:
        async def check(client: Client) -> None:
            answer = await client.request("GET", f"/v2/{repository}/tags/list")
            listed = set(json.loads(answer.body)["tags"] or []) if answer.status == 200 else set()
            present = {tag for (name, tag), value in self.seen_tags.items() if name == repository and value}
            if listed != present:
                self.failures.append(f"tag list of {repository}: {listed ^ present} differ from what tags answer")

        return check

    def _referrers(self, key: BlobKey, digests: set[str]) -> Check:
        async def check(client: Client) -> None:
            answer = await client.request("GET", f"/v2/{key[0]}/referrers/{key[1]}")
            entries = json.loads(answer.body)["manifests"] if answer.status == 200 else []
            if missing := digests - {entry["digest"] for entry in entries}:
                self.failures.append(f"referrers of {key}: {answer.status}, missing {sorted(missing)[:3]}")

        return check
