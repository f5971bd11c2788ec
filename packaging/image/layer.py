"""Layers of images that are the same bytes whenever and wherever they are made."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import PurePosixPath

__all__ = ["Entry", "Layer", "make_layer"]


@dataclass(frozen=True)
class Entry:
    """One file, folder or symbolic link of a layer; `name` is relative to the root."""

    name: str
    kind: bytes
    mode: int
    data: bytes = b""
    target: str = ""
    owner: int = 0

    @classmethod
    def file(cls, name: str, data: bytes, mode: int = 0o644) -> Entry:
        """A file of root's."""
        return cls(name, tarfile.REGTYPE, mode, data)

    @classmethod
    def folder(cls, name: str, mode: int = 0o755, owner: int = 0) -> Entry:
        """A folder."""
        return cls(name, tarfile.DIRTYPE, mode, owner=owner)

    @classmethod
    def link(cls, name: str, target: str) -> Entry:
        """A symbolic link."""
        return cls(name, tarfile.SYMTYPE, 0o777, target=target)


@dataclass(frozen=True)
class Layer:
    """A layer, packed by gzip."""

    data: bytes
    digest: str
    diff_id: str


def make_layer(entries: list[Entry], time: int) -> Layer:
    """Pack a layer: every entry of that time, in order of names, with the folders that lead to it."""
    named = {one.name: one for one in entries}
    for name in list(named):
        for parent in PurePosixPath(name).parents:
            if str(parent) != ".":
                named.setdefault(str(parent), Entry.folder(str(parent)))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(named):
            _add(archive, named[name], time)
    plain = packed.getvalue()
    data = gzip.compress(plain, 9, mtime=0)
    return Layer(data, digest(data), digest(plain))


def digest(data: bytes) -> str:
    """What OCI calls it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _add(archive: tarfile.TarFile, entry: Entry, time: int) -> None:
    info = tarfile.TarInfo(entry.name)
    info.type, info.mode, info.linkname = entry.kind, entry.mode, entry.target
    info.uid = info.gid = entry.owner
    info.mtime, info.size = time, len(entry.data)
    archive.addfile(info, io.BytesIO(entry.data))
