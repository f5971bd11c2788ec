"""The gate that every request passes before its body is read, whatever the mode.

A route declares the access that it needs; what has no declaration stops the start
(`require_declarations`), so that no endpoint can be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import frozen

from pkgd.auth.model import Access, Action, Principal
from pkgd.auth.policy import Policy
from pkgd.errors import Denied

if TYPE_CHECKING:
    from klein import Klein

    from pkgd.web.request import Request

__all__ = ["Gate", "Grant", "declared_access", "declares", "require_declarations"]

Handler = TypeVar("Handler", bound=Callable[..., Any])

_DECLARED = "__pkgd_access__"


@frozen
class Grant:
    """A request that has been admitted: its principal, to ask about further effects."""

    principal: Principal
    policy: Policy

    def require(self, access: Access) -> None:
        """Make sure that the principal may also do this.

        :raises Denied: if not.
        """
        if not self.policy.allows(self.principal, access):
            raise Denied(str(access))

    def may(self, access: Access) -> bool:
        """Whether the principal may also do this."""
        return self.policy.allows(self.principal, access)


class Gate:
    """Finds out who asks, and asks the policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def admit_at_once(self, request: Request, access: Access | None) -> Grant | None:
        """Let the request in or refuse it, as `admit`; None if that takes waiting.

        :raises Denied: if the policy does not allow it.
        """
        grant = Grant(Principal(), self._policy)
        if access is not None:
            grant.require(access)
        return grant

    async def admit(self, request: Request, access: Access | None) -> Grant:
        """Let the request in, or refuse it.

        :param access: None for endpoints that are open by their nature: the probes.
        :raises Denied: if the policy does not allow it.
        """
        grant = self.admit_at_once(request, access)
        assert grant is not None
        return grant


def declares(access: Access | Action | None) -> Callable[[Handler], Handler]:
    """State what a handler needs: an access; an action on what its route names; or None, being open."""

    def mark(handler: Handler) -> Handler:
        setattr(handler, _DECLARED, access)
        return handler

    return mark


def declared_access(handler: Callable[..., Any]) -> Access | Action | None:
    """What a handler declares.

    :raises LookupError: if it declares nothing.
    """
    try:
        access: Access | Action | None = getattr(handler, _DECLARED)
    except AttributeError:
        raise LookupError(f"{handler!r} declares no access") from None
    return access


def require_declarations(app: Klein) -> None:
    """Stop the start if a Klein route declares no access, or one that nobody would ask for.

    :raises LookupError: naming the first such route.
    """
    for endpoint in app.endpoints.values():
        if declared_access(endpoint) is not None:
            raise LookupError(f"{endpoint!r} declares an access, and Klein's routes do not pass the gate")
