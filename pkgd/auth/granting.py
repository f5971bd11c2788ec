"""Which of the scopes that a token is asked for it gets: what the policy allows, as far as a name tells.

A name alone does not say which upstream a later request means (`?ns=`), so with the mirror on every pull is granted: a
scope is no permission, and the policy decides on the request itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pkgd.auth.authority import Authority
from pkgd.auth.model import Access, Action, Identity, Principal, mirrored
from pkgd.auth.policy import Policy
from pkgd.auth.scopes import Scope

__all__ = ["Granting"]

_ACTIONS = {"pull": Action.PULL, "push": Action.PUSH, "delete": Action.DELETE}
_KINDS = {"repository": "oci", "apt": "apt", "rpm": "rpm"}


class Granting:
    """See the module."""

    def __init__(
        self,
        policy: Policy,
        authority: Authority,
        upstreams: Callable[[str], Iterable[str]] = lambda name: (),
        mirrors: bool = False,
    ) -> None:
        """
        :param upstreams: repositories of upstreams, `<host>/<name>`, that a name is likely to mean.
        :param mirrors: whether it may mean those of any other upstream, too.
        """
        self._policy = policy
        self._authority = authority
        self._upstreams = upstreams
        self._mirrors = mirrors

    def granted(self, identity: Identity, scopes: Sequence[Scope]) -> list[Scope]:
        """The scopes with what is granted of their actions, without those of which that is nothing."""
        if not self._authority.can_narrow(identity):
            return []
        found = []
        for one in scopes:
            actions = tuple(action for action in one.actions if self._allows(identity, one, action))
            if "*" in one.actions and one.kind in _KINDS:
                actions = tuple(action for action in _ACTIONS if self._allows(identity, one, action))
            if actions:
                found.append(Scope(one.kind, one.name, actions))
        return found

    def is_open(self, scopes: Sequence[Scope], address: str | None) -> bool:
        """Whether these are pulls that anybody may make from there, so that no credentials are needed."""
        principal = Principal(address=address)
        return bool(scopes) and all(
            one.kind == "repository"
            and one.actions == ("pull",)
            and any(self._policy.allows(principal, access) for access in self._pulls(one.name))
            for one in scopes
        )

    def _allows(self, identity: Identity, scope: Scope, action: str) -> bool:
        if (scope.kind, scope.name, action) == ("registry", "catalog", "*"):
            accesses = [Access("registry", Action.LIST)]
        elif scope.kind not in _KINDS or action not in _ACTIONS:
            return False
        elif scope.kind == "repository" and action == "pull":
            if self._mirrors:
                return True
            accesses = self._pulls(scope.name)
        else:
            accesses = [Access(f"{_KINDS[scope.kind]}:{scope.name}", _ACTIONS[action])]
        return any(identity.covers(one) and self._policy.allows(identity.principal, one) for one in accesses)

    def _pulls(self, name: str) -> list[Access]:
        """What pulling a name may be."""
        hosted = Access(f"oci:{name}", Action.PULL)
        return [hosted, *(mirrored(one, False, name) for one in self._upstreams(name))]
