"""What the tree says of repositories: digest → places, subject → referrers, digest → tags.

The tree is the truth: after an unclean stop every repository is read anew on its first use. A
repository goes by its name; a blob by the places that have it, which are directories of the store,
hosted or of an upstream, so that equal bytes are found wherever they are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from pkgd.state.database import Database, Tables, refusal, rows

__all__ = ["Contents", "Index", "Referrer", "forget_blobs"]

log = Logger()

_SCHEMA = """
CREATE TABLE IF NOT EXISTS known (repository TEXT PRIMARY KEY, place TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS blob (digest TEXT NOT NULL, place TEXT NOT NULL,
    PRIMARY KEY (digest, place)) WITHOUT ROWID;
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
    """Its part of the database. Every method returns when the database has done it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Repositories and places for which a write has failed: what the file says of them may be wrong.
        self._doubtful: set[str] = set()
        database.bring(Tables(_SCHEMA, "DELETE FROM known", self._settle))

    # -- one repository as a whole --

    def knows(self, repository: str) -> Deferred[bool]:
        """Whether the repository has been read into the index."""
        if repository in self._doubtful:
            return succeed(False)
        places = self._database.run(lambda t: rows(t, "SELECT place FROM known WHERE repository = ?", repository))
        return places.addCallback(lambda found: any(place not in self._doubtful for (place,) in found))

    def fill(self, repository: str, place: str, contents: Contents) -> Deferred[None]:
        """Replace what is known of a repository by what its tree holds.

        :param place: the repository's directory in the store, which its blobs go by.
        :raises Storage: if the database does not take it; the repository is unknown then.
        """

        def write(t: Any) -> None:
            t.execute("DELETE FROM blob WHERE place = ?", (place,))
            t.execute("DELETE FROM tag WHERE repository = ?", (repository,))
            t.execute("DELETE FROM referrer WHERE repository = ?", (repository,))
            t.executemany("INSERT OR IGNORE INTO blob VALUES (?, ?)", [(one, place) for one in contents.blobs])
            t.executemany("INSERT OR REPLACE INTO tag VALUES (?, ?, ?)", [(repository, *one) for one in contents.tags])
            _insert_referrers(t, repository, contents.referrers)
            t.execute("INSERT OR REPLACE INTO known VALUES (?, ?)", (repository, place))

        def doubt(failure: Failure) -> Failure:
            self._doubtful.add(repository)
            return failure

        # Before the write, so that a change that is missed meanwhile is not forgotten.
        self._doubtful.difference_update((repository, place))
        return self._database.run(write).addErrback(doubt)

    # -- blobs --

    def add_blob(self, place: str, digest: str) -> Deferred[None]:
        """The place has the blob."""
        return self._note(place, _statement("INSERT OR IGNORE INTO blob VALUES (?, ?)", digest, place))

    def remove_blob(self, place: str, digest: str) -> Deferred[None]:
        """The place no longer has the blob."""
        return self._note(place, _statement("DELETE FROM blob WHERE digest = ? AND place = ?", digest, place))

    def holders(self, digest: str) -> Deferred[list[str]]:
        """Some places that have the blob, as far as known; hosted ones first.

        Never fails: whoever asks can do without.
        """

        def none(failure: Failure) -> list[str]:
            log.error("who has {digest} is unknown: {reason}", digest=digest, reason=refusal(failure))
            return []

        # No hosted repository's place begins with `__`.
        query = "SELECT place FROM blob WHERE digest = ? ORDER BY substr(place, 1, 2) = '__' LIMIT 100"
        return self._database.run(lambda t: [place for (place,) in rows(t, query, digest)]).addErrback(none)

    # -- manifests --

    def add_manifest(
        self, repository: str, digest: str, tags: Iterable[str], referrer: Referrer | None
    ) -> Deferred[None]:
        """The repository has the manifest, under these tags."""
        pointers = [(repository, tag, digest) for tag in tags]

        def write(t: Any) -> None:
            t.executemany("INSERT OR REPLACE INTO tag VALUES (?, ?, ?)", pointers)
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
        return self._note(repository, _statement("DELETE FROM tag WHERE repository = ? AND tag = ?", repository, tag))

    def tags_of(self, repository: str, digest: str) -> Deferred[list[str]]:
        """The tags on a manifest."""
        query = "SELECT tag FROM tag WHERE repository = ? AND digest = ?"
        return self._database.run(lambda t: [tag for (tag,) in rows(t, query, repository, digest)])

    def referrers(self, repository: str, subject: str) -> Deferred[list[tuple[str, bytes]]]:
        """Digest and descriptor of each manifest that names the subject, by digest."""
        query = "SELECT digest, descriptor FROM referrer WHERE repository = ? AND subject = ? ORDER BY digest"
        return self._database.run(lambda t: [(row[0], row[1]) for row in rows(t, query, repository, subject)])

    # -- what is missed --

    def _note(self, whose: str, interaction: Callable[[Any], None]) -> Deferred[None]:
        """Follow a change that the tree already has. Never fails: what is missed is read anew later."""

        def doubt(failure: Failure) -> None:
            log.error("a change of {whose} was missed: {reason}", whose=whose, reason=refusal(failure))
            self._doubtful.add(whose)

        return self._database.run(interaction).addErrback(doubt)

    def _settle(self, database: sqlite3.Connection) -> None:
        """Have the next process read anew whatever this one knows to be incomplete."""
        for column in ("repository", "place"):
            query = f"DELETE FROM known WHERE {column} = ?"  # noqa: S608
            database.executemany(query, [(one,) for one in self._doubtful])


def forget_blobs(transaction: Any, place: str, digests: Iterable[str]) -> None:
    """The place no longer has the blobs: a part of another owner's transaction."""
    transaction.executemany("DELETE FROM blob WHERE digest = ? AND place = ?", [(one, place) for one in digests])


def _statement(query: str, *values: str) -> Callable[[Any], None]:
    """A change of one statement."""

    def write(transaction: Any) -> None:
        transaction.execute(query, values)

    return write


def _insert_referrers(transaction: Any, repository: str, referrers: Iterable[Referrer]) -> None:
    found = [(repository, one.subject, one.digest, one.descriptor) for one in referrers]
    transaction.executemany("INSERT OR REPLACE INTO referrer VALUES (?, ?, ?, ?)", found)
