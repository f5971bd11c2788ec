"""The file pkgd.sqlite: API keys, refresh tokens, browser sessions, disabled users.

Nothing else has them, so nothing may lose them.

What is committed has reached the disk before anybody hears of it. A file that is damaged, or of a newer pkgd, stops the
start; it is never begun anew. On the server itself commands such as `pkgd key` write to it beside a running daemon,
which notices (`read_if_changed`).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar

from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool

from pkgd.errors import ConfigError, FailedStorage, NoRoomToStart, NoSpace, ReadOnlyStorage, Storage
from pkgd.state.room import Room

__all__ = ["Accounts", "AccountsFile"]

T = TypeVar("T")

# How long one process waits for another's transaction, in seconds.
BUSY_SECONDS = 10.0
# What says that an SQLite file is ours: "pkgd".
APPLICATION = 0x706B6764

# One step for each version of the schema, each a transaction: what has been released is never changed.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE api_key (id TEXT PRIMARY KEY, digest BLOB NOT NULL, owner TEXT NOT NULL, via TEXT NOT NULL,"
        " groups TEXT NOT NULL, label TEXT NOT NULL, allow TEXT NOT NULL, networks TEXT NOT NULL, parent TEXT,"
        " created REAL NOT NULL, expires REAL NOT NULL, used REAL, suspended INTEGER NOT NULL DEFAULT 0)",
        "CREATE INDEX api_key_owner ON api_key (owner)",
        "CREATE TABLE refresh_token (digest BLOB PRIMARY KEY, user TEXT NOT NULL, groups TEXT NOT NULL,"
        " via TEXT NOT NULL, stamp TEXT NOT NULL, service TEXT NOT NULL, client TEXT NOT NULL,"
        " created REAL NOT NULL, expires REAL NOT NULL) WITHOUT ROWID",
        "CREATE INDEX refresh_token_user ON refresh_token (user)",
        "CREATE TABLE session (digest BLOB PRIMARY KEY, user TEXT NOT NULL, groups TEXT NOT NULL,"
        " created REAL NOT NULL, expires REAL NOT NULL) WITHOUT ROWID",
        "CREATE INDEX session_user ON session (user)",
    ),
)
# What has come since, and an older pkgd can do without: it goes on with the file, as it was before.
ADDITIONS = ("CREATE TABLE IF NOT EXISTS disabled_user (user TEXT PRIMARY KEY, since REAL NOT NULL) WITHOUT ROWID",)


class AccountsFile:
    """The file at `path`, as a process opens it. Everything here blocks.

    :param make_room: asked for space on a full disk, for what may not wait until there is some.
    """

    def __init__(self, path: str, make_room: Callable[[], object] = lambda: None) -> None:
        self.path = path
        self.room = Room(path, make_room)

    def prepare(self) -> None:
        """Make the file where there is none, see that it is whole, and bring it to the present schema.

        On a full disk it has the room that can be made.

        :raises ConfigError: if it cannot be used; it is left as it is.
        :raises NoRoomToStart: if there is no space to open it.
        """
        try:
            self._make()
            try:
                self._bring_up()
            except sqlite3.Error as error:
                if not self.room.is_lacking(error):
                    raise
                self.room.more()
                self._bring_up()
        except (sqlite3.Error, OSError, Storage) as error:
            if self.room.is_lacking(error):
                raise NoRoomToStart(self.path) from error
            raise self._unusable(str(error)) from error

    def connect(self) -> sqlite3.Connection:
        """A connection whose commits have reached the disk when they return."""
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level="IMMEDIATE")
        configure(connection)
        return connection

    def run(self, interaction: Callable[[Any], T], is_urgent: bool = False) -> T:
        """One transaction, at once: for commands.

        :param is_urgent: on a full disk, it is tried once more with the room that can be made.
        :raises Storage: if the file cannot take it.
        """
        try:
            return self._run(interaction)
        except sqlite3.Error as error:
            refusal = self.refusal(error)
            if not (is_urgent and isinstance(refusal, NoSpace)):
                raise refusal from error
        try:
            self.room.more()
            return self._run(interaction)
        except sqlite3.Error as error:
            raise self.refusal(error) from error

    def refusal(self, error: Any) -> Storage:
        """What SQLite's refusal is to everybody else."""
        kind: type[Storage] = FailedStorage
        if self.room.is_lacking(error):
            kind = NoSpace
        elif getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:  # the rest says why
            kind = ReadOnlyStorage
        return kind(f"{os.path.basename(self.path)}: {error}")

    def _run(self, interaction: Callable[[Any], T]) -> T:
        with closing(self.connect()) as connection, connection:
            return interaction(connection.cursor())

    def _make(self) -> None:
        """An empty file that only its owner may read, its name durable; SQLite gives its helpers the same mode."""
        if os.path.exists(f"{self.path}-wal") and not os.path.exists(self.path):
            raise self._unusable("it is gone, and its -wal is still there")
        directory = os.path.dirname(self.path)
        try:
            file = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            os.chmod(self.path, 0o600)
            return
        try:
            if os.geteuid() == 0:
                # Root's command must not keep the daemon from its own file.
                owner = os.stat(directory)
                os.fchown(file, owner.st_uid, owner.st_gid)
        finally:
            os.close(file)
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _bring_up(self) -> None:
        with closing(self.connect()) as connection:
            self._check(connection)
            self._migrate(connection)

    def _check(self, connection: sqlite3.Connection) -> None:
        """
        :raises ConfigError: if it is somebody else's, newer, or not whole.
        """
        version, application = _pragma(connection, "user_version"), _pragma(connection, "application_id")
        if version > len(MIGRATIONS):
            raise self._unusable(f"a newer pkgd has written it (version {version})")
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if (version or tables) and application != APPLICATION:
            raise self._unusable("it is not one of pkgd's")
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise self._unusable(str(found))

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        # Read within the transaction: another process may have done it meanwhile.
        for number in range(_pragma(connection, "user_version"), len(MIGRATIONS)):
            for statement in MIGRATIONS[number]:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {number + 1}")
        for statement in ADDITIONS:
            connection.execute(statement)
        connection.execute("COMMIT")

    def _unusable(self, reason: str) -> ConfigError:
        return ConfigError(
            self.path,
            f"the file with API keys and sessions cannot be used: {reason}. Nothing has been changed;"
            " bring it back from a backup, or move it away (with its -wal) to go on without any key",
        )


