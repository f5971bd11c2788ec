"""Many packages taken out in one generation, each because others of its name stay."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from attrs import frozen

from pkgd.blocking import Blocking
from pkgd.packages.drafts import Draft
from pkgd.packages.leaves import Entry
from pkgd.packages.records import Listed

__all__ = ["Held", "Removal", "Shelves", "removing"]

# So many names are looked up before others get their turn.
_TURN = 20


@frozen
class Held:
    """A package that a repository has, and name and version of its source; those are None where they are not known."""

    listed: Listed
    source: tuple[str, str] | None = None


@frozen
class Removal:
    """Packages of one name, component and architecture: some go, and others stay, which is why those may go."""

    going: Sequence[Listed]
    staying: Sequence[Listed] = ()


class Shelves(Protocol):
    """How packages stand in the drafts of a suite, or of an rpm repository."""

    def slot_of(self, package: Listed) -> str:
        """The index that has a package."""

    def read(self, slot: str, entry: Entry) -> Listed:
        """What an entry of an index says of its package."""

    def take(self, draft: Draft, slot: str, entry: Entry) -> None:
        """Take a package out."""


def removing(
    shelves: Shelves, blocking: Blocking, removals: Sequence[Removal]
) -> Callable[[Draft], Awaitable[Sequence[Listed]]]:
    """The change that takes packages out; its result is those that were.

    What has changed since somebody decided this counts: a package that is not there any more, or has come again with
    other content, is passed over; and where one is missing that was to stay, all of its name stay.
    """

    async def change(draft: Draft) -> Sequence[Listed]:
        gone = list[Listed]()
        for number, one in enumerate(removals):
            if number % _TURN == _TURN - 1:
                await blocking.work(int)
            slot = shelves.slot_of(one.going[0])
            present = {shelves.read(slot, it): it for it in await draft.named(slot, one.going[0].name)}
            if all(it in present for it in one.staying):
                for listed in one.going:
                    if listed in present:
                        shelves.take(draft, slot, present[listed])
                        gone.append(listed)
        return gone

    return change
