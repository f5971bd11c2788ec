"""What was lately said of user names and passwords; neither is kept, only a keyed hash that dies with the process."""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable

from attrs import frozen

from pkgd.auth.model import Identity

__all__ = ["Remembered"]

MAX_ENTRIES = 10_000
# How long a refusal is remembered, in seconds: a client that tries again at once asks nobody.
REFUSED_SECONDS = 5.0


@frozen
class _Entry:
    identity: Identity | None
    since: float
    seconds: float


class Remembered:
    """Answers of one back end.

    :param seconds: how long an acceptance is remembered.
    :param now: seconds since the epoch.
    """

    def __init__(self, seconds: float, now: Callable[[], float]) -> None:
        self._seconds = seconds
        self._now = now
        self._secret = secrets.token_bytes(32)
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()

    def key(self, user: str, password: str, asked: Iterable[str] = ()) -> bytes:
        """What stands for a pair of them here, and for what they were shown for if that matters."""
        parts = [one.encode("utf-8") for one in (user, password, *asked)]
        return hmac.digest(self._secret, b"".join(len(one).to_bytes(4, "big") + one for one in parts), "sha256")

    def find(self, key: bytes) -> Identity | bool:
        """Who it is; False if that was refused, True if it has to be asked."""
        entry = self._entries.get(key)
        if entry is None:
            return True
        # A clock that has been set back makes nothing younger.
        if not 0 <= self._now() - entry.since < entry.seconds:
            del self._entries[key]
            return True
        self._entries.move_to_end(key)
        return False if entry.identity is None else entry.identity

    def accept(self, key: bytes, identity: Identity, until: float) -> None:
        """Somebody has been accepted, and that is good until then at most, in seconds since the epoch."""
        now = self._now()
        self._put(key, _Entry(identity, now, min(self._seconds, until - now)))

    def refuse(self, key: bytes) -> None:
        """Somebody has been refused."""
        self._put(key, _Entry(None, self._now(), REFUSED_SECONDS))

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def _put(self, key: bytes, entry: _Entry) -> None:
        self._entries.pop(key, None)
        if entry.seconds > 0:
            self._entries[key] = entry
        if len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)
