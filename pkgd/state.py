"""index.sqlite: what can be derived from the tree, kept because deriving it each time is slow.

Digest → repositories (anonymous mounts, deduplication), subject → referrers, digest → tags. The
tree is the truth: the file may be deleted, and after an unclean stop every repository is read anew
on its first use. No other module knows SQL.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from typing import Any, TypeVar

from attrs import frozen
from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

from pkgd.errors import FailedStorage

__all__ = ["Contents", "Index", "Referrer"]

log = Logger()

T = TypeVar("T")

VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS known (repository TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS blob (digest TEXT NOT NULL, repository TEXT NOT NULL,
    PRIMARY KEY (digest, repository)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tag (repository TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (repository, tag)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tag_digest ON tag (repository, digest);
CREATE TABLE IF NOT EXISTS referrer (repository TEXT NOT NULL, subject TEXT NOT NULL, digest TEXT NOT NULL,
    descriptor BLOB NOT NULL, PRIMARY KEY (repository, subject, digest)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS referrer_digest ON referrer (repository, digest);
"""


@frozen
class Referrer:
    """A manifest that names `subject`; `descriptor` is its entry in the referrers list, as JSON."""

    subject: str
    digest: str
    descriptor: bytes


@frozen
class Contents:
    """All that the index keeps of one repository."""

    blobs: list[str]
    tags: list[tuple[str, str]]
    referrers: list[Referrer]


