"""Publishing: changes are collected, built, signed, written, and become visible in one flip of a pointer.

Whoever waits for a change is answered when the generation that contains it is durable. A publish begins as soon as
the one before it has ended, with all that has come in meanwhile (group commit), or is about to (`gathering`). The
order is: build and sign, in memory; then leaves and indices; then the generation; then the pointer. Until the pointer
is written nobody sees anything, and whatever fails before leaves the published generation as it was.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from itertools import accumulate
from typing import Any, Protocol, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pkgd.errors import NotReady, PkgdError, Storage
from pkgd.packages import layout
from pkgd.packages.building import Builder
from pkgd.packages.composing import Composer
from pkgd.packages.drafts import Draft, Published
from pkgd.packages.gathering import Gathering
from pkgd.packages.generations import Generation, Gone, Kept, signers_after
from pkgd.packages.records import Timers, Window
from pkgd.packages.shelf import Shelf
from pkgd.packages.superseded import remove_superseded, remove_unfinished
from pkgd.sharing import Tasks
from pkgd.storage.reserve import Reserve

__all__ = ["Publisher", "Told", "Untold"]

log = Logger()

T = TypeVar("T")
Change = Callable[[Draft], Awaitable[Any]]

# What weighs more than that together waits for the next publish.
_MOST_WEIGHT = 1000


class Told(Protocol):
    """Who is told what becomes of publishes; times in seconds, `at` since the epoch."""

    def found(self, at: float) -> None:
        """What is published was so then, or before."""

    def published(self, at: float, seconds: float) -> None:
        """A generation has been published, and making it has taken so long."""

    def failed(self) -> None:
        """Nothing came of a publish."""


class Untold:
    """Where nobody wants to know."""

    def found(self, at: float) -> None:
        """See `Told`."""

    def published(self, at: float, seconds: float) -> None:
        """See `Told`."""

    def failed(self) -> None:
        """See `Told`."""


@frozen
class _Waiting:
    """A change that waits for its publish."""

    change: Change
    answer: Deferred[Any]
    weight: int
    frees: bool


class Publisher:
    """Publishes one suite, or one rpm repository.

    :param reserve: given up where there is no space to publish that something is taken out.
    """

    def __init__(
        self,
        shelf: Shelf,
        composer: Composer,
        clock: Timers,
        window: Window,
        reserve: Reserve,
        told: Told | None = None,
    ) -> None:
        self.shelf = shelf
        self.composer = composer
        self.kept = Kept(shelf, window)
        self.published = Published(shelf, {}, composer.shape)
        self._clock = clock
        self._told = told or Untold()
        self._window = window
        self._reserve = reserve
        self._builder = Builder(shelf)
        self.gathering = Gathering(clock)
        self._next = 1
        self._pending: list[_Waiting] = []
        self._running = False
        self.is_loaded = False
        self._coming: tuple[Composer, Window] | None = None
        self._tasks = Tasks()

    async def load(self) -> None:
        """Read what is published, and remove what a crash left half-written. Before anything else, until it succeeds.

        :raises Storage: if it cannot be read.
        """
        if self.is_loaded:
            return
        self.kept = Kept(self.shelf, self._window)
        await self.kept.load()
        current = self.kept.current
        if current is not None:
            indices = {slot: await self.shelf.index(name) for slot, name in current.indices.items()}
            self.published = Published(self.shelf, indices, self.composer.shape)
            self._next = current.number + 1
        try:
            await remove_unfinished(self.shelf, self._next)
        except Storage as error:
            # They are in nobody's way, and a storage that cannot be written can still be read.
            log.warn("what was left half-published in {base} stays: {reason}", base=self.shelf.base, reason=error)
        self.is_loaded = True

    def check_loaded(self) -> None:
        """Refuse to go on as if nothing were published.

        :raises NotReady: if what is published has not been read.
        """
        if not self.is_loaded:
            raise NotReady

    async def ensure(self) -> None:
        """Publish if nothing is published yet, or not what the settings and keys say now.

        :raises SigningError: if it cannot be signed.
        """
        current = self.kept.current
        if current is not None:
            self._told.found(current.date)
        composer = self.composer if self._coming is None else self._coming[0]
        if current is None or current.marks != composer.marks():
            await self.touch()

    def adopt(self, composer: Composer, window: Window) -> None:
        """Publish like this from now on: a publish that is under way ends as it has begun. `ensure` publishes anew."""
        self._coming = (composer, window)
        if not self._running:
            self._change()

    def _change(self) -> None:
        if self._coming is None:
            return
        (self.composer, self._window), self._coming = self._coming, None
        self.kept.window = self._window
        self.published = Published(self.shelf, self.published.indices, self.composer.shape)

    async def submit(
        self,
        change: Callable[[Draft], Awaitable[T]],
        weight: int = 1,
        arrived: Callable[[], None] = lambda: None,
        frees: bool = False,
    ) -> tuple[T, int]:
        """Have a change published: its result, and the generation that contains it.

        :param change: edits the draft it is given; if it raises, nothing of it is published.
        :param weight: how many packages of the usual size it is worth.
        :param arrived: called as soon as it is sure of a place in a publish.
        :param frees: it takes something out, so that it may have the reserve where there is no space.
        :raises SigningError, Storage: if the publish fails.
        :raises NotReady: if what is published has not been read, and would be lost.
        """
        self.check_loaded()
        waiting: Deferred[tuple[T, int]] = Deferred()
        self._pending.append(_Waiting(change, waiting, weight, frees))
        arrived()
        if not self._running:
            self._running = True
            self._tasks.start("publishing", self._run())
        return await waiting

    async def touch(self) -> None:
        """Publish anew what is published.

        :raises PkgdError: as `submit`.
        """

        async def change(draft: Draft) -> None:
            draft.touch()

        await self.submit(change)

    async def finished(self) -> None:
        """Wait until nothing is being published."""
        await self._tasks.finished()

    async def sweep(self, discard: Callable[[Gone], Awaitable[None]]) -> None:
        """Remove generations that need not be kept any more, and what only they name.

        :param discard: removes the files of a package that nothing names any more.
        """
        await remove_superseded(self.shelf, self.kept, self._clock, discard)

    # -- one publish after the other --

    async def _run(self) -> None:
        try:
            while self._pending:
                await self.gathering.complete()
                self._change()
                weights = accumulate(one.weight for one in self._pending)
                count = max(1, sum(weight <= _MOST_WEIGHT for weight in weights))
                batch, self._pending = self._pending[:count], self._pending[count:]
                await self._publish(batch)
        finally:
            self._running = False
            self._change()

    async def _publish(self, batch: list[_Waiting]) -> None:
        """Publish a batch, and answer everybody in it."""
        draft = Draft(self.published)
        accepted: list[tuple[Any, Deferred[Any]]] = []
        for one in batch:
            own = Draft(draft)
            try:
                result = await one.change(own)
            except Exception:
                one.answer.errback(Failure())
            else:
                own.commit()
                accepted.append((result, one.answer))
        try:
            if not draft.is_empty:
                began = self._clock.seconds()
                if any(one.frees for one in batch):
                    await self._reserve.freeing(self.shelf.blocking, lambda: self._flip(draft))
                else:
                    await self._flip(draft)
                ended = self._clock.seconds()
                self._told.published(ended, ended - began)
        except Exception as error:
            self._told.failed()
            if isinstance(error, PkgdError):
                log.warn("nothing was published in {base}: {reason}", base=self.shelf.base, reason=error)
            for _, waiting in accepted:
                waiting.errback(Failure())
            return
        for result, waiting in accepted:
            waiting.callback((result, self.kept.current.number if self.kept.current else 0))

    async def _flip(self, draft: Draft) -> None:
        number, self._next = self._next, self._next + 1
        indices, objects = await self._builder.assemble(self.composer, self.published, draft, number)
        current = self.kept.current
        date = max(int(self._clock.seconds()), current.date if current else 0)
        try:
            composed = await self.composer.compose(number, date, indices)
            names = {slot: index.name for slot, index in indices.items()}
            marks = self.composer.marks()
            signers = signers_after(current, draft.vouched, indices)
            new = Generation(number, date, marks, names, composed.files, composed.documents, tuple(draft.gone), signers)
            await self._write(new, objects)
        except Exception:
            self.shelf.retire(indices, self.published.indices)
            raise
        before, self.published = self.published, Published(self.shelf, indices, self.composer.shape)
        self.kept.add(new)
        self.shelf.retire(before.indices, indices)

    async def _write(self, new: Generation, objects: Mapping[str, bytes]) -> None:
        base = self.shelf.base
        document = layout.generation_key(base, new.number)
        try:
            await self.shelf.write(list(objects.items()))
            await self.shelf.store.put_bytes(document, new.encode())
        except Exception:
            for key in (document, *objects):
                with suppress(Storage):
                    await self.shelf.store.delete(key)
            raise
        # If this fails, it may yet be what a restart finds: whole, and with all that was acknowledged.
        pointer = json.dumps({"generation": new.number}).encode()
        await self.shelf.store.put_bytes(layout.current_key(base), pointer)
