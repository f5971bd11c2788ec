"""How much is stored, and of what: every file is looked at now and then, so slowly that nobody else notices."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import islice

from attrs import define, field

from pkgd.blocking import Blocking
from pkgd.metrics import StorageMetrics
from pkgd.packages.layout import kind_of_file
from pkgd.storage.fsops import DurableTree, storage_errors
from pkgd.storage.layout import MIRROR, SPOOL

__all__ = ["KINDS", "Usage"]

KINDS = ("blob", "package", "index", "mirror")
# So many files are looked at in one hop, and so long nothing is done after it, in seconds.
_BATCH = 500
_PAUSE = 0.1


@define
class _Totals:
    """What has been seen. `linked` are the files that may be met again under another name."""

    objects: dict[str, int] = field(factory=lambda: dict.fromkeys(KINDS, 0))
    bytes: dict[str, int] = field(factory=lambda: dict.fromkeys(KINDS, 0))
    linked: set[tuple[int, int]] = field(factory=set)


class Usage:
    """Measures the store of images and that of packages.

    :param images: the tree of the object store.
    :param packages: that below the state directory.
    :param pause: waits for so many seconds.
    """

    def __init__(
        self,
        images: DurableTree,
        packages: DurableTree,
        blocking: Blocking,
        pause: Callable[[float], Awaitable[None]],
        metrics: StorageMetrics,
    ) -> None:
        self._parts = ((images, "", _kind_of_image), (packages, "apt", kind_of_file), (packages, "rpm", kind_of_file))
        self._blocking = blocking
        self._pause = pause
        self._metrics = metrics

    async def measure(self, is_over: Callable[[], bool]) -> None:
        """Look at every file, and tell the metrics; nothing if it is over before.

        :raises Storage: if the machine refuses.
        """
        totals = _Totals()
        for tree, top, kind_of in self._parts:
            keys = _keys(tree, top)
            while await self._blocking.disk(_look, tree, keys, kind_of, totals):
                await self._pause(_PAUSE)
                if is_over():
                    return
        for kind in KINDS:
            self._metrics.stored(kind, totals.objects[kind], totals.bytes[kind])


def _kind_of_image(key: str) -> str:
    return "mirror" if key.startswith(f"{MIRROR}/") else "blob"


def _keys(tree: DurableTree, top: str) -> Iterator[str]:
    """Every file below a directory but for what is unfinished. Blocks."""
    pending = [top]
    while pending:
        directory = pending.pop()
        try:
            found = tree.fs.scandir(tree.path(directory))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for name, is_directory in found:
            key = f"{directory}/{name}" if directory else name
            if not is_directory:
                yield key
            elif key != SPOOL:
                pending.append(key)


def _look(tree: DurableTree, keys: Iterator[str], kind_of: Callable[[str], str], totals: _Totals) -> bool:
    """Look at the next few files; False if there are no more. Blocks."""
    with storage_errors():
        batch = list(islice(keys, _BATCH))
        for key in batch:
            with suppress(FileNotFoundError):
                found = tree.fs.stat(tree.path(key))
                if found.st_nlink > 1:
                    if (found.st_dev, found.st_ino) in totals.linked:
                        continue
                    totals.linked.add((found.st_dev, found.st_ino))
                kind = kind_of(key)
                totals.objects[kind] += 1
                totals.bytes[kind] += found.st_size
    return len(batch) == _BATCH