class Index:
    """The file at `path`. `open` before use; every other method returns when the database has done it."""

    def __init__(self, reactor: IReactorFromThreads, path: str) -> None:
        self._path = path
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
        self.was_clean = False
        # Repositories for which a write has failed: what the file says of them may be wrong.
        self._doubtful: set[str] = set()

    def open(self) -> None:
        """Make the file fit for use: a damaged or foreign one is begun anew. Blocks.

        After an unclean stop, nothing that it says is believed.
        """
        try:
            self._prepare()
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    os.unlink(self._path + suffix)
            self._prepare()

    def start(self) -> None:
        """Start the database's thread."""
        self._pool.start()

    def close(self) -> None:
        """Note that the stop is clean, and which repositories are to be read anew, and close. Blocks."""
        self._pool.close()
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._path)) as database, database:
            database.executemany("DELETE FROM known WHERE repository = ?", [(one,) for one in self._doubtful])
            database.execute("INSERT OR REPLACE INTO mark VALUES ('clean', 1)")

    def _prepare(self) -> None:
        # Closed at once: a connection that lingers would take the files of a new database with it.
        with closing(sqlite3.connect(self._path)) as database, database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(_SCHEMA)
            marks = dict(database.execute("SELECT name, value FROM mark").fetchall())
            if marks.get("version", VERSION) != VERSION:
                raise sqlite3.DatabaseError("another version")
            self.was_clean = bool(marks.get("clean"))
            if not self.was_clean:
                database.execute("DELETE FROM known")
            database.execute("INSERT OR REPLACE INTO mark VALUES ('clean', 0), ('version', ?)", (VERSION,))

    # -- one repository as a whole --

    def knows(self, repository: str) -> Deferred[bool]:
        """Whether the repository has been read into the index."""
        if repository in self._doubtful:
            return succeed(False)
        return self._run(lambda t: bool(_rows(t, "SELECT 1 FROM known WHERE repository = ?", repository)))

    def fill(self, repository: str, contents: Contents) -> Deferred[None]:
        """Replace what is known of a repository by what its tree holds.

        :raises Storage: if the database does not take it; the repository is unknown then.
        """

        def write(t: Any) -> None:
            for table in ("tag", "referrer", "blob"):
                t.execute(f"DELETE FROM {table} WHERE repository = ?", (repository,))  # noqa: S608
            t.executemany("INSERT OR IGNORE INTO blob VALUES (?, ?)", [(one, repository) for one in contents.blobs])
            t.executemany("INSERT OR REPLACE INTO tag VALUES (?, ?, ?)", [(repository, *one) for one in contents.tags])
            _insert_referrers(t, repository, contents.referrers)
            t.execute("INSERT OR REPLACE INTO known VALUES (?)", (repository,))

        def doubt(failure: Failure) -> Failure:
            self._doubtful.add(repository)
            return failure

        # Before the write, so that a change that is missed meanwhile is not forgotten.
        self._doubtful.discard(repository)
        return self._run(write).addErrback(doubt)

    # -- blobs --

    def add_blob(self, repository: str, digest: str) -> Deferred[None]:
        """The repository has the blob."""
        query = "INSERT OR IGNORE INTO blob VALUES (?, ?)"
        return self._note(repository, lambda t: _execute(t, query, digest, repository))

    def remove_blob(self, repository: str, digest: str) -> Deferred[None]:
        """The repository no longer has the blob."""
        query = "DELETE FROM blob WHERE digest = ? AND repository = ?"
        return self._note(repository, lambda t: _execute(t, query, digest, repository))

    def holders(self, digest: str) -> Deferred[list[str]]:
        """Some repositories that have the blob, as far as known. Never fails: whoever asks can do without."""

        def none(failure: Failure) -> list[str]:
            failure.trap(FailedStorage)
            log.error("the index does not tell who has {digest}: {error}", digest=digest, error=failure.value)
            return []

        query = "SELECT repository FROM blob WHERE digest = ? LIMIT 100"
        return self._run(lambda t: [row[0] for row in _rows(t, query, digest)]).addErrback(none)

    # -- manifests --

    def add_manifest(
        self, repository: str, digest: str, tags: Iterable[str], referrer: Referrer | None
    ) -> Deferred[None]:
        """The repository has the manifest, under these tags."""
        rows = [(repository, tag, digest) for tag in tags]

        def write(t: Any) -> None:
            t.executemany("INSERT OR REPLACE INTO tag VALUES (?, ?, ?)", rows)
            _insert_referrers(t, repository, [referrer] if referrer else [])

        return self._note(repository, write)

    def remove_manifest(self, repository: str, digest: str) -> Deferred[None]:
        """The repository no longer has the manifest, nor tags on it."""

        def write(t: Any) -> None:
            t.execute("DELETE FROM tag WHERE repository = ? AND digest = ?", (repository, digest))
            t.execute("DELETE FROM referrer WHERE repository = ? AND digest = ?", (repository, digest))

        return self._note(repository, write)

    def remove_tag(self, repository: str, tag: str) -> Deferred[None]:
        """The repository no longer has the tag."""
        query = "DELETE FROM tag WHERE repository = ? AND tag = ?"
        return self._note(repository, lambda t: _execute(t, query, repository, tag))

    def tags_of(self, repository: str, digest: str) -> Deferred[list[str]]:
        """The tags on a manifest."""
        query = "SELECT tag FROM tag WHERE repository = ? AND digest = ?"
        return self._run(lambda t: [row[0] for row in _rows(t, query, repository, digest)])

    def referrers(self, repository: str, subject: str) -> Deferred[list[tuple[str, bytes]]]:
        """Digest and descriptor of each manifest that names the subject, by digest."""
        query = "SELECT digest, descriptor FROM referrer WHERE repository = ? AND subject = ? ORDER BY digest"
        return self._run(lambda t: [(row[0], row[1]) for row in _rows(t, query, repository, subject)])

    def _note(self, repository: str, interaction: Callable[[Any], None]) -> Deferred[None]:
        """Follow a change that the tree already has. Never fails: what is missed is read anew later."""

        def doubt(failure: Failure) -> None:
            failure.trap(FailedStorage)
            self._doubtful.add(repository)
            log.error("the index missed a change of {repository}: {error}", repository=repository, error=failure.value)

        return self._run(interaction).addErrback(doubt)

    def _run(self, interaction: Callable[[Any], T]) -> Deferred[T]:
        """Run in the database's thread.

        :raises FailedStorage: if the database cannot do it.
        """

        def refuse(failure: Failure) -> T:
            failure.trap(sqlite3.Error)
            raise FailedStorage(f"index: {failure.getErrorMessage()}") from failure.value

        done: Deferred[T] = self._pool.runInteraction(interaction)
        return done.addErrback(refuse)


def _open_connection(connection: sqlite3.Connection) -> None:
    """Derived data needs no fsync for each change; a power cut counts as an unclean stop."""
    connection.execute("PRAGMA synchronous = NORMAL")


def _rows(transaction: Any, query: str, *values: str) -> list[tuple[Any, ...]]:
    transaction.execute(query, values)
    found: list[tuple[Any, ...]] = transaction.fetchall()
    return found


def _execute(transaction: Any, query: str, *values: str) -> None:
    transaction.execute(query, values)


def _insert_referrers(transaction: Any, repository: str, referrers: Iterable[Referrer]) -> None:
    rows = [(repository, one.subject, one.digest, one.descriptor) for one in referrers]
    transaction.executemany("INSERT OR REPLACE INTO referrer VALUES (?, ?, ?, ?)", rows)
