"""Source packages on their way into a suite: a .dsc, the files that came with it, and those that are there already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import field, frozen

from pkgd.blocking import Blocking
from pkgd.errors import InvalidPackage
from pkgd.formats.aptindex import sources_stanza
from pkgd.formats.deb import pool_prefix
from pkgd.formats.debversion import without_epoch
from pkgd.formats.dsc import SourceFile, read_dsc
from pkgd.packages.aptindices import source_files
from pkgd.packages.drafts import Readable
from pkgd.packages.layout import apt_pool_path
from pkgd.packages.records import Arrival

__all__ = ["Source", "read_source"]


@frozen
class Source:
    """A source package that may be published: its stanza, what to place where, and what to link from where."""

    identity: tuple[str, str]
    text: bytes = field(repr=False)
    placed: Mapping[str, Arrival]
    linked: Mapping[str, str]


async def read_source(
    blocking: Blocking,
    view: Readable,
    slots: Iterable[str],
    component: str,
    data: bytes,
    dsc: Arrival,
    files: Mapping[str, Arrival],
) -> Source:
    """Read a .dsc, and find its files: among those that came, else with other versions of the source.

    :param slots: the indices of sources to look into.
    :raises InvalidPackage: for a file that is nowhere, or is not what the .dsc says.
    """
    source = await blocking.work(read_dsc, data)
    dsc_name = f"{source.name}_{without_epoch(source.version)}.dsc"
    prefix = pool_prefix(source.name)

    def path(name: str) -> str:
        return apt_pool_path(component, prefix, source.name, dsc.hashes.sha256, name)

    placed, linked = {path(dsc_name): dsc}, {}
    for file in source.files:
        arrival = files.get(file.name)
        if arrival is not None:
            _check(file, arrival)
            placed[path(file.name)] = arrival
        else:
            linked[path(file.name)] = await _find(view, slots, source.name, file)
    hashes = {name: one.hashes for name, one in files.items()}
    complete = hashes if all(file.name in hashes for file in source.files) else None
    directory = path("").rstrip("/")
    text = await blocking.work(sources_stanza, source, directory, dsc_name, dsc.hashes, complete)
    return Source((source.name, source.version), text, placed, linked)


def _check(file: SourceFile, arrival: Arrival) -> None:
    found = arrival.hashes
    same_sha1 = file.sha1 in ("", found.sha1)
    if (found.size, found.md5, found.sha256) != (file.size, file.md5, file.sha256) or not same_sha1:
        raise InvalidPackage(file.name, "not the file that the .dsc describes")


async def _find(view: Readable, slots: Iterable[str], name: str, file: SourceFile) -> str:
    """Where a file is that has come with another version of the source."""
    for slot in slots:
        for _, texts in await view.named(slot, name):
            for path, size, digest in source_files(texts[0]):
                if path.endswith(f"/{file.name}") and (size, digest) == (file.size, file.sha256):
                    return path
    raise InvalidPackage(file.name, "the .dsc names it, but it was not uploaded and no other version here has it")
