"""Logging in by an OpenID Connect provider, in mode `oidc`, made from the configuration: a part of the composition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from pkgd.auth.audit import Audit, Unaudited
from pkgd.auth.counting import Counting
from pkgd.auth.oidc import Provider, ProviderSettings
from pkgd.auth.oidcusers import ClaimNames, OidcUsers
from pkgd.auth.sessions import Sessions
from pkgd.config import Config, Oidc, read_client_secret
from pkgd.errors import ConfigError
from pkgd.flow import BufferPool
from pkgd.formats.hosts import configured_authority
from pkgd.logins import Logins
from pkgd.outbound.client import Client, Limits, Trust
from pkgd.sharing import Tasks
from pkgd.web.auth.browsers import BrowserSessions
from pkgd.web.auth.login import CALLBACK_PATH, HOME, LoginApi, LoginParts
from pkgd.web.outside import Outside
from pkgd.web.ui.page import KeysPage

__all__ = ["BrowserLogins", "browser_logins", "make_provider", "wrong_password"]

SECONDS = 10.0
_BUFFER_BYTES = 64 << 10
_BUFFERS = 32


@frozen
class BrowserLogins:
    """The provider, its users, and their doors. `made_of` tells whether another provider would be the same."""

    provider: Provider
    users: OidcUsers
    sessions: BrowserSessions
    api: LoginApi
    page: KeysPage
    made_of: object


def browser_logins(
    reactor: Any,
    config: Config,
    now: Callable[[], float],
    logins: Logins,
    edge: tuple[Outside, Audit | Unaudited, Counting],
    tasks: Tasks,
    is_local: Callable[[str], bool],
    before: BrowserLogins | None = None,
) -> BrowserLogins:
    """Make them. Nothing is asked yet.

    :param edge: what the server is called from outside, and where logins are noted, and counted.
    :param is_local: whether a name is that of a user of this server's own.
    :param before: those of the configuration before this one: if it is the same provider, what is known of it stays.
    :raises ConfigError: if a file that the configuration names cannot be used.
    """
    assert config.auth is not None, "mode oidc is written down"
    section = config.auth.oidc
    outside, audit, counting = edge
    sessions = Sessions(logins.accounts, now, logins.disabled)
    names = ClaimNames(section.username_claim, section.groups_claim, frozenset(section.allowed_groups))
    made_of = (_settings(section, str(config.server.external_url)), section)
    same = before is not None and before.made_of == made_of
    provider = before.provider if before is not None and same else make_provider(reactor, config, now)
    users = OidcUsers(names, logins.keys, sessions, is_local, counting)
    parts = LoginParts(
        *(provider, users, sessions, logins.refresh_tokens, outside, now),
        *(audit, logins.under_way),
    )
    return BrowserLogins(
        provider, users, BrowserSessions(sessions, outside), LoginApi(parts, tasks), KeysPage(), made_of
    )


def make_provider(reactor: Any, config: Config, now: Callable[[], float]) -> Provider:
    """The provider of mode `oidc`. Nothing is asked yet.

    :param now: seconds since the epoch.
    :raises ConfigError: as `browser_logins`.
    """
    assert config.auth is not None, "mode oidc is written down"
    section = config.auth.oidc
    settings = _settings(section, str(config.server.external_url))
    return Provider(settings, _client(reactor, section), reactor, now, section.allow_insecure_http)


def wrong_password(config: Config) -> str:
    """What is said of a wrong password where nobody has any."""
    return (
        "interactive passwords are disabled (auth.mode oidc): create an API key at"
        f" {config.server.external_url}{HOME} and use it as the password"
    )


def _settings(section: Oidc, external_url: str) -> ProviderSettings:
    return ProviderSettings(
        issuer=str(section.issuer),
        client_id=str(section.client_id),
        client_secret=read_client_secret(section),
        scopes=tuple(section.scopes),
        redirect_uri=external_url + CALLBACK_PATH,
        claims=(section.username_claim, section.groups_claim),
    )


def _client(reactor: Any, section: Oidc) -> Client:
    parts = urlsplit(str(section.issuer))
    own = f"{(parts.hostname or '').rstrip('.')}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    private = frozenset([own, *map(configured_authority, section.private_hosts)])
    limits = Limits(connect=SECONDS, tls=SECONDS, first_byte=SECONDS, idle=SECONDS)
    try:
        return Client(reactor, Trust(section.ca_file, private), limits, BufferPool(_BUFFER_BYTES, _BUFFERS))
    except ConfigError as error:
        raise ConfigError("auth.oidc.ca_file", error.reason) from error
