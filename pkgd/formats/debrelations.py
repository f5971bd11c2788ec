"""Fields of relations between packages: `name[:architecture] [(operator version)]`, `|` between alternatives.

A repository checks them because apt does not read past the first wrong one: it would refuse the whole index, and
with it every other package (Debian Policy 7.1; dpkg, lib/dpkg/fields.c).
"""

from __future__ import annotations

import re

from pkgd.errors import InvalidPackage
from pkgd.formats.deb822 import Stanza

__all__ = ["check_relations"]

# Field -> whether it may have alternatives.
_FIELDS = {
    "Pre-Depends": True,
    "Depends": True,
    "Recommends": True,
    "Suggests": True,
    "Enhances": True,
    "Conflicts": False,
    "Breaks": False,
    "Replaces": False,
    "Provides": False,
}
_MAX_RELATIONS = 100_000

# Single `<` and `>` are old words for `<=` and `>=`.
_RELATION = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9+._-]*(?::[a-z0-9-]+)?"
    r"(?:[ \t\n]*\([ \t\n]*(<<|<=|=|>=|>>|<|>)[ \t\n]*(?:[0-9]{1,9}:)?[0-9][A-Za-z0-9.+~-]*[ \t\n]*\))?"
)
_SPACES = " \t\n"


def check_relations(control: Stanza) -> None:
    """Look at every field of relations that a package has.

    :raises InvalidPackage: if one isn't well-formed.
    """
    for name, has_alternatives in _FIELDS.items():
        value = control.get(name)
        if not value:
            continue
        if control.raw(name).lstrip(" \t").startswith("\n"):
            raise InvalidPackage(name, "a field that begins with an empty line")
        groups = value.removesuffix(",").split(",")
        if value.count(",") + value.count("|") > _MAX_RELATIONS:
            raise InvalidPackage(name, f"a field with more than {_MAX_RELATIONS} relations")
        for group in groups:
            alternatives = group.split("|")
            if len(alternatives) > 1 and not has_alternatives:
                raise InvalidPackage(name, "a field that may have no alternatives")
            for relation in alternatives:
                _check_relation(name, relation.strip(_SPACES))


def _check_relation(name: str, relation: str) -> None:
    found = _RELATION.fullmatch(relation)
    if found is None or (name == "Provides" and found[1] not in (None, "=")):
        raise InvalidPackage(name, f"a field with {relation[:100]!r} in it, which is no relation")
