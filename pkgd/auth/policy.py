"""What a policy is, and the policy of `auth.mode: none`."""

from __future__ import annotations

from typing import Protocol

from pkgd.auth.model import Access, Principal

__all__ = ["AllowAll", "Policy"]


class Policy(Protocol):
    """Decides about accesses, from what is known of the principal; without waiting."""

    def allows(self, principal: Principal, access: Access) -> bool:
        """Whether the principal may."""


class AllowAll:
    """Everybody may do everything: `auth.mode: none`."""

    def allows(self, principal: Principal, access: Access) -> bool:
        """Yes."""
        return True
