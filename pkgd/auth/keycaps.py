"""What an API key is meant for: allowances, each of globs over resources and of actions, written `apt:internal=pull`.

They only narrow: what its owner may not, his key may not either. A key without any is for all that its owner may.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Any

from attrs import frozen

from pkgd.auth.model import Access, Action, Cap
from pkgd.errors import InvalidRequest
from pkgd.formats.globs import Globs
from pkgd.state.accountrows import AllowRow

__all__ = [
    "AllowRow",
    "Both",
    "KeyCap",
    "allowance_document",
    "checked_allowance",
    "checked_networks",
    "parse_allowance",
]

ACTIONS = ("pull", "push", "overwrite", "delete")
MAX_ALLOWANCES = 64
MAX_TEXT = 300
# Wildcards of one glob: each multiplies the work of a mismatch.
MAX_WILD = 8

_RESOURCE = re.compile(r"\*\*|(?:oci|apt|rpm|mirror):[A-Za-z0-9._:/+~*?-]{1,280}")


@frozen
class _Allowance:
    globs: Globs
    actions: frozenset[str]


class KeyCap:
    """The cap that a key's allowances are."""

    def __init__(self, rows: Iterable[AllowRow]) -> None:
        self._allowances = [_Allowance(Globs(one.resources), frozenset(one.actions)) for one in rows]

    def covers(self, access: Access) -> bool:
        """See `Cap`: it enters, and sees lists of what it may pull; it is never an administrator's."""
        if ":" not in access.resource:
            return access.resource != "admin" and access.action in (Action.ENTER, Action.LIST)
        word = "pull" if access.action is Action.LIST else access.action.value
        names = [access.resource, *([f"{access.resource}/{access.suite}"] if access.suite else [])]
        return any(word in one.actions and any(map(one.globs.match, names)) for one in self._allowances)


@frozen
class Both:
    """The narrower of two caps."""

    one: Cap
    other: Cap

    def covers(self, access: Access) -> bool:
        """See `Cap`."""
        return self.one.covers(access) and self.other.covers(access)


def allowance_document(allow: Sequence[AllowRow] | None) -> list[dict[str, Any]] | None:
    """What a key is for, as JSON has it; None for everything."""
    return None if allow is None else [{"resources": one.resources, "actions": one.actions} for one in allow]


def parse_allowance(text: str) -> AllowRow:
    """Read `RESOURCE=ACTION,…`, as on a command line.

    :raises InvalidRequest: if it is none.
    """
    resource, equals, actions = text.partition("=")
    if not equals:
        raise InvalidRequest(text, "RESOURCE=ACTION,… is needed, such as apt:internal=pull")
    return checked_allowance([resource], actions.split(","))


def checked_allowance(resources: Sequence[str], actions: Sequence[str]) -> AllowRow:
    """An allowance of these parts.

    :raises InvalidRequest: if one of them is none.
    """
    if not resources or not actions:
        raise InvalidRequest("allow", "resources and actions are needed")
    for one in resources:
        if not _RESOURCE.fullmatch(one):
            raise InvalidRequest(one[:MAX_TEXT], "a glob such as oci:team/** is needed (oci, apt, rpm, mirror; or **)")
        if one.count("*") > MAX_WILD:
            raise InvalidRequest(one, "there are too many wildcards in it")
        if any("**" in part and part != "**" for part in one.partition(":")[2].split("/")):
            raise InvalidRequest(one, "** stands for whole parts of a name, * within one")
    for one in actions:
        if one not in ACTIONS:
            raise InvalidRequest(one[:MAX_TEXT], f"the actions are {', '.join(ACTIONS)}")
    return AllowRow(tuple(_plain(one) for one in resources), tuple(sorted(set(actions))))


def checked_networks(networks: Sequence[str]) -> tuple[str, ...]:
    """Networks in canonical form.

    :raises InvalidRequest: if one of them is none.
    """
    try:
        return tuple(dict.fromkeys(str(ip_network(one)) for one in networks))
    except ValueError as error:
        raise InvalidRequest("networks", str(error)[:MAX_TEXT]) from None


def _plain(resource: str) -> str:
    """apt repositories have one part; what is meant by those below one is the repository itself."""
    return resource.removesuffix("/**") if resource.startswith("apt:") and resource != "apt:**" else resource
