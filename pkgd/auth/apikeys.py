"""API keys: made, shown to nobody again, checked at once, and revoked at once, for all of them are held in memory.

A key stands for its owner: for a user, with the groups that he had when it was made or last logged in, or for a robot.
A key that was made with another one is at most as good as that: as narrow, as short-lived, and gone with it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from attrs import evolve, frozen
from twisted.logger import Logger

from pkgd.auth.keycaps import Both, KeyCap
from pkgd.auth.model import Cap, Identity, Principal
from pkgd.auth.secrettexts import PREFIX, KeyText, new_key, read_key
from pkgd.auth.sources import Verdict
from pkgd.errors import PkgdError
from pkgd.state.accountrows import (
    AllowRow,
    KeyRow,
    add_key,
    delete_expired,
    delete_key,
    note_uses,
    set_standing,
)
from pkgd.state.accounts import Accounts

__all__ = ["ApiKeys", "KeyOrder", "KeyRow", "key_row"]

log = Logger()

# How often the last use of a key is written down, in seconds.
USE_INTERVAL = 3600.0
# How long a key that has expired is still listed.
KEPT_EXPIRED = 30 * 86400.0


@frozen
class KeyOrder:
    """What a new key is to be; `allow` None is all that its owner may."""

    owner: str
    via: str
    groups: tuple[str, ...]
    label: str
    expires: float
    allow: tuple[AllowRow, ...] | None = None
    networks: tuple[str, ...] = ()
    parent: str | None = None


def key_row(order: KeyOrder, key: KeyText, now: float) -> KeyRow:
    """What is kept of a new key."""
    return KeyRow(
        *(key.id, key.digest, order.owner, order.via, order.groups, order.label, order.allow, order.networks),
        *(order.parent, now, order.expires),
    )


@frozen
class _Live:
    """A key, ready to be asked."""

    row: KeyRow
    cap: Cap | None
    networks: tuple[IPv4Network | IPv6Network, ...]

    @classmethod
    def of(cls, row: KeyRow) -> _Live:
        cap = None if row.allow is None else KeyCap(row.allow)
        return cls(row, cap, tuple(ip_network(one) for one in row.networks))

    def is_valid(self, now: float, address: str | None) -> bool:
        row = self.row
        return not row.suspended and row.expires > now and (not self.networks or _is_within(address, self.networks))


class ApiKeys:
    """The source `key`. `use` what is in the file before use."""

    name = "key"

    def __init__(
        self, accounts: Accounts, now: Callable[[], float], is_user: Callable[[KeyRow], bool] = lambda row: True
    ) -> None:
        """
        :param now: seconds since the epoch.
        :param is_user: whether a key's owner is still there, as far as that can be told at once.
        """
        self._accounts = accounts
        self._now = now
        self.is_user = is_user
        self._keys: dict[str, _Live] = {}
        self._noted: dict[str, float] = {}
        self._unwritten: dict[str, float] = {}

    # -- what the authority asks --

    def recognises(self, token: str) -> bool:
        """See `TokenSource`: whatever begins as keys do is no password, even with a slip in it."""
        return token.startswith(PREFIX)

    def check_at_once(self, token: str, address: str | None) -> Identity | Verdict:
        """See `Immediate`."""
        key = read_key(token)
        live = None if key is None else self._keys.get(key.id)
        if key is None or live is None or not hmac.compare_digest(key.digest, live.row.digest):
            return Verdict.REJECTED
        if not self._is_good(live, address):
            return Verdict.REJECTED
        self._note_use(live)
        row = live.row
        return Identity(
            Principal(row.owner, frozenset(row.groups), address=address),
            f"{self.name}:{row.id}",
            cap=self._cap(live),
            expires=self._expires(live),
        )

    async def check_token(self, token: str) -> Identity | Verdict:
        """See `TokenSource`; from nowhere, so that a key that is bound to networks is refused."""
        return self.check_at_once(token, None)

    def is_current(self, identity: Identity) -> bool:
        """See `PasswordSource`: whether the key is still there, and may be used from that address."""
        live = self._keys.get(identity.via.partition(":")[2])
        return live is not None and self._is_good(live, identity.principal.address)

    def narrows(self, identity: Identity) -> Cap | None:
        """See `Narrowing`."""
        live = self._keys.get(identity.via.partition(":")[2])
        return None if live is None else self._cap(live)

    # -- what becomes of them --

    def find(self, identifier: str) -> KeyRow | None:
        """A key."""
        live = self._keys.get(identifier)
        return None if live is None else self._row(live)

    def list(self) -> Sequence[KeyRow]:
        """All, in the order in which they were made."""
        return [self._row(one) for one in self._keys.values()]

    async def create(self, order: KeyOrder) -> tuple[KeyRow, str]:
        """A new key, and its whole text, which nobody ever gets to see again. It is durable on return.

        :raises Storage: if it cannot be kept; then there is no key.
        """
        key = new_key()
        while key.id in self._keys:
            key = new_key()
        row = key_row(order, key, self._now())
        await self._accounts.run(partial(add_key, row=row))
        self._keys[row.id] = _Live.of(row)
        return row, key.text

    async def revoke(self, identifier: str) -> None:
        """End a key, and those that were made with it; from the next request on. It is durable on return.

        :raises Storage: if that cannot be written down; then it goes on.
        """
        gone = [one for one, live in self._keys.items() if identifier in (one, live.row.parent)]
        taken = {one: self._keys.pop(one) for one in gone}
        try:
            await self._accounts.run(partial(delete_key, identifier=identifier), is_urgent=True)
        except PkgdError:
            self._keys.update(taken)
            raise
        for one in gone:
            # They may have been read again in between.
            self._keys.pop(one, None)

    async def learn(self, owner: str, groups: Sequence[str], suspended: bool) -> None:
        """What was found out when an owner logged in: his groups, and whether he is still let in at all."""
        rows = [live.row for live in self._keys.values() if live.row.owner == owner]
        learnt = tuple(sorted(groups))
        for row in rows:
            self._keys[row.id] = _Live.of(evolve(row, groups=learnt, suspended=suspended))
        change = partial(set_standing, owner=owner, groups=learnt, suspended=suspended)
        await self._accounts.run(change, is_urgent=suspended)

    # -- the file --

    def use(self, rows: Sequence[KeyRow]) -> None:
        """These are all that there are."""
        self._keys = {row.id: _Live.of(row) for row in rows}

    async def flush(self) -> None:
        """Write down when keys were last used, if there is anything new."""
        if self._unwritten:
            uses, self._unwritten = self._unwritten, {}
            await self._accounts.run(partial(note_uses, uses=list(uses.items())))

    async def sweep(self) -> None:
        """Forget what has long been over."""
        now = self._now()
        until = now - KEPT_EXPIRED
        await self._accounts.run(partial(delete_expired, now=now, keys_until=until))
        for one in [key for key, live in self._keys.items() if live.row.expires <= until]:
            del self._keys[one]

    # -- one key --

    def _is_good(self, live: _Live, address: str | None) -> bool:
        if not live.is_valid(self._now(), address) or not self.is_user(live.row):
            return False
        if live.row.parent is None:
            return True
        parent = self._keys.get(live.row.parent)
        return parent is not None and self._is_good(parent, address)

    def _parent(self, live: _Live) -> _Live | None:
        return None if live.row.parent is None else self._keys.get(live.row.parent)

    def _cap(self, live: _Live) -> Cap | None:
        parent = self._parent(live)
        above = None if parent is None else self._cap(parent)
        if live.cap is None or above is None:
            return live.cap or above
        return Both(live.cap, above)

    def _expires(self, live: _Live) -> float:
        parent = self._parent(live)
        return live.row.expires if parent is None else min(live.row.expires, self._expires(parent))

    def _note_use(self, live: _Live) -> None:
        now, row = self._now(), live.row
        last = self._noted.get(row.id, row.used)
        if last is None or not 0 <= now - last < USE_INTERVAL:
            self._noted[row.id] = self._unwritten[row.id] = now

    def _row(self, live: _Live) -> KeyRow:
        row = live.row
        return evolve(row, used=self._noted.get(row.id, row.used), suspended=row.suspended or not self.is_user(row))


def _is_within(address: str | None, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether an address is in one of the networks; one that is none, as of a Unix socket, isn't."""
    try:
        found = ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in one for one in networks)
