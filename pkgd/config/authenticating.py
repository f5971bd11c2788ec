"""What types alone don't say of `auth`: what each mode needs, and the paths of its files."""

from __future__ import annotations

import os
import re

from msgspec.structs import replace

from pkgd.config.auth import Auth
from pkgd.errors import ConfigError

__all__ = ["absolute_auth", "check_auth"]

# What stands in a challenge between quotes.
_SERVICE = re.compile(r"[A-Za-z0-9._:/\[\]-]{1,255}")
_MIN_LIFETIME, _MAX_LIFETIME = 60.0, 86400.0


def check_auth(auth: Auth) -> None:
    """Refuse a mode that cannot work.

    :raises ConfigError: with the key's path.
    """
    if auth.mode == "basic" and auth.basic_htpasswd_file is None and not auth.basic_api_backends:
        raise ConfigError(
            "auth.basic_htpasswd_file",
            "mode basic needs it, or basic_api_backends: htpasswd -B -c FILE USER makes one",
        )
    for key in ("per_ip", "per_user"):
        # The pattern of the type lets a line end pass.
        if not getattr(auth.throttle, key).isprintable():
            raise ConfigError(f"auth.throttle.{key}", "a rate such as 30/m is needed")
    token = auth.token
    if token.service is not None and not _SERVICE.fullmatch(token.service):
        raise ConfigError("auth.token.service", "a name such as pkg.example.com is needed")
    if not _MIN_LIFETIME <= token.lifetime <= _MAX_LIFETIME:
        raise ConfigError(
            "auth.token.lifetime", "from 60s to 24h is needed: clients keep a token for a minute at least"
        )
    lifetimes = auth.api_keys
    if not _MIN_LIFETIME <= lifetimes.default_lifetime <= lifetimes.max_lifetime:
        raise ConfigError("auth.api_keys.default_lifetime", "from 60s to auth.api_keys.max_lifetime is needed")


def absolute_auth(auth: Auth, base: str) -> Auth:
    """Resolve its paths."""
    token = auth.token
    return replace(
        auth,
        basic_htpasswd_file=_join(base, auth.basic_htpasswd_file),
        token=replace(token, signing_key_file=_join(base, token.signing_key_file)),
    )


def _join(base: str, path: str | None) -> str | None:
    return None if path is None else os.path.normpath(os.path.join(base, path))
