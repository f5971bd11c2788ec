"""What the mirror has cached, what needs it, and when it was last used: what eviction goes by.

It follows the tree as the index does, after the fact and without fsync. After an unclean stop, or in a
new file, it is incomplete until a survey of the tree has run; until then nobody evicts by it.

Uses are noted in memory and written once in a while. A change that the database does not take is kept
and tried again before the next one, so that a disk that is full for a while makes nothing look unneeded.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import evolve, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from pkgd.state import cached as tables
from pkgd.state.cached import EVERYWHERE, START, Cached, Group, Root
from pkgd.state.database import Database, Tables, refusal, rows
from pkgd.state.index import forget_blobs

__all__ = ["Cached", "Group", "Ledger", "Root"]

log = Logger()

# Uses that are kept in memory until they are written, and how many are written at a time.
MAX_TOUCHED = 8192
SLICE = 512
# Changes that are kept until the database takes them.
MAX_CHANGES = 1024


@frozen
class _Change:
    """A change that the tree already has: what is needed by it or gone, and by how much it changes the total."""

    place: str
    apply: Callable[[Any], None]
    needs: frozenset[str] = frozenset()
    gone: str = ""
    size: int = 0

    def touches(self, group: Group) -> bool:
        """Whether the group is not as the database says."""
        root = group.root
        return self.place == root.place and (self.gone == root.digest or bool(self.needs & group.digests))


class Ledger:
    """Its part of the database. Everything but `touch` returns when the database has done it.

    Changes never fail: whoever makes one can do without. Questions do.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._touched: dict[tuple[str, str], float] = {}
        self._flushing = 0
        self._changes: list[_Change] = []
        # Whether a change came late or not at all: the next process takes a survey.
        self._doubtful = False
        # Whether one has been given up, and whether a survey is being taken: nothing is evicted meanwhile.
        self._lost = False
        self._surveying = False
        database.bring(Tables(tables.SCHEMA, "DELETE FROM surveyed", self._settle))

    # -- what is cached --

    def add(self, cached: Cached, needs: Sequence[str] = ()) -> Deferred[None]:
        """The object is in the tree.

        :param needs: the digests of a manifest's blobs and children, which are of the same place.
        """
        return self.add_all([(cached, needs)])

    def add_all(self, found: Iterable[tuple[Cached, Sequence[str]]]) -> Deferred[None]:
        """These objects are in the tree, each with what it needs."""
        return self._write([_addition(cached, needs) for cached, needs in found])

    def remove(self, place: str, digests: Sequence[str]) -> Deferred[None]:
        """The place has these no more, neither as manifests nor as blobs."""
        found = [Cached(place, digest, kind, 0, 0.0) for digest in digests for kind in (True, False)]
        return self._write(list(map(_removal, found)))

    def remove_all(self, gone: Iterable[Cached]) -> Deferred[None]:
        """Just these objects are no longer in the tree."""
        return self._write(list(map(_removal, gone)))

    def total(self) -> Deferred[int]:
        """The bytes of all objects; equal ones count once, for they are one file."""

        def add_up(found: dict[str, int]) -> int:
            return max(0, found.get(EVERYWHERE, 0) + sum(change.size for change in self._changes))

        return self._database.run(tables.held).addCallback(add_up)

    def by_host(self) -> Deferred[dict[str, int]]:
        """The bytes of each upstream host; equal objects of one host count once."""

        def hosts(found: dict[str, int]) -> dict[str, int]:
            return {host: count for host, count in found.items() if host != EVERYWHERE}

        return self._database.run(tables.held).addCallback(hosts)

    # -- when it was used --

    def touch(self, place: str, digest: str, now: float) -> None:
        """The object is being used. Noted at once, in memory."""
        key = (place, digest)
        if key not in self._touched and len(self._touched) >= MAX_TOUCHED:
            if self._flushing:
                return  # more than the disk can follow: this use counts for nothing
            self.flush()
        self._touched[key] = max(now, self._touched.get(key, now))

    def flush(self) -> Deferred[None]:
        """Write what has been touched, and the changes that the database has not taken yet."""
        touched, self._touched = list(self._touched.items()), {}
        done: Deferred[None] = self._write([]) if self._changes else succeed(None)
        for start in range(0, len(touched), SLICE):
            done = self._use(touched[start : start + SLICE])
        return done

    def _use(self, touched: list[tuple[tuple[str, str], float]]) -> Deferred[None]:
        def write(t: Any) -> None:
            for (place, digest), now in touched:
                tables.use(t, place, digest, now)

        def written(result: Failure | None) -> None:
            self._flushing -= 1
            if isinstance(result, Failure):
                log.error("the ledger has missed some uses: {reason}", reason=refusal(result))

        self._flushing += 1
        return self._database.run(write).addBoth(written)

    def shift(self, seconds: float, now: float) -> Deferred[None]:
        """Move every use forward, because the clock has been set; none beyond `now`.

        :raises Storage: if the database does not take it.
        """
        return self._database.run(lambda t: tables.shift(t, seconds, now))

    # -- what may go --

    def roots(self, after: Root = START, limit: int = 64) -> Deferred[list[Root]]:
        """The least recently used roots behind `after`, in order."""
        return self._database.run(lambda t: tables.roots(t, after, limit))

    def group(self, place: str, digest: str) -> Deferred[Group | None]:
        """A root's group as it is now, uses in memory included.

        None if it is not cached, or no root any more, or if the database is behind the tree here.
        """

        def judge(found: Group | None) -> Group | None:
            if found is None or self._lost or any(change.touches(found) for change in self._changes):
                return None
            recent = [self._touched.get((place, one), 0.0) for one in found.digests]
            return evolve(found, root=evolve(found.root, used=max([found.root.used, *recent])))

        return self._database.run(lambda t: tables.group_of(t, place, digest)).addCallback(judge)

    def is_empty(self, place: str) -> Deferred[bool]:
        """Whether nothing of the place is cached."""
        return self._database.run(lambda t: not rows(t, "SELECT 1 FROM cached WHERE place = ? LIMIT 1", place))

    # -- the survey --

    def is_complete(self) -> Deferred[bool]:
        """Whether everything in the tree is in here."""
        if self._lost or self._surveying:
            return succeed(False)
        return self._database.run(lambda t: bool(rows(t, "SELECT 1 FROM surveyed")))

    def begin(self) -> None:
        """A survey begins."""
        self._lost, self._surveying = False, True

    def complete(self) -> Deferred[None]:
        """The survey has brought in everything."""
        self._surveying = False
        return self._write([_Change("", lambda t: t.execute("INSERT OR REPLACE INTO surveyed VALUES (1)"))])

    def page(self, after: Cached | None, limit: int) -> Deferred[list[Cached]]:
        """Some objects behind `after`, in an order that puts those of one place together."""
        query = """SELECT place, digest, is_manifest, size, used FROM cached
            WHERE (place, digest, is_manifest) > (?, ?, ?) ORDER BY place, digest, is_manifest LIMIT ?"""
        key = ("", "", 0) if after is None else (after.place, after.digest, after.is_manifest)

        def read(t: Any) -> list[Cached]:
            return [Cached(row[0], row[1], bool(row[2]), *row[3:]) for row in rows(t, query, *key, limit)]

        return self._database.run(read)

    def unknown(self, place: str, is_manifest: bool, digests: Sequence[str]) -> Deferred[list[str]]:
        """Those of the digests that are not in here."""
        query = "SELECT 1 FROM cached WHERE place = ? AND digest = ? AND is_manifest = ?"
        return self._database.run(lambda t: [one for one in digests if not rows(t, query, place, one, is_manifest)])

    # -- writing --

    def _write(self, changes: list[_Change]) -> Deferred[None]:
        """Write changes, behind those that the database has not taken."""
        was_behind = bool(self._changes)
        batch, self._changes = [*self._changes, *changes], []

        def write(t: Any) -> None:
            for change in batch:
                change.apply(t)

        def keep(failure: Failure) -> None:
            reason = refusal(failure)
            if not was_behind:
                log.error("the ledger cannot follow: {reason}", reason=reason)
            self._doubtful = True
            self._changes = [*batch, *self._changes]
            if len(self._changes) > MAX_CHANGES:
                log.error("the ledger has given up {count} changes", count=len(self._changes))
                self._changes, self._lost = [], True

        return self._database.run(write).addErrback(keep)

    def _settle(self, database: sqlite3.Connection) -> None:
        if self._doubtful:
            database.execute("DELETE FROM surveyed")


def _addition(cached: Cached, needs: Sequence[str]) -> _Change:
    return _Change(cached.place, lambda t: tables.add(t, cached, needs), frozenset(needs), size=cached.size)


def _removal(gone: Cached) -> _Change:
    def apply(t: Any) -> None:
        tables.remove(t, gone.place, gone.digest, gone.is_manifest)
        if not gone.is_manifest:
            forget_blobs(t, gone.place, [gone.digest])

    return _Change(gone.place, apply, gone=gone.digest, size=-gone.size)
