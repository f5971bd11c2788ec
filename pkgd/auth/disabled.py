"""Users who are not let in any more, whatever vouches for them: out at once, and until they are enabled again.

A user is a name here, as rules have it. Whoever is called so is meant: a user of the file, of a back end or of the
provider, a robot, a workload. His sessions and refresh tokens end; his API keys open nothing for as long.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from pkgd.errors import InvalidRequest, PkgdError
from pkgd.state.accountrows import DisabledRow, disable_user, enable_user
from pkgd.state.accounts import Accounts

__all__ = ["DisabledRow", "DisabledUsers", "checked_user"]

_USER = re.compile(r"[^\x00-\x1f\x7f]{1,256}")


def checked_user(text: str) -> str:
    """A user's name, if it could be one.

    :raises InvalidRequest: if not.
    """
    if not _USER.fullmatch(text):
        raise InvalidRequest("user", "a user's name is needed: from 1 to 256 characters, and no control characters")
    return text


class DisabledUsers:
    """All of them, in memory. `use` what is in the file before use."""

    def __init__(self, accounts: Accounts, now: Callable[[], float]) -> None:
        """
        :param now: seconds since the epoch.
        """
        self._accounts = accounts
        self._now = now
        self._rows: dict[str, DisabledRow] = {}

    def __contains__(self, user: object) -> bool:
        """Whether somebody is one; at once, for every request with credentials asks."""
        return user in self._rows

    def list(self) -> Sequence[DisabledRow]:
        """All, by their names."""
        return sorted(self._rows.values(), key=lambda one: one.user)

    def use(self, rows: Sequence[DisabledRow]) -> None:
        """These are all that there are."""
        self._rows = {one.user: one for one in rows}

    async def disable(self, user: str) -> bool:
        """Let somebody in no more, from now on; whether that is new. It is durable on return.

        :raises Storage: if it cannot be written down; then he goes on.
        """
        before = self._rows.get(user)
        row = before or DisabledRow(user, self._now())
        self._rows[user] = row
        try:
            is_new = await self._accounts.run(partial(disable_user, row=row), is_urgent=True)
        except PkgdError:
            if before is None:
                self._rows.pop(user, None)
            raise
        # They may have been read again in between.
        self._rows[user] = row
        return is_new

    async def enable(self, user: str) -> bool:
        """Let somebody in again; whether he was not. It is durable on return.

        :raises Storage: if it cannot be written down; then it stays as it was.
        """
        was_disabled = await self._accounts.run(partial(enable_user, user=user))
        self._rows.pop(user, None)
        return was_disabled
