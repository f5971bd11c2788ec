"""Looks through a mirror's tree on disk: nothing unverified may be there, and nothing unfinished may stay.

    __mirror__/<host>/<repo>/blobs/<file>                   the bytes hash to the name
    __mirror__/<host>/<repo>/manifests/by-digest/<file>     the bytes hash to the name
    __mirror__/<host>/<repo>/manifests/by-tag/<tag>         names a manifest that is there
    __spool__/…                                             nothing, once all requests are done
`<file>` is `<hex>` for sha256, and `sha512-<hex>`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from tests.crash.layout import SPOOL, spool_files

MIRROR = "__mirror__"
_FILE = re.compile(r"(?:(?P<algorithm>sha512)-)?(?P<hex>[0-9a-f]{64}|[0-9a-f]{128})")
_MARKS = frozenset({".private", ".fallback"})


def faults_of_tree(root: Path) -> list[str]:
    """What does not belong into the tree of upstreams' content, in words."""
    return [f"{path.relative_to(root)}: {fault}" for path in _files(root / MIRROR) for fault in _faults(path)]


def leftovers(root: Path) -> list[str]:
    """The files of unfinished fills."""
    return ["/".join(parts) for parts in spool_files(root)] if (root / SPOOL).exists() else []


def holders(root: Path, secret: bytes) -> list[str]:
    """The files anywhere below that contain a secret."""
    return [str(path.relative_to(root)) for path in _files(root) if secret in path.read_bytes()]


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file())


def _faults(path: Path) -> Iterator[str]:
    match path.parts[-3:]:
        case [_, "blobs", name]:
            yield from _hash_faults(path, name)
        case ["manifests", "by-digest", name]:
            if not name.endswith(".meta"):
                yield from _hash_faults(path, name)
        case ["manifests", "by-tag", _]:
            yield from _tag_faults(path)
        case [_, "manifests" | "referrers", _] | ["manifests", "referrers", _]:
            yield from _json_faults(path)
        case [*_, name] if name in _MARKS:
            pass
        case _:
            yield "does not belong here"


def _hash_faults(path: Path, name: str) -> Iterator[str]:
    found = _FILE.fullmatch(name)
    if found is None:
        yield "is no name of content"
    elif hashlib.new(found["algorithm"] or "sha256", path.read_bytes()).hexdigest() != found["hex"]:
        yield f"has the wrong bytes ({path.stat().st_size} of them)"


def _tag_faults(path: Path) -> Iterator[str]:
    try:
        digest = str(json.loads(path.read_bytes())["digest"])
    except (ValueError, KeyError, TypeError) as error:
        yield f"is damaged: {error!r}"
        return
    name = digest.removeprefix("sha256:").replace(":", "-")
    if not (path.parent.parent / "by-digest" / name).exists():
        yield f"names {digest}, which is not here"


def _json_faults(path: Path) -> Iterator[str]:
    try:
        json.loads(path.read_bytes())
    except ValueError as error:
        yield f"is damaged: {error!r}"
