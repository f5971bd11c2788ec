"""The documents beside the packages of an rpm repository: published whole, and taken out."""

from __future__ import annotations

from collections.abc import Callable

from pkgd.blocking import Blocking
from pkgd.errors import UnknownPackage
from pkgd.packages.drafts import Draft
from pkgd.packages.publishing import Publisher
from pkgd.packages.records import Arrival
from pkgd.packages.rpmextras import EXTRAS, MAX_EXTRA, read_extra
from pkgd.packages.rpmmetadata import extra_slot
from pkgd.packages.staging import Staging
from pkgd.packages.sweeping import Sweeping
from pkgd.sharing import KeyedLock

__all__ = ["RpmDocuments"]


class RpmDocuments:
    """Those of one repository, one of each kind in `EXTRAS` at the most."""

    def __init__(self, publisher: Publisher, staging: Staging, blocking: Blocking, sweeping: Sweeping) -> None:
        """
        :param sweeping: of the repository: runs after each publish.
        """
        self._publisher = publisher
        self._staging = staging
        self._blocking = blocking
        self._sweeping = sweeping
        self._reading = KeyedLock()

    async def put(self, kind: str, arrival: Arrival, permit: Callable[[], None] = lambda: None) -> int:
        """Publish a document whole, in place of the one that is there; returns the generation.

        :param kind: one of `EXTRAS`.
        :param permit: asked if one is there; raises to refuse.
        :raises UnknownPackage: for another kind.
        :raises InvalidPackage: if it is not what it should be.
        """
        if kind not in EXTRAS:
            raise UnknownPackage(kind)

        async def change(draft: Draft) -> None:
            if extra_slot(kind) in self._publisher.published.slots:
                permit()
            draft.whole[extra_slot(kind)] = text

        # Each may be large, and is in memory until it is published: one at a time.
        async with self._reading.holding(""):
            text = await self._blocking.work(read_extra, kind, await self._staging.read(arrival, MAX_EXTRA))
            _, number = await self._publisher.submit(change)
        self._sweeping.soon()
        return number

    async def remove(self, kind: str) -> int:
        """Publish without the document.

        :raises UnknownPackage: if there is none.
        """
        slot = extra_slot(kind)

        async def change(draft: Draft) -> None:
            if slot not in self._publisher.published.slots:
                raise UnknownPackage(kind)
            draft.whole[slot] = None

        _, number = await self._publisher.submit(change, frees=True)
        self._sweeping.soon()
        return number
