"""Who a token stands for: a user's name, groups, and what a policy may look at, out of claims that were verified.

Claims are somebody else's words: only printable text of some length becomes a name, and what is no text is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from attrs import frozen

from pkgd.auth.jwtverify import Claims
from pkgd.auth.scopes import MAX_SCOPES, AccessCap, GrantedAccess, Scope, TokenCap, format_scopes, parse_scopes
from pkgd.errors import InvalidRequest, TokenRefused
from pkgd.formats.globs import Globs

__all__ = [
    "CLAIM",
    "Requirements",
    "Template",
    "access_of",
    "cap_of",
    "granted_by",
    "groups_of",
    "told",
    "user_of",
]

MAX_NAME = 256
MAX_GROUPS = 256
MAX_CLAIMS = 64
MAX_VALUE = 512
MAX_VALUES = 64
# What an access token can carry on of it, with room for the rest of the token.
MAX_ACCESS = 4096

USER_CLAIMS = ("preferred_username", "username", "sub")
CLAIM = re.compile(r"\$\{claims\.([A-Za-z0-9_./:-]{1,128})\}")
_NARROWED = "access "


def user_of(claims: Claims, claim: str | None) -> str | None:
    """The user's name: what the claim says, or without one the first of the usual ones that there is.

    :raises TokenRefused: if it is no name that a user can have.
    """
    names = USER_CLAIMS if claim is None else (claim,)
    found = next((claims[name] for name in names if claims.get(name) is not None), None)
    return None if found is None else _named(found)


def groups_of(claims: Claims, claim: str) -> frozenset[str]:
    """The groups: a list, or a text with spaces."""
    value = claims.get(claim)
    found = value.split(" ") if isinstance(value, str) else value if isinstance(value, list) else []
    names = [one for one in found if isinstance(one, str) and _is_name(one)]
    if len(names) > MAX_GROUPS:
        raise TokenRefused(f"the token has more than {MAX_GROUPS} groups")
    return frozenset(names)


def told(claims: Claims) -> dict[str, str | tuple[str, ...]]:
    """The claims that are texts or lists of them, for the policy; numbers and truth values as JSON writes them."""
    found: dict[str, str | tuple[str, ...]] = {}
    for name, value in claims.items():
        if len(found) >= MAX_CLAIMS or len(name) > MAX_NAME:
            continue
        if isinstance(value, list) and len(value) <= MAX_VALUES:
            texts = [_text(one) for one in value]
            if None not in texts:
                found[name] = tuple(one for one in texts if one is not None)
        elif (text := _text(value)) is not None:
            found[name] = text
    return found


# -- `access`: what a token is meant for --


def access_of(claims: Claims) -> str:
    """The claim `access` as one text, "" if there is none: what an access token carries on as its `stamp`.

    One that is null is an empty list, as Go writes that.

    :raises TokenRefused: if it is not as docker's tokens have it, or too long: nobody knows how narrow it was meant.
    """
    if "access" not in claims:
        return ""
    value = [] if claims["access"] is None else claims["access"]
    if not isinstance(value, list):
        raise TokenRefused("the token's access is no list")
    text = _NARROWED + format_scopes(_scope(one) for one in value)
    if len(value) > MAX_SCOPES or len(text) > MAX_ACCESS:
        raise TokenRefused(f"the token's access has more than {MAX_SCOPES} entries, or {MAX_ACCESS} bytes")
    return text


def cap_of(access: str) -> AccessCap | None:
    """The cap that a text of `access_of` stands for."""
    tokens = _tokens_of(access)
    return None if tokens is None else AccessCap(tokens)


def granted_by(access: str) -> GrantedAccess | None:
    """What a text of `access_of` allows, if its issuer is trusted with that."""
    tokens = _tokens_of(access)
    return None if tokens is None else GrantedAccess(tokens)


@lru_cache(maxsize=1024)
def _tokens_of(access: str) -> TokenCap | None:
    if not access.startswith(_NARROWED):
        return None
    try:
        return TokenCap.of(parse_scopes([access.removeprefix(_NARROWED)]))
    except InvalidRequest:
        return TokenCap.of(())


def _scope(entry: Any) -> Scope:
    if isinstance(entry, dict):
        kind, name, actions = entry.get("type"), entry.get("name"), entry.get("actions")
        if isinstance(kind, str) and isinstance(name, str) and isinstance(actions, list) and " " not in kind + name:
            return Scope(kind, name, tuple(one for one in actions if isinstance(one, str) and " " not in one))
    raise TokenRefused("the token's access cannot be read")


# -- templates and requirements, for workloads --


@frozen
class Template:
    """A text with `${claims.NAME}` in it."""

    text: str

    def fill(self, claims: Mapping[str, str | tuple[str, ...]]) -> str | None:
        """The text with what the claims say; None if one of them is not there, or no single text."""
        parts, at = [], 0
        for match in CLAIM.finditer(self.text):
            value = claims.get(match[1])
            if not isinstance(value, str) or not value:
                return None
            parts += [self.text[at : match.start()], value]
            at = match.end()
        return "".join([*parts, self.text[at:]])


class Requirements:
    """What claims must be: each equal to a text, or matched by a glob; where there are several, by one of them."""

    def __init__(self, required: Mapping[str, Sequence[str]]) -> None:
        self._required = {name: Globs(patterns) for name, patterns in required.items()}

    def check(self, claims: Mapping[str, str | tuple[str, ...]]) -> None:
        """Look at the claims.

        :raises TokenRefused: if one isn't as it must be, naming it.
        """
        for name, globs in self._required.items():
            value = claims.get(name, ())
            if not any(globs.match(one) for one in ((value,) if isinstance(value, str) else value)):
                raise TokenRefused(f"the token's {name} is not as it must be")


def _named(value: Any) -> str:
    if not isinstance(value, str) or not _is_name(value):
        raise TokenRefused("the token's user has no name that can be used")
    return value


def _is_name(text: str) -> bool:
    return 0 < len(text) <= MAX_NAME and text.isprintable() and text.strip() == text


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) < 1 << 63:
        return str(value)
    return value if isinstance(value, str) and len(value) <= MAX_VALUE and value.isprintable() else None
