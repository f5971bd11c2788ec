"""Passwords against the table of hashes: in bounded threads of their own, and remembered for a minute.

bcrypt takes a tenth of a second or more by design, so it never runs on the reactor, never in the pools that files need,
and a queue that is full is an error at once. What was right is kept under an HMAC of user, password and hash with a key
of this process alone: whoever is removed or changed in the table is out at the next request.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import get_native_id
from typing import Any, Literal, Protocol

import bcrypt
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from pkgd.auth.htpasswd import Table
from pkgd.auth.model import Identity, Principal
from pkgd.auth.scopes import Scope
from pkgd.auth.sources import Verdict
from pkgd.errors import AuthUnavailable
from pkgd.sharing import SingleFlight

__all__ = ["Hashing", "HtpasswdPasswords", "ThreadedHashing", "matches"]

THREADS = 2
# As `nice` counts.
NICENESS = 10
QUEUE = 64
REMEMBERED = 60.0
MAX_REMEMBERED = 10_000
# What bcrypt looks at; a longer password is wrong, not cut.
MAX_PASSWORD = 72


def matches(password: bytes, hashed: bytes) -> bool:
    """Whether the password is the hash's. Blocks, for as long as the hash says."""
    try:
        return bcrypt.checkpw(password, hashed)
    except ValueError:
        return False


def _in_the_background(password: bytes, hashed: bytes) -> bool:
    """`matches`, on a thread that leaves the cores to whoever needs them at once: to the reactor above all."""
    with suppress(OSError, AttributeError):
        # On Linux a thread has a niceness of its own.
        os.setpriority(os.PRIO_PROCESS, get_native_id(), NICENESS)
    return matches(password, hashed)


class Hashing(Protocol):
    """Where bcrypt runs."""

    def check(self, password: bytes, hashed: bytes) -> Deferred[bool]:
        """Whether the password is the hash's.

        :raises AuthUnavailable: if too many wait already.
        """


class ThreadedHashing:
    """Threads of its own. `start` before use, `stop` once nothing uses it any more."""

    def __init__(self, reactor: Any, threads: int = THREADS, queue: int = QUEUE) -> None:
        """
        :param queue: how many may wait for a thread.
        """
        self._reactor = reactor
        self._pool = ThreadPool(0, threads, name="passwords")
        self._room = threads + queue

    def start(self) -> None:
        """Start the pool."""
        self._pool.start()

    def stop(self) -> None:
        """Finish what is queued, then end the threads. Blocks."""
        self._pool.stop()

    def check(self, password: bytes, hashed: bytes) -> Deferred[bool]:
        """See `Hashing`."""
        if not self._room:
            raise AuthUnavailable("too many passwords wait to be checked", 5.0)
        self._room -= 1
        checking: Deferred[bool] = deferToThreadPool(self._reactor, self._pool, _in_the_background, password, hashed)
        return checking.addBoth(self._done)

    def _done(self, result: Any) -> Any:
        self._room += 1
        return result


class HtpasswdPasswords:
    """The password source `htpasswd`: see `PasswordSource` and `Remembering`."""

    remote = False

    def __init__(self, table: Table, hashing: Hashing, now: Callable[[], float], name: str = "htpasswd") -> None:
        """
        :param now: a clock in seconds.
        """
        self.name = name
        self.table = table
        self._hashing = hashing
        self._now = now
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, float] = OrderedDict()
        self._flights: SingleFlight[bool] = SingleFlight()

    def remembered(
        self, user: str, password: str, asked: Sequence[Scope] = ()
    ) -> Identity | Literal[Verdict.UNKNOWN] | None:
        """Whether exactly this was right less than a minute ago."""
        hashed = self.table.hashes.get(user)
        if hashed is None:
            return Verdict.UNKNOWN
        until = self._right.get(self._digest(user, password, hashed))
        return self._identity(user) if until is not None and until > self._now() else None

    async def check(self, user: str, password: str, asked: Sequence[Scope] = ()) -> Identity | Verdict:
        """Look at the table: what isn't in it is unknown, without any work."""
        hashed = self.table.hashes.get(user)
        if hashed is None:
            return Verdict.UNKNOWN
        digest = self._digest(user, password, hashed)
        if self._right.get(digest, 0.0) <= self._now():
            if not await self._flights.join(digest, lambda: self._compare(password, hashed)):
                return Verdict.REJECTED
            self._remember(digest)
        # The file may have changed meanwhile.
        return self._identity(user) if self.table.hashes.get(user) == hashed else Verdict.REJECTED

    async def pretend(self, password: str) -> None:
        """Take as long as with a user that is in the table: time must not tell who is.

        :raises AuthUnavailable: as with such a user.
        """
        await self._compare(password, self.table.dummy)

    def is_current(self, identity: Identity) -> bool:
        """Whether the user is in the table with the same hash."""
        return self.table.stamps.get(identity.principal.name or "") == identity.stamp

    def forget(self) -> None:
        """Check everything anew from now on."""
        self._right.clear()

    async def _compare(self, password: str, hashed: bytes) -> bool:
        data = password.encode("utf-8", "surrogatepass")
        if not data or len(data) > MAX_PASSWORD or b"\x00" in data:
            # Wrong for sure, and as slow as what isn't.
            await self._hashing.check(b"-", self.table.dummy)
            return False
        return await self._hashing.check(data, hashed)

    def _identity(self, user: str) -> Identity:
        return Identity(Principal(user), self.name, self.table.stamps[user])

    def _digest(self, user: str, password: str, hashed: bytes) -> bytes:
        text = f"{len(user)}:{user}{len(password)}:{password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, text + hashed, "sha256")

    def _remember(self, digest: bytes) -> None:
        self._right[digest] = self._now() + REMEMBERED
        self._right.move_to_end(digest)
        while len(self._right) > MAX_REMEMBERED:
            self._right.popitem(last=False)
