"""What a suite has, package by package."""

from __future__ import annotations

from collections.abc import Sequence

from pkgd.packages.aptindices import component_of
from pkgd.packages.drafts import Published
from pkgd.packages.leaves import Key

__all__ = ["Found", "named"]

# Where a package is in a suite: index, key, stanza.
Found = tuple[str, Key, bytes]


async def named(view: Published, components: Sequence[str], name: str | None) -> list[Found]:
    """The packages of a name, or all; each once, in the index of its own architecture."""
    found: list[Found] = []
    for slot in sorted(view.slots):
        if component_of(slot) not in components:
            continue
        entries = await view.named(slot, name) if name is not None else [one async for one in view.all(slot)]
        own = slot.split("/")[-2].removeprefix("binary-")
        found += [(slot, key, texts[0]) for key, texts in entries if key[2] == own]
    return found
