"""Who may make which API keys: users for themselves, administrators for robots, a key none that is better than it."""

from __future__ import annotations

import re

from attrs import frozen

from pkgd.auth.apikeys import KeyOrder
from pkgd.auth.keycaps import MAX_ALLOWANCES, AllowRow, checked_networks
from pkgd.auth.model import Identity
from pkgd.errors import Denied, InvalidRequest

__all__ = ["ROBOT", "KeyLimits", "Wish", "order_for", "robot_name", "robot_order"]

ROBOT = "robot:"
MAX_LABEL = 100
MAX_GROUPS = 64
MAX_NETWORKS = 32

_ROBOT = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
# How somebody must be known who makes a key for himself: it outlives what vouches for workloads.
_MAKERS = ("htpasswd", "oidc", "api", "key")


@frozen
class KeyLimits:
    """How long a key lives without a word about it, and at most, in seconds."""

    default_lifetime: float
    max_lifetime: float


@frozen
class Wish:
    """What somebody wants a key to be. `lifetime` is in seconds."""

    label: str = ""
    robot: str | None = None
    groups: tuple[str, ...] = ()
    allow: tuple[AllowRow, ...] | None = None
    networks: tuple[str, ...] = ()
    lifetime: float | None = None


def order_for(identity: Identity, is_admin: bool, wish: Wish, limits: KeyLimits, now: float) -> KeyOrder:
    """The key that somebody gets for his wish.

    :raises Denied: if he gets none.
    :raises InvalidRequest: if the wish makes no sense.
    """
    principal, source = identity.principal, identity.via.partition(":")[0]
    if principal.name is None or source not in _MAKERS:
        raise Denied("API keys are made by users that have logged in, and by administrators for robots")
    if wish.robot is None and wish.groups:
        raise InvalidRequest("groups", "a user's key has the groups that the user has")
    if wish.robot is not None and not is_admin:
        raise Denied(f"{principal.name} may not make keys for robots: administrators may")
    order = _order(wish, limits, now)
    if wish.robot is None:
        order = KeyOrder(
            *(principal.name, identity.via, tuple(sorted(principal.groups)), order.label),
            *(order.expires, order.allow, order.networks),
        )
    if source == "key":
        return KeyOrder(
            *(order.owner, "key", order.groups, order.label, order.expires, order.allow, order.networks),
            identity.via.partition(":")[2],
        )
    return order


def robot_name(robot: str) -> str:
    """What a robot is called as the owner of keys, and in rules.

    :raises InvalidRequest: if it has no proper name.
    """
    if not _ROBOT.fullmatch(robot):
        raise InvalidRequest(robot[:MAX_LABEL], "a robot's name has small letters, digits and . _ - between them")
    return ROBOT + robot


def robot_order(wish: Wish, limits: KeyLimits, now: float) -> KeyOrder:
    """The key that a robot gets from whoever may do everything: the command on the server itself.

    :raises InvalidRequest: if the wish makes no sense.
    """
    return _order(wish, limits, now)


def _order(wish: Wish, limits: KeyLimits, now: float) -> KeyOrder:
    """A robot's key; of a user's what is the same."""
    lifetime = limits.default_lifetime if wish.lifetime is None else wish.lifetime
    if not 0 < lifetime <= limits.max_lifetime:
        days = limits.max_lifetime / 86400.0
        raise InvalidRequest("expires", f"a key lives for at most {days:g} days (auth.api_keys.max_lifetime)")
    if len(wish.label) > MAX_LABEL or not wish.label.isprintable():
        raise InvalidRequest("label", f"at most {MAX_LABEL} printable characters")
    if wish.allow is not None and not 0 < len(wish.allow) <= MAX_ALLOWANCES:
        raise InvalidRequest("allow", f"from 1 to {MAX_ALLOWANCES}; without any, the key is for all that its owner may")
    if len(wish.networks) > MAX_NETWORKS or len(wish.groups) > MAX_GROUPS:
        raise InvalidRequest("", f"at most {MAX_NETWORKS} networks and {MAX_GROUPS} groups")
    if not all(one and len(one) <= MAX_LABEL and one.isprintable() for one in wish.groups):
        raise InvalidRequest("groups", "names are needed")
    owner = "" if wish.robot is None else robot_name(wish.robot)
    groups = tuple(sorted(set(wish.groups)))
    networks = checked_networks(wish.networks)
    return KeyOrder(owner, "robot", groups, wish.label, now + lifetime, wish.allow, networks)
