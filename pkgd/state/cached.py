"""The ledger's tables, and the transactions on them: cached objects, what needs what, and the bytes of each host.

A manifest needs its blobs and children, all in its own place. A root is what nothing cached needs. An
object's `used` is never older than that of anything it needs, because each use is passed up to all that
need the object: so a root's `used` is the last use of its whole group, and the least recently used group
is the first entry of an index.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from attrs import frozen

from pkgd.state.database import rows

__all__ = [
    "EVERYWHERE",
    "SCHEMA",
    "START",
    "Cached",
    "Group",
    "Root",
    "add",
    "group_of",
    "held",
    "remove",
    "roots",
    "shift",
    "use",
]

SCHEMA = """
CREATE TABLE IF NOT EXISTS cached (place TEXT NOT NULL, digest TEXT NOT NULL, is_manifest INTEGER NOT NULL,
    size INTEGER NOT NULL, used REAL NOT NULL, root INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (place, digest, is_manifest)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS cached_root ON cached (used, place, digest) WHERE root;
CREATE INDEX IF NOT EXISTS cached_digest ON cached (digest, is_manifest, place);
CREATE TABLE IF NOT EXISTS need (place TEXT NOT NULL, manifest TEXT NOT NULL, needed TEXT NOT NULL,
    PRIMARY KEY (place, manifest, needed)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS need_needed ON need (place, needed, manifest);
CREATE TABLE IF NOT EXISTS held (host TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS surveyed (complete INTEGER PRIMARY KEY);
"""

# In `held`, the bytes of all hosts together.
EVERYWHERE = ""

_CLOSURE = """WITH RECURSIVE
closure(digest) AS (
    VALUES (:root)
    UNION SELECT needed FROM closure JOIN need ON need.place = :place AND need.manifest = closure.digest),
kept(digest) AS (
    SELECT digest FROM closure WHERE EXISTS (
        SELECT 1 FROM need WHERE need.place = :place AND need.needed = closure.digest
        AND need.manifest NOT IN (SELECT digest FROM closure))
    UNION SELECT needed FROM kept JOIN need ON need.place = :place AND need.manifest = kept.digest)
SELECT closure.digest, is_manifest, size, used, closure.digest IN (SELECT digest FROM kept)
FROM closure LEFT JOIN cached ON cached.place = :place AND cached.digest = closure.digest"""

# All that needs the object, directly or not, and the object itself.
_USE = """UPDATE cached SET used = :now WHERE place = :place AND used < :now AND digest IN (
    WITH RECURSIVE above(digest) AS (
        VALUES (:digest)
        UNION SELECT manifest FROM above JOIN need ON need.place = :place AND need.needed = above.digest)
    SELECT digest FROM above)"""

_SET_ROOT = """UPDATE cached SET root = NOT EXISTS (
    SELECT 1 FROM need WHERE need.place = cached.place AND need.needed = cached.digest)
WHERE place = ? AND digest = ?"""


@frozen
class Cached:
    """An object of the mirror: where it is, its size, and when it was last used, in seconds since the epoch.

    `place` is the directory of its repository in the store.
    """

    place: str
    digest: str
    is_manifest: bool
    size: int
    used: float


@frozen
class Root:
    """What no cached manifest of its place needs. `used` is the last use of anything that it needs, or its own."""

    used: float
    place: str
    digest: str


# Before the least recently used.
START = Root(-math.inf, "", "")


@frozen
class Group:
    """A root with all that it needs.

    `digests` are those of the whole group, cached or not. `manifests` and `blobs` are what is cached and
    needed by nothing outside the group; each manifest stands before those that it needs.
    """

    root: Root
    digests: frozenset[str]
    manifests: tuple[Cached, ...]
    blobs: tuple[Cached, ...]


# -- changes --


def add(t: Any, cached: Cached, needs: Iterable[str]) -> None:
    """The object is there; if it is a manifest, it needs these digests. Replaces what was known of it."""
    place, digest = cached.place, cached.digest
    used = max([cached.used, *_forget(t, place, digest, cached.is_manifest)])
    wanted = set(needs) - {digest} if cached.is_manifest else set()
    _account(t, cached, cached.size)
    t.execute("INSERT INTO cached VALUES (?, ?, ?, ?, ?, 1)", (place, digest, cached.is_manifest, cached.size, used))
    t.executemany("INSERT INTO need VALUES (?, ?, ?)", [(place, digest, one) for one in wanted])
    t.executemany(_SET_ROOT, [(place, one) for one in (digest, *wanted)])
    query = """SELECT max(used) FROM cached WHERE place = ?
        AND digest IN (SELECT needed FROM need WHERE place = ? AND manifest = ?)"""
    ((newest,),) = rows(t, query, place, place, digest)
    use(t, place, digest, used if newest is None else max(used, newest))


def remove(t: Any, place: str, digest: str, is_manifest: bool) -> None:
    """The object is no longer there."""
    _forget(t, place, digest, is_manifest)


def _forget(t: Any, place: str, digest: str, is_manifest: bool) -> list[float]:
    """Drop the object and what it needs; returns when it was used, if it was there at all."""
    key = (place, digest, is_manifest)
    query = "SELECT size, used FROM cached WHERE place = ? AND digest = ? AND is_manifest = ?"
    found = rows(t, query, *key)
    if found:
        t.execute("DELETE FROM cached WHERE place = ? AND digest = ? AND is_manifest = ?", key)
        ((size, used),) = found
        _account(t, Cached(place, digest, is_manifest, size, used), -size)
    if is_manifest:
        needs = rows(t, "SELECT place, needed FROM need WHERE place = ? AND manifest = ?", place, digest)
        t.execute("DELETE FROM need WHERE place = ? AND manifest = ?", (place, digest))
        t.executemany(_SET_ROOT, needs)
    return [used for _, used in found]


def _account(t: Any, cached: Cached, size: int) -> None:
    """Count bytes that come or go, unless other places have the same object: equal bytes are one file."""
    query = "SELECT 1 FROM cached WHERE digest = ? AND is_manifest = ? AND place <> ?"
    key = (cached.digest, cached.is_manifest, cached.place)
    count = "INSERT INTO held VALUES (?, ?) ON CONFLICT (host) DO UPDATE SET bytes = bytes + excluded.bytes"
    if not rows(t, f"{query} LIMIT 1", *key):
        t.execute(count, (EVERYWHERE, size))
    head, host = cached.place.split("/")[:2]
    # All that begins with `<head>/<host>/`: the next character after "/" is "0".
    if not rows(t, f"{query} AND place > ? AND place < ? LIMIT 1", *key, f"{head}/{host}/", f"{head}/{host}0"):
        t.execute(count, (host, size))


def use(t: Any, place: str, digest: str, now: float) -> None:
    """The object has been used, and with it all that needs it."""
    t.execute(_USE, {"place": place, "digest": digest, "now": now})


def shift(t: Any, seconds: float, now: float) -> None:
    """Move every use forward, but none beyond `now`; what was beyond it comes back to it."""
    t.execute("UPDATE cached SET used = min(used + ?, ?)", (seconds, now))


# -- groups --


def roots(t: Any, after: Root, limit: int) -> list[Root]:
    """The least recently used roots behind `after`, in order."""
    query = """SELECT used, place, digest FROM cached WHERE root AND (used, place, digest) > (?, ?, ?)
        ORDER BY used, place, digest LIMIT ?"""
    return [Root(*row) for row in rows(t, query, after.used, after.place, after.digest, limit)]


def group_of(t: Any, place: str, digest: str) -> Group | None:
    """The root's group as it is now, or None if it is not cached, or no root."""
    query = "SELECT max(used), min(root) FROM cached WHERE place = ? AND digest = ?"
    ((used, is_root),) = rows(t, query, place, digest)
    if not is_root:
        return None
    t.execute(_CLOSURE, {"place": place, "root": digest})
    digests, alone = set(), []
    for one, is_manifest, size, last, is_kept in t.fetchall():
        digests.add(one)
        if size is not None and not is_kept:
            alone.append(Cached(place, one, bool(is_manifest), size, last))
    manifests = _parents_first(t, place, {one.digest: one for one in alone if one.is_manifest})
    blobs = tuple(one for one in alone if not one.is_manifest)
    return Group(Root(used, place, digest), frozenset(digests), manifests, blobs)


def _parents_first(t: Any, place: str, manifests: dict[str, Cached]) -> tuple[Cached, ...]:
    """Order manifests so that none comes before one that needs it; nothing else needs any of them."""
    children: dict[str, list[str]] = {}
    missing: dict[str, int] = {}
    for digest in manifests:
        parents = rows(t, "SELECT manifest FROM need WHERE place = ? AND needed = ?", place, digest)
        missing[digest] = len(parents)
        for (parent,) in parents:
            children.setdefault(parent, []).append(digest)
    ready = [digest for digest, count in missing.items() if not count]
    ordered: list[Cached] = []
    while ready:
        digest = ready.pop()
        ordered.append(manifests[digest])
        for child in children.get(digest, ()):
            missing[child] -= 1
            if not missing[child]:
                ready.append(child)
    return tuple(ordered)


# -- totals --


def held(t: Any) -> dict[str, int]:
    """The bytes of each host, and of all of them together, under `EVERYWHERE`; equal objects count once in each."""
    return dict(rows(t, "SELECT host, bytes FROM held WHERE bytes <> 0"))
