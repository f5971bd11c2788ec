"""What takes part: a repository that packages are added to, and that clients read."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tests.bench.figures import Work

__all__ = ["Archive", "NotVisible", "check_visible"]

_PACKAGES = re.compile(rb"^ ([0-9a-f]{64}) +[0-9]+ (main/binary-amd64/Packages\.gz)$", re.MULTILINE)
_PRIMARY = re.compile(rb'<location href="(repodata/[^"]*primary\.xml\.gz)"/>')


class NotVisible(Exception):
    """A client does not find what has been added."""


class Archive(Protocol):
    """One repository of one kind of packages."""

    @property
    def label(self) -> str:
        """The name in tables and ratios."""

    def fill(self, packages: Sequence[Path]) -> None:
        """Add many, as fast as it can be done."""

    def add(self, packages: Sequence[Path]) -> Work:
        """Add packages one by one, each visible to clients before the next; the amount is how many they are."""

    def fetch(self, path: str) -> bytes:
        """A file as clients get it, by its path below the suite or repository."""


def check_visible(archive: Archive, kind: str, names: Sequence[str], count: int) -> None:
    """Read the repository as a fresh client does, and insist on these packages, and on how many there are.

    :raises NotVisible: if one is absent.
    """
    text = gzip.decompress(_newest(archive, kind))
    pattern = rb"^Package: (\S+)$" if kind == "deb" else rb"^  <name>([^<]+)</name>$"
    found = re.findall(pattern, text, re.MULTILINE)
    missing = {name.encode() for name in names} - set(found)
    if missing or len(found) != count:
        raise NotVisible(f"{archive.label}: {len(found)} packages and not {count}; {sorted(missing)[:3]} are missing")


def _newest(archive: Archive, kind: str) -> bytes:
    if kind == "rpm":
        primary = _PRIMARY.search(archive.fetch("repodata/repomd.xml"))
        return archive.fetch(primary[1].decode()) if primary else b""
    listed = {path: digest for digest, path in _PACKAGES.findall(archive.fetch("InRelease"))}
    path = "main/binary-amd64/Packages.gz"
    if path.encode() not in listed:
        raise NotVisible(f"{archive.label}: InRelease names no {path}")
    return archive.fetch(path)
