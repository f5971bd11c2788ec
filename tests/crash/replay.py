"""Rebuilds the disks that a power cut could have left behind, and looks at what is on them.

A cut after record p leaves everything up to the last flush, and of the writes after it any part:
all of them up to p, the last one perhaps torn (`prefix`), or some 4 KiB pieces of them (`subset`).
"""

from __future__ import annotations

import json
import random
import subprocess
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.crash.blockdisk import Disk, attached
from tests.crash.blocklog import Record, Write
from tests.crash.layout import Tree, read_tree
from tests.crash.ledger import Ledger, Promise

_PIECE = 4096
_SECTOR = 512


@dataclass(frozen=True, slots=True)
class Cut:
    """A power cut after so many records, and how it treats the writes since the last flush."""

    position: int
    kind: str


def choose_cuts(records: Sequence[Record], ledger: Ledger, count: int, rng: random.Random) -> list[Cut]:
    """Cuts all over the run, half of them at the very moment of an acknowledgement, where the promise is freshest."""
    moments = [op.acknowledged.position for op in ledger.operations if op.acknowledged]
    positions = [rng.choice(moments) if moments and i % 2 else rng.randint(1, len(records)) for i in range(count)]
    kinds = ("prefix", "prefix", "subset", "subset")
    return sorted((Cut(position, kinds[i % 4]) for i, position in enumerate(positions)), key=lambda cut: cut.position)


class Replay:
    """A disk that is taken through the records of a run."""

    def __init__(self, image: bytearray, records: Sequence[Record], rng: random.Random) -> None:
        self._image = image
        self._records = records
        self._rng = rng
        self._applied = 0
        self._flushes = [0, *(i + 1 for i, record in enumerate(records) if not isinstance(record, Write))]

    def states(self, cuts: Sequence[Cut]) -> Iterator[tuple[Cut, Disk]]:
        """For every cut, in order, a disk as it may look then. What is written to it is lost with it."""
        for cut in cuts:
            safe = self._flushes[bisect_right(self._flushes, cut.position) - 1]
            self._apply_until(safe)
            pending = [record for record in self._records[safe : cut.position] if isinstance(record, Write)]
            yield cut, _CutDisk(self._image, self._survivors(cut, pending))

    def _apply_until(self, position: int) -> None:
        for record in self._records[self._applied : position]:
            if isinstance(record, Write):
                self._image[record.offset : record.offset + len(record.data)] = record.data
        self._applied = position

    def _survivors(self, cut: Cut, pending: list[Write]) -> list[Write]:
        if cut.kind == "subset":
            return [piece for write in pending for piece in _pieces(write) if self._rng.random() < 0.5]
        if pending and self._rng.random() < 0.5:
            last = pending.pop()
            pending.append(Write(last.offset, last.data[: self._rng.randrange(0, len(last.data) + 1, _SECTOR)]))
        return pending


class _CutDisk(Disk):
    """The disk after a cut: the safe image, on which the surviving writes are put in the process that serves it."""

    def __init__(self, image: bytearray, survivors: list[Write]) -> None:
        super().__init__(image)
        self._survivors = survivors

    def power_on(self) -> None:
        """Put the surviving writes on the disk."""
        for write in self._survivors:
            self.write(write.offset, write.data)


def _pieces(write: Write) -> Iterator[Write]:
    for start in range(0, len(write.data), _PIECE):
        yield Write(write.offset + start, write.data[start : start + _PIECE])


def faults_of(disk: Disk, directory: Path, root: str, promise: Promise) -> list[str]:
    """Mount the disk and say what of the promise is not kept in its tree."""
    try:
        with attached(disk, directory) as mounted:
            tree = read_tree(mounted / root)
            return tree.faults + _broken_promises(tree, promise) + _partial_manifests(tree, mounted / root)
    except subprocess.CalledProcessError as error:
        return [f"the file system can't be mounted: {error.stderr.decode(errors='replace').strip()}"]


def _broken_promises(tree: Tree, promise: Promise) -> list[str]:
    faults = [f"acknowledged blob {key} is not there" for key in promise.blobs.keys() - tree.blobs]
    faults += [f"acknowledged manifest {key} is not there" for key in promise.manifests.keys() - tree.manifests]
    for key, permitted in promise.tags.items():
        if tree.tags.get(key) not in permitted:
            faults.append(f"tag {key} is {tree.tags.get(key)}, permitted {sorted(map(str, permitted))}")
    faults += [f"tag {key} was never pushed" for key in tree.tags.keys() - promise.tags.keys()]
    unknown = tree.blobs - promise.blobs.keys() - promise.possible_blobs
    unknown |= tree.manifests - promise.manifests.keys() - promise.possible_manifests.keys()
    return faults + [f"{key} was never pushed" for key in unknown]


def _partial_manifests(tree: Tree, root: Path) -> list[str]:
    """Blobs are made durable before the manifest that names them."""
    faults = []
    for repository, digest in tree.manifests:
        path = root / repository / "manifests" / "by-digest" / digest.partition(":")[2]
        missing = {one for one in _named_blobs(path.read_bytes()) if (repository, one) not in tree.blobs}
        if missing:
            faults.append(f"manifest {repository}@{digest} names {min(missing)}, which is not there")
    return faults


def _named_blobs(data: bytes) -> list[str]:
    """The config and layers of an image; nothing for an index, or for a damaged file, which is a fault already."""
    try:
        document = json.loads(data)
    except ValueError:
        return []
    return [one["digest"] for one in [document["config"], *document["layers"]]] if "config" in document else []
