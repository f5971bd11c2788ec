"""Filling the Contents of suites whose packages came before Contents were asked for."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.logger import Logger

from pkgd.packages.aptcontents import Contents, lists_contents
from pkgd.packages.aptindices import is_packages_slot, own_architecture, paths_of
from pkgd.packages.drafts import Draft
from pkgd.packages.leaves import Key
from pkgd.packages.pathlists import PathLists
from pkgd.packages.pool import Pool
from pkgd.packages.publishing import Publisher

__all__ = ["Filling"]

log = Logger()

# So many paths are published at a time; each publish makes the leaves anew in which they are.
_PATHS = 100_000


class Filling:
    """Reads the packages of suites from the pool, one after the other, and lists Contents when all are in them.

    What has been read is kept: after a restart it begins again, and is done soon.
    """

    def __init__(
        self, suites: Sequence[tuple[Contents, Publisher]], lists: PathLists, pool: Pool, most_paths: int = _PATHS
    ) -> None:
        self._suites = suites
        self._lists = lists
        self._pool = pool
        self._most_paths = most_paths
        self._stopping = False

    def resume(self) -> None:
        """Find out which suites are to be filled; once they have been read."""
        for contents, publisher in self._suites:
            contents.resume(publisher.kept.current, publisher.published)

    async def run(self) -> None:
        """Fill what is to be filled.

        :raises Storage, SigningError: then it is to be tried again.
        """
        for contents, publisher in self._suites:
            if self._stopping:
                return
            if not contents.is_complete:
                await self._fill(contents, publisher)
            if contents.is_complete and not lists_contents(publisher.kept.current):
                await publisher.touch()

    def stop(self) -> None:
        """Go no further than the package that is being read."""
        self._stopping = True

    async def _fill(self, contents: Contents, publisher: Publisher) -> None:
        log.info("Contents of {base} are made from the pool", base=publisher.shelf.base)
        batch: list[tuple[str, Key]] = []
        count, paths = 0, 0
        view = publisher.published
        for slot in sorted(filter(is_packages_slot, view.slots)):
            async for key, texts in view.all(slot):
                if self._stopping:
                    return
                if key[2] != own_architecture(slot):
                    continue
                (file,) = paths_of(texts[0])
                async with self._pool.holding([file]):
                    paths += len(await self._lists.read(file))
                batch.append((slot, key))
                if paths >= self._most_paths:
                    await self._publish(publisher, batch)
                    count, batch, paths = count + len(batch), [], 0
        await self._publish(publisher, batch)
        # Whoever publishes from now on lists them.
        contents.is_complete = True
        count += len(batch)
        log.info("Contents of {base} are complete: {count} packages", base=publisher.shelf.base, count=count)

    async def _publish(self, publisher: Publisher, batch: list[tuple[str, Key]]) -> None:
        """Put packages again that are there, which adds their paths."""

        async def change(draft: Draft) -> None:
            for slot, key in batch:
                texts = await draft.find(slot, key)
                if texts is not None:
                    draft.put(slot, key, texts)

        await publisher.submit(change)
