"""The command `pkgd user`: who is not let in any more, whatever he shows.

With `--url` it asks a running pkgd, as the administrator whose credentials it is given; without, it works on the state
directory of this machine, also beside a running daemon, which has noticed after two seconds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from attrs import frozen
from twisted.python import usage

from pkgd.auth.disabled import checked_user
from pkgd.commands.apicall import Api, ApiOptions, one_line
from pkgd.commands.localaccounts import LocalAccounts, day
from pkgd.errors import InvalidRequest, UnknownUser
from pkgd.state.accountrows import DisabledRow, disable_user, disabled_users, enable_user

__all__ = ["UserOptions", "run"]

_PATH = "/api/v1/users"


class _List(ApiOptions):
    longdesc = "Prints who is disabled, one a line: since when, and the name."


class _One(ApiOptions):
    synopsis = "[options] NAME"

    def parseArgs(self, *given: str) -> None:
        """The user."""
        if len(given) != 1:
            raise usage.UsageError("give the name of one user, as the access log has it")
        try:
            self["user"] = checked_user(given[0])
        except InvalidRequest as error:
            raise usage.UsageError(error.message) from error


class _Disable(_One):
    longdesc = (
        "Lets a user in no more: a person, robot:NAME, or a workload. His sessions and refresh tokens end, and his"
        " password, API keys and access tokens open nothing until he is enabled again."
    )


class _Enable(_One):
    longdesc = "Lets a user in again, also by his API keys; he logs in anew where he was logged in."


class UserOptions(usage.Options):
    """The command line."""

    subCommands = [
        ["disable", None, _Disable, "Let somebody in no more."],
        ["enable", None, _Enable, "Let somebody in again."],
        ["list", None, _List, "Show who is disabled."],
    ]

    def postOptions(self) -> None:
        """A command of its own it is not."""
        if not self.subCommand:
            raise usage.UsageError("which command of user?")


class _Users(Protocol):
    """Where it is known who is disabled. Rows are as `/api/v1/users/disabled` shows them."""

    def list(self) -> Sequence[Mapping[str, str]]:
        """Who is."""

    def disable(self, user: str) -> None:
        """Let somebody in no more."""

    def enable(self, user: str) -> None:
        """Let somebody in again."""


@frozen
class _Remote:
    """A running pkgd."""

    api: Api

    def list(self) -> Sequence[Mapping[str, str]]:
        """See `_Users`."""
        found: Sequence[Mapping[str, str]] = self.api.ask("GET", f"{_PATH}/disabled")["disabled"]
        return found

    def disable(self, user: str) -> None:
        """See `_Users`."""
        self.api.ask("POST", f"{_PATH}/disable", json.dumps({"user": user}).encode("utf-8"))

    def enable(self, user: str) -> None:
        """See `_Users`."""
        self.api.ask("POST", f"{_PATH}/enable", json.dumps({"user": user}).encode("utf-8"))


@frozen
class _Local:
    """A state directory."""

    accounts: LocalAccounts

    def list(self) -> Sequence[Mapping[str, str]]:
        """See `_Users`."""
        rows = self.accounts.file.run(disabled_users)
        return [{"user": one.user, "since": day(one.since)} for one in rows]

    def disable(self, user: str) -> None:
        """See `_Users`."""
        row = DisabledRow(user, self.accounts.now)
        self.accounts.change(partial(disable_user, row=row), "disable-user", f"user:{user}")

    def enable(self, user: str) -> None:
        """See `_Users`."""
        if self.accounts.change(partial(enable_user, user=user), "enable-user", f"user:{user}") is False:
            raise UnknownUser(user)


def run(options: Any, source: Callable[[], str] = sys.stdin.readline) -> None:
    """Do what a command line says; what there is to say goes to standard output.

    :param source: gives the first line of standard input.
    """
    given = options.subOptions
    api = given.api(source)
    users: _Users = _Local(LocalAccounts.of(given["config"])) if api is None else _Remote(api)
    match options.subCommand:
        case "disable":
            users.disable(given["user"])
        case "enable":
            users.enable(given["user"])
        case _:
            print("".join(one_line([one["since"][:10], one["user"]]) for one in users.list()), end="")
