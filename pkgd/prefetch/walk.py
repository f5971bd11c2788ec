"""From images to everything that they consist of, each object fetched once, by a few threads.

The walk itself goes on in the calling thread alone. It hands every idle thread the next object, in the order
of the images; a thread puts into a queue what the walk has to do next, and touches nothing else.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any

from attrs import Factory, define, frozen

from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, Reference
from pkgd.formats.oci import Descriptor
from pkgd.prefetch.images import Image, Platform
from pkgd.prefetch.report import Report, Result
from pkgd.prefetch.source import FetchedManifest, NoServer, NotFetched, Source

__all__ = ["Walk"]

# How deep indexes may nest below the first.
MAX_DEPTH = 8

# Children that are blobs: BuildKit keeps its caches as indexes of layers.
_BLOB_CHILDREN = (
    "application/vnd.oci.image.layer.",
    "application/vnd.docker.image.rootfs.",
    "application/vnd.buildkit.cacheconfig.",
)


@frozen
class _Key:
    """An object: the size is part of a blob's, for two manifests may state it differently."""

    kind: str
    origin: Origin
    reference: Reference
    size: int = 0

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"


@frozen
class _Task:
    """An object to be fetched."""

    key: _Key
    fetch: Callable[[], object]


@define
class _Progress:
    """How far an image has come."""

    image: Image
    number: int
    digest: Digest | None = None
    manifests: int = 0
    blobs: int = 0
    size: int = 0
    is_index: bool = False
    pending: int = 0
    seen: set[_Key] = Factory(set)
    platforms: set[Platform] = Factory(set)
    # In order, and each once.
    errors: dict[str, None] = Factory(dict)
    warnings: dict[str, None] = Factory(dict)

    def fail(self, reason: str) -> None:
        """Note why the image is not complete."""
        self.errors[reason] = None


_Then = Callable[[_Progress, Any], None]


@define
class _Object:
    """An object: who waits for it, or what came of it."""

    waiting: list[tuple[_Progress, _Then]] = Factory(list)
    outcome: Any = None


