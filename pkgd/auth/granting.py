"""Which of the scopes that a token is asked for it gets: what the policy allows, as far as a name tells.

A name alone does not say which upstream a later request means (`?ns=`), so a pull is granted if there is one of which
the policy allows it: a scope is no permission, and policy and credentials decide on the request itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from pkgd.auth.authority import Authority
from pkgd.auth.model import Access, Action, Cap, Identity, Principal, mirrored
from pkgd.auth.policy import Policy
from pkgd.auth.scopes import AccessCap, Scope
from pkgd.errors import InvalidName
from pkgd.formats.names import RepositoryName

__all__ = ["Granting"]

_ACTIONS = {"pull": Action.PULL, "push": Action.PUSH, "delete": Action.DELETE}
_KINDS = {"repository": "oci", "apt": "apt", "rpm": "rpm"}


async def _never(name: RepositoryName) -> bool:
    return False


class Granting:
    """See the module."""

    def __init__(
        self,
        policy: Policy,
        authority: Authority,
        upstreams: Callable[[str], Iterable[str]] = lambda name: (),
        is_hosted: Callable[[RepositoryName], Awaitable[bool]] = _never,
    ) -> None:
        """
        :param upstreams: repositories of upstreams, `<host>/<name>`, that a name may mean: of each host that makes a
            difference to the policy.
        :param is_hosted: whether there is a hosted repository of a name.
        """
        self._policy = policy
        self._authority = authority
        self._upstreams = upstreams
        self._is_hosted = is_hosted

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
            and any(self._policy.allows(principal, access) for access in [_hosted(one.name), *self._mirrored(one.name)])
            for one in scopes
        )

    async def means_ours(self, scopes: Sequence[Scope], address: str | None) -> bool:
        """Whether one of these is a hosted repository that not everybody may pull: then the credentials are for us."""
        principal = Principal(address=address)
        for one in scopes:
            if not self._policy.allows(principal, _hosted(one.name)):
                try:
                    if await self._is_hosted(RepositoryName.parse(one.name)):
                        return True
                except InvalidName:
                    continue
        return False

    def _allows(self, identity: Identity, scope: Scope, action: str) -> bool:
        if (scope.kind, scope.name, action) == ("registry", "catalog", "*"):
            accesses = [Access("registry", Action.LIST)]
        elif scope.kind not in _KINDS or action not in _ACTIONS:
            return False
        else:
            accesses = [_access(_KINDS[scope.kind], scope.name, _ACTIONS[action])]
        if any(identity.covers(one) and self._policy.allows(identity.principal, one) for one in accesses):
            return True
        if scope.kind != "repository" or action != "pull":
            return False
        # A key may be for a host that these aren't of: it counts at the request, where the host is known.
        by_name = isinstance(identity.cap, AccessCap)
        return any(
            self._policy.allows(identity.principal, one) and (not by_name or identity.covers(one))
            for one in self._mirrored(scope.name, identity.cap)
        )

    def _mirrored(self, name: str, cap: Cap | None = None) -> list[Access]:
        """What pulling a name may be beside the hosted repository."""
        named = cap.at_hosts(name) if isinstance(cap, AccessCap) else []
        return [mirrored(one, False, name) for one in [*self._upstreams(name), *named]]


def _access(kind: str, name: str, action: Action) -> Access:
    """What a scope is about; an apt repository's name has one part, and behind it may stand a suite's."""
    repository, _, suite = name.partition("/") if kind == "apt" else (name, "", "")
    return Access(f"{kind}:{repository}", action, suite=suite or None)


def _hosted(name: str) -> Access:
    return Access(f"oci:{name}", Action.PULL)
