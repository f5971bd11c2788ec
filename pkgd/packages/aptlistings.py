"""What a suite has, package by package."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from pkgd.packages.aptindices import (
    component_of,
    is_contents_slot,
    own_architecture,
    paths_of,
    read_listed,
    read_source_of,
)
from pkgd.packages.drafts import Published
from pkgd.packages.leaves import Key
from pkgd.packages.removals import Held

__all__ = ["Found", "Wanted", "held", "named", "select", "with_file"]

# Where a package is in a suite: index, key, stanza.
Found = tuple[str, Key, bytes]


@frozen
class Wanted:
    """Which packages of a suite are meant.

    :param name: of packages; or, if `is_source`, of a source: itself, and what has been built from it.
    :param version: of the packages, or of the source; None for all, and likewise `architecture`, which is "source"
        for sources.
    """

    name: str
    version: str | None = None
    architecture: str | None = None
    is_source: bool = False

    def __str__(self) -> str:
        return " ".join(filter(None, ("source" * self.is_source, self.name, self.version, self.architecture)))


async def named(view: Published, components: Sequence[str], name: str | None) -> list[Found]:
    """The packages of a name, or all; each once, in the index of its own architecture."""
    found: list[Found] = []
    for slot in sorted(view.slots):
        if component_of(slot) not in components or is_contents_slot(slot):
            continue
        entries = await view.named(slot, name) if name is not None else [one async for one in view.all(slot)]
        found += [(slot, key, texts[0]) for key, texts in entries if key[2] == own_architecture(slot)]
    return found


def held(found: Sequence[Found]) -> list[Held]:
    """Packages with their sources."""
    return [Held(read_listed(*one), read_source_of(one[2], one[1][0], one[1][1])) for one in found]


async def select(view: Published, components: Sequence[str], wanted: Wanted) -> list[Found]:
    """The packages that are meant. What has been built from a source is looked for among all."""
    found = []
    for one in await named(view, components, None if wanted.is_source else wanted.name):
        _, (name, version, architecture), text = one
        if wanted.is_source:
            name, version = read_source_of(text, name, version)
        if name == wanted.name and wanted.version in (None, version) and wanted.architecture in (None, architecture):
            found.append(one)
    return found


async def with_file(view: Published, components: Sequence[str], path: str) -> list[Found]:
    """The packages that have a file with this path in the pool, or with this name: of a source, its .dsc."""
    name = path.rpartition("/")[2].partition("_")[0]
    return [one for one in await named(view, components, name) if f"/{paths_of(one[2])[0]}".endswith(f"/{path}")]
