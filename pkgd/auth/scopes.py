"""What a token is asked for and is good for: docker's scopes (distribution, `spec/auth/scope.md`).

    repository:team/app:pull,push   registry:catalog:*   apt:internal:pull   apt:internal/testing:push   rpm:el9:pull

A scope only ever narrows: whether its owner may do so, the policy says at each request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from attrs import evolve, field, frozen

from pkgd.auth.model import Access, Action, Cap
from pkgd.errors import InvalidRequest

__all__ = [
    "AccessCap",
    "GrantedAccess",
    "NarrowedCap",
    "Scope",
    "TokenCap",
    "canonical_scopes",
    "format_scopes",
    "may_list",
    "parse_scopes",
    "scope_of",
]

MAX_SCOPES = 64
MAX_LENGTH = 8 << 10

# Names are literal: `*` stands for nothing but itself, and is no name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+~-]{0,299}")
_ACTION = re.compile(r"[a-z]{1,32}|\*")
# distribution's `repository(plugin)`: a class says nothing about access.
_KIND = re.compile(r"([a-z0-9]{1,32})(?:\([a-z0-9]{1,32}\))?")

_WORDS = {Action.PULL: "pull", Action.PUSH: "push", Action.OVERWRITE: "push", Action.DELETE: "delete"}
_NOTHING: frozenset[str] = frozenset()
_CATALOG = ("registry", "catalog")
_KINDS = {"oci": "repository", "mirror": "repository", "apt": "apt", "rpm": "rpm"}


@frozen
class Scope:
    """Actions on one thing, by their names in the protocol."""

    kind: str
    name: str
    actions: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}:{','.join(self.actions)}"


def parse_scopes(values: Iterable[str]) -> list[Scope]:
    """Read scopes, several in one value separated by spaces; equal ones become one.

    What is no scope that could ever be granted is left out: a token never fails for what isn't granted.

    :raises InvalidRequest: if there are too many.
    """
    texts = [one for value in values for one in value.split(" ") if one]
    if len(texts) > MAX_SCOPES or sum(map(len, texts)) > MAX_LENGTH:
        raise InvalidRequest("scope", f"at most {MAX_SCOPES} scopes of together {MAX_LENGTH} bytes may be asked for")
    wanted: dict[tuple[str, str], dict[str, None]] = {}
    for text in texts:
        head, last, actions = text.rpartition(":")
        kind, first, name = head.partition(":")
        match = _KIND.fullmatch(kind)
        if not (last and first and match and _NAME.fullmatch(name)):
            continue
        known = wanted.setdefault((match[1], name), {})
        known.update((one, None) for one in actions.split(",") if _ACTION.fullmatch(one))
    return [Scope(kind, name, tuple(actions)) for (kind, name), actions in wanted.items()]


def format_scopes(scopes: Iterable[Scope]) -> str:
    """Scopes as one text."""
    return " ".join(map(str, scopes))


def canonical_scopes(scopes: Iterable[Scope]) -> tuple[str, ...]:
    """Scopes as texts, the same for the same ones in whatever order they and their actions are."""
    actions: dict[tuple[str, str], set[str]] = {}
    for one in scopes:
        actions.setdefault((one.kind, one.name), set()).update(one.actions)
    return tuple(sorted(str(Scope(*place, tuple(sorted(words)))) for place, words in actions.items()))


def scope_of(access: Access) -> Scope | None:
    """The scope that covers an access, as the client calls its resource; None if no scope names it."""
    word = _WORDS.get(access.action)
    if access.resource == "registry":
        return Scope(*_CATALOG, ("*",)) if access.action is Action.LIST else None
    kind, _, name = access.resource.partition(":")
    if kind not in _KINDS or word is None:
        return None
    return Scope(_KINDS[kind], access.asked or (f"{name}/{access.suite}" if access.suite else name), (word,))


@frozen
class TokenCap:
    """What an access token is good for: actions by kind and name."""

    access: Mapping[tuple[str, str], frozenset[str]] = field(hash=False)

    @classmethod
    def of(cls, scopes: Iterable[Scope]) -> TokenCap:
        """The cap that these scopes are."""
        return cls({(one.kind, one.name): frozenset(one.actions) for one in scopes})

    def covers(self, access: Access) -> bool:
        """See `Cap`: any token enters the registry, and none does what no scope can name."""
        place, _, name = access.resource.partition(":")
        kind = _KINDS.get(place)
        if kind is None:
            return place == "registry" and not name and self._enters(access.action)
        word = _WORDS.get(access.action)
        if word is None:
            return False
        actions = self.access.get((kind, access.asked or name), _NOTHING)
        if access.suite is not None:
            actions |= self.access.get((kind, f"{name}/{access.suite}"), _NOTHING)
        return word in actions or "*" in actions

    def _enters(self, action: Action) -> bool:
        return action is Action.ENTER or (action is Action.LIST and "*" in self.access.get(_CATALOG, ()))


@frozen
class NarrowedCap:
    """That of a token that was given for credentials which are narrow themselves."""

    token: TokenCap
    credentials: Cap

    def covers(self, access: Access) -> bool:
        """What both cover."""
        return self.token.covers(access) and self.credentials.covers(access)


@frozen
class AccessCap:
    """What an issuer's `access` claim narrows its user's rights to; as docker's tokens have it.

    A mirrored repository is meant by what the client calls it, and by its whole name, with the host.
    """

    tokens: TokenCap

    def covers(self, access: Access) -> bool:
        """See `Cap`."""
        return self.tokens.covers(access) or (access.asked is not None and self.tokens.covers(_in_full(access)))

    def at_hosts(self, name: str) -> list[str]:
        """The repositories in it that may be what a client calls so, of some host."""
        return [one for kind, one in self.tokens.access if kind == "repository" and one.partition("/")[2] == name]


@frozen
class GrantedAccess:
    """What an issuer's `access` claim allows by itself: things in repositories, and nothing of the server's own.

    A mirrored repository is meant only by its whole name: a name without the host would be anybody's.
    """

    tokens: TokenCap

    def covers(self, access: Access) -> bool:
        """See `Cap`."""
        return ":" in access.resource and self.tokens.covers(_in_full(access))


def may_list(cap: Cap | None, access: Access) -> bool:
    """Whether something may stand in a list: `registry:catalog:*` names none of what the catalog lists."""
    if isinstance(cap, NarrowedCap):
        return isinstance(cap.credentials, AccessCap) or cap.credentials.covers(access)
    return cap is None or isinstance(cap, TokenCap | AccessCap) or cap.covers(access)


def _in_full(access: Access) -> Access:
    """The same, by the whole name of its repository."""
    return access if access.asked is None else evolve(access, asked=None)
