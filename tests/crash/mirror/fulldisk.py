"""A file system that is full: pulls through the mirror go on, never refused for want of space. Root only.

The state lies on a tmpfs that a filler file fills. At the floor the mirror makes room by eviction; where there is
nothing to evict it lets the bytes through without keeping them.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.crash.layout import MIRROR
from tests.crash.mirror.catalogue import Catalogue, Key
from tests.crash.mirror.disk import fills, held_still, read_still
from tests.crash.mirror.pulling import Report, pull_all, pull_until
from tests.crash.mirror.server import Mirror
from tests.crash.wire import Client

REPOSITORIES = ("library/base", "team/app")
UPLINK = 200 << 20
_DISK = 96 << 20
_FLOOR = 16 << 20
_LAYER = 6 << 20
_HUGE_LAYER = 160 << 20
_NOTICED = 1.2
"""The daemon believes a reading of the free space for a second."""
_KEPT_WITHIN = 3.0
_CLIENTS = 8

Note = Callable[[str, list[str]], None]


class FullDisk:
    """The steps, in their order: each finds the disk as the one before left it."""

    def __init__(self, server: Mirror, catalogue: Catalogue, tree: Path) -> None:
        self._server = server
        self._catalogue = catalogue
        self._tree = tree
        self._filler = server.state / "filler"
        self._count = 0

    def steps(self) -> Iterator[tuple[str, Callable[[], Awaitable[list[str]]]]]:
        """Each step's title, and what it does, which returns what is wrong."""
        yield "at the floor room is made for what is new", self.evicts_first
        yield "load at the floor", self.serves_under_load
        yield "with nothing to evict, content passes through", self.passes_through
        yield "not a byte is free", self.serves_without_a_byte
        yield "a start without a byte free", self.starts_without_a_byte
        yield "a layer larger than the disk", self.passes_what_is_too_large
        yield "room again", self.keeps_again

    async def evicts_first(self) -> list[str]:
        """The least recently used goes, the new is kept, and the floor stays free."""
        old = [self._new_key() for _ in range(4)]
        failures = []
        for key in old:
            failures += await self._pull([key])
        new = self._new_key()
        await self._leave_free(_FLOOR + _LAYER // 3)
        failures += await self._pull([new])
        failures += [] if await self._becomes(lambda: self._is_kept(new)) else ["the new image is not kept"]
        if self._is_kept(old[0]):
            failures.append("the image used least recently is still kept")
        if (free := self._free()) < _FLOOR - (1 << 20):
            failures.append(f"{free} bytes are free, the floor is {_FLOOR}")
        return failures

    async def serves_under_load(self) -> list[str]:
        """Far more content than there is room for, for some seconds."""
        keys = [self._new_key() for _ in range(24)]
        rng = self._catalogue.rng
        report = await pull_until(self._server, self._catalogue, lambda: rng.choice(keys), 4.0, lambda: None, _CLIENTS)
        return report.failures if report.pulls else [*report.failures, "no pull came to its end"]

    async def passes_through(self) -> list[str]:
        """An empty cache below the floor: everybody is served, nothing is kept, pushes are refused."""
        await self._start_empty()
        await self._leave_free(_FLOOR - (4 << 20))
        failures = await self._refuses_pushes()
        keys = [self._new_key() for _ in range(4)]
        failures += await self._pull([*keys, *[keys[0]] * 6])
        return failures + await self._nothing_kept()

    async def serves_without_a_byte(self) -> list[str]:
        """The same on a disk that takes nothing at all."""
        await self._leave_free(0)
        keys = [self._new_key() for _ in range(6)]
        return await self._pull([*keys, *keys]) + await self._nothing_kept()

    async def starts_without_a_byte(self) -> list[str]:
        """A kill, and a start on the full disk."""
        self._server.kill()
        self._server.wait()
        await asyncio.to_thread(self._server.start)
        return await self._pull([self._new_key() for _ in range(4)]) + await self._nothing_kept()

    async def passes_what_is_too_large(self) -> list[str]:
        """There is some room, but never enough."""
        await self._leave_free(_FLOOR + _LAYER)
        key = self._new_key(_HUGE_LAYER)
        return await self._pull([key, key]) + await self._nothing_kept()

    async def keeps_again(self) -> list[str]:
        """Once there is room, what is pulled is kept, as before."""
        await self._leave_free(_DISK)
        key = self._new_key()
        failures = await self._pull([key])
        return failures if await self._becomes(lambda: self._is_kept(key)) else [*failures, "it is not kept"]

    # -- the disk --

    async def _leave_free(self, size: int) -> None:
        """Write or shorten the filler so that just so much is free, and let the daemon notice."""
        with suppress(FileNotFoundError):
            self._filler.unlink()
        if (amount := self._free() - size) > 0:
            with self._filler.open("wb") as filler:
                os.posix_fallocate(filler.fileno(), 0, amount)
        await asyncio.sleep(_NOTICED)

    def _free(self) -> int:
        status = os.statvfs(self._server.state)
        return status.f_bavail * status.f_frsize

    async def _start_empty(self) -> None:
        await asyncio.to_thread(self._server.stop)
        for path in self._server.state.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        await asyncio.to_thread(self._server.start)

    def _is_kept(self, key: Key) -> bool:
        place, blobs = key[0], self._catalogue.image_at(key).blobs
        return read_still(self._tree, self._server.pid).blobs.issuperset(
            (place.directory, blob.digest) for blob in blobs
        )

    async def _nothing_kept(self) -> list[str]:
        await self._becomes(lambda: not fills(self._tree))
        left = len(fills(self._tree))
        with held_still(self._server.pid):
            blobs = [path for path in (self._tree / MIRROR).rglob("blobs/*") if path.is_file()]
            kept = sum(path.stat().st_size >= _LAYER for path in blobs)
        return [f"{kept} layers are kept, {left} files are left in the spool"] if kept or left else []

    async def _becomes(self, condition: Callable[[], bool]) -> bool:
        for _ in range(30):
            if condition():
                return True
            await asyncio.sleep(_KEPT_WITHIN / 30)
        return False

    # -- clients --

    def _new_key(self, size: int = _LAYER) -> Key:
        """A tag that stands for a new image of one layer."""
        self._count += 1
        key = (self._catalogue.rng.choice(self._catalogue.places), f"v{self._count}")
        self._catalogue.put(key, [self._catalogue.content(size)])
        return key

    async def _pull(self, keys: Iterable[Key]) -> list[str]:
        report = Report()
        await pull_all(self._server, self._catalogue, keys, report)
        return report.failures

    async def _refuses_pushes(self) -> list[str]:
        """The proof that the floor has been reached."""
        async with Client(self._server.port) as client:
            answer = await client.request("POST", "/v2/own/app/blobs/uploads/", b"")
        return [] if answer.status == 507 else [f"a push below the floor is answered {answer}"]


async def run(server: Mirror, rng: random.Random, note: Note) -> None:
    """Every step, noted; one that needs a server which has ended takes the others with it."""
    if server.tree is None:
        note("disk", ["this server's layout is unknown"])
        return
    server.min_free = f"{_FLOOR >> 20}MiB"
    for upstream in server.upstreams.values():
        upstream.set_rate(UPLINK)
    with _tmpfs(server.state):
        try:
            server.start()
            disk = FullDisk(server, Catalogue(server.upstreams, REPOSITORIES, _LAYER, rng), server.tree)
            for title, step in disk.steps():
                note(f"disk, {title}", await step() + server.new_crash_notices())
        finally:
            if server.is_running():
                server.stop()


@contextmanager
def _tmpfs(directory: Path) -> Iterator[None]:
    """Mount a small tmpfs for the length of a block.

    :raises subprocess.CalledProcessError: if this is not root.
    """
    directory.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK},mode=700", "tmpfs", str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=False)
