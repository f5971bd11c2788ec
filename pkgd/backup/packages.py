"""A package repository into the backup, beside those who publish and those who sweep.

Of each suite (or rpm repository): the pointer first, then the generations up to the one that it names with their
indices and leaves, then the pool. A kept generation of which something has been swept meanwhile stays out of the
backup; where that has happened to the current one, the pointer has moved, and all is looked at again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from attrs import field, frozen

from pkgd.backup.copying import Copier
from pkgd.backup.places import Places
from pkgd.errors import FailedStorage
from pkgd.packages import layout
from pkgd.packages.aptrebuild import AptVocabulary
from pkgd.packages.forms import expand
from pkgd.packages.generations import Generation
from pkgd.packages.indices import Index, read_index
from pkgd.packages.rpmrebuild import RpmVocabulary
from pkgd.packages.salvage import Vocabulary

__all__ = ["PackagesCopy", "Repository", "repositories"]

_ROUNDS = 16
_RECORDS = frozenset(["generations", "indices", "leaves"])


@frozen
class Repository:
    """An apt or rpm repository as it lies on disk: its directory, those of its suites, and the folders of its files."""

    name: str
    directory: str
    bases: tuple[str, ...]
    pools: tuple[str, ...]
    vocabulary: Vocabulary = field(repr=False)


def repositories(places: Places) -> Iterator[Repository]:
    """Every package repository of a state, configured or not."""
    for name, is_directory in places.names("apt"):
        directory = layout.apt_directory(name)
        if is_directory and not name.startswith(("=", ".")):
            bases = [f"{directory}/suites/{one}" for one, is_suite in places.names(f"{directory}/suites") if is_suite]
            yield Repository(f"apt:{name}", directory, tuple(bases), ("pool", "paths"), AptVocabulary())
    for directory in _rpm_directories(places, "rpm"):
        name = "/".join(part.removeprefix("=") for part in directory.split("/")[1:])
        yield Repository(f"rpm:{name}", directory, (directory,), ("Packages",), RpmVocabulary())


def _rpm_directories(places: Places, above: str) -> Iterator[str]:
    for name, is_directory in places.names(above):
        if not is_directory or name in _RECORDS or name == "Packages" or name.startswith((".", "=damaged")):
            continue
        directory = f"{above}/{name}"
        if not {"current", "generations", "Packages"}.isdisjoint(one for one, _ in places.names(directory)):
            yield directory
        yield from _rpm_directories(places, directory)


class PackagesCopy:
    """Copies one repository. `lacking` is what is published without being there."""

    def __init__(self, copier: Copier, repository: Repository) -> None:
        self.lacking: set[tuple[str, str]] = set()
        self._copier = copier
        self._repository = repository
        self._suites = [_SuiteCopy(copier, base, repository) for base in repository.bases]

    def run(self) -> None:
        """Copy it.

        :raises OSError: if a file cannot be read, or written.
        """
        for suite in self._suites:
            suite.copy_records()
        for pool in self._repository.pools:
            for file in self._copier.source.walk(f"{self._repository.directory}/{pool}"):
                self._copier.copy(file)
        for suite in self._suites:
            suite.copy_files()
            self.lacking |= suite.lacking


class _SuiteCopy:
    """What is published of one suite."""

    def __init__(self, copier: Copier, base: str, repository: Repository) -> None:
        self.lacking: set[tuple[str, str]] = set()
        self._copier = copier
        self._base = base
        self._directory = repository.directory
        self._vocabulary = repository.vocabulary
        self._current: int | None = None
        # Of each generation that is in the backup whole: every record of it, and every file that it names.
        self._records: dict[int, set[str]] = {}
        self._files: dict[int, set[str]] = {}
        self._named: dict[str, frozenset[str]] = {}
        self._is_damaged = False

    def copy_records(self) -> None:
        """The pointer, and what it leads to."""
        for _ in range(_ROUNDS):
            if self._copy_pointed():
                return
        self._give_up("something of the generation that is published")

    def copy_files(self) -> None:
        """What is named, as far as it is not there already; and what nothing names goes."""
        if self._is_damaged:
            return
        for _ in range(_ROUNDS):
            missing = self._missing_files()
            if not missing:
                self._tidy()
                return
            self._copy_pointed()
        self.lacking |= {(layout.current_key(self._base), file) for file in self._missing_files()}

    def _copy_pointed(self) -> bool:
        """Whether the generation that is published now is in the backup."""
        pointer, self._records, self._files = layout.current_key(self._base), {}, {}
        self._copier.drop(pointer)
        if not self._copier.copy(pointer):
            self._current = None
            return True
        try:
            self._current = int(json.loads(self._copier.target.read(pointer) or b"")["generation"])
        except (ValueError, KeyError, TypeError):
            return False
        names = [name for name, _ in self._copier.source.names(layout.generations_prefix(self._base)) if name.isdigit()]
        for number in sorted({int(name) for name in names} | {self._current}, reverse=True):
            if number <= self._current and not self._copy_generation(number) and number == self._current:
                return False
        return True

    def _copy_generation(self, number: int) -> bool:
        document = layout.generation_key(self._base, number)
        found, files = {document}, set[str]()
        try:
            generation = Generation.decode(json.loads(self._read(document)))
            for name in set(generation.indices.values()):
                key = layout.index_key(self._base, name)
                found.add(key)
                index = read_index(name, self._read(key))
                found |= self._copy_leaves(index)
                files |= self._files_of(index)
        except (FailedStorage, ValueError):
            return False
        self._records[number], self._files[number] = found, files
        return True

    def _copy_leaves(self, index: Index) -> set[str]:
        parts = {part.name: part for leaf in index.leaves for part in leaf.parts}
        keys = {layout.leaf_key(self._base, one.name, form) for one in parts.values() for form in one.forms}
        for key in keys:
            if not self._copier.copy(key):
                raise FailedStorage("a leaf of an index is missing")
        return keys

    def _files_of(self, index: Index) -> set[str]:
        found = set[str]()
        for leaf in index.leaves:
            part = leaf.parts[0]
            if part.name not in self._named:
                form = next(iter(part.forms))
                try:
                    text = expand(form, self._read(layout.leaf_key(self._base, part.name, form)))
                except Exception as error:  # whatever a decompressor thinks of it
                    raise FailedStorage("a leaf of an index is damaged") from error
                packages = self._vocabulary.packages(text)
                self._named[part.name] = frozenset(
                    f"{self._directory}/{path}" for one in packages for path in one.paths
                )
            found |= self._named[part.name]
        return found

    def _read(self, name: str) -> bytes:
        """What the backup has, once it has it.

        :raises FailedStorage: if there is no such file any more.
        """
        data = self._copier.target.read(name) if self._copier.copy(name) else None
        if data is None:
            raise FailedStorage(f"{name} is missing")
        return data

    def _missing_files(self) -> set[str]:
        """What the current generation names and isn't there; older ones of which something isn't there go."""
        for number in sorted(self._files):
            missing = {file for file in self._files[number] if not self._copier.copy(file)}
            if missing and number == self._current:
                return missing
            if missing:
                del self._files[number], self._records[number]
        return set()

    def _tidy(self) -> None:
        """Nothing stays that no generation of the backup names: after a restore nobody would ever remove it."""
        staying = {layout.current_key(self._base), *(name for one in self._records.values() for name in one)}
        for name in [one for one in self._copier.entries if one.startswith(f"{self._base}/")]:
            kind = name[len(self._base) + 1 :].partition("/")[0]
            if (kind in _RECORDS or kind == "current") and name not in staying:
                self._copier.drop(name)

    def _give_up(self, what: str) -> None:
        """It is damaged: all that is there may be of use to `pkgd rebuild`."""
        self._is_damaged = True
        for folder in sorted(_RECORDS):
            for file in self._copier.source.files(f"{self._base}/{folder}"):
                self._copier.copy(file)
        self._copier.copy(layout.current_key(self._base))
        self.lacking.add((layout.current_key(self._base), what))
