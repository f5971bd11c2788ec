"""What stands in pkgd.sqlite, as values, and the statements on it. Each function is a part of somebody's transaction.

Secrets are there as SHA-256 digests only: they have 256 random bits, so that nothing slower is needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from attrs import frozen

__all__ = [
    "AllowRow",
    "DisabledRow",
    "KeyRow",
    "RefreshRow",
    "SessionRow",
    "add_key",
    "add_refresh",
    "add_session",
    "all_keys",
    "all_refresh",
    "delete_expired",
    "delete_key",
    "delete_refresh",
    "delete_session",
    "disable_user",
    "disabled_users",
    "enable_user",
    "end_refresh",
    "find_refresh",
    "find_session",
    "forget_user",
    "note_uses",
    "set_standing",
]


# How much of a refresh token's digest tells it from others.
_ID_BYTES = 8


@frozen
class AllowRow:
    """A part of a key's cap: globs over resources, and actions by their names."""

    resources: tuple[str, ...]
    actions: tuple[str, ...]


@frozen
class KeyRow:
    """An API key. Times are in seconds since the epoch; `allow` None is everything.

    `via` is how its owner was known when it was made; `parent` the key that it was made with.
    """

    id: str
    digest: bytes
    owner: str
    via: str
    groups: tuple[str, ...]
    label: str
    allow: tuple[AllowRow, ...] | None
    networks: tuple[str, ...]
    parent: str | None
    created: float
    expires: float
    used: float | None = None
    suspended: bool = False


@frozen
class RefreshRow:
    """A refresh token: whose, for which service, and what vouched for him."""

    digest: bytes
    user: str
    groups: tuple[str, ...]
    via: str
    stamp: str
    service: str
    client: str
    created: float
    expires: float

    @property
    def id(self) -> str:
        """What it is called where its secret is nobody's business."""
        return self.digest[:_ID_BYTES].hex()


@frozen
class SessionRow:
    """A browser that has logged in."""

    digest: bytes
    user: str
    groups: tuple[str, ...]
    created: float
    expires: float


@frozen
class DisabledRow:
    """A user who is not let in, and since when."""

    user: str
    since: float


# -- API keys --


def add_key(t: Any, row: KeyRow) -> None:
    """Keep a new key."""
    allow = None if row.allow is None else [[list(one.resources), list(one.actions)] for one in row.allow]
    t.execute(
        "INSERT INTO api_key VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(row.id, row.digest, row.owner, row.via, _text(row.groups), row.label, json.dumps(allow)),
            *(_text(row.networks), row.parent, row.created, row.expires, row.used, row.suspended),
        ),
    )


def all_keys(t: Any) -> list[KeyRow]:
    """Every key."""
    return [_key(*one) for one in t.execute("SELECT * FROM api_key ORDER BY created, id").fetchall()]


def delete_key(t: Any, identifier: str) -> bool:
    """Forget a key, and those that were made with it; whether there was one."""
    t.execute("DELETE FROM api_key WHERE parent = ?", (identifier,))
    t.execute("DELETE FROM api_key WHERE id = ?", (identifier,))
    return bool(t.rowcount)


def note_uses(t: Any, uses: Iterable[tuple[str, float]]) -> None:
    """Keep when keys were last used."""
    t.executemany("UPDATE api_key SET used = ? WHERE id = ?", [(when, identifier) for identifier, when in uses])


def set_standing(t: Any, owner: str, groups: tuple[str, ...], suspended: bool) -> None:
    """What has been learnt of an owner is so of his keys, refresh tokens and sessions, too."""
    t.execute("UPDATE api_key SET groups = ?, suspended = ? WHERE owner = ?", (_text(groups), suspended, owner))
    for table in ("refresh_token", "session"):
        t.execute(f"UPDATE {table} SET groups = ? WHERE user = ?", (_text(groups), owner))  # noqa: S608


# -- refresh tokens --


def add_refresh(t: Any, row: RefreshRow) -> None:
    """Keep a new refresh token."""
    t.execute(
        "INSERT INTO refresh_token VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(row.digest, row.user, _text(row.groups), row.via, row.stamp),
            *(row.service, row.client, row.created, row.expires),
        ),
    )


