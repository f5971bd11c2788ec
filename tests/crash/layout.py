"""Reads pkgd's OCI tree as it lies on disk, and finds what contradicts itself or doesn't belong there.

    <repo>/blobs/<hex>                     the bytes hash to the name
    <repo>/manifests/by-digest/<hex>       the bytes hash to the name; beside it perhaps <hex>.meta, JSON
    <repo>/manifests/by-tag/<tag>          {"digest": "sha256:<hex>"} of a manifest that is there
    __spool__/uploads/<uuid>               an unfinished upload, beside it <uuid>.json
    __mirror__/<host>/<repo>/…             the same of an upstream registry; there also manifests/referrers/<hex>, JSON,
                                           and the marks .private and .fallback
A part of a repository's name that would collide with the layout is stored with a leading `=`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.ledger import BlobKey, TagKey

SPOOL = "__spool__"
MIRROR = "__mirror__"
_MARKS = frozenset({".private", ".fallback"})
_HEX = re.compile(r"[0-9a-f]{64}")
_PIECE = 1 << 20


@dataclass
class Tree:
    """What lies on disk, and the faults found while reading it."""

    blobs: set[BlobKey] = field(default_factory=set)
    manifests: set[BlobKey] = field(default_factory=set)
    tags: dict[TagKey, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def read_tree(root: Path) -> Tree:
    """Read every file outside the spool."""
    tree = Tree()
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if parts[0] != SPOOL and not path.is_dir():
            _read_file(tree, path, parts)
    for (repository, tag), digest in tree.tags.items():
        if (repository, digest) not in tree.manifests:
            tree.faults.append(f"tag {repository}:{tag} names {digest}, which is not there")
    return tree


def spool_files(root: Path) -> Iterator[tuple[str, ...]]:
    """The files of the spool, as parts below it, without the reserve, which is always there."""
    spool = root / SPOOL
    for path in sorted(spool.rglob("*")):
        if not path.is_dir() and path != spool / "reserve":
            yield path.relative_to(spool).parts


def _read_file(tree: Tree, path: Path, parts: tuple[str, ...]) -> None:
    match parts:
        case [*repository, "blobs", name] if _HEX.fullmatch(name):
            tree.blobs.add((_name(repository), f"sha256:{name}"))
            _check_hash(tree, path, parts)
        case [*repository, "manifests", "by-digest", name] if _HEX.fullmatch(name):
            tree.manifests.add((_name(repository), f"sha256:{name}"))
            _check_hash(tree, path, parts)
        case [*_, "manifests", "by-digest", name] if name.endswith(".meta") and _HEX.fullmatch(name[:-5]):
            _read_json(tree, path, parts, "mediaType")
        case [*repository, "manifests", "by-tag", tag]:
            if digest := _read_json(tree, path, parts, "digest"):
                tree.tags[_name(repository), tag] = digest
        case [first, *_, "manifests", "referrers", name] if first == MIRROR and _HEX.fullmatch(name):
            _read_json(tree, path, parts, "manifests")
        case [first, *_, name] if first == MIRROR and name in _MARKS:
            pass
        case _:
            tree.faults.append(f"{'/'.join(parts)} does not belong into the tree")


def _name(parts: list[str]) -> str:
    return "/".join(part.removeprefix("=") for part in parts)


def _check_hash(tree: Tree, path: Path, parts: tuple[str, ...]) -> None:
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            hasher.update(piece)
    if hasher.hexdigest() != parts[-1]:
        tree.faults.append(f"{'/'.join(parts)} has the wrong bytes ({path.stat().st_size} of them)")


def _read_json(tree: Tree, path: Path, parts: tuple[str, ...], key: str) -> str | None:
    try:
        return str(json.loads(path.read_bytes())[key])
    except (ValueError, KeyError, TypeError) as error:
        tree.faults.append(f"{'/'.join(parts)} is damaged: {error!r}")
        return None
