"""The upstream is unplugged: all that was ever pulled keeps pulling."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

from tests.upstream.bench import (
    Bench,
    Case,
    blob_path,
    expect,
    host_of,
    manifest_path,
    pull,
    pull_right,
    referrers_path,
    require,
)
from tests.upstream.content import REPOSITORY, TAG, Image
from tests.upstream.mirror import Mirror
from tests.upstream.scripted import Upstream
from tests.upstream.verdict import listed

_HOST = host_of("unplugged")
_BACK_WITHIN = 20.0
"""An upstream that has failed again and again is left alone for a while."""
_TAGS = (TAG, "v1", "v1.2")


async def cases(bench: Bench) -> AsyncIterator[Case]:
    """One upstream with several tags, unplugged after everything has been pulled once; then the mirror restarts."""
    shelf = bench.image.shelf()
    for tag in _TAGS:
        shelf = shelf.tagged(tag, bench.image.index.digest)
    async with (
        bench.upstream(**{REPOSITORY: shelf}) as upstream,
        bench.mirror({"registries": bench.registries(unplugged=upstream)}, "unplugged") as mirror,
    ):
        for case in Unplugged(mirror, upstream, bench.image).cases():
            yield case


class Unplugged:
    """The cases, each on what the one before has left."""

    def __init__(self, mirror: Mirror, upstream: Upstream, image: Image) -> None:
        self._mirror = mirror
        self._upstream = upstream
        self._image = image

    def cases(self) -> Sequence[Case]:
        """All of them."""
        return (
            Case("everything is pulled once", lambda: self._everything(stale=False)),
            Case("unplugged, all of it keeps pulling, tags with a Warning", self._unplugged),
            Case("unplugged, what was never pulled is refused", self._new),
            Case("unplugged, the mirror restarts, and all of it keeps pulling", self._restarted),
            Case("plugged in again, tags are confirmed", self._plugged),
        )

    async def _everything(self, stale: bool) -> None:
        image = self._image
        for tag in _TAGS:
            answer = await pull_right(self._mirror, manifest_path(tag, _HOST), image.index.data)
            expect(f"{tag} has a Warning 299", answer.is_stale, stale)
            expect(f"OCI-Namespace of {tag}", answer.value("oci-namespace"), _HOST)
        for manifest in (image.index, image.manifest):
            answer = await pull_right(self._mirror, manifest_path(manifest.digest, _HOST), manifest.data)
            expect(f"{manifest.digest} has a Warning", answer.is_stale, False)
        for digest, data in image.shelf().blobs.items():
            await pull_right(self._mirror, blob_path(digest, _HOST), data)
        answer = await pull(self._mirror, referrers_path(image.index.digest, _HOST))
        expect(f"referrers ({answer})", listed(answer.body), [image.signature.digest])
        expect("the list of referrers has a Warning 299", answer.is_stale, stale)
        head = await pull(self._mirror, manifest_path(TAG, _HOST), "HEAD")
        require(f"HEAD of a tag: {head}", head.status == 200 and head.is_stale == stale)

    async def _unplugged(self) -> None:
        await self._upstream.close()
        await self._everything(stale=True)

    async def _new(self) -> None:
        answer = await pull(self._mirror, manifest_path("never-pulled", _HOST))
        expect(f"status ({answer})", (answer.status, answer.code), (502, "UNAVAILABLE"))

    async def _restarted(self) -> None:
        expect("exit status", await asyncio.to_thread(self._mirror.stop), 0)
        await asyncio.to_thread(self._mirror.start)
        await self._everything(stale=True)

    async def _plugged(self) -> None:
        await self._upstream.open()
        end = time.monotonic() + _BACK_WITHIN
        while (await pull_right(self._mirror, manifest_path(TAG, _HOST), self._image.index.data)).is_stale:
            require(f"still stale {_BACK_WITHIN:.0f} s after the upstream is back", time.monotonic() < end)
            await asyncio.sleep(0.5)
