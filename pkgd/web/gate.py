"""The gate that every request passes before its body is read, whatever the mode.

It finds out who asks (the authority), whether he may (the policy) and whether his token is meant for that (its
cap), and words every refusal. A route declares the access that it needs; what has no declaration stops the start
(`require_declarations`), so that no endpoint can be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve, frozen

from pkgd.auth.audit import Audit, Detail, Unaudited
from pkgd.auth.authority import Authority
from pkgd.auth.model import Access, Action, Identity, Principal
from pkgd.auth.policy import Policy
from pkgd.auth.scopes import MAX_SCOPES, NarrowedCap, Scope, TokenCap, may_list
from pkgd.errors import Concealed, Denied, PkgdError, Throttled, Unauthenticated
from pkgd.web.challenge import BASIC, Error, bearer, scopes_of
from pkgd.web.outside import Outside

if TYPE_CHECKING:
    from klein import Klein

    from pkgd.web.request import Request

__all__ = ["Gate", "Grant", "declared_access", "declares", "require_declarations"]

Handler = TypeVar("Handler", bound=Callable[..., Any])

_DECLARED = "__pkgd_access__"
_NEEDED = "credentials are needed"
_OTHER_TOKEN = "the token is not meant for this"  # noqa: S105


@frozen
class Grant:
    """A request that has been admitted: who sent it, to ask about further effects.

    `refusal` words what he may not; `audit` notes what he has done.
    """

    identity: Identity
    policy: Policy
    request: Request
    refusal: Callable[[Request, Identity, Access], PkgdError]
    audit: Audit | Unaudited

    @property
    def principal(self) -> Principal:
        """Who sent it."""
        return self.identity.principal

    def require(self, access: Access) -> None:
        """Make sure that he may also do this.

        :raises Unauthenticated: if credentials might help.
        :raises Denied: if not.
        :raises Concealed: if he is not to know whether it is there.
        """
        if not self.may(access):
            raise self.refusal(self.request, self.identity, access)

    def may(self, access: Access) -> bool:
        """Whether he may also do this: the policy allows it, and what he has shown is meant for it."""
        return self.identity.covers(access) and self.policy.allows(self.identity.principal, access)

    def may_list(self, access: Access) -> bool:
        """Whether he may be shown that it is there, in a list that he has been admitted to."""
        return may_list(self.identity.cap, access) and self.policy.allows(self.identity.principal, access)

    def record(self, action: str, resource: str, **detail: Detail) -> None:
        """Note what he has done."""
        self.audit.record(action, self.identity, resource, **detail)


class Gate:
    """See the module."""

    def __init__(
        self,
        policy: Policy,
        authority: Authority | None = None,
        outside: Outside | None = None,
        ignores_foreign: bool = True,
        audit: Audit | Unaudited | None = None,
    ) -> None:
        """
        :param authority: None where nobody is asked who he is: `auth.mode: none`.
        :param ignores_foreign: whether credentials that nobody here knows do no harm where none are needed, on pulls
            through the mirror: docker and containerd show a mirror what they have for the upstream.
        """
        self.policy = policy
        self.outside = outside or Outside()
        self._authority = authority
        self._ignores_foreign = ignores_foreign
        self._audit = audit or Unaudited()

    def admit_at_once(self, request: Request, access: Access | None, also: Sequence[Access] = ()) -> Grant | None:
        """Let the request in or refuse it, as `admit`; None if that takes waiting."""
        address = self.outside.address(request)
        header = request.head.headers.get(b"authorization")
        if self._authority is None:
            return self._grant(request, anonymous(address), access)
        try:
            identity = self._authority.identify_at_once(header, address, _asked(request, access, also))
        except Unauthenticated as error:
            if not self._is_open(access, address):
                raise self._challenged(request, access, error.reason) from None
            identity = anonymous(address)
        return None if identity is None else self._grant(request, identity, access)

    async def admit(self, request: Request, access: Access | None, also: Sequence[Access] = ()) -> Grant:
        """Let the request in, or refuse it.

        :param access: None for what is open by its nature; who comes with wrong credentials is refused there, too.
        :param also: what the grant will be asked about besides: who vouches for a password may have to be told.
        :raises Unauthenticated: with the challenge, if it needs other credentials.
        :raises Denied: if the policy does not allow it.
        :raises Concealed: if the policy does not even allow to read it.
        :raises Throttled: after too many wrong credentials.
        :raises AuthUnavailable: if nobody can tell whose the credentials are.
        """
        grant = self.admit_at_once(request, access, also)
        if grant is not None:
            return grant
        assert self._authority is not None, "without an authority nothing takes waiting"
        address = self.outside.address(request)
        header = request.head.headers.get(b"authorization")
        is_open = self._is_open(access, address)
        try:
            identity = await self._authority.identify(header, address, is_open, _asked(request, access, also))
        except (Unauthenticated, Throttled) as error:
            if is_open:
                identity = anonymous(address)
            elif isinstance(error, Unauthenticated):
                raise self._challenged(request, access, error.reason) from None
            else:
                raise
        return self._grant(request, identity, access)

    def admit_as(self, request: Request, identity: Identity, access: Access) -> Grant:
        """Let in whose session this is, or refuse him, as `admit`; for who comes without credentials in a header."""
        address = self.outside.address(request)
        return self._grant(request, evolve(identity, principal=evolve(identity.principal, address=address)), access)

    def _is_open(self, access: Access | None, address: str) -> bool:
        """Whether anybody may, on a pull through the mirror, so that foreign credentials are no reason to refuse."""
        return (
            self._ignores_foreign
            and access is not None
            and access.action is Action.PULL
            and access.resource.startswith("mirror:")
            and self.policy.allows(Principal(address=address), access)
        )

    def _grant(self, request: Request, identity: Identity, access: Access | None) -> Grant:
        request.user_name = identity.principal.name
        grant = Grant(identity, self.policy, request, self._refusal, self._audit)
        if access is not None:
            if access.resource == "registry" and self._authority is not None:
                # docker and podman never send credentials to who lets them in without; any are good enough to enter.
                if not identity.presented:
                    raise self._challenged(request, access)
                if access.action is Action.ENTER:
                    return grant
            grant.require(access)
        return grant

    # -- refusals --

    def _refusal(self, request: Request, identity: Identity, access: Access) -> PkgdError:
        """What to say of an access that isn't granted."""
        if self._authority is not None:
            if isinstance(identity.cap, TokenCap | NarrowedCap) and not identity.covers(access):
                why = self._missing(identity, access)
                return self._challenged(request, access, why or _OTHER_TOKEN, "insufficient_scope", why)
            if identity.principal.name is None:
                return self._challenged(request, access)
        if access.action is Action.PULL and identity.principal.name is not None and _is_registry(request):
            return Concealed(access.asked or access.resource.partition(":")[2])
        decision = self.policy.decide(identity.principal, access)
        why = "the credentials are not meant for this" if decision.allowed else decision.rule
        return Denied(_sentence(identity, access, why))

    def _missing(self, identity: Identity, access: Access) -> str | None:
        """Why he would get no better token; None if he would, or isn't to know."""
        decision = self.policy.decide(identity.principal, access)
        if decision.allowed:
            return None
        if identity.principal.name is None:
            return _NEEDED
        return None if access.action is Action.PULL else _sentence(identity, access, decision.rule)

    def _challenged(
        self,
        request: Request,
        access: Access | None,
        reason: str = _NEEDED,
        error: Error | None = None,
        description: str | None = None,
    ) -> Unauthenticated:
        """The refusal with the challenge that leads on: for the registry that of the token service."""
        if not _is_registry(request):
            return Unauthenticated(reason, BASIC)
        shown = request.head.headers.get(b"authorization", b"")
        if error is None and shown[:7].lower() == b"bearer " and reason != _NEEDED:
            error = "invalid_token"
        return Unauthenticated(reason, bearer(request, self.outside, access, error, description))


@lru_cache(1024)
def anonymous(address: str | None) -> Identity:
    """Who shows nothing, from an address."""
    return Identity(Principal(address=address), presented=False)


def _asked(request: Request, access: Access | None, also: Sequence[Access]) -> list[Scope]:
    """What a password is shown for."""
    if request.head.headers.get(b"authorization", b"")[:6].lower() != b"basic ":
        return []
    scopes = scopes_of(request, access)
    for one in also[:MAX_SCOPES]:
        scopes += scopes_of(request, one)
    return scopes


def _sentence(identity: Identity, access: Access, why: str) -> str:
    return f"{identity.principal.name or 'anonymous'} may not {access}: {why}"


def _is_registry(request: Request) -> bool:
    return request.path.startswith(b"/v2/") or request.path == b"/v2"


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
