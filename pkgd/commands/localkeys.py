"""API keys in the state directory of this machine, for `pkgd key` without `--url`.

What is changed of them stands in the audit log, as what the daemon changes does: under the name that the operating
system has for whoever runs the command.
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from attrs import frozen
from twisted.internet.task import Clock

from pkgd.auth.apikeys import key_row
from pkgd.auth.audit import Audit
from pkgd.auth.keycaps import allowance_document
from pkgd.auth.keymaking import KeyLimits, Wish, robot_order
from pkgd.auth.model import Identity, Principal
from pkgd.auth.secrettexts import new_key
from pkgd.blocking import InlineBlocking
from pkgd.config import load
from pkgd.errors import ConfigError, UnknownKey
from pkgd.logfile import LogFile
from pkgd.logins import accounts_file, key_limits
from pkgd.state.accountrows import KeyRow, add_key, all_keys, delete_key
from pkgd.state.accounts import AccountsFile

__all__ = ["Keys", "LocalKeys"]


class Keys(Protocol):
    """Where keys are. Rows are as `/api/v1/keys` shows them."""

    def create(self, wish: Wish) -> str:
        """A new key."""

    def list(self, everybody: bool) -> Sequence[Mapping[str, Any]]:
        """Those that there are."""

    def revoke(self, identifier: str) -> None:
        """End one."""


@frozen
class LocalKeys:
    """Those of a state directory; `log` is the audit log's file, or None where there is none."""

    file: AccountsFile
    limits: KeyLimits
    now: float
    log: str | None

    @classmethod
    def of(cls, configuration: str | None) -> LocalKeys:
        """Those of a configuration.

        :raises ConfigError: if they cannot be used.
        """
        config = load(configuration, os.environ)
        directory = str(config.state_dir)
        if not os.path.isdir(directory):
            raise ConfigError("state_dir", f"{directory} is not there: has pkgd ever run with this configuration?")
        file = accounts_file(config)
        file.prepare()
        # Where the daemon's standard output goes is not known here, and ours is for the key.
        log = None if config.logging.audit.file == "-" else config.logging.audit.file
        return cls(file, key_limits(config), time.time(), log)

    def create(self, wish: Wish) -> str:
        """See `Keys`."""
        order, key = robot_order(wish, self.limits, self.now), new_key()
        row = key_row(order, key, self.now)
        self._change(partial(add_key, row=row), "create-key", row.id, owner=row.owner, label=row.label)
        return key.text

    def list(self, everybody: bool) -> Sequence[Mapping[str, Any]]:
        """See `Keys`."""
        return [_row(one) for one in self.file.run(all_keys)]

    def revoke(self, identifier: str) -> None:
        """See `Keys`."""
        row = next((one for one in self.file.run(all_keys) if one.id == identifier), None)
        if row is None:
            raise UnknownKey(identifier)
        delete = partial(delete_key, identifier=identifier)
        self._change(delete, "revoke-key", identifier, owner=row.owner, label=row.label)

    def _change(self, change: Any, action: str, identifier: str, **detail: str) -> None:
        """Change something, and note it, on a full disk too. Nothing is changed if the log cannot be opened."""
        log = LogFile(Clock(), InlineBlocking(), self.log, "audit log")
        try:
            log.open()
        except OSError as error:
            raise ConfigError("logging.audit.file", f"{self.log}: {error.strerror}") from error
        try:
            if self.file.run(change, is_urgent=action == "revoke-key") is False:
                raise UnknownKey(identifier)
            Audit(log, lambda: self.now).record(action, _operator(), f"key:{identifier}", **detail)
        finally:
            log.close()


def _operator() -> Identity:
    """Whoever runs this."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return Identity(Principal(name), via="local")


def _row(row: KeyRow) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "owner": row.owner,
        "label": row.label,
        "allow": allowance_document(row.allow),
        "suspended": row.suspended,
        "expires": _date(row.expires),
        "last_used": None if row.used is None else _date(row.used),
    }


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
