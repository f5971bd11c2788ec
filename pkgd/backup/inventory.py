"""The inventory of a backup, `backup.jsonl`: every file with its size, hash and time, one a line.

It is written last, and its own last line has its hash: a directory without it, or with half of it, is no backup.

    {"pkgd_backup": 1, "version": …, "began": …, "keys": …, "mirror": …}
    {"path": "oci/team/app/blobs/<hex>", "size": …, "sha256": …, "modified": <nanoseconds since the epoch>}
    …
    {"files": <how many>, "sha256": <of all lines before>}
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from pkgd.backup.places import is_sound_name
from pkgd.errors import ConfigError

__all__ = ["FILE", "Entry", "Header", "Inventory", "is_backup"]

FILE = "backup.jsonl"
_FORMAT = 1


@frozen
class Entry:
    """A file of a backup."""

    size: int
    sha256: str
    modified: int


@frozen
class Header:
    """What is said of the whole: who took it, when it was begun, and whether keys and the mirror's cache are in it."""

    version: str
    began: float
    with_keys: bool
    with_mirror: bool


@frozen
class Inventory:
    """All of it."""

    header: Header
    entries: Mapping[str, Entry] = field(repr=False)

    def write(self, directory: str) -> None:
        """Write it, durably.

        :raises OSError: if that cannot be.
        """
        hashing = hashlib.sha256()
        with open(f"{directory}/{FILE}", "xb") as file:

            def line(document: object) -> None:
                data = json.dumps(document).encode() + b"\n"
                hashing.update(data)
                file.write(data)

            head = self.header
            line(
                {
                    "pkgd_backup": _FORMAT,
                    "version": head.version,
                    "began": head.began,
                    "keys": head.with_keys,
                    "mirror": head.with_mirror,
                }
            )
            for path, one in self.entries.items():
                line({"path": path, "size": one.size, "sha256": one.sha256, "modified": one.modified})
            line({"files": len(self.entries), "sha256": hashing.hexdigest()})
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def read(cls, directory: str) -> Inventory:
        """The inventory of a backup.

        :raises ConfigError: if it is no whole one.
        """
        try:
            with open(f"{directory}/{FILE}", "rb") as file:
                lines = file.read().splitlines(keepends=True)
        except OSError as error:
            raise ConfigError(directory, f"it is no whole backup: {FILE}: {error.strerror}") from error
        try:
            end = json.loads(lines[-1])
            whole = hashlib.sha256(b"".join(lines[:-1])).hexdigest()
            if (end["files"], end["sha256"]) != (len(lines) - 2, whole):
                raise ValueError("its end does not fit")
            return cls(_header(json.loads(lines[0])), dict(_entry(json.loads(one)) for one in lines[1:-1]))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ConfigError(directory, f"it is no whole backup: {FILE} is damaged: {error}") from error


def is_backup(directory: str) -> bool:
    """Whether there is an inventory."""
    return os.path.isfile(f"{directory}/{FILE}")


def _header(found: Any) -> Header:
    if found["pkgd_backup"] != _FORMAT:
        raise ValueError("another version of pkgd has written it")
    return Header(str(found["version"]), float(found["began"]), bool(found["keys"]), bool(found["mirror"]))


def _entry(found: Any) -> tuple[str, Entry]:
    path = str(found["path"])
    if not is_sound_name(path):
        raise ValueError(f"no file of a state is called {path!r}")
    return path, Entry(int(found["size"]), str(found["sha256"]), int(found["modified"]))
