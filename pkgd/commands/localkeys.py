"""API keys in the state directory of this machine, for `pkgd key` without `--url`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from attrs import frozen

from pkgd.auth.apikeys import key_row
from pkgd.auth.keycaps import allowance_document
from pkgd.auth.keymaking import Wish, robot_order
from pkgd.auth.secrettexts import new_key
from pkgd.commands.localaccounts import LocalAccounts, day
from pkgd.errors import UnknownKey
from pkgd.logins import key_limits
from pkgd.state.accountrows import KeyRow, add_key, all_keys, delete_key

__all__ = ["Keys", "LocalKeys"]


class Keys(Protocol):
    """Where keys are. Rows are as `/api/v1/keys` shows them."""

    def create(self, wish: Wish) -> str:
        """A new key."""

    def list(self, everybody: bool) -> Sequence[Mapping[str, Any]]:
        """Those that there are."""

    def revoke(self, identifier: str) -> None:
        """End one."""


@frozen
class LocalKeys:
    """Those of a state directory."""

    accounts: LocalAccounts

    @classmethod
    def of(cls, configuration: str | None) -> LocalKeys:
        """Those of a configuration.

        :raises ConfigError: if they cannot be used.
        """
        return cls(LocalAccounts.of(configuration))

    def create(self, wish: Wish) -> str:
        """See `Keys`."""
        now = self.accounts.now
        order, key = robot_order(wish, key_limits(self.accounts.config), now), new_key()
        row = key_row(order, key, now)
        self.accounts.change(partial(add_key, row=row), "create-key", f"key:{row.id}", owner=row.owner, label=row.label)
        return key.text

    def list(self, everybody: bool) -> Sequence[Mapping[str, Any]]:
        """See `Keys`."""
        return [_row(one) for one in self.accounts.file.run(all_keys)]

    def revoke(self, identifier: str) -> None:
        """See `Keys`."""
        row = next((one for one in self.accounts.file.run(all_keys) if one.id == identifier), None)
        if row is None:
            raise UnknownKey(identifier)
        delete = partial(delete_key, identifier=identifier)
        if self.accounts.change(delete, "revoke-key", f"key:{identifier}", owner=row.owner, label=row.label) is False:
            raise UnknownKey(identifier)


def _row(row: KeyRow) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "owner": row.owner,
        "label": row.label,
        "allow": allowance_document(row.allow),
        "suspended": row.suspended,
        "expires": day(row.expires),
        "last_used": None if row.used is None else day(row.used),
    }
