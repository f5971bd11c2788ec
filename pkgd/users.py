"""The file of users, made from the configuration: its part of the composition."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen
from twisted.logger import Logger

from pkgd.auth.htpasswd import HtpasswdFile, Table
from pkgd.auth.passwords import HtpasswdPasswords, ThreadedHashing
from pkgd.blocking import Blocking
from pkgd.config import Auth
from pkgd.errors import ConfigError
from pkgd.metrics import Metrics

__all__ = ["Users", "users_of"]

log = Logger()


@frozen
class Users:
    """The file, who looks at what is in it, and what its configuration has found there."""

    file: HtpasswdFile
    source: HtpasswdPasswords
    table: Table

    def take_effect(self) -> None:
        """From now on it is this configuration that says who is a user."""
        self.source.table = self.table

    def has(self, name: str) -> bool:
        """Whether a name is a user's, as of now."""
        return name in self.source.table.hashes

    async def refresh(self, blocking: Blocking, metrics: Metrics) -> None:
        """Read the file if it has changed; what is broken changes nothing."""
        try:
            table = await blocking.disk(self.file.read_if_changed)
        except ConfigError as error:
            log.error("{reason}; the users that were known before stay", reason=error.message)
            metrics.users_stale(True)
            return
        if table is not None:
            metrics.users_stale(False)
            self.source.table = table
            log.info("{count} users have been read", count=len(table.hashes))
            _warn_of_weak(table)


def users_of(auth: Auth, hashing: ThreadedHashing, now: Callable[[], float], before: Users | None) -> Users | None:
    """Read the file, if there is one. Blocks.

    :param now: a clock in seconds.
    :param before: those of the configuration before this one: of the same file, what was right a moment ago stays so.
    :raises ConfigError: if it cannot be used.
    """
    path = auth.oidc.break_glass_htpasswd if auth.mode == "oidc" else auth.basic_htpasswd_file
    if path is None:
        return None
    file = HtpasswdFile(path)
    table = file.read()
    _warn_of_weak(table)
    same = before is not None and before.file.path == path
    source = before.source if before is not None and same else HtpasswdPasswords(table, hashing, now)
    return Users(file, source, table)


def _warn_of_weak(table: Table) -> None:
    if table.weak:
        log.warn(
            "{count} passwords are hashed at a low cost, that of {user} for one: htpasswd -B -C 10 makes better ones",
            count=len(table.weak),
            user=table.weak[0],
        )
