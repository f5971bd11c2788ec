"""The command `pkgd refresh-token`: what docker and its like keep of logins, listed and revoked.

With `--url` it asks a running pkgd, as the user whose credentials it is given; without, it works on the state directory
of this machine, also beside a running daemon.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from twisted.python import usage

from pkgd.commands.apicall import ApiOptions, one_line
from pkgd.commands.localaccounts import LocalAccounts, day
from pkgd.errors import UnknownRefreshToken
from pkgd.state.accountrows import all_refresh, end_refresh

__all__ = ["RefreshTokenOptions", "run"]

_ID = re.compile(r"[0-9a-f]{16}")


class _List(ApiOptions):
    longdesc = "Prints the refresh tokens, one a line: id, owner, since when, until when, the tool that has it."
    optFlags: list[Any] = [["all", None, "With --url: those of everybody, for administrators."]]


class _Revoke(ApiOptions):
    synopsis = "[options] ID"
    longdesc = "Ends a refresh token. Access tokens that it has bought end by themselves, within minutes."

    def parseArgs(self, *given: str) -> None:
        """The token."""
        if len(given) != 1:
            raise usage.UsageError("give the ID of one refresh token, as the list has it")
        self["id"] = given[0]


class RefreshTokenOptions(usage.Options):
    """The command line."""

    subCommands = [
        ["list", None, _List, "Show them, without their secrets."],
        ["revoke", None, _Revoke, "End one."],
    ]

    def postOptions(self) -> None:
        """A command of its own it is not."""
        if not self.subCommand:
            raise usage.UsageError("which command of refresh-token?")


def run(options: Any, source: Callable[[], str] = sys.stdin.readline) -> None:
    """Do what a command line says; what there is to say goes to standard output.

    :param source: gives the first line of standard input.
    """
    given = options.subOptions
    api = given.api(source)
    if options.subCommand == "revoke":
        identifier = str(given["id"])
        if not _ID.fullmatch(identifier):
            raise UnknownRefreshToken(identifier)
        if api is None:
            _revoke_here(LocalAccounts.of(given["config"]), identifier)
        else:
            api.ask("DELETE", f"/api/v1/refresh-tokens/{identifier}")
        return
    if api is None:
        rows = _listed_here(LocalAccounts.of(given["config"]))
    else:
        rows = api.ask("GET", f"/api/v1/refresh-tokens{'?all=true' if given['all'] else ''}")["refresh_tokens"]
    print("".join(_line(one) for one in rows), end="")


def _listed_here(accounts: LocalAccounts) -> Sequence[Mapping[str, Any]]:
    rows = accounts.file.run(partial(all_refresh, now=accounts.now))
    return [
        {
            "id": one.id,
            "owner": one.user,
            "created": day(one.created),
            "expires": day(one.expires),
            "client": one.client,
        }
        for one in rows
    ]


def _revoke_here(accounts: LocalAccounts, identifier: str) -> None:
    rows = accounts.file.run(partial(all_refresh, now=accounts.now))
    row = next((one for one in rows if one.id == identifier), None)
    if row is None:
        raise UnknownRefreshToken(identifier)
    end = partial(end_refresh, identifier=identifier)
    resource = f"refresh-token:{identifier}"
    if accounts.change(end, "revoke-refresh-token", resource, owner=row.user, client=row.client) is False:
        raise UnknownRefreshToken(identifier)


def _line(row: Mapping[str, Any]) -> str:
    since, until = row["created"][:10], row["expires"][:10]
    return one_line([row["id"], row["owner"], f"since {since}", f"until {until}", row["client"]])
