"""A database in a directory of its own, and what happens to its file behind its back."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.state import Database, Index, Ledger
from tests.fixtures import InlineReactor, InlineThreads, inline_database

__all__ = ["StateCase", "refused", "refusing"]


def refusing(error: int) -> Callable[[int, int, int], None]:
    """A disk on which no space is to be had, for a reason."""

    def allocate(file: int, offset: int, size: int) -> None:
        raise OSError(error, os.strerror(error))

    return allocate


def refused(code: int) -> sqlite3.Error:
    """What SQLite says."""
    error = sqlite3.OperationalError("no")
    error.sqlite_errorcode = code
    return error


class StateCase(SynchronousTestCase):
    """A test case with an open, empty database, its index and its ledger."""

    def setUp(self) -> None:
        """The database of a process that has just begun."""
        self.path = os.path.join(self.mktemp(), "index.sqlite")
        self.use(inline_database(self.path))

    def use(self, database: Database) -> None:
        """Make it the one that the test is about."""
        self.database = database
        self.index = Index(database)
        self.ledger = Ledger(database)

    def get(self, answer: Deferred[Any]) -> Any:
        """What the database has answered."""
        return self.successResultOf(answer)

    def sql(self, statement: str) -> None:
        """Do something to the file behind the database's back."""
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute(statement)

    def reopen(self) -> None:
        """Go on as the next process: for real, with everything that goes with it."""
        database = Database(InlineReactor(), self.path)
        database._pool.threadpool = InlineThreads()
        self.use(database)
        database.open()
        database.start()
        self.addCleanup(database._pool.close)

    def break_table(self, table: str) -> None:
        """Let every use of a table fail."""
        self.sql(f"ALTER TABLE {table} RENAME TO gone")

    def mend_table(self, table: str) -> None:
        """Let it work again."""
        self.sql(f"ALTER TABLE gone RENAME TO {table}")
