"""The sections of back ends and issuers that vouch for users (docs/configuration.md has every key)."""

from __future__ import annotations

from typing import Literal

import msgspec

from pkgd.config.kinds import Duration, Secret, Section

__all__ = ["ApiBackend", "Oidc", "Workload"]


class ApiBackend(Section, frozen=True):
    """`auth.basic_api_backends[]`: a service that knows users and passwords. In the file, a URL alone is one, too.

    Once parsed, it has a name.
    """

    url: str
    name: str | None = None
    users: str | list[str] = "**"
    method: Literal["POST", "GET"] = "POST"
    request_body: Literal["none", "service", "scopes"] = "service"
    token_fields: list[str] = msgspec.field(default_factory=lambda: ["token", "access_token", "jwt", "id_token"])
    issuer: str | None = None
    audience: str | None = None
    jwks_url: str | None = None
    jwks_file: str | None = None
    public_key_file: str | None = None
    secret_file: str | None = None
    algorithms: list[str] | None = None
    require_signature: bool = False
    max_token_lifetime: Duration = 86400.0
    username_claim: str | None = None
    match_username: Literal["exact", "casefold", "off"] = "exact"
    groups_claim: str = "groups"
    trust_access: bool = False
    accept_direct: bool = False
    on_reject: Literal["next", "stop"] = "next"
    timeout: Duration = 10.0
    cache_ttl: Duration = 60.0
    allow_insecure_http: bool = False
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    private_hosts: list[str] = []

    @property
    def user_globs(self) -> list[str]:
        """`users` as a list."""
        return [self.users] if isinstance(self.users, str) else self.users


class Workload(Section, frozen=True):
    """`auth.oidc.workload[]`: an issuer whose tokens jobs and services may show instead of a password."""

    issuer: str
    audience: list[str]
    username: str
    groups: list[str] = []
    require: dict[str, str | bool | list[str]] = {}
    jwks_url: str | None = None
    jwks_file: str | None = None
    public_key_file: str | None = None
    algorithms: list[str] | None = None
    max_token_lifetime: Duration = 86400.0
    allow_insecure_http: bool = False
    ca_file: str | None = None
    private_hosts: list[str] = []


class Oidc(Section, frozen=True):
    """`auth.oidc`: the OpenID Connect provider by which users log in, in mode `oidc`; and issuers for workloads.

    The secret may instead be in a file, which `read_client_secret` reads.
    """

    issuer: str | None = None
    client_id: str | None = None
    client_secret: Secret | None = None
    client_secret_file: str | None = None
    scopes: list[str] = msgspec.field(default_factory=lambda: ["openid", "profile", "email"])
    username_claim: str = "preferred_username"
    groups_claim: str = "groups"
    allowed_groups: list[str] = []
    break_glass_htpasswd: str | None = None
    allow_insecure_http: bool = False
    ca_file: str | None = None
    private_hosts: list[str] = []
    workload: list[Workload] = []
