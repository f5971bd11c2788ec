"""The command `pkgd key`: API keys made, listed and revoked.

With `--url` it asks a running pkgd, as the user whose credentials it is given. Without, it works on the state directory
of this machine, also beside a running daemon, which notices within seconds: whoever may write there may do everything,
and this is how the first robot gets its key.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.python import usage

from pkgd.auth.keycaps import AllowRow, parse_allowance
from pkgd.auth.keymaking import Wish
from pkgd.commands.apicall import Api, ApiOptions, one_line
from pkgd.commands.localkeys import Keys, LocalKeys
from pkgd.config import parse_duration
from pkgd.errors import ConfigError, InvalidRequest, UnknownKey

__all__ = ["KeyOptions", "RemoteKeys", "run"]


class _Create(ApiOptions):
    longdesc = "Makes an API key and prints it, alone on standard output. It is shown only once."
    optParameters: list[Any] = [
        *ApiOptions.optParameters,
        ["robot", None, None, "Whose key: robot:NAME. Without it, that of the user who asks; only with --url."],
        ["label", None, "", "What it is for."],
        ["expires", None, None, "How long it lives, such as 90d."],
    ]

    def __init__(self) -> None:
        base: Any = super()
        base.__init__()
        self["allow"], self["networks"], self["groups"] = list[AllowRow](), list[str](), list[str]()

    def opt_allow(self, text: str) -> None:
        """RESOURCE=ACTION,…: what it is for, such as apt:internal=pull; several times. By default everything."""
        try:
            self["allow"].append(parse_allowance(text))
        except InvalidRequest as error:
            raise usage.UsageError(error.message) from error

    def opt_network(self, text: str) -> None:
        """A network, such as 10.0.0.0/8, outside of which it is worth nothing; several times."""
        self["networks"].append(text)

    def opt_group(self, text: str) -> None:
        """A group that the robot is in; several times."""
        self["groups"].append(text)

    def postOptions(self) -> None:
        """Read what has a form of its own."""
        super().postOptions()
        if self["robot"] is None and self["url"] is None:
            raise usage.UsageError("give --robot NAME, or --url and --credentials of a user")
        try:
            self["lifetime"] = None if self["expires"] is None else parse_duration(self["expires"], "--expires")
        except ConfigError as error:
            raise usage.UsageError(error.message) from error

    def wish(self) -> Wish:
        """What is wanted."""
        return Wish(
            label=self["label"],
            robot=None if self["robot"] is None else self["robot"].removeprefix("robot:"),
            groups=tuple(self["groups"]),
            allow=tuple(self["allow"]) or None,
            networks=tuple(self["networks"]),
            lifetime=self["lifetime"],
        )


class _List(ApiOptions):
    longdesc = "Prints the keys, one a line: id, owner, until when, last use, what they are for, label."
    optFlags: list[Any] = [["all", None, "With --url: those of everybody, for administrators."]]


class _Revoke(ApiOptions):
    synopsis = "[options] ID"
    longdesc = "Ends a key, and those that were made with it."

    def parseArgs(self, *given: str) -> None:
        """The key."""
        if len(given) != 1:
            raise usage.UsageError("give the ID of one key: the eight characters behind pkgd_")
        self["id"] = given[0]


class KeyOptions(usage.Options):
    """The command line."""

    subCommands = [
        ["create", None, _Create, "Make one."],
        ["list", None, _List, "Show them, without their secrets."],
        ["revoke", None, _Revoke, "End one."],
    ]

    def postOptions(self) -> None:
        """A command of its own it is not."""
        if not self.subCommand:
            raise usage.UsageError("which command of key?")


class RemoteKeys:
    """Those of a running pkgd."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(self, wish: Wish) -> str:
        """See `Keys`."""
        allow = wish.allow and [{"resources": one.resources, "actions": one.actions} for one in wish.allow]
        body = {
            "label": wish.label,
            "robot": wish.robot,
            "groups": wish.groups,
            "allow": allow,
            "networks": wish.networks,
            "expires_in": wish.lifetime,
        }
        return str(self._api.ask("POST", "/api/v1/keys", json.dumps(body).encode("utf-8"))["key"])

    def list(self, everybody: bool) -> Sequence[Mapping[str, Any]]:
        """See `Keys`."""
        found: Sequence[Mapping[str, Any]] = self._api.ask("GET", f"/api/v1/keys{'?all=true' if everybody else ''}")[
            "keys"
        ]
        return found

    def revoke(self, identifier: str) -> None:
        """See `Keys`."""
        if not identifier.isalnum() or not identifier.isascii():
            raise UnknownKey(identifier)
        self._api.ask("DELETE", f"/api/v1/keys/{identifier}")


def run(options: Any, source: Callable[[], str] = sys.stdin.readline) -> None:
    """Do what a command line says; what there is to say goes to standard output.

    :param source: gives the first line of standard input.
    """
    given = options.subOptions
    api = given.api(source)
    keys: Keys = LocalKeys.of(given["config"]) if api is None else RemoteKeys(api)
    match options.subCommand:
        case "create":
            print(keys.create(given.wish()))
        case "revoke":
            keys.revoke(given["id"])
        case _:
            print("".join(_line(one) for one in keys.list(bool(given["all"]))), end="")


def _line(row: Mapping[str, Any]) -> str:
    allow = " ".join(f"{','.join(one['resources'])}={','.join(one['actions'])}" for one in row["allow"] or ())
    state = "suspended" if row["suspended"] else f"until {row['expires'][:10]}"
    used = f"used {row['last_used'][:10]}" if row["last_used"] else "never used"
    parts = [row["id"], row["owner"], state, used, allow or "everything", row["label"]]
    return one_line(parts)
