"""The files of a state, or of a backup of one, by names that both have in common.

A name begins with the part that it belongs to, as it stands below the state directory (docs/storage-layout.md): `oci/`,
wherever the object store's root is, `apt/`, `rpm/`, a directory of keys, or `pkgd.sqlite`. What else is in a state
directory is derived, or belongs to a process, and is in no backup.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from enum import IntEnum

from attrs import frozen

from pkgd.storage.layout import MIRROR, SPOOL

__all__ = [
    "ACCOUNTS",
    "INDEX",
    "OBJECTS",
    "Places",
    "Rank",
    "is_secret",
    "is_sound_name",
    "rank_of",
    "repository_places",
]

OBJECTS = "oci"
ACCOUNTS = "pkgd.sqlite"
INDEX = "index.sqlite"

_PACKAGES = ("apt", "rpm")
_KEYS = re.compile(r"keys|keys-.+|token-keys")
_POOLS = frozenset(["pool", "Packages", "paths"])
_TREE = frozenset(["blobs", "manifests"])


class Rank(IntEnum):
    """Who names whom: a file of one rank is named by those of the ranks before it."""

    POINTER = 0
    RECORD = 1
    CONTENT = 2


@frozen
class Places:
    """Where a state is: its directory, and the root of its object store."""

    state: str
    objects: str

    @classmethod
    def of_backup(cls, directory: str) -> Places:
        """Those of a backup."""
        return cls(directory, f"{directory}/{OBJECTS}")

    def path(self, name: str) -> str:
        """Where the file, or directory, of this name is."""
        first, _, rest = name.partition("/")
        if first == OBJECTS:
            return f"{self.objects}/{rest}" if rest else self.objects
        return f"{self.state}/{name}"

    def names(self, name: str) -> list[tuple[str, bool]]:
        """What is directly in a directory, sorted, each with whether it is a directory; nothing if there is none."""
        try:
            with os.scandir(self.path(name)) as entries:
                return sorted((entry.name, entry.is_dir()) for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def files(self, name: str) -> list[str]:
        """The names of the files directly in a directory."""
        return [f"{name}/{one}" for one, is_directory in self.names(name) if not is_directory]

    def walk(self, name: str) -> Iterator[str]:
        """Every file below a directory."""
        for one, is_directory in self.names(name):
            if is_directory:
                yield from self.walk(f"{name}/{one}")
            else:
                yield f"{name}/{one}"

    def read(self, name: str) -> bytes | None:
        """A small file's bytes, or None if there is none."""
        try:
            with open(self.path(name), "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def is_there(self, name: str) -> bool:
        """Whether there is such a file."""
        return os.path.isfile(self.path(name))

    def key_directories(self) -> list[str]:
        """The directories of keys."""
        try:
            found = os.listdir(self.state)
        except FileNotFoundError:
            return []
        return sorted(one for one in found if _KEYS.fullmatch(one))


def repository_places(places: Places, with_mirror: bool = True) -> Iterator[str]:
    """Every directory with blobs or manifests in it, hosted or of an upstream, by its name."""

    def below(name: str) -> Iterator[str]:
        found = [one for one, is_directory in places.names(name) if is_directory]
        if not _TREE.isdisjoint(found):
            yield name
        for one in found:
            # A repository of a tree from before the escape may be within another's `blobs`.
            hidden = one.startswith(".") or (name == OBJECTS and (one == SPOOL or (one == MIRROR and not with_mirror)))
            if not hidden:
                yield from below(f"{name}/{one}")

    return below(OBJECTS)


def rank_of(name: str) -> Rank:
    """The rank of a file."""
    parts = name.split("/")
    if parts[0] == OBJECTS:
        return _rank_of_object(parts)
    if parts[0] in _PACKAGES:
        if parts[-1] == "current":
            return Rank.POINTER
        return Rank.RECORD if _POOLS.isdisjoint(parts) else Rank.CONTENT
    return Rank.CONTENT


def _rank_of_object(parts: list[str]) -> Rank:
    if parts[-2] == "blobs":
        return Rank.CONTENT
    return Rank.POINTER if parts[-2] in ("by-tag", "manifests") else Rank.RECORD


def is_secret(name: str) -> bool:
    """Whether nobody but its owner may read a file."""
    first = name.partition("/")[0]
    return first == ACCOUNTS or _KEYS.fullmatch(first) is not None


def is_sound_name(name: str) -> bool:
    """Whether a name is one of a part of the state, and leads nowhere else."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        return False
    if name == ACCOUNTS:
        return True
    return len(parts) > 1 and (parts[0] in (OBJECTS, *_PACKAGES) or _KEYS.fullmatch(parts[0]) is not None)
