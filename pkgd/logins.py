"""API keys, refresh tokens and disabled users, with their file: a part of the composition."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from pkgd.auth.apikeys import ApiKeys
from pkgd.auth.disabled import DisabledUsers
from pkgd.auth.keymaking import KeyLimits
from pkgd.auth.refresh import StoredRefreshTokens
from pkgd.config import Auth, Config
from pkgd.packages.staging import state_reserve
from pkgd.sharing import Tasks
from pkgd.state.accountrows import KeyRow, all_keys, disabled_users
from pkgd.state.accounts import Accounts, AccountsFile
from pkgd.storage.fsops import FileSystem
from pkgd.web.api.keys import KeyApiParts, KeysApi
from pkgd.web.api.people import AccountApi, Browsers
from pkgd.web.api.refreshtokens import RefreshTokenApiParts, RefreshTokensApi
from pkgd.web.api.users import UserApiParts, UsersApi
from pkgd.web.auth.login import UnderWay
from pkgd.web.gate import Gate

__all__ = ["Logins", "accounts_file", "key_limits"]


class Logins:
    """The keys and tokens that are kept, and what of them has a life of its own."""

    def __init__(
        self,
        reactor: Any,
        config: Config,
        now: Callable[[], float],
        is_htpasswd_user: Callable[[str], bool],
        before: Logins | None = None,
    ) -> None:
        """
        :param now: seconds since the epoch.
        :param is_htpasswd_user: whether the file of users has somebody, as of now.
        :param before: those of the configuration before this one: the file is the same, and in use.
        """
        self._now = now
        self._limits = key_limits(config)
        basic = config.auth_mode == "basic"

        def is_user(row: KeyRow) -> bool:
            if row.owner in self.disabled:
                return False
            # In another mode that file says nothing about whose keys are good.
            return not basic or row.via != "htpasswd" or is_htpasswd_user(row.owner)

        self._is_user = is_user
        file = accounts_file(config)
        self.accounts: Accounts = before.accounts if before else Accounts(reactor, file.path, file.room.more)
        self.disabled: DisabledUsers = before.disabled if before else DisabledUsers(self.accounts, now)
        self.keys: ApiKeys = before.keys if before else ApiKeys(self.accounts, now, is_user)
        self.refresh_tokens = StoredRefreshTokens(self.accounts, now)
        self.under_way: UnderWay = before.under_way if before else UnderWay(now)

    def take_effect(self) -> None:
        """From now on it is this configuration that says whose keys are good."""
        self.keys.is_user = self._is_user

    def doors(self, gate: Gate, tasks: Tasks, browsers: Browsers | None) -> Sequence[AccountApi]:
        """Where users look after what is theirs, and administrators after users.

        :param browsers: None where none log in.
        """
        return (
            KeysApi(KeyApiParts(gate, self.keys, self._limits, self._now, browsers), tasks),
            RefreshTokensApi(RefreshTokenApiParts(gate, self.refresh_tokens, browsers), tasks),
            UsersApi(UserApiParts(gate, self.disabled, browsers), tasks),
        )

    async def look(self) -> None:
        """See whether commands such as `pkgd key` have changed anything, and write down what was used."""
        found = await self.accounts.read_if_changed(lambda t: (all_keys(t), disabled_users(t)))
        if found is not None:
            keys, disabled = found
            self.keys.use(keys)
            self.disabled.use(disabled)
        await self.keys.flush()


def accounts_file(config: Config) -> AccountsFile:
    """The file, which may have the reserve for deletes where the disk is full."""
    state = str(config.state_dir)
    return AccountsFile(os.path.join(state, "pkgd.sqlite"), state_reserve(state, FileSystem()).release)


def key_limits(config: Config) -> KeyLimits:
    """How long keys live."""
    section = (config.auth or Auth()).api_keys
    return KeyLimits(section.default_lifetime, section.max_lifetime)
