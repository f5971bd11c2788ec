"""Generations that need not be kept any more, and those that a crash left half-written: what only they name is removed.

What a generation drops never comes back, so that each is compared with the one after it alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pkgd.packages import layout
from pkgd.packages.generations import Generation, Gone, Kept
from pkgd.packages.records import Timers
from pkgd.packages.shelf import Shelf

__all__ = ["remove_superseded", "remove_unfinished"]


async def remove_superseded(
    shelf: Shelf, kept: Kept, clock: Timers, discard: Callable[[Gone], Awaitable[None]]
) -> None:
    """Remove generations that need not be kept any more, and what only they name; a few at a time.

    :param discard: removes the files of a package that nothing names any more.
    :raises Storage: if the machine refuses; what is left then is found after a restart.
    """
    await kept.complete()
    while (pair := kept.expired(clock.seconds())) is not None:
        oldest, following = [await kept.get(number) for number in pair]
        # First, so that nobody is promised a file that goes. What a failure leaves is found after a restart.
        kept.drop(pair[0], oldest)
        if oldest is not None and following is not None:
            for gone in following.gone:
                await discard(gone)
            await _remove_difference(shelf, oldest, following)
            await shelf.store.delete(layout.generation_key(shelf.base, oldest.number))


async def remove_unfinished(shelf: Shelf, following: int) -> None:
    """Remove what a crash left of generations that have never become the current one.

    :param following: the number of the next one.
    :raises Storage: if the machine refuses.
    """
    base = shelf.base
    for prefix in (layout.generations_prefix(base), layout.indices_prefix(base), layout.leaves_prefix(base)):
        for entry in await shelf.store.list(prefix):
            number = entry.name.partition("-")[0]
            if number.isdigit() and int(number) >= following:
                await shelf.store.delete(f"{prefix}/{entry.name}")


async def _remove_difference(shelf: Shelf, oldest: Generation, following: Generation) -> None:
    """Remove what the one names and the other doesn't."""
    staying = set(following.indices.values())
    leaving = set(oldest.indices.values()) - staying
    if not leaving:
        return
    needed = {name for one in staying for name in await _files_of(shelf, one)}
    for index in sorted(leaving):
        for name, form in await _files_of(shelf, index) - needed:
            await shelf.store.delete(layout.leaf_key(shelf.base, name, form))
        await shelf.store.delete(layout.index_key(shelf.base, index))


async def _files_of(shelf: Shelf, index: str) -> set[tuple[str, str]]:
    found = await shelf.find_index(index)
    leaves = found.leaves if found else ()
    return {(part.name, form) for leaf in leaves for part in leaf.parts for form in part.forms}
