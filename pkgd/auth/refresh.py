"""Refresh tokens: they buy access tokens for a long time, for one user and one service, and can be revoked.

Random texts of which only the digest is kept. Only who has logged in himself gets one: what keys and workloads' tokens
may is bound to those themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from pkgd.auth.model import Identity, Principal
from pkgd.auth.secrettexts import digest_of, new_secret
from pkgd.auth.sources import Verdict
from pkgd.state.accountrows import (
    RefreshRow,
    add_refresh,
    all_refresh,
    delete_refresh,
    end_refresh,
    find_refresh,
)
from pkgd.state.accounts import Accounts

__all__ = ["RefreshRow", "StoredRefreshTokens"]

PREFIX = "pkgdr_"
# How long one is good for, in seconds; then its user logs in again.
LIFETIME = 90 * 86400.0

_FOR = ("htpasswd", "oidc")


class StoredRefreshTokens:
    """See `RefreshTokens`."""

    def __init__(self, accounts: Accounts, now: Callable[[], float]) -> None:
        """
        :param now: seconds since the epoch.
        """
        self._accounts = accounts
        self._now = now

    def may_have(self, identity: Identity) -> bool:
        """Whether somebody gets one."""
        return identity.principal.name is not None and identity.via in _FOR and identity.cap is None

    async def issue(self, identity: Identity, service: str, client: str) -> str:
        """A new one, durable on return.

        :raises Storage: if it cannot be kept.
        """
        text, now, principal = PREFIX + new_secret(), self._now(), identity.principal
        row = RefreshRow(
            digest=digest_of(text),
            user=principal.name or "",
            groups=tuple(sorted(principal.groups)),
            via=identity.via,
            stamp=identity.stamp,
            service=service,
            client=client,
            created=now,
            expires=now + LIFETIME,
        )
        await self._accounts.run(partial(add_refresh, row=row))
        return text

    async def redeem(self, token: str, service: str) -> Identity | Verdict:
        """Whose it is; it stays valid.

        :raises Storage: if that cannot be told.
        """
        if not token.startswith(PREFIX):
            return Verdict.UNKNOWN
        row = await self._accounts.run(partial(find_refresh, digest=digest_of(token)))
        if row is None or row.service != service or row.expires <= self._now():
            return Verdict.REJECTED
        return Identity(Principal(row.user, frozenset(row.groups)), row.via, row.stamp, expires=row.expires)

    async def revoke(self, token: str) -> None:
        """It is worth nothing any more. Durable on return."""
        await self._accounts.run(partial(delete_refresh, digest=digest_of(token)), is_urgent=True)

    async def list(self, user: str | None = None) -> Sequence[RefreshRow]:
        """Those that are good, of one user or of all; without their secrets, which nobody has kept.

        :raises FailedStorage: if that cannot be told.
        """
        return await self._accounts.run(partial(all_refresh, now=self._now(), user=user))

    async def end(self, identifier: str) -> bool:
        """The one that the list calls so is worth nothing any more; whether there was one. Durable on return.

        :raises FailedStorage: if that cannot be written down; then it goes on.
        """
        return await self._accounts.run(partial(end_refresh, identifier=identifier), is_urgent=True)
