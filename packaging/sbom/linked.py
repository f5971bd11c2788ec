"""What native code of wheels has linked in, of those wheels that bring no bill of their own: linked.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from components import package_url

__all__ = ["Unknown", "linked"]

_FILE = Path(__file__).with_name("linked.toml")


class Unknown(Exception):
    """What is in there is not known."""


def linked(name: str, version: str) -> list[dict[str, Any]]:
    """What that release of a distribution has linked in.

    :raises Unknown: if nobody has looked at it.
    """
    said = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    if name in said["nothing"]["of"]:
        return []
    if name not in said or said[name]["version"] != version:
        raise Unknown(f"what {name} {version} has linked in is not known: read its sources, and say it in {_FILE.name}")
    parts = []
    for kind, found in said[name]["parts"].items():
        for part, its_version in found.items():
            parts.append({"name": part, "version": its_version, "purl": package_url(kind, part, its_version)})
    return parts
