"""pkgd.sqlite in the state directory of this machine, for commands that work on it beside the daemon.

What is changed there stands in the audit log, as what the daemon changes does: under the name that the operating
system has for whoever runs the command.
"""

from __future__ import annotations

import os
import pwd
import time
from typing import Any

from attrs import frozen
from twisted.internet.task import Clock

from pkgd.auth.audit import Audit
from pkgd.auth.model import Identity, Principal
from pkgd.blocking import InlineBlocking
from pkgd.config import Config, load
from pkgd.errors import ConfigError
from pkgd.logfile import LogFile
from pkgd.logins import accounts_file
from pkgd.state.accounts import AccountsFile

__all__ = ["LocalAccounts", "day"]


@frozen
class LocalAccounts:
    """The file of a state directory; `log` is the audit log's file, or None where there is none."""

    file: AccountsFile
    config: Config
    now: float
    log: str | None

    @classmethod
    def of(cls, configuration: str | None) -> LocalAccounts:
        """That of a configuration.

        :raises ConfigError: if it cannot be used.
        """
        config = load(configuration, os.environ)
        directory = str(config.state_dir)
        if not os.path.isdir(directory):
            raise ConfigError("state_dir", f"{directory} is not there: has pkgd ever run with this configuration?")
        file = accounts_file(config)
        file.prepare()
        # Where the daemon's standard output goes is not known here, and ours is for what is asked for.
        log = None if config.logging.audit.file == "-" else config.logging.audit.file
        return cls(file, config, time.time(), log)

    def change(self, change: Any, action: str, resource: str, **detail: str) -> Any:
        """Change something, and note it unless it returns False. Nothing is changed if the log cannot be opened.

        What is revoked, and who is disabled, is so on a full disk, too.

        :param change: a transaction.
        :raises ConfigError: if the log cannot be opened.
        """
        log = LogFile(Clock(), InlineBlocking(), self.log, "audit log")
        try:
            log.open()
        except OSError as error:
            raise ConfigError("logging.audit.file", f"{self.log}: {error.strerror}") from error
        try:
            found = self.file.run(change, is_urgent=action.startswith(("revoke-", "disable-")))
            if found is not False:
                Audit(log, lambda: self.now).record(action, _operator(), resource, **detail)
            return found
        finally:
            log.close()


def day(seconds: float) -> str:
    """Seconds since the epoch as lists of commands have them."""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _operator() -> Identity:
    """Whoever runs this."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return Identity(Principal(name), via="local")
