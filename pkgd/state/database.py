"""The file index.sqlite and its one thread: begun anew where it is damaged, distrusted after an unclean stop.

What is in it belongs to others. Each brings its tables, and says what of them has to be withdrawn when
the last process has ended without a word, or when this one knows that it has missed something.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any, TypeVar

from attrs import frozen
from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from pkgd.errors import FailedStorage, NoRoomToStart
from pkgd.state.room import Room

__all__ = ["Database", "InlineDatabase", "Tables", "refusal", "rows"]

T = TypeVar("T")

# The file of another version is begun anew: what is in it can be derived.
VERSION = 2

# Before anything else on a connection: nobody shares the file, so SQLite keeps its index of the log in memory. One that
# is a file is written by mmap, and where a full disk has no block for a page of it the process dies of SIGBUS.
_ALONE = "PRAGMA locking_mode = EXCLUSIVE"
_MARKS = "CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL);"


@frozen
class Tables:
    """What one owner keeps in the file.

    `schema` makes the tables where they aren't; `distrust` is run after an unclean stop; `settle` is
    called at a clean one.
    """

    schema: str
    distrust: str
    settle: Callable[[sqlite3.Connection], None]


class Database:
    """The file at `path`. `open` before use; `run` returns when the database has done it."""

    def __init__(
        self, reactor: IReactorFromThreads | None, path: str, make_room: Callable[[], object] = lambda: None
    ) -> None:
        """
        :param make_room: asked for space to open the file on a full disk.
        """
        self._path = path
        self._room = Room(path, make_room)
        self._pool: Any = ConnectionPool(
            "sqlite3",
            path,
            check_same_thread=False,
            cp_reactor=reactor,
            cp_min=1,
            cp_max=1,
            cp_noisy=False,
            cp_openfun=_open_connection,
        )
        self._tables: list[Tables] = []
        self.was_clean = False

    def bring(self, tables: Tables) -> None:
        """Have these tables in the file, too. Before `open`."""
        self._tables.append(tables)

    def open(self) -> None:
        """Make the file fit for use: a damaged or foreign one is begun anew. Blocks.

        After an unclean stop, what its owners distrust is withdrawn. On a full disk the last resort is what the file
        itself takes up: it is begun anew, too.

        :raises FailedStorage: if there can be no such file.
        :raises NoRoomToStart: if there is no space for it.
        """
        try:
            if not self._can_go_on():
                self._remove()
                self._prepare()
        except sqlite3.Error as error:
            if self._room.is_lacking(error):
                raise NoRoomToStart(self._path) from error
            raise FailedStorage(f"index: {error}") from error

    def _can_go_on(self) -> bool:
        """Go on with the file that is there, if that is possible."""
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            if not self._room.is_lacking(error):
                return False
        else:
            return True
        self._room.more()
        try:
            self._prepare()
        except sqlite3.DatabaseError:
            return False
        return True

    def start(self) -> None:
        """Start the database's thread."""
        self._pool.start()

    def close(self) -> None:
        """Let the owners withdraw what they know to be wrong, note that the stop is clean, and close. Blocks."""
        self._pool.close()
        self._settle()

    def run(self, interaction: Callable[[Any], T]) -> Deferred[T]:
        """Run one transaction in the database's thread, in the order of the calls.

        :raises FailedStorage: if the database cannot do it.
        """

        def refuse(failure: Failure) -> T:
            failure.trap(sqlite3.Error)
            raise FailedStorage(f"index: {failure.getErrorMessage()}") from failure.value

        done: Deferred[T] = self._pool.runInteraction(interaction)
        return done.addErrback(refuse)

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.unlink(self._path + suffix)

    def _settle(self) -> None:
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._path)) as database, database:
            database.execute(_ALONE)
            for tables in self._tables:
                tables.settle(database)
            database.execute("INSERT OR REPLACE INTO mark VALUES ('clean', 1)")

    def _prepare(self) -> None:
        # Closed at once: a connection that lingers would take the files of a new database with it.
        with closing(sqlite3.connect(self._path)) as database, database:
            database.execute(_ALONE)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(_MARKS)
            marks = dict(database.execute("SELECT name, value FROM mark").fetchall())
            if marks.get("version", VERSION) != VERSION:
                raise sqlite3.DatabaseError("another version")
            self.was_clean = bool(marks.get("clean"))
            for tables in self._tables:
                database.executescript(tables.schema)
                if not self.was_clean:
                    database.executescript(tables.distrust)
            database.execute("INSERT OR REPLACE INTO mark VALUES ('clean', 0), ('version', ?)", (VERSION,))


class InlineDatabase(Database):
    """A database without a thread, for commands: `run` has done it when it returns. First, `begin_anew` or `go_on`."""

    def __init__(self, path: str, make_room: Callable[[], object] = lambda: None) -> None:
        super().__init__(None, path, make_room)
        self._connection: sqlite3.Connection | None = None

    def begin_anew(self) -> None:
        """Make a new file in place of the one that is there.

        :raises FailedStorage: if that cannot be done.
        """
        try:
            self._remove()
            self._prepare()
            self._connect()
        except (OSError, sqlite3.Error) as error:
            raise FailedStorage(f"index: {error}") from error

    def go_on(self) -> None:
        """Use the file that is there, as `open` does.

        :raises FailedStorage: if that cannot be done.
        """
        try:
            self.open()
            self._connect()
        except (OSError, sqlite3.Error) as error:
            raise FailedStorage(f"index: {error}") from error

    def _connect(self) -> None:
        self._connection = sqlite3.connect(self._path)
        _open_connection(self._connection)

    def run(self, interaction: Callable[[Any], T]) -> Deferred[T]:
        """See `Database.run`."""
        assert self._connection is not None, "neither begin_anew nor go_on has been called"
        try:
            with self._connection:
                return succeed(interaction(self._connection.cursor()))
        except sqlite3.Error as error:
            return fail(FailedStorage(f"index: {error}"))

    def close(self) -> None:
        """See `Database.close`."""
        if self._connection is not None:
            self._connection.close()
            self._settle()


def _open_connection(connection: sqlite3.Connection) -> None:
    """Derived data needs no fsync for each change; a power cut counts as an unclean stop.

    Questions write no temporary files, so that they are answered on a full disk, too.
    """
    connection.execute(_ALONE)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA temp_store = MEMORY")


def refusal(failure: Failure) -> str:
    """What the database says to something that it has not done. Any other failure is raised again."""
    failure.trap(FailedStorage)
    return str(getattr(failure.value, "operation", ""))


def rows(transaction: Any, query: str, *values: object) -> list[tuple[Any, ...]]:
    """All that a question finds."""
    transaction.execute(query, values)
    found: list[tuple[Any, ...]] = transaction.fetchall()
    return found
