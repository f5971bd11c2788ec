"""API keys and refresh tokens, made from the configuration, with their file: their part of the composition."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from attrs import frozen

from pkgd.auth.apikeys import ApiKeys
from pkgd.auth.keymaking import KeyLimits
from pkgd.auth.refresh import StoredRefreshTokens
from pkgd.config import Auth, Config
from pkgd.packages.staging import state_reserve
from pkgd.sharing import Tasks
from pkgd.state.accountrows import KeyRow
from pkgd.state.accounts import Accounts, AccountsFile
from pkgd.storage.fsops import FileSystem
from pkgd.web.api.keys import KeyApiParts, KeysApi
from pkgd.web.api.people import Browsers
from pkgd.web.api.refreshtokens import RefreshTokenApiParts, RefreshTokensApi
from pkgd.web.auth.login import UnderWay
from pkgd.web.gate import Gate

__all__ = ["LoginDoors", "Logins", "accounts_file", "key_limits"]


@frozen
class LoginDoors:
    """Where users look after what is theirs."""

    keys: KeysApi
    refresh: RefreshTokensApi


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
            # In another mode that file says nothing about whose keys are good.
            return not basic or row.via != "htpasswd" or is_htpasswd_user(row.owner)

        self._is_user = is_user
        file = accounts_file(config)
        self.accounts: Accounts = before.accounts if before else Accounts(reactor, file.path, file.make_room)
        self.keys: ApiKeys = before.keys if before else ApiKeys(self.accounts, now, is_user)
        self.refresh_tokens = StoredRefreshTokens(self.accounts, now)
        self.under_way: UnderWay = before.under_way if before else UnderWay(now)

    def take_effect(self) -> None:
        """From now on it is this configuration that says whose keys are good."""
        self.keys.is_user = self._is_user

    def doors(self, gate: Gate, tasks: Tasks, browsers: Browsers | None) -> LoginDoors:
        """The endpoints for both; `browsers` is None where none log in."""
        return LoginDoors(
            KeysApi(KeyApiParts(gate, self.keys, self._limits, self._now, browsers), tasks),
            RefreshTokensApi(RefreshTokenApiParts(gate, self.refresh_tokens, browsers), tasks),
        )

    async def look(self) -> None:
        """See whether the command `pkgd key` has changed anything, and write down what was used."""
        await self.keys.load()
        await self.keys.flush()


def accounts_file(config: Config) -> AccountsFile:
    """The file, which may have the reserve for deletes where the disk is full."""
    state = str(config.state_dir)
    return AccountsFile(os.path.join(state, "pkgd.sqlite"), state_reserve(state, FileSystem()).release)


def key_limits(config: Config) -> KeyLimits:
    """How long keys live."""
    section = (config.auth or Auth()).api_keys
    return KeyLimits(section.default_lifetime, section.max_lifetime)
