"""What a policy is, the policy of `auth.mode: none`, and the choice among policies.

A policy only ever allows: what nothing allows is refused.
"""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

from pkgd.auth.model import Access, Principal

__all__ = ["AllowAll", "Decision", "Policy"]


@frozen
class Decision:
    """Whether an access is allowed, and the rule that says so, in words for users and the log."""

    allowed: bool
    rule: str


class Policy(Protocol):
    """Decides about accesses, from what is known of the principal; without waiting."""

    def allows(self, principal: Principal, access: Access) -> bool:
        """Whether the principal may."""

    def decide(self, principal: Principal, access: Access) -> Decision:
        """Whether the principal may, and by which rule."""


class AllowAll:
    """Everybody may do everything: `auth.mode: none`."""

    def allows(self, principal: Principal, access: Access) -> bool:
        """Yes."""
        return True

    def decide(self, principal: Principal, access: Access) -> Decision:
        """Yes, and why."""
        return _EVERYTHING


_EVERYTHING = Decision(True, "auth.mode none: everybody may do everything")
