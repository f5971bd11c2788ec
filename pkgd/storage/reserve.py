"""The reserve: a file that is given up when something that frees space needs some itself.

On a full disk a package can only be taken out by publishing without it, and some file systems need room even to
unlink. So every spool has a file of some size in it. Who deletes and finds no space gives it up and tries once more.
It is taken again once twice as much is free: else what a delete has been given would be taken from the next one.
Whether it is held is whether the file is there, so that a command beside the daemon may give it up, too.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import NoSpace, Storage
from pkgd.storage.fsops import DurableTree, storage_errors

__all__ = ["SIZE", "Reserve"]

log = Logger()

T = TypeVar("T")

# A publish writes less than one MiB, as a rule, and keeps it for a day.
SIZE = 16 << 20


class Reserve:
    """The file with this key in a tree."""

    def __init__(self, tree: DurableTree, key: str) -> None:
        self._tree = tree
        self._path = tree.path(key)
        self._was_held = True

    # -- these block --

    def take(self) -> bool:
        """Allocate the file if it isn't there, and there is room; whether it is there now.

        :raises Storage: if the storage refuses.
        """
        with storage_errors():
            if (self._tree.size_of(self._path) or 0) >= SIZE:
                return True
            if self._tree.fs.free(self._tree.root) < 2 * SIZE:
                return False
            self._tree.make_directory(os.path.dirname(self._path))
            fd = self._tree.fs.open(self._path, os.O_WRONLY | os.O_CREAT)
            try:
                self._tree.fs.allocate(fd, SIZE)
            except OSError:
                with suppress(OSError):
                    self._tree.fs.unlink(self._path)
                raise
            finally:
                self._tree.fs.close(fd)
            return True

    def release(self) -> bool:
        """Give the file up. False if it wasn't there."""
        with storage_errors():
            try:
                self._tree.fs.unlink(self._path)
            except FileNotFoundError:
                return False
            return True

    # -- these don't --

    async def keep(self, blocking: Blocking) -> bool:
        """Take it if there is room; whether it is held. To be called again and again. Never fails."""
        try:
            held = await blocking.disk(self.take)
        except Storage:
            held = False
        self._note(held)
        return held

    async def freeing(self, blocking: Blocking, operation: Callable[[], Awaitable[T]]) -> T:
        """Do something that frees space; if there is none for it, once more with the reserve given up.

        :param operation: can be done twice.
        :raises Storage: if it fails all the same.
        """
        try:
            return await operation()
        except NoSpace:
            await blocking.disk(self.release)
            self._note(False)
            return await operation()

    def _note(self, held: bool) -> None:
        """Say so in the log, once each way."""
        if held == self._was_held:
            return
        self._was_held = held
        if held:
            log.info("there is space again: {path} is kept for deletes", path=self._path)
        else:
            log.warn("there is no space left: {path} is not there any more, for what deletes need", path=self._path)
