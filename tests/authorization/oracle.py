"""What the answer must be: the rules of the protocol, said again in a few lines.

credentials that are wrong           401, but for what is open to everybody and may be meant for an upstream
a token that is not meant for it     401
nobody, and not allowed              401
somebody, and not allowed            404 for reading from the registry, else 403
allowed                              whatever comes of it
"""

from __future__ import annotations

from attrs import frozen

from tests.authorization.people import ANYBODY, Person
from tests.authorization.requests import Ask

__all__ = ["Place", "expected"]

_WORDS = {"pull": "pull", "push": "push", "overwrite": "push", "delete": "delete"}


@frozen
class Place:
    """Where a request goes: a repository of a kind, in an area. `is_there` says whether there is one."""

    kind: str
    area: str
    name: str
    is_there: bool = True


def expected(person: Person, scopes: str | None, ask: Ask, place: Place) -> int:
    """The status.

    :param scopes: what the person's token was asked for, or None if the person shows the credentials themselves.
    """
    outcome = ask.present if place.is_there or ask.absent is None else ask.absent
    if ask.needs == "":
        return outcome
    is_upstream = place.kind == "mirror"
    rights = person.rights(place.kind, place.area)
    if person.name == "wrong":
        if not is_upstream or "pull" not in ANYBODY.get(place.area, ""):
            return 401
        return outcome
    if ask.needs in ("log in", "see"):
        return outcome
    granted = None if scopes is None else _granted(person, scopes)
    if ask.needs in ("enter", "list"):
        if granted is None:
            return outcome if person.is_known else 401
        return outcome if ask.needs == "enter" or "registry:catalog:*" in granted else 401
    for need in _needs(ask, place):
        if granted is not None and f"{_scope(place)}:{_WORDS[need]}" not in granted:
            return 401
        if need not in rights:
            if not person.is_known:
                return 401
            return 404 if need == "pull" and place.kind in ("oci", "mirror") and "/api/" not in ask.target else 403
    if ask.source is not None and not _may_mount(person, granted, ask.source):
        return ask.otherwise
    if ask.owned and person.name != "root":
        return 404
    return outcome


def _needs(ask: Ask, place: Place) -> list[str]:
    """What is really done: where there is no tag yet, none is moved, and no document replaced."""
    return [one for one in ask.needs.split() if place.is_there or one != "overwrite"]


def _scope(place: Place) -> str:
    kind = "repository" if place.kind in ("oci", "mirror") else place.kind
    return f"{kind}:{place.name}"


def _granted(person: Person, scopes: str) -> set[str]:
    """What the token service gives: of what is asked for, what is allowed. Any name may be an upstream's to be read.

    Credentials that are narrowed buy nothing, where their source does not say how a token is narrowed like them.
    """
    found: set[str] = set()
    if person.name == "robot":
        return found
    for scope in scopes.split():
        head, actions = scope.rsplit(":", 1)
        kind, name = head.split(":", 1)
        if kind == "registry":
            found.add(scope)
            continue
        of = "oci" if kind == "repository" else kind
        rights = person.rights(of, name.split("/")[0].split("-")[0])
        for action in actions.split(","):
            if (action == "pull" and of == "oci") or action in rights:
                found.add(f"{head}:{action}")
    return found


def _may_mount(person: Person, granted: set[str] | None, area: str) -> bool:
    if granted is not None and f"repository:{area}/app:pull" not in granted:
        return False
    return "pull" in person.rights("oci", area)
