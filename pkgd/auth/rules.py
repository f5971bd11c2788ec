"""The policy that `authorization` in the configuration describes.

Rules only allow, and all of them count: their order means nothing, and what none allows is refused. Admins may
do everything, and an issuer that is trusted with it (`trust_access`) allows its users what their tokens say. Requests
ask again and again for the same, so decisions are remembered.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from pkgd.auth.model import Access, Action, Principal
from pkgd.auth.policy import Decision
from pkgd.auth.resources import ResourceGlob
from pkgd.auth.subjects import Subject

__all__ = ["Admins", "Rule", "RulePolicy"]

# Decisions that are remembered.
_REMEMBERED = 16384

_NO_RULE = Decision(False, "no rule allows it")
_NO_RULES = Decision(False, "without rules, deleting is for admins, and the anonymous may nothing")
_LISTING = Decision(True, "everybody may ask: what is shown is what may be pulled")
_IDENTIFIED = Decision(True, "everybody who is known by name may")
_BY_ISSUER = Decision(True, "the access claim of the user's own token (trust_access)")
_ADMINS_ONLY = Decision(False, "only authorization.admins may")


@frozen
class Rule:
    """A rule of the configuration, as it stands there in canonical form; `title` is what it is called."""

    title: str
    resources: tuple[str, ...]
    subjects: tuple[str, ...]
    actions: frozenset[Action]


@frozen
class Admins:
    """Who may do everything."""

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    def decide(self, principal: Principal) -> Decision | None:
        """The decision for one of them; None for others."""
        if principal.name is None:
            return None
        if principal.name in self.users:
            return Decision(True, f"authorization.admins.users ({principal.name})")
        group = min(self.groups & principal.groups, default=None)
        return None if group is None else Decision(True, f"authorization.admins.groups ({group})")


# What goes without rules.
_DEFAULT = Rule(
    "without rules, whoever is authenticated may pull, push and overwrite",
    ("oci:**", "apt:**", "rpm:**", "mirror:**"),
    ("authenticated",),
    frozenset([Action.PULL, Action.PUSH, Action.OVERWRITE]),
)


class RulePolicy:
    """Decides by rules.

    Beside repositories there are a few resources of the server's own: everybody may `enter` it and `list` (what is
    listed, is what may be pulled), `account` is for whoever is known by name, and `admin` for admins.
    """

    def __init__(self, rules: Sequence[Rule] | None = None, admins: Admins = Admins()) -> None:
        """
        :param rules: None if there are none; then who is known by name may pull, push and overwrite.
        """
        self._admins = admins
        self._otherwise = _NO_RULES if rules is None else _NO_RULE
        self._rules = [_Compiled(one) for one in ([_DEFAULT] if rules is None else rules)]
        self._decided: dict[tuple[Principal, Access], Decision] = {}

    def allows(self, principal: Principal, access: Access) -> bool:
        """Whether the principal may."""
        return self.decide(principal, access).allowed

    def decide(self, principal: Principal, access: Access) -> Decision:
        """Whether the principal may, and by which rule."""
        found = self._decided.get((principal, access))
        if found is None:
            found = self._decide(principal, access)
            if len(self._decided) >= _REMEMBERED:
                self._decided.clear()
            self._decided[principal, access] = found
        return found

    def _decide(self, principal: Principal, access: Access) -> Decision:
        by_admins = self._admins.decide(principal)
        if by_admins is not None:
            return by_admins
        if ":" not in access.resource:
            return _of_server(principal, access)
        if principal.granted is not None and principal.granted.covers(access):
            return _BY_ISSUER
        found = (one.decide(principal, access) for one in self._rules)
        return next((one for one in found if one is not None), self._otherwise)


def _of_server(principal: Principal, access: Access) -> Decision:
    """What is asked of the server itself, and not of a repository."""
    if access.resource == "account":
        return _IDENTIFIED if principal.name is not None else _NO_RULE
    if access.resource == "admin":
        return _ADMINS_ONLY
    return _LISTING if access.action in (Action.ENTER, Action.LIST) else _NO_RULE


class _Compiled:
    """A rule, ready to be asked."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._resources = [(text, ResourceGlob(text)) for text in rule.resources]
        self._subjects = [Subject(text) for text in rule.subjects]

    def decide(self, principal: Principal, access: Access) -> Decision | None:
        """The decision that it allows this; None if it doesn't."""
        if access.action not in self._rule.actions:
            return None
        for text, glob in self._resources:
            if not glob.covers(access, principal.claims):
                continue
            for subject in self._subjects:
                # What was fetched with our credentials is not for everybody, unless a rule says so of its very host.
                hidden = access.private and subject.is_anybody and not glob.names_host
                if not hidden and subject.match(principal):
                    return Decision(True, f"{self._rule.title} ({text} for {subject.text})")
        return None