def find_refresh(t: Any, digest: bytes) -> RefreshRow | None:
    """The refresh token with this digest."""
    row = t.execute("SELECT * FROM refresh_token WHERE digest = ?", (digest,)).fetchone()
    return None if row is None else RefreshRow(row[0], row[1], _texts(row[2]), *row[3:])


def all_refresh(t: Any, now: float, user: str | None = None) -> list[RefreshRow]:
    """Every refresh token that is good for longer than until now, or a user's."""
    rows = t.execute(
        "SELECT * FROM refresh_token WHERE expires > ? AND (? IS NULL OR user = ?) ORDER BY created, digest",
        (now, user, user),
    ).fetchall()
    return [RefreshRow(row[0], row[1], _texts(row[2]), *row[3:]) for row in rows]


def end_refresh(t: Any, identifier: str) -> bool:
    """Forget the refresh token that is called so; whether there was one."""
    t.execute("DELETE FROM refresh_token WHERE lower(hex(substr(digest, 1, ?))) = ?", (_ID_BYTES, identifier))
    return bool(t.rowcount)


def delete_refresh(t: Any, digest: bytes) -> None:
    """Forget a refresh token."""
    t.execute("DELETE FROM refresh_token WHERE digest = ?", (digest,))


# -- sessions --


def add_session(t: Any, row: SessionRow) -> None:
    """Keep a new session."""
    t.execute(
        "INSERT INTO session VALUES (?, ?, ?, ?, ?)",
        (row.digest, row.user, _text(row.groups), row.created, row.expires),
    )


def find_session(t: Any, digest: bytes) -> SessionRow | None:
    """The session with this digest."""
    row = t.execute("SELECT * FROM session WHERE digest = ?", (digest,)).fetchone()
    return None if row is None else SessionRow(row[0], row[1], _texts(row[2]), *row[3:])


def delete_session(t: Any, digest: bytes) -> None:
    """Forget a session."""
    t.execute("DELETE FROM session WHERE digest = ?", (digest,))


# -- users who are not let in --


def disable_user(t: Any, row: DisabledRow) -> bool:
    """Let a user in no more, and end his sessions and refresh tokens; whether he was let in before."""
    t.execute("INSERT OR IGNORE INTO disabled_user VALUES (?, ?)", (row.user, row.since))
    is_new = bool(t.rowcount)
    forget_user(t, row.user)
    return is_new


def enable_user(t: Any, user: str) -> bool:
    """Let a user in again; whether he was not."""
    t.execute("DELETE FROM disabled_user WHERE user = ?", (user,))
    return bool(t.rowcount)


def disabled_users(t: Any) -> list[DisabledRow]:
    """Everybody who is not let in."""
    return [DisabledRow(*one) for one in t.execute("SELECT user, since FROM disabled_user ORDER BY user").fetchall()]


# -- all of them --


def forget_user(t: Any, user: str) -> None:
    """End every session and refresh token of a user."""
    t.execute("DELETE FROM session WHERE user = ?", (user,))
    t.execute("DELETE FROM refresh_token WHERE user = ?", (user,))


def delete_expired(t: Any, now: float, keys_until: float) -> None:
    """Forget sessions and refresh tokens that are over, and keys that have been since `keys_until`."""
    t.execute("DELETE FROM session WHERE expires <= ?", (now,))
    t.execute("DELETE FROM refresh_token WHERE expires <= ?", (now,))
    t.execute("DELETE FROM api_key WHERE expires <= ?", (keys_until,))


def _key(
    identifier: str, digest: bytes, owner: str, via: str, groups: str, label: str, allow: str, networks: str, *rest: Any
) -> KeyRow:
    parent, created, expires, used, suspended = rest
    parts = json.loads(allow)
    cap = None if parts is None else tuple(AllowRow(tuple(where), tuple(what)) for where, what in parts)
    return KeyRow(
        *(identifier, digest, owner, via, _texts(groups), label, cap, _texts(networks)),
        *(parent, created, expires, used, bool(suspended)),
    )


def _text(values: tuple[str, ...]) -> str:
    return json.dumps(values)


def _texts(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))
