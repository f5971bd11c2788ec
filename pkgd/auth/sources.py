"""Who can vouch for credentials: the interface between the authority and htpasswd, back ends, keys and tokens.

A source is asked in an order that the authority keeps. It accepts, rejects, or does not know the user, in which
case the next one is asked; one that cannot be asked raises `AuthUnavailable`.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from pkgd.auth.model import Identity

__all__ = ["PasswordSource", "TokenSource", "Verdict"]


class Verdict(Enum):
    """What a source says of credentials that it does not accept."""

    REJECTED = "rejected"
    """The user, or the issuer, is its own, and the credentials are wrong: nobody else is asked."""
    UNKNOWN = "unknown"
    """Not its own."""


class PasswordSource(Protocol):
    """Vouches for user names and passwords."""

    name: str
    """As `Identity.via` begins: `htpasswd`, `api:<name>`, `key`, `workload`."""
    remote: bool
    """Whether the password leaves this process. Such a source is not asked with credentials that may be foreign."""

    async def check(self, user: str, password: str) -> Identity | Verdict:
        """Look at a user's password.

        :raises AuthUnavailable: if it cannot be told now.
        """

    def is_current(self, identity: Identity) -> bool:
        """Whether what it has once accepted still holds, as far as is known here: the user is there, with this stamp.

        At once: every request with a token asks.
        """


class TokenSource(Protocol):
    """Vouches for tokens: what stands behind `Bearer`, or as a password in front of no user."""

    name: str

    def recognises(self, token: str) -> bool:
        """Whether the token is of its kind; by its form alone."""

    async def check_token(self, token: str) -> Identity | Verdict:
        """Look at a token.

        :raises AuthUnavailable: if it cannot be told now.
        """

    def is_current(self, identity: Identity) -> bool:
        """As in `PasswordSource`."""
