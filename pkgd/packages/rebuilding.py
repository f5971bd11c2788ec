"""Rebuilding what a repository publishes: every package is read anew from its pool, everything is written anew.

Nothing may be publishing meanwhile. The new generation becomes visible when its pointer is written, after everything
else; whatever fails before leaves what was there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from attrs import define, field, frozen

from pkgd.blocking import Blocking
from pkgd.errors import Conflict, InvalidPackage, UnknownRepository
from pkgd.packages import layout
from pkgd.packages.building import Builder
from pkgd.packages.composing import Composer
from pkgd.packages.drafts import Draft, Published
from pkgd.packages.generations import Generation, signers_after
from pkgd.packages.indices import Index
from pkgd.packages.poolfiles import DamagedFile, MissingFile, PoolFiles
from pkgd.packages.records import Clock
from pkgd.packages.salvage import Recorded, Records, Vocabulary
from pkgd.packages.shelf import Shelf
from pkgd.progress import Progress
from pkgd.storage.interfaces import ObjectStore

__all__ = ["Kind", "Outcome", "Rebuild", "Target"]

# So many packages are in memory at a time.
_BATCH = 1000


@frozen
class Target:
    """What is rebuilt: a suite, or an rpm repository, whose suite is "". `base` is where its records are."""

    suite: str
    base: str
    composer: Composer


class Kind(Protocol):
    """What apt and rpm repositories differ in."""

    name: str
    directory: str
    # The folder of the pool.
    pool: str
    vocabulary: Vocabulary
    targets: Sequence[Target]
    # Suites that have records but are not configured: their files are theirs.
    strangers: Sequence[str]

    def found(self, path: str) -> Recorded | None:
        """What a file of the pool that no record names may be read as; None if it is a part of something else."""

    async def add(self, target: Target, draft: Draft, package: Recorded) -> Sequence[str]:
        """Read a package from the pool, and add it to a draft; returns its files.

        :raises MissingFile, DamagedFile: if that cannot be done.
        :raises Conflict, UnknownRepository: if it may not be there.
        """


@define
class Outcome:
    """What became of a suite or an rpm repository; `problem` is why nothing was published."""

    suite: str
    generation: int = 0
    packages: int = 0
    is_exact: bool = True
    problem: str = ""
    damaged_records: Sequence[str] = ()
    missing: list[str] = field(factory=list)
    damaged: list[tuple[str, str]] = field(factory=list)
    left_out: list[tuple[str, str]] = field(factory=list)
    adopted: int = 0


class Rebuild:
    """Rebuilds one suite or rpm repository after another, of one repository."""

    def __init__(self, kind: Kind, store: ObjectStore, blocking: Blocking, clock: Clock, progress: Progress) -> None:
        self._kind = kind
        self._store = store
        self._blocking = blocking
        self._clock = clock
        self._progress = progress
        self._files = PoolFiles(kind.directory, store, blocking)

    async def run(self, target: Target, records: Records, adopted: Sequence[Recorded]) -> Outcome:
        """Publish what the records name, and further packages, as far as their files are sound.

        :raises SigningError: if it cannot be signed; then nothing is published.
        :raises Storage: if the machine refuses; then it may be published or not.
        """
        outcome = Outcome(target.suite, is_exact=records.is_exact, damaged_records=records.damage)
        shelf = Shelf(target.base, self._store, self._blocking)
        number = records.newest + 1
        wanted = [*sorted(records.packages.values(), key=_by_name), *sorted(adopted, key=_by_name)]
        self._progress.begin(f"{self._kind.name} {target.suite}".rstrip(), len(wanted))
        building = _Building(shelf, target.composer, number)
        for batch in _batches(wanted):
            draft = building.draft()
            for package in batch:
                await self._add(target, draft, package, outcome, package.path not in records.packages)
                self._progress.advance()
            await building.build(draft)
        await self._publish(building, target, records)
        outcome.generation = number
        outcome.left_out += [(slot, "it cannot be read any more: upload it again") for slot in records.lost]
        for path, _ in outcome.damaged:
            await self._files.set_aside(path)
        await self._tidy(shelf, building.indices, {*records.whole, number})
        return outcome

    async def _add(self, target: Target, draft: Draft, package: Recorded, outcome: Outcome, is_adopted: bool) -> None:
        try:
            await self._kind.add(target, draft, package)
        except MissingFile as error:
            outcome.missing.append(error.path)
        except DamagedFile as error:
            outcome.damaged.append((error.path, error.reason))
        except (Conflict, InvalidPackage, UnknownRepository) as error:
            outcome.left_out.append((package.path, error.message))
        else:
            outcome.packages += 1
            outcome.adopted += is_adopted

    async def _publish(self, building: _Building, target: Target, records: Records) -> None:
        draft = building.draft()
        draft.whole.update(records.documents)
        await building.build(draft)
        number, indices, composer = building.number, building.indices, target.composer
        date = max(int(self._clock.seconds()), records.date)
        composed = await composer.compose(number, date, indices)
        names = {slot: index.name for slot, index in indices.items()}
        signers = signers_after(None, building.vouched, indices)
        files, documents = composed.files, composed.documents
        new = Generation(number, date, composer.marks(), names, files, documents, (), signers)
        await self._store.put_bytes(layout.generation_key(target.base, number), new.encode())
        await self._store.put_bytes(layout.current_key(target.base), json.dumps({"generation": number}).encode())

    async def _tidy(self, shelf: Shelf, indices: Mapping[str, Index], keeping: set[int]) -> None:
        """Remove generations of which something is missing, and all that is named by none that stays."""
        base = shelf.base
        staying = {layout.generation_key(base, number) for number in keeping}
        staying |= _keys(base, indices.values())
        for number in keeping:
            generation = Generation.decode(await shelf.find_json(layout.generation_key(base, number)))
            for name in generation.indices.values():
                staying |= _keys(base, [await shelf.index(name)])
        # The documents first: nothing that is still named is removed.
        for prefix in (layout.generations_prefix(base), layout.indices_prefix(base), layout.leaves_prefix(base)):
            for entry in await self._store.list(prefix):
                if not entry.is_prefix and f"{prefix}/{entry.name}" not in staying:
                    await self._store.delete(f"{prefix}/{entry.name}")


class _Building:
    """The indices of one generation, built batch by batch; each batch is written at once."""

    def __init__(self, shelf: Shelf, composer: Composer, number: int) -> None:
        self.number = number
        self.indices: dict[str, Index] = {}
        self.vouched: list[frozenset[str] | None] = []
        self._shelf = shelf
        self._composer = composer
        self._builder = Builder(shelf)

    def draft(self) -> Draft:
        """Edits on what has been built."""
        return Draft(Published(self._shelf, self.indices, self._composer.shape))

    async def build(self, draft: Draft) -> None:
        """Build and write what a draft makes of it."""
        before = self.indices
        published = Published(self._shelf, self.indices, self._composer.shape)
        self.indices, objects = await self._builder.assemble(self._composer, published, draft, self.number)
        await self._shelf.write(list(objects.items()))
        self._shelf.retire(before, self.indices)
        self.vouched = list(dict.fromkeys([*self.vouched, *draft.vouched]))


def _batches(packages: Sequence[Recorded]) -> Iterator[Sequence[Recorded]]:
    for start in range(0, len(packages), _BATCH):
        yield packages[start : start + _BATCH]


def _by_name(package: Recorded) -> tuple[str, str]:
    """About the order of indices, so that a batch touches few leaves of those before it."""
    return package.path.rpartition("/")[2], package.path


def _keys(base: str, indices: Iterable[Index]) -> set[str]:
    found = set()
    for index in indices:
        found.add(layout.index_key(base, index.name))
        found |= {
            layout.leaf_key(base, part.name, form)
            for leaf in index.leaves
            for part in leaf.parts
            for form in part.forms
        }
    return found
