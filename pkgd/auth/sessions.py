"""Browsers that have logged in: a random text in a cookie, and what it stands for in pkgd.sqlite."""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import partial

from pkgd.auth.model import Identity, Principal
from pkgd.auth.secrettexts import digest_of, new_secret
from pkgd.state.accountrows import SessionRow, add_session, delete_session, find_session, forget_user
from pkgd.state.accounts import Accounts

__all__ = ["Sessions"]

# How long one lasts, in seconds: a day's work.
LIFETIME = 12 * 3600.0


class Sessions:
    """See the module."""

    def __init__(self, accounts: Accounts, now: Callable[[], float], disabled: Container[str] = ()) -> None:
        """
        :param now: seconds since the epoch.
        :param disabled: users whose sessions are worth nothing.
        """
        self._accounts = accounts
        self._now = now
        self.disabled = disabled

    async def begin(self, identity: Identity) -> str:
        """A new one, durable on return; returns its text.

        :raises Storage: if it cannot be kept.
        """
        text, now, principal = new_secret(), self._now(), identity.principal
        groups = tuple(sorted(principal.groups))
        row = SessionRow(digest_of(text), principal.name or "", groups, now, now + LIFETIME)
        await self._accounts.run(partial(add_session, row=row))
        return text

    async def find(self, text: str) -> Identity | None:
        """Whose it is, if it still is one."""
        row = await self._accounts.run(partial(find_session, digest=digest_of(text)))
        if row is None or row.expires <= self._now() or row.user in self.disabled:
            return None
        return Identity(Principal(row.user, frozenset(row.groups)), "oidc", expires=row.expires)

    async def end(self, text: str) -> None:
        """It is one no more. Durable on return."""
        await self._accounts.run(partial(delete_session, digest=digest_of(text)), is_urgent=True)

    async def forget_user(self, user: str) -> None:
        """End all of a user's, and his refresh tokens."""
        await self._accounts.run(partial(forget_user, user=user), is_urgent=True)
