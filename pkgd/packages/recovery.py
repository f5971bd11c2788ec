"""The rebuild of a whole repository: which records are there, which files nothing names, and what is done about it.

Files that nothing names are what a crash leaves between the placing of a file and its publish; they are left alone,
unless they are to be adopted by a suite, or removed. Where records are damaged they may be packages whose record is
lost; then the suite is not published without a word about them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import define, field, frozen

from pkgd.blocking import Blocking
from pkgd.errors import PkgdError
from pkgd.packages.poolfiles import PoolFiles
from pkgd.packages.rebuilding import Kind, Outcome, Rebuild, Target
from pkgd.packages.records import Clock
from pkgd.packages.salvage import Recorded, Records, read_records
from pkgd.packages.shelf import Shelf
from pkgd.progress import Progress
from pkgd.storage.interfaces import ObjectStore

__all__ = ["Orders", "Recovered", "Recovery", "summary"]

# How old a file that nothing names has to be before it is removed.
GRACE = 24 * 3600


@frozen
class Orders:
    """What to do with files that nothing names: the suites that adopt them ("" for rpm), and whether the rest goes.

    :param modified: when a file, by its key, was last written, in seconds since the epoch.
    """

    adopting: frozenset[str] = frozenset()
    is_discarding: bool = False
    modified: Callable[[str], float] = field(default=lambda key: float("inf"))


@define
class Recovered:
    """What became of a repository."""

    name: str
    outcomes: list[Outcome] = field(factory=list)
    orphans: list[str] = field(factory=list)
    discarded: list[str] = field(factory=list)

    @property
    def is_well(self) -> bool:
        """Whether every suite has been published, and lacks nothing."""
        return not any(one.problem or one.missing or one.damaged or one.left_out for one in self.outcomes)


class Recovery:
    """Rebuilds repositories."""

    def __init__(self, store: ObjectStore, blocking: Blocking, clock: Clock, progress: Progress) -> None:
        self._store = store
        self._blocking = blocking
        self._clock = clock
        self._progress = progress

    async def run(self, kind: Kind, orders: Orders) -> Recovered:
        """Rebuild a repository. What hinders one suite is its outcome's `problem`."""
        recovered = Recovered(kind.name)
        files = PoolFiles(kind.directory, self._store, self._blocking)
        records = {one.suite: await self._read(kind, one.base) for one in kind.targets}
        strangers = [await self._read(kind, base) for base in kind.strangers]
        named = {path for one in (*records.values(), *strangers) for path in one.paths}
        orphans = [path async for path in files.walk(kind.pool) if path not in named]
        loose = [one for one in map(kind.found, orphans) if one is not None]
        rebuild = Rebuild(kind, self._store, self._blocking, self._clock, self._progress)
        for target in kind.targets:
            adopted = loose if target.suite in orders.adopting else []
            outcome = await self._rebuild(rebuild, target, records[target.suite], adopted, bool(loose))
            recovered.outcomes.append(outcome)
        recovered.orphans = await self._left(kind, files, orphans) if orders.adopting else orphans
        if orders.is_discarding and not any(one.problem for one in recovered.outcomes):
            await self._discard(files, recovered, orders)
        return recovered

    async def _read(self, kind: Kind, base: str) -> Records:
        return await read_records(Shelf(base, self._store, self._blocking), kind.vocabulary)

    async def _rebuild(
        self, rebuild: Rebuild, target: Target, records: Records, adopted: Sequence[Recorded], are_loose: bool
    ) -> Outcome:
        outcome = Outcome(target.suite, is_exact=records.is_exact, damaged_records=records.damage)
        if not records.exists and not adopted:
            return outcome  # the next start publishes it, empty
        if not records.is_exact and are_loose and not adopted:
            outcome.problem = "some of its records are lost, and files of the pool that nothing names may belong to it"
            return outcome
        try:
            return await rebuild.run(target, records, adopted)
        except PkgdError as error:
            outcome.problem = f"{error.message} {getattr(error, 'operation', '')}".rstrip()
            return outcome

    async def _left(self, kind: Kind, files: PoolFiles, orphans: Sequence[str]) -> list[str]:
        """Which files nothing names now."""
        records = [await self._read(kind, one.base) for one in kind.targets]
        named = {path for one in records for path in one.paths}
        present = {path async for path in files.walk(kind.pool)}
        return [path for path in orphans if path not in named and path in present]

    async def _discard(self, files: PoolFiles, recovered: Recovered, orders: Orders) -> None:
        staying = []
        for path in recovered.orphans:
            if self._clock.seconds() - orders.modified(files.key(path)) < GRACE:
                staying.append(path)
                continue
            await files.remove(path)
            recovered.discarded.append(path)
        recovered.orphans = staying


def summary(recovered: Recovered) -> Mapping[str, object]:
    """For programs."""
    return {
        "repository": recovered.name,
        "suites": [
            {
                "suite": one.suite,
                "generation": one.generation,
                "packages": one.packages,
                "exact": one.is_exact,
                "problem": one.problem,
                "damaged_records": list(one.damaged_records),
                "missing": one.missing,
                "damaged": [path for path, _ in one.damaged],
                "left_out": [path for path, _ in one.left_out],
                "adopted": one.adopted,
            }
            for one in recovered.outcomes
        ],
        "unnamed": recovered.orphans,
        "discarded": recovered.discarded,
    }
