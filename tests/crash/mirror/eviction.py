"""A cache that is far too small, under load, killed again and again while it makes room.

What is checked: it never holds more than its limit; no answer is cut; a kill tears no image apart. So with the
upstreams gone every tag that is still there, and was there with all it needs, can be pulled from what is kept.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from tests.crash.layout import MIRROR, Tree, read_tree
from tests.crash.ledger import BlobKey
from tests.crash.mirror.catalogue import Catalogue, Image, Key
from tests.crash.mirror.disk import FILLS, held_still, is_whole, read_still, torn, used_bytes
from tests.crash.mirror.pulling import Puller, Report, Wrong, pull_all, pull_until
from tests.crash.mirror.server import Mirror
from tests.crash.wire import Client, ConnectionLost

REPOSITORIES = ("library/base", "team/app", "team/app/blobs", "a/b/c/d")
LIMIT = 64 << 20
UPLINK = 200 << 20
_SLACK = 64 << 10
"""Tags and marks are not counted."""
_LARGEST = 5 << 20
_TAGS_PER_PLACE = 6
_CLIENTS = 10
_SAMPLE = 12
_SETTLED_WITHIN = 10.0
_WATCH_SECONDS = 0.05

Note = Callable[[str, list[str]], None]


@dataclass
class Watch:
    """Looks at the disk all the time; the most that was there."""

    root: Path
    pid: int
    cached: int = 0
    with_fills: int = 0
    _stopped: Event = field(default_factory=Event)

    def run(self) -> None:
        """Look until told to stop."""
        while not self._stopped.wait(_WATCH_SECONDS):
            with held_still(self.pid):
                self.cached = max(self.cached, used_bytes(self.root, MIRROR))
                self.with_fills = max(self.with_fills, used_bytes(self.root, FILLS, MIRROR))

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()


@dataclass
class Figures:
    """What the rounds amounted to."""

    pulls: int = 0
    evicted: int = 0
    offline: int = 0
    refused: int = 0
    cached: int = 0
    with_fills: int = 0


class EvictionRounds:
    """A mirror with a small cache and what is known of it."""

    def __init__(self, server: Mirror, catalogue: Catalogue, root: Path) -> None:
        self.figures = Figures()
        self._server = server
        self._catalogue = catalogue
        self._root = root
        self._keys = [(place, f"v{n}") for place in catalogue.places for n in range(_TAGS_PER_PLACE)]
        catalogue.rng.shuffle(self._keys)
        self._weights = [1 / (rank + 1) for rank in range(len(self._keys))]
        for key in self._keys:
            catalogue.put(key)

    async def one(self) -> list[str]:
        """Load and kill, look at the disk, pull with the upstreams gone, pull with them there; what is wrong."""
        before, positions = read_still(self._root, self._server.pid), self._positions()
        watch = Watch(self._root, self._server.pid)
        watching = asyncio.create_task(asyncio.to_thread(watch.run))
        seconds = self._catalogue.rng.uniform(0.5, 2.5)
        load = await pull_until(self._server, self._catalogue, self._choose, seconds, self._server.kill, _CLIENTS)
        watch.stop()
        await watching
        await asyncio.to_thread(self._server.wait)
        after = read_tree(self._root)
        failures = load.failures + after.faults + self._over(watch)
        failures += torn(before, after, self._catalogue, self._fetched(positions))
        self.figures.pulls += load.pulls
        self.figures.evicted += len(before.blobs - after.blobs)
        failures += await self._offline(after)
        return failures + await self._online() + self._server.new_crash_notices()

    def _choose(self) -> Key:
        return self._catalogue.rng.choices(self._keys, self._weights)[0]

    def _over(self, watch: Watch) -> list[str]:
        self.figures.cached = max(self.figures.cached, watch.cached)
        self.figures.with_fills = max(self.figures.with_fills, watch.with_fills)
        most = LIMIT + _SLACK
        kept = [f"{watch.cached} bytes are kept, {watch.cached - LIMIT} more than may be"]
        coming = [f"{watch.with_fills} bytes are kept or on their way, {watch.with_fills - LIMIT} more than may be"]
        return (kept if watch.cached > most else []) + (coming if watch.with_fills > most else [])

    # -- the upstreams gone --

    async def _offline(self, after: Tree) -> list[str]:
        for upstream in self._catalogue.upstreams.values():
            upstream.stop()
        await asyncio.to_thread(self._server.start)
        failures = []
        async with Client(self._server.port) as client:
            puller = Puller(client, self._server, self._catalogue.rng, Report())
            for key in self._keys:
                failures += await self._pull_offline(puller, key, after)
        if (status := await asyncio.to_thread(self._server.stop)) != self._server.stop_status:
            failures.append(f"exit status {status} after SIGTERM")
        for upstream in self._catalogue.upstreams.values():
            upstream.start()
        return [f"upstreams gone: {failure}" for failure in failures]

    async def _pull_offline(self, puller: Puller, key: Key, after: Tree) -> list[str]:
        """A tag that is there whole must be served; any other may be refused, but not cut."""
        place, tag = key
        image = self._image_on_disk(key, after)
        try:
            await puller.pull(key, self._catalogue.tags[key])
            self.figures.offline += 1
        except Wrong as wrong:
            self.figures.refused += 1
            if not wrong.is_refusal:
                return [str(wrong)]
            now = read_still(self._root, self._server.pid)
            if image and is_whole(after, place, image) and self._image_on_disk(key, now) == image:
                return [f"{place.directory}:{tag} is there with all that it needs, and yet: {wrong}"]
        except ConnectionLost as lost:
            return [str(lost)]
        return []

    def _image_on_disk(self, key: Key, tree: Tree) -> Image | None:
        digest = tree.tags.get((key[0].directory, key[1]))
        return next((one for one in self._catalogue.tags[key] if one.manifest.digest == digest), None)

    # -- the upstreams back --

    async def _online(self) -> list[str]:
        await asyncio.to_thread(self._server.start)
        report = Report()
        await pull_all(self._server, self._catalogue, self._catalogue.rng.sample(self._keys, _SAMPLE), report)
        return report.failures + await self._settle()

    async def _settle(self) -> list[str]:
        """What is kept must get below the limit in the end, whatever kills have hidden from the mirror's books."""
        for _ in range(20):
            with held_still(self._server.pid):
                cached = used_bytes(self._root, MIRROR)
            if cached <= LIMIT + _SLACK:
                return []
            await asyncio.sleep(_SETTLED_WITHIN / 20)
        return [f"at rest {cached} bytes are kept, {cached - LIMIT} more than may be"]

    # -- the upstreams' memory --

    def _positions(self) -> dict[str, int]:
        return {host: upstream.position for host, upstream in self._catalogue.upstreams.items()}

    def _fetched(self, positions: dict[str, int]) -> set[BlobKey]:
        """The manifests for which the upstreams have been asked since."""
        asked = {
            (host, one.path)
            for host, position in positions.items()
            for one in self._catalogue.upstreams[host].since(position)
            if one.method == "GET" and one.kind == "manifests"
        }
        found = set()
        for (place, tag), images in self._catalogue.tags.items():
            for image in images:
                for one, name in [(image, tag), *((part, "") for part in (image, *image.children))]:
                    if (place.host, place.path("manifests", name or one.manifest.digest)) in asked:
                        found.add((place.directory, one.manifest.digest))
        return found


async def run(server: Mirror, rng: random.Random, count: int, note: Note) -> None:
    """So many rounds, each noted."""
    if server.tree is None:
        note("eviction", ["this server's layout is unknown"])
        return
    server.limit = f"{LIMIT >> 20}MiB"
    for upstream in server.upstreams.values():
        upstream.set_rate(UPLINK)
    catalogue = Catalogue(server.upstreams, REPOSITORIES, _LARGEST, rng)
    rounds = EvictionRounds(server, catalogue, server.tree)
    server.start()
    for number in range(1, count + 1):
        note(f"eviction, round {number}", await rounds.one())
    figures = rounds.figures
    note("eviction, at the end", [] if figures.evicted else ["nothing was evicted: these rounds prove nothing"])
    total = sum(catalogue.image_at(key).size for key in catalogue.tags) >> 20
    print(
        f"{figures.pulls} pulls of {total} MiB of images through a cache of {LIMIT >> 20}; {figures.evicted} blobs gone"
    )
    print(f"most kept: {figures.cached / (1 << 20):.1f} MiB, with fills {figures.with_fills / (1 << 20):.1f} MiB")
    print(f"upstreams gone: {figures.offline} pulls served, {figures.refused} refused")