class Walk:
    """Fetches images.

    :param platforms: which children of indexes are wanted; all if empty.
    :param jobs: how many objects are fetched at the same time.
    :param max_objects: how many objects an image may have.
    """

    def __init__(
        self,
        source: Source,
        report: Report,
        platforms: Sequence[Platform],
        jobs: int,
        max_objects: int = 10_000,
    ) -> None:
        self._source = source
        self._report = report
        self._platforms = platforms
        self._jobs = jobs
        self._max_objects = max_objects
        self._objects: dict[_Key, _Object] = {}
        # A heap: by image, then as it came.
        self._tasks: list[tuple[int, int, _Task]] = []
        self._sequence = itertools.count()
        self._idle = jobs
        self._given: SimpleQueue[_Task | None] = SimpleQueue()
        self._events: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._unfinished = 0
        self._no_server: NoServer | None = None

    def run(self, images: Sequence[Image]) -> None:
        """Fetch all, and report each. Threads that still fetch when this is interrupted do not keep the process."""
        for _ in range(self._jobs):
            Thread(target=self._work, daemon=True).start()
        self._unfinished = len(images)
        for number, image in enumerate(images):
            self._want_manifest(_Progress(image, number), image.reference, 0)
        self._hand_out()
        while self._unfinished:
            self._events.get()()
            self._hand_out()
        for _ in range(self._jobs):
            self._given.put(None)

    def _hand_out(self) -> None:
        while self._idle and self._tasks:
            self._idle -= 1
            self._given.put(heapq.heappop(self._tasks)[2])

    # -- the threads --

    def _work(self) -> None:
        while True:
            task = self._given.get()
            if task is None:
                return
            try:
                outcome: object = task.fetch()
            except Exception as error:
                outcome = error
            self._events.put(partial(self._arrived, task.key, outcome))

    def _blob(self, origin: Origin, blob: Descriptor) -> int:
        return self._source.blob(origin, blob, lambda count: self._events.put(partial(self._report.received, count)))

    # -- the walk --

    def _want_manifest(self, progress: _Progress, reference: Reference, depth: int) -> None:
        origin = progress.image.origin
        key = _Key("manifest", origin, reference)
        self._want(progress, key, partial(self._source.manifest, origin, reference), partial(self._has_manifest, depth))

    def _want_blob(self, progress: _Progress, blob: Descriptor) -> None:
        origin = progress.image.origin
        key = _Key("blob", origin, blob.digest, blob.size)
        if key not in self._objects:
            self._report.planned(blob.size)
        self._want(progress, key, partial(self._blob, origin, blob), self._has_blob)

    def _want(self, progress: _Progress, key: _Key, fetch: Callable[[], object], then: _Then) -> None:
        """Fetch an object if nobody has yet, and go on when it is there."""
        if key in progress.seen:
            return
        if len(progress.seen) >= self._max_objects:
            progress.fail(f"it has more than {self._max_objects} objects")
            return
        progress.seen.add(key)
        progress.pending += 1
        wanted = self._objects.get(key)
        if wanted is None:
            wanted = self._objects[key] = _Object(outcome=self._no_server)
            if wanted.outcome is None:
                heapq.heappush(self._tasks, (progress.number, next(self._sequence), _Task(key, fetch)))
        if wanted.outcome is None:
            wanted.waiting.append((progress, then))
        else:
            self._go_on(progress, key, then, wanted.outcome)

    def _arrived(self, key: _Key, outcome: object) -> None:
        """A thread is done with an object; the rest is left alone if there is no server any more."""
        self._idle += 1
        if isinstance(outcome, Exception) and not isinstance(outcome, NotFetched):
            raise outcome
        if isinstance(outcome, NoServer):
            self._no_server = outcome
            waiting, self._tasks = sorted(self._tasks), []
            for _, _, task in waiting:
                self._settle(task.key, outcome)
        self._settle(key, outcome)

    def _settle(self, key: _Key, outcome: object) -> None:
        """Tell everybody who waits for an object what came of it."""
        wanted = self._objects[key]
        wanted.outcome = outcome
        waiting, wanted.waiting = wanted.waiting, []
        for progress, then in waiting:
            self._go_on(progress, key, then, outcome)

    def _go_on(self, progress: _Progress, key: _Key, then: _Then, outcome: object) -> None:
        if isinstance(outcome, NotFetched):
            progress.fail(f"{key}: {outcome}")
        else:
            then(progress, outcome)
        progress.pending -= 1
        if not progress.pending:
            self._finish(progress)

    def _has_manifest(self, depth: int, progress: _Progress, manifest: FetchedManifest) -> None:
        progress.manifests += 1
        progress.size += manifest.size
        if manifest.warning:
            progress.warnings[manifest.warning] = None
        content = manifest.content
        if not depth:
            progress.digest, progress.is_index = manifest.digest, bool(content.children)
        for child, platform in zip(content.children, manifest.platforms, strict=True):
            if not self._is_wanted(progress, platform):
                continue
            if child.media_type.startswith(_BLOB_CHILDREN):
                self._want_blob(progress, child)
            elif depth < MAX_DEPTH:
                self._want_manifest(progress, child.digest, depth + 1)
            else:
                progress.fail(f"its indexes nest deeper than {MAX_DEPTH}")
        for blob in content.blobs:
            if not blob.is_foreign:
                self._want_blob(progress, blob)

    def _is_wanted(self, progress: _Progress, platform: Platform | None) -> bool:
        """Whether a child is; one that states no platform may be an index, and is for all."""
        if not self._platforms or platform is None:
            return True
        covering = [one for one in self._platforms if one.covers(platform)]
        progress.platforms.update(covering)
        return bool(covering)

    def _has_blob(self, progress: _Progress, size: int) -> None:
        progress.blobs += 1
        progress.size += size

    def _finish(self, progress: _Progress) -> None:
        if progress.is_index and not progress.errors:
            for platform in self._platforms:
                if platform not in progress.platforms:
                    progress.fail(f"it has nothing for {platform}")
        self._unfinished -= 1
        self._report.finished(
            Result(
                str(progress.image),
                None if progress.digest is None else str(progress.digest),
                progress.manifests,
                progress.blobs,
                progress.size,
                tuple(progress.errors),
                tuple(progress.warnings),
            )
        )
