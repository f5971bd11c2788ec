"""A state, or a backup, is looked through: does everything lead to what it names, and is everything what its hash says?

Beside a running daemon much changes between two looks. So whatever finds a problem looks again, and what is found each
time is one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping

from attrs import field, frozen

from pkgd.backup.copying import hash_of
from pkgd.backup.imagecheck import image_problems
from pkgd.backup.inventory import Inventory
from pkgd.backup.packagecheck import KnownKeys, package_problems
from pkgd.backup.packages import repositories
from pkgd.backup.places import ACCOUNTS, INDEX, OBJECTS, Places, repository_places
from pkgd.errors import FailedStorage
from pkgd.progress import Progress
from pkgd.state.integrity import BUSY_SECONDS, InUse, database_problem
from pkgd.storage.fsops import storage_errors

__all__ = ["Findings", "Hashes", "check_backup", "check_state"]

_SIGNED_ELSEWHERE = "not all signatures could be checked: keys are elsewhere"
# How often something has to be found to be a problem.
_LOOKS = 3


@frozen
class Findings:
    """What was found: how much was looked through, what is wrong (where, and what), and what could not be checked."""

    repositories: int
    suites: int
    files: int
    problems: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


class Hashes:
    """SHA-256 and other hashes of files, each file read once, however many names it has."""

    def __init__(self, places: Places, progress: Progress, known: Mapping[str, str]) -> None:
        """
        :param known: SHA-256 by name, of files that have been read.
        """
        self._places = places
        self._progress = progress
        self._known = known
        self._found: dict[tuple[int, int, int, int, str], str] = {}

    @property
    def count(self) -> int:
        """How many files have been read."""
        return len(self._found) + len(self._known)

    def of(self, name: str, algorithm: str = "sha256") -> str | None:
        """A file's hash in hex, or None if there is none.

        :raises Storage: if it cannot be read.
        """
        if algorithm == "sha256" and name in self._known:
            return self._known[name]
        path = self._places.path(name)
        with storage_errors():
            try:
                found = os.stat(path)
                key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, algorithm)
                if key not in self._found:
                    self._found[key] = hash_of(path, algorithm)
                    self._progress.advance(found.st_size)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None
        return self._found[key]


@frozen
class _Looking:
    places: Places
    hashes: Hashes
    keys: KnownKeys
    is_sparse: Callable[[str], bool] = field(repr=False)
    databases: Collection[str] = ()

    def run(self) -> Findings:
        """Look at everything."""
        problems, images, suites = list[tuple[str, str]](), 0, 0
        for place in repository_places(self.places):
            images += 1
            problems += _persisting(lambda place=place: self._images(place))  # type: ignore[misc]
        for repository in repositories(self.places):
            for base in repository.bases:
                suites += 1
                problems += _persisting(
                    lambda base=base, one=repository: package_problems(  # type: ignore[misc]
                        self.places, one, base, self.hashes, self.keys
                    )
                )
        notes = [] if self.keys.is_complete or not suites else [_SIGNED_ELSEWHERE]
        for name in filter(self.places.is_there, self.databases):
            # A daemon has the index for itself as long as it runs.
            patience = 0.0 if name == INDEX else BUSY_SECONDS
            try:
                problem = database_problem(self.places.path(name), patience)
            except InUse:
                notes.append(f"{name} has not been checked: it is in use")
            else:
                problems += [(name, problem)] if problem else []
        return Findings(images, suites, self.hashes.count, tuple(problems), tuple(notes))

    def _images(self, place: str) -> Iterator[tuple[str, str]]:
        sparse = self.is_sparse(place.removeprefix(f"{OBJECTS}/"))
        return image_problems(self.places, place, sparse, self.hashes)


def check_state(places: Places, keys: KnownKeys, is_sparse: Callable[[str], bool], progress: Progress) -> Findings:
    """Look through a state, also while a daemon runs on it.

    :param is_sparse: whether a place's manifests may name blobs that are not there.
    :raises Storage: if something cannot be read.
    """
    progress.begin("verify", 0)
    return _Looking(places, Hashes(places, progress, {}), keys, is_sparse, (ACCOUNTS, INDEX)).run()


def check_backup(directory: str, keys: KnownKeys, is_sparse: Callable[[str], bool], progress: Progress) -> Findings:
    """Look through a backup: every file is what the inventory says, and they are a whole state.

    :raises ConfigError: if it is no whole backup.
    :raises Storage: if something cannot be read.
    """
    inventory, places = Inventory.read(directory), Places.of_backup(directory)
    progress.begin("verify", sum(one.size for one in inventory.entries.values()))
    hashes, known, problems = Hashes(places, progress, {}), dict[str, str](), list[tuple[str, str]]()
    for name, entry in inventory.entries.items():
        found = hashes.of(name)
        if found is None:
            problems.append((name, "it is missing"))
            continue
        known[name] = found
        if found != entry.sha256:
            problems.append((name, "it is not what the inventory says"))
    looking = _Looking(places, Hashes(places, progress, known), keys, is_sparse, (ACCOUNTS,)).run()
    notes = looking.notes if inventory.header.with_keys else ("without keys: signatures have not been checked",)
    everything = tuple(dict.fromkeys([*problems, *looking.problems]))
    return Findings(looking.repositories, looking.suites, len(inventory.entries), everything, notes)


def _persisting(look: Callable[[], Iterator[tuple[str, str]]]) -> list[tuple[str, str]]:
    """What is found each time."""
    found = dict.fromkeys(_seen(look))
    for _ in range(_LOOKS - 1):
        if found:
            again = set(_seen(look))
            found = {one: None for one in found if one in again}
    return list(found)


def _seen(look: Callable[[], Iterator[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
    try:
        yield from look()
    except FailedStorage as error:
        yield "", f"{error.message} {error.operation}".rstrip()
