"""The section `auth`: who somebody is, and how that is found out (docs/configuration.md has every key)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from pkgd.config.federated import ApiBackend, Oidc
from pkgd.config.kinds import Duration, Section

__all__ = ["ApiKeysSection", "Auth", "Rate", "Throttling", "TokenService"]

Rate = Annotated[
    str,
    msgspec.Meta(
        title="rate",
        description="30/m: a number for a second (s), a minute (m) or an hour (h)",
        pattern="^[1-9][0-9]{0,5}/[smh]$",
    ),
]


class TokenService(Section, frozen=True):
    """`auth.token`: the access tokens that clients of the registry get."""

    service: str | None = None
    lifetime: Duration = 300.0
    refresh_tokens: bool = False
    algorithm: Literal["EdDSA", "ES256", "HS256"] = "EdDSA"
    signing_key_file: str | None = None


class Throttling(Section, frozen=True):
    """`auth.throttle`: how often one may fail to log in."""

    per_ip: Rate = "30/m"
    per_user: Rate = "10/m"


class ApiKeysSection(Section, frozen=True):
    """`auth.api_keys`: the keys that users make for their tools, and administrators for robots."""

    default_lifetime: Duration = 90 * 86400.0
    max_lifetime: Duration = 365 * 86400.0


class Auth(Section, frozen=True):
    """`auth`: who may, and how that is known."""

    mode: Literal["none", "basic", "oidc"] = "none"
    basic_htpasswd_file: str | None = None
    basic_api_backends: list[ApiBackend] = []
    oidc: Oidc = Oidc()
    api_keys: ApiKeysSection = ApiKeysSection()
    token: TokenService = TokenService()
    throttle: Throttling = Throttling()
