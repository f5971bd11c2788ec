"""The room that SQLite needs: what of its refusals is for lack of space, and where some more may come from.

A full disk is an error of its own to SQLite. A quota that is used up (EDQUOT) is a failed write like any other, and
Python does not pass on the system's reason. So after a failed write it is tried whether a little space can be had.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress

__all__ = ["Room"]

# What SQLite says where it finds no space: for a row, or to share its index of the log.
_FULL = frozenset([sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE])
_LACKING = frozenset([errno.ENOSPC, errno.EDQUOT])
# More than one of our transactions writes, as a rule.
_PROBE = 64 << 10


class Room:
    """That beside the file at `path`. Everything blocks.

    :param more: asked for space by those who may not wait until there is some.
    :param allocate: as `os.posix_fallocate`.
    """

    def __init__(
        self,
        path: str,
        more: Callable[[], object] = lambda: None,
        allocate: Callable[[int, int, int], None] = os.posix_fallocate,
    ) -> None:
        self.more = more
        self._probe = f"{path}-probe"
        self._allocate = allocate

    def is_lacking(self, error: BaseException | None) -> bool:
        """Whether it is for lack of space that SQLite refuses."""
        code = getattr(error, "sqlite_errorcode", None)
        return code in _FULL or (code == sqlite3.SQLITE_IOERR_WRITE and not self._can_be_had())

    def _can_be_had(self) -> bool:
        """Whether a small file fits; if that cannot be told, it does."""
        try:
            file = os.open(self._probe, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                self._allocate(file, 0, _PROBE)
            finally:
                os.close(file)
        except OSError as error:
            return error.errno not in _LACKING
        finally:
            with suppress(OSError):
                os.unlink(self._probe)
        return True