class Accounts:
    """The file as the daemon uses it, through one thread. `open` and `start` before use."""

    def __init__(self, reactor: IReactorFromThreads, path: str, make_room: Callable[[], object] = lambda: None) -> None:
        """
        :param make_room: see `AccountsFile`.
        """
        self.file = AccountsFile(path, make_room)
        self._reactor = reactor
        self._version = 0
        self._pool: Any = ConnectionPool(
            "sqlite3",
            path,
            timeout=BUSY_SECONDS,
            isolation_level="IMMEDIATE",
            check_same_thread=False,
            cp_reactor=reactor,
            cp_min=1,
            cp_max=1,
            cp_noisy=False,
            cp_openfun=configure,
        )

    def open(self) -> None:
        """Make the file fit for use. Blocks.

        :raises ConfigError: if it cannot be used.
        """
        self.file.prepare()

    def start(self) -> None:
        """Start the thread."""
        self._pool.start()

    def close(self) -> None:
        """Finish what has been begun, and close. Blocks. May be called without `start`."""
        self._pool.close()

    def run(self, interaction: Callable[[Any], T], is_urgent: bool = False) -> Deferred[T]:
        """Run one transaction, in the order of the calls; it is durable when the Deferred fires.

        :param is_urgent: see `AccountsFile.run`.
        :raises Storage: if the file does not take it; nothing of it has happened then.
        """
        return Deferred.fromCoroutine(self._run(interaction, is_urgent))

    async def _run(self, interaction: Callable[[Any], T], is_urgent: bool) -> T:
        def with_room(transaction: Any) -> T:
            self.file.room.more()
            return interaction(transaction)

        try:
            return await self._interact(interaction)
        except NoSpace:
            if not is_urgent:
                raise
        return await self._interact(with_room)

    async def _interact(self, interaction: Callable[[Any], T]) -> T:
        try:
            found: T = await self._pool.runInteraction(interaction)
        except sqlite3.Error as error:
            # In the thread, too: it may have to look at the disk.
            raise await deferToThreadPool(self._reactor, self._pool.threadpool, self.file.refusal, error) from error
        return found

    def read_if_changed(self, interaction: Callable[[Any], T]) -> Deferred[T | None]:
        """Run one that only reads, if another process has written since this was last done; at first it has. Else None.

        :raises Storage: if the file does not give it; then it is still to be done.
        """

        def look(transaction: Any) -> T | None:
            version: int = transaction.execute("PRAGMA data_version").fetchone()[0]
            if version == self._version:
                return None
            found = interaction(transaction)
            self._version = version
            return found

        return self.run(look)


def configure(connection: sqlite3.Connection) -> None:
    """Have commits wait for the disk: WAL with `synchronous = FULL` syncs at each. Nothing deleted stays readable."""
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value
