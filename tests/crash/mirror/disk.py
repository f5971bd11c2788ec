"""What the mirror has on disk: how much it takes, and what an eviction has torn apart.

While a mirror that runs is looked at it is stopped, so that nothing moves.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.crash.layout import SPOOL, Tree, read_tree
from tests.crash.ledger import BlobKey
from tests.crash.mirror.catalogue import Catalogue, Image, Place

FILLS = f"{SPOOL}/fills"
_STOPS_WITHIN = 0.002


@contextmanager
def held_still(pid: int) -> Iterator[None]:
    """Stop a process for the length of a block."""
    os.kill(pid, signal.SIGSTOP)
    time.sleep(_STOPS_WITHIN)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def read_still(root: Path, pid: int) -> Tree:
    """The tree of a mirror that runs."""
    with held_still(pid):
        return read_tree(root)


def needs(place: Place, image: Image) -> Iterator[BlobKey]:
    """Everything below the image's own manifest."""
    for blob in image.blobs:
        yield place.directory, blob.digest
    for child in image.children:
        yield place.directory, child.manifest.digest
        yield from needs(place, child)


def is_whole(tree: Tree, place: Place, image: Image) -> bool:
    """Whether the manifest is there with all that it needs."""
    own = (place.directory, image.manifest.digest)
    return own in tree.manifests and _found(tree).issuperset(needs(place, image))


def torn(before: Tree, after: Tree, catalogue: Catalogue, fetched: set[BlobKey]) -> list[str]:
    """The manifests that have been kept without something that was there with them before.

    :param fetched: manifests that the mirror has asked for in between: those may be new, with nothing else there yet.
    """
    was, now = _found(before), _found(after)
    faults = []
    for place, image in _images(catalogue):
        own = (place.directory, image.manifest.digest)
        if own in before.manifests and own in after.manifests and own not in fetched:
            lost = [key for key in needs(place, image) if key in was and key not in now]
            faults += [f"{own} is kept without {len(lost)} of what it had, such as {lost[0][1]}"] if lost else []
    return faults


def used_bytes(root: Path, *parts: str) -> int:
    """The bytes of all files below parts of the tree; what is linked several times counts once."""
    sizes: dict[int, int] = {}
    for part in parts:
        for folder, _, names in os.walk(root / part):
            for name in names:
                _measure(Path(folder) / name, sizes)
    return sum(sizes.values())


def fills(root: Path) -> list[Path]:
    """The files of what is on its way."""
    return sorted((root / FILLS).glob("*"))


def _found(tree: Tree) -> set[BlobKey]:
    return tree.blobs | tree.manifests


def _images(catalogue: Catalogue) -> Iterator[tuple[Place, Image]]:
    for (place, _), images in catalogue.tags.items():
        for image in images:
            yield place, image
            yield from ((place, child) for child in image.children)


def _measure(path: Path, sizes: dict[int, int]) -> None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    sizes[status.st_ino] = status.st_size
