"""What rules mean, said a second time and in the plainest way: by hand, without a line of what it judges.

It knows configuration as people write it, and answers by walking through names part by part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

__all__ = ["Who", "may"]


@frozen
class Who:
    """Somebody: a name or none, and what is known of them. `networks` are the networks that the address is in."""

    name: str | None = None
    groups: tuple[str, ...] = ()
    issuer: str | None = None
    claims: Mapping[str, tuple[str, ...]] = {}
    networks: tuple[str, ...] = ()


@frozen
class Written:
    """A rule as it is written."""

    resources: Sequence[str]
    subjects: Sequence[str]
    actions: Sequence[str]


def may(
    who: Who, action: str, resource: str, rules: Sequence[Written] | None, admins: Sequence[str], private: bool
) -> bool:
    """Whether somebody may do something.

    :param admins: their names, and their groups as `group:NAME`.
    """
    if who.name is not None and (who.name in admins or any(f"group:{one}" in admins for one in who.groups)):
        return True
    if rules is None:
        return who.name is not None and action in ("pull", "push", "overwrite")
    for rule in rules:
        for glob in rule.resources:
            for subject in rule.subjects:
                if action in rule.actions and _is(who, subject) and _means(glob, resource, who):
                    if private and subject == "anonymous" and not _names_host(glob):
                        continue
                    return True
    return False


def _is(who: Who, subject: str) -> bool:
    if subject == "anonymous":
        return True
    if subject == "authenticated":
        return who.name is not None
    kind, value = subject.split(":", 1)
    known = {"user": [who.name], "group": list(who.groups), "issuer": [who.issuer], "cidr": list(who.networks)}
    return value in known[kind]


def _names_host(glob: str) -> bool:
    host = glob.split(":", 1)[1].split("/", maxsplit=1)[0]
    return "*" not in host and "?" not in host


def _means(glob: str, resource: str, who: Who) -> bool:
    """Try each value of the one claim that may be in it."""
    kind, pattern = glob.split(":", 1)
    other, name = resource.split(":", 1)
    if kind != other:
        return False
    if "${claims.path}" not in pattern:
        return _parts(pattern.split("/"), name.split("/"))
    for value in who.claims.get("path", ()):
        if not _is_plain(value):
            continue
        # A value's own parts are compared as they are: a marker stands for each of them.
        parts = [f"={one}" for one in value.split("/")]
        expanded: list[str] = []
        for one in pattern.split("/"):
            expanded += parts if one == "${claims.path}" else [one]
        if _parts(expanded, name.split("/")):
            return True
    return False


def _is_plain(value: str) -> bool:
    allowed = "abcdefghijklmnopqrstuvwxyz0123456789"
    return all(part and part[0] in allowed and part[-1] in allowed and "*" not in part for part in value.split("/"))


def _parts(glob: list[str], name: list[str]) -> bool:
    """Whether parts fit parts: `**` is any number of them, but one at least."""
    if not glob:
        return not name
    if not name:
        return False
    if glob[0] == "**":
        return _parts(glob[1:], name[1:]) or _parts(glob, name[1:])
    if glob[0].startswith("="):
        return glob[0][1:] == name[0] and _parts(glob[1:], name[1:])
    return _letters(glob[0], name[0]) and _parts(glob[1:], name[1:])


def _letters(glob: str, part: str) -> bool:
    if not glob:
        return not part
    if glob[0] == "*":
        return _letters(glob[1:], part) or (bool(part) and _letters(glob, part[1:]))
    return bool(part) and glob[0] in (part[0], "?") and _letters(glob[1:], part[1:])
