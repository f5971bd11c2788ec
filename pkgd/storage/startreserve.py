"""The reserve of a start: the little that SQLite has to write before anything can be served.

Where a disk is full to its last byte, and the reserve of deletes is used up, a pkgd that has stopped could not come
back to have anything deleted. So this file is given up while pkgd starts, if less than it is free. Once it has started,
pkgd takes again what was not needed, before anybody else does, and at its end what closing the databases has freed: so
it can start again and again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from pkgd.storage.fsops import DurableTree

__all__ = ["SIZE", "StartReserve"]

# SQLite's index of the log of pkgd.sqlite is 32 KiB, a page of index.sqlite 4 KiB; after a kill it may be some more.
SIZE = 128 << 10
_STEP = 16 << 10


class StartReserve:
    """The file with this key in a tree. Everything blocks, and nothing fails: without it pkgd is as good as with it."""

    def __init__(self, tree: DurableTree, key: str) -> None:
        self._tree = tree
        self._path = tree.path(key)
        self._is_given_up = False

    @contextmanager
    def given_up(self) -> Iterator[None]:
        """For opening what needs space: give it up if less is free. It is taken back at once if that fails."""
        self._give_up()
        try:
            yield
        except BaseException:
            self.take_back()
            raise

    def _give_up(self) -> None:
        """The file stays its owner's: root's commands give it up, too."""
        fs = self._tree.fs
        with suppress(OSError):
            if fs.free(self._tree.root) < SIZE and self._size():
                fd = fs.open(self._path, os.O_WRONLY)
                try:
                    fs.truncate(fd, 0)
                finally:
                    fs.close(fd)
                self._is_given_up = True

    def take_back(self) -> None:
        """What of it was not needed, if it was given up."""
        if self._is_given_up:
            self._is_given_up = False
            self.take_what_is_left()

    def keep(self) -> None:
        """While pkgd runs, again and again: have all of it, once twice as much is free."""
        self.take_back()
        with suppress(OSError):
            if self._size() < SIZE and self._tree.fs.free(self._tree.root) >= 2 * SIZE:
                self._allocate([SIZE])

    def take_what_is_left(self) -> None:
        """Have as much of it as there is."""
        with suppress(OSError):
            if self._size() < SIZE:
                self._allocate(range(_STEP, SIZE + 1, _STEP))

    def _size(self) -> int:
        return self._tree.size_of(self._path) or 0

    def _allocate(self, sizes: Iterable[int]) -> None:
        """Allocate the first of these sizes, then the next, as far as it goes."""
        self._tree.make_directory(os.path.dirname(self._path))
        fd = self._tree.fs.open(self._path, os.O_WRONLY | os.O_CREAT)
        try:
            for size in sizes:
                self._tree.fs.allocate(fd, size)
        finally:
            self._tree.fs.close(fd)
