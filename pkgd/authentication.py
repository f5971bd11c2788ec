"""Who may, made from the configuration: policy, authority, token service, and the one gate before all doors."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from attrs import frozen
from twisted.logger import Logger

from pkgd.auth.audit import Audit, Unaudited
from pkgd.auth.authority import WRONG, Authority, Sources
from pkgd.auth.granting import Granting
from pkgd.auth.oidc import Provider
from pkgd.auth.passwords import ThreadedHashing
from pkgd.auth.sources import TokenSource
from pkgd.auth.throttle import Rate, Throttle
from pkgd.auth.tokenkeys import TokenKeys
from pkgd.auth.tokens import AccessTokens, TokenSettings
from pkgd.authorization import make_policy, named_claims, named_groups, upstreams_meant
from pkgd.blocking import Blocking
from pkgd.config import Auth, Config
from pkgd.errors import ConfigError, Storage
from pkgd.federation import Federation, federate
from pkgd.formats.names import RepositoryName
from pkgd.logins import Logins
from pkgd.metrics import Metrics
from pkgd.provider import BrowserLogins, browser_logins, wrong_password
from pkgd.sharing import Tasks
from pkgd.users import Users, users_of
from pkgd.web.api.people import AccountApi
from pkgd.web.auth.token import TokenApi, TokenParts
from pkgd.web.gate import Gate
from pkgd.web.outside import Outside

__all__ = ["Authentication", "authenticate"]

log = Logger()

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
# What tokens say of a server that has no name: nobody else can have signed them anyway.
_NAMELESS = "pkgd"


@frozen
class _Lasting:
    """What the next configuration goes on with; `logins` and `throttle` are None where nobody has logged in yet."""

    hashing: ThreadedHashing
    keys: TokenKeys
    logins: Logins | None
    throttle: Throttle | None


class Authentication:
    """The gate, the token service if there is one, and what of both has a life of its own."""

    def __init__(
        self,
        gate: Gate,
        door: TokenApi | None,
        lasting: _Lasting,
        users: Users | None,
        metrics: Metrics,
        federation: Federation,
        doors: Sequence[AccountApi] = (),
        browsers: BrowserLogins | None = None,
    ) -> None:
        """
        :param browsers: None where none log in.
        """
        self.gate = gate
        self.door = door
        self.federation = federation
        self.lasting = lasting
        self._hashing = lasting.hashing
        self._keys = lasting.keys
        self._users = users
        self._metrics = metrics
        # In mode none they are kept for the next mode, and nobody asks them.
        self._logins = None if door is None else lasting.logins
        self.login_doors = doors
        self.browsers = browsers

    def open(self) -> None:
        """Read the keys of tokens, or make them, and see that the file of API keys is whole. Blocks.

        :raises ConfigError: if that cannot be.
        """
        if self._logins is not None:
            self._logins.accounts.open()
        if self.door is not None:
            self._keys.use(self._keys.refresh())

    def start(self) -> None:
        """Start the threads, for passwords and for the file of API keys."""
        self._hashing.start()
        if self._logins is not None:
            self._logins.accounts.start()

    async def prepare(self, blocking: Blocking, before: Authentication) -> None:
        """Make ready to take the place of another, which is in use.

        :raises ConfigError: if that cannot be.
        """
        if self._logins is None:
            return
        is_new = before.lasting.logins is None
        if is_new:
            await blocking.disk(self._logins.accounts.open)
        keys = await blocking.disk(self._keys.refresh)
        if before.lasting.keys.current is not None:
            self._keys.use([before.lasting.keys.current])
        self._keys.use(keys)
        if is_new:
            self._logins.accounts.start()
            try:
                await self._logins.look()
            except Storage:
                await blocking.disk(self._logins.accounts.close)
                raise

    def take_effect(self) -> None:
        """Take the place of the one before."""
        self._metrics.auth.users_stale(False)
        if self._users is not None:
            self._users.take_effect()
        if self._logins is not None:
            self._logins.take_effect()

    def stop(self) -> None:
        """End them. Blocks."""
        self._hashing.stop()
        if self.lasting.logins is not None:
            self.lasting.logins.accounts.close()

    async def look(self) -> None:
        """Read what other processes have changed of API keys, and write down what was used of them.

        :raises Storage: if that cannot be.
        """
        if self._logins is not None:
            await self._logins.look()

    async def close(self, others: Sequence[Authentication] = ()) -> None:
        """End what services elsewhere are asked.

        :param others: those that may have something in common with it, which stays open.
        """
        if all(one.federation is not self.federation for one in others):
            await self.federation.close()
        provider = self._provider
        if provider is not None and all(one._provider is not provider for one in others):
            await provider.close()

    @property
    def _provider(self) -> Provider | None:
        return None if self.browsers is None else self.browsers.provider

    def federate(self, new: Federation, users: Users | None) -> Federation:
        """Those who vouch for users: ours, if the new ones are the same, with what they have lately said.

        :param users: our own, whom nobody else may speak for.
        """
        same = (self._users and self._users.source) is (users and users.source)
        return self.federation if same and self.federation.made_of == new.made_of else new

    async def flush(self) -> None:
        """Write down what was used of API keys, at the stop."""
        try:
            if self._logins is not None:
                await self._logins.keys.flush()
        except Storage as error:
            log.error("when API keys were last used is not known exactly: {reason}", reason=error.operation)

    async def sweep(self) -> None:
        """Forget keys, refresh tokens and sessions that are over."""
        if self._logins is not None:
            await self._logins.keys.sweep()

    async def refresh(self, blocking: Blocking) -> None:
        """Read what has changed on the disk; what is broken changes nothing."""
        if self._users is not None:
            await self._users.refresh(blocking, self._metrics)

    async def refresh_keys(self, blocking: Blocking) -> None:
        """Sign with a new key, if it is time for one."""
        if self.door is None:
            return
        try:
            self._keys.use(await blocking.disk(self._keys.refresh))
        except ConfigError as error:
            log.error("{reason}; the keys of tokens stay as they are", reason=error.message)


def authenticate(
    reactor: Any,
    config: Config,
    metrics: Metrics,
    audit: Audit | Unaudited,
    tasks: Tasks,
    is_hosted: Callable[[RepositoryName], Awaitable[bool]],
    now: Callable[[], float] = time.time,
    before: Authentication | None = None,
) -> Authentication:
    """Make everything.

    :param audit: where it is noted who has done what, and who could not log in.
    :param tasks: where requests run.
    :param is_hosted: whether there is a repository of a name here.
    :param now: seconds since the epoch.
    :param before: what the configuration before this one has made, and this one takes the place of.
    :raises ConfigError: if a file that the configuration names cannot be used.
    """
    auth = config.auth or Auth()
    lasting = None if before is None else before.lasting
    hashing = ThreadedHashing(reactor) if lasting is None else lasting.hashing
    old_logins = None if lasting is None else lasting.logins
    outside = Outside(config.server.external_url, auth.token.service, config.trusted_networks)
    keys = TokenKeys(
        os.path.join(str(config.state_dir), "token-keys"), auth.token.algorithm, auth.token.signing_key_file, now
    )
    policy = make_policy(config)
    ignores_foreign = config.mirror.foreign_credentials == "ignore"
    if auth.mode == "none":
        nobody = federate(reactor, config, now)
        staying = _Lasting(hashing, keys, old_logins, None if lasting is None else lasting.throttle)
        return Authentication(Gate(policy, None, outside, audit=audit), None, staying, None, metrics, nobody)
    users = users_of(auth, hashing, reactor.seconds, None if before is None else before._users)
    federation = federate(reactor, config, now, _is_user(users), metrics.auth.backend_answered)
    if before is not None:
        federation = before.federate(federation, users)
    tokens = AccessTokens(keys, _token_settings(config, auth), now)
    logins = Logins(reactor, config, now, _is_user(users), old_logins)
    browsers, wrong = None, WRONG
    if auth.mode == "oidc":
        known = None if before is None else before.browsers
        browsers = browser_logins(
            reactor, config, now, logins, (outside, audit, metrics.auth), tasks, _is_user(users), known
        )
        wrong = wrong_password(config)
    throttle = _throttle(auth, reactor.seconds, None if lasting is None else lasting.throttle)
    sources = _sources(users, federation, logins, browsers)
    authority = Authority(sources, tokens, throttle, now, audit.failed_login, wrong, metrics.auth)
    granting = Granting(policy, authority, upstreams_meant(config), is_hosted)
    parts = TokenParts(authority, tokens, granting, keys, logins.refresh_tokens, auth.token.refresh_tokens, audit)
    door = TokenApi(parts, outside, ignores_foreign, tasks)
    gate = Gate(policy, authority, outside, ignores_foreign, audit)
    doors = logins.doors(gate, tasks, None if browsers is None else browsers.sessions)
    lasting = _Lasting(hashing, keys, logins, throttle)
    return Authentication(gate, door, lasting, users, metrics, federation, doors, browsers)


def _sources(users: Users | None, federation: Federation, logins: Logins, browsers: BrowserLogins | None) -> Sources:
    """Who can vouch for credentials, in the order in which they are asked: our own users first."""
    own = [] if users is None else [users.source]
    tokens: list[TokenSource] = [logins.keys]
    tokens += [] if federation.workloads is None else [federation.workloads]
    tokens += [] if browsers is None else [browsers.users]
    unknown = None if users is None else users.source
    return Sources([*own, *federation.backends], tokens, unknown, logins.disabled)


def _is_user(users: Users | None) -> Callable[[str], bool]:
    """Whether a name is that of one of our own users, as of now."""
    return lambda name: users is not None and users.has(name)


def _token_settings(config: Config, auth: Auth) -> TokenSettings:
    url = config.server.external_url
    host = None if url is None else url.partition("://")[2]
    return TokenSettings(
        issuer=url or _NAMELESS,
        audience=auth.token.service or host or _NAMELESS,
        lifetime=int(auth.token.lifetime),
        groups=named_groups(config),
        claims=named_claims(config),
    )


def _throttle(auth: Auth, now: Callable[[], float], before: Throttle | None) -> Throttle:
    """Who has failed stays known, as long as the rates are the same."""
    rates = (_rate(auth.throttle.per_ip), _rate(auth.throttle.per_user))
    return before if before is not None and before.rates == rates else Throttle(*rates, now)


def _rate(text: str) -> Rate:
    count, _, unit = text.partition("/")
    return Rate(int(count), _SECONDS[unit])
