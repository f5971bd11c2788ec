"""Who can vouch for credentials: the interface between the authority and htpasswd, back ends, keys and tokens.

A source is asked in an order that the authority keeps. It accepts, rejects, or does not know the user, in which
case the next one is asked; one that cannot be asked raises `AuthUnavailable`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Literal, Protocol, runtime_checkable

from pkgd.auth.model import Cap, Identity
from pkgd.auth.scopes import Scope

__all__ = [
    "Immediate",
    "Narrowing",
    "PasswordSource",
    "RefreshTokens",
    "Remembering",
    "TokenSource",
    "Verdict",
    "Widening",
]


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

    async def check(self, user: str, password: str, asked: Sequence[Scope] = ()) -> Identity | Verdict:
        """Look at a user's password.

        :param asked: what the credentials are shown for; who it is may be known for that alone.
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


@runtime_checkable
class Immediate(Protocol):
    """A token source that never has to wait, and that may want to know where a token comes from."""

    def recognises(self, token: str) -> bool:
        """See `TokenSource`."""

    def check_at_once(self, token: str, address: str | None) -> Identity | Verdict:
        """See `check_token`."""


@runtime_checkable
class Remembering(Protocol):
    """A password source that knows at once what it has lately accepted, so that a success is never delayed."""

    def remembered(
        self, user: str, password: str, asked: Sequence[Scope] = ()
    ) -> Identity | Literal[Verdict.UNKNOWN] | None:
        """What it would say; None if it has to be asked. At once."""


@runtime_checkable
class Narrowing(Protocol):
    """A source whose credentials are narrower than their owner's rights, and so the access tokens given for them.

    Of any other source, whoever is narrowed gets no access tokens.
    """

    def narrows(self, identity: Identity) -> Cap | None:
        """What the credentials behind an access token are meant for now; None is everything. At once."""


@runtime_checkable
class Widening(Protocol):
    """A source that is trusted with saying what its users may, beside the policy."""

    def widens(self, identity: Identity) -> Cap | None:
        """What the credentials behind an access token allow by themselves now; None is nothing. At once."""


class RefreshTokens(Protocol):
    """Tokens that buy access tokens for a long time (distribution, `spec/auth/oauth.md`), for one user and service."""

    def may_have(self, identity: Identity) -> bool:
        """Whether somebody gets one, by how he is known."""

    async def issue(self, identity: Identity, service: str, client: str) -> str:
        """A new one.

        :param client: what the client calls itself, for the list of them.
        """

    async def redeem(self, token: str, service: str) -> Identity | Verdict:
        """Whose it is; it stays valid.

        :raises AuthUnavailable: if it cannot be told now.
        """

    async def revoke(self, token: str) -> None:
        """It is worth nothing any more."""
