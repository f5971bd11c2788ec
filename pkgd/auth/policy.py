"""What a policy is, and the policy of `auth.mode: none`."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

from pkgd.auth.model import Access, Action, Principal

__all__ = ["AllowAll", "Authenticated", "Decision", "Policy"]


@frozen
class Decision:
    """What a policy says of an access, and why: the rule that decides, as a sentence for the user."""

    allowed: bool
    rule: str


class Policy(Protocol):
    """Decides about accesses, from what is known of the principal; without waiting."""

    def allows(self, principal: Principal, access: Access) -> bool:
        """Whether the principal may."""

    def decide(self, principal: Principal, access: Access) -> Decision:
        """The same, with the reason."""


class AllowAll:
    """Everybody may do everything: `auth.mode: none`."""

    def allows(self, principal: Principal, access: Access) -> bool:
        """Yes."""
        return True

    def decide(self, principal: Principal, access: Access) -> Decision:
        """Yes, by the mode."""
        return Decision(True, "auth.mode is none")


class Authenticated:
    """Whoever has a name may do everything but delete; the anonymous nothing."""

    def allows(self, principal: Principal, access: Access) -> bool:
        """Whether there is a name."""
        if principal.name is None:
            return access.action is Action.ENTER and access.resource == "registry"
        return access.action is not Action.DELETE

    def decide(self, principal: Principal, access: Access) -> Decision:
        """The same, with the reason."""
        if self.allows(principal, access):
            return Decision(True, "without rules, whoever has logged in may pull and push")
        if principal.name is None:
            return Decision(False, "no rule allows it")
        return Decision(False, "without rules, only administrators may delete")
