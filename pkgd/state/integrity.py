"""An SQLite file of ours, looked at and copied by somebody who doesn't use it. All of this blocks."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from urllib.parse import quote

from pkgd.errors import FailedStorage

__all__ = ["BUSY_SECONDS", "InUse", "copy_database", "database_problem"]

# How long to wait for who writes to one.
BUSY_SECONDS = 10.0


class InUse(Exception):
    """Somebody has the file for himself."""


def database_problem(path: str, patience: float = BUSY_SECONDS) -> str:
    """What SQLite's own check says is wrong with a file, also while others write to it; "" if nothing is.

    :param patience: how long to wait for them, in seconds.
    :raises InUse: if that is not long enough.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=patience)) as database:
            (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:  # the rest says why
            raise InUse from error
        return str(error)
    return "" if found == "ok" else str(found)


def copy_database(source: str, target: str) -> None:
    """Copy a file, as it is at one moment, into a new one that nobody else may read; it needs no `-wal` beside it.

    :raises FailedStorage: if that cannot be done.
    """
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with (
            closing(sqlite3.connect(f"file:{quote(source)}?mode=rw", uri=True, timeout=BUSY_SECONDS)) as from_there,
            closing(sqlite3.connect(target)) as into_it,
        ):
            from_there.backup(into_it)
            into_it.execute("PRAGMA journal_mode = DELETE")
    except (sqlite3.Error, OSError) as error:
        raise FailedStorage(f"{source} cannot be copied: {error}") from error
