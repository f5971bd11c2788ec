"""Policies for tests, which say themselves what they allow."""

from __future__ import annotations

from pkgd.auth.model import Access, Principal
from pkgd.auth.policy import Decision

__all__ = ["Explained"]


class Explained:
    """A policy that is asked for reasons where it has refused."""

    def decide(self, principal: Principal, access: Access) -> Decision:
        """No, and why."""
        return Decision(False, "no rule allows it")
