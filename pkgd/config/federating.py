"""What types alone don't say of back ends and issuers: URLs that passwords may go to, and whose keys are whose.

URLs may carry a password by mistake, so errors do not repeat them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from pkgd.config.auth import Auth
from pkgd.config.federated import ApiBackend, Oidc, Workload
from pkgd.errors import ConfigError, InvalidHost
from pkgd.formats.hosts import configured_authority

__all__ = ["absolute_federation", "canonical_federation", "is_plain", "spell_out"]

_BACKENDS = "auth.basic_api_backends"
_WORKLOADS = "auth.oidc.workload"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
_PRINTABLE = re.compile(r"[!-~]{1,2048}")
_SCOPE = re.compile(r"[!#-\[\]-~]{1,256}")
_CLAIM = re.compile(r"\$\{claims\.[A-Za-z0-9_./:-]{1,128}\}")
_SIGNATURES = frozenset(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"])
_HMACS = frozenset(["HS256", "HS384", "HS512"])
_DAY = 86400.0
_MAX_TIMEOUT = 60.0
_MAX_CACHE = 300.0


def spell_out(document: dict[str, Any]) -> None:
    """Write back ends that are a URL alone as the sections that they stand for, in place."""
    auth = document.get("auth")
    backends = auth.get("basic_api_backends") if isinstance(auth, dict) else None
    if isinstance(backends, list):
        backends[:] = [{"url": one} if isinstance(one, str) else one for one in backends]


def canonical_federation(auth: Auth) -> Auth:
    """`auth` with every back end named.

    :raises ConfigError: if one cannot work, or would be believed by mistake.
    """
    backends = [_backend(one, f"{_BACKENDS}[{at}]") for at, one in enumerate(auth.basic_api_backends)]
    for at, workload in enumerate(auth.oidc.workload):
        _check_workload(workload, f"{_WORKLOADS}[{at}]")
    _check_provider(auth.oidc, auth.mode == "oidc")
    _check_unique(
        ((one.name, f"{_BACKENDS}[{at}].name") for at, one in enumerate(backends)),
        "another back end is called so, too: give them names",
    )
    direct = [
        *((one.issuer, f"{_BACKENDS}[{at}].issuer") for at, one in enumerate(backends) if one.accept_direct),
        *((one.issuer, f"{_WORKLOADS}[{at}].issuer") for at, one in enumerate(auth.oidc.workload)),
    ]
    _check_unique(direct, "what this issuer's tokens mean is said twice")
    return replace(auth, basic_api_backends=backends)


def absolute_federation(auth: Auth, base: str) -> Auth:
    """Resolve the paths of their files."""

    def resolved(section: Any, *keys: str) -> Any:
        paths = {key: os.path.normpath(os.path.join(base, path)) for key in keys if (path := getattr(section, key))}
        return replace(section, **paths)

    backend = ("jwks_file", "public_key_file", "secret_file", "ca_file", "client_cert", "client_key")
    workload = ("jwks_file", "public_key_file", "ca_file")
    return replace(
        auth,
        basic_api_backends=[resolved(one, *backend) for one in auth.basic_api_backends],
        oidc=replace(
            resolved(auth.oidc, "client_secret_file", "break_glass_htpasswd", "ca_file"),
            workload=[resolved(one, *workload) for one in auth.oidc.workload],
        ),
    )


def is_plain(url: str) -> bool:
    """Whether what is sent there can be read on the way: plain HTTP, and not within this machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not _is_loopback(parts.hostname or "")


def _backend(section: ApiBackend, path: str) -> ApiBackend:
    host = _check_url(section.url, f"{path}.url", section.allow_insecure_http)
    name = section.name or host
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{path}.name", "letters, digits, '.', '_' and '-' are needed")
    _check_keys_of(section, path, ("jwks_url", "jwks_file", "public_key_file", "secret_file"))
    has_keys = any((section.jwks_url, section.jwks_file, section.public_key_file, section.secret_file, section.issuer))
    if is_plain(section.url) and not has_keys:
        raise ConfigError(path, "over plain HTTP a token needs a signature: jwks_url, or another source of keys")
    if section.accept_direct and (section.issuer is None or section.audience is None):
        raise ConfigError(f"{path}.accept_direct", "issuer and audience are needed: clients bring any token they find")
    if section.accept_direct and section.secret_file is not None:
        raise ConfigError(f"{path}.accept_direct", "whoever has the secret makes tokens: public keys are needed")
    if (section.client_cert is None) != (section.client_key is None):
        raise ConfigError(path, "client_cert and client_key are given together")
    if not 0 < section.timeout <= _MAX_TIMEOUT:
        raise ConfigError(f"{path}.timeout", "more than nothing and at most 60s are needed")
    if section.cache_ttl > _MAX_CACHE:
        raise ConfigError(f"{path}.cache_ttl", "at most 5m: so long somebody who is shut out still gets in")
    if section.method == "GET" and section.request_body == "scopes":
        raise ConfigError(f"{path}.request_body", "a GET has no body that scopes could be in", "method: POST")
    for key, words in (("users", section.user_globs), ("token_fields", section.token_fields)):
        if not words or not all(words):
            raise ConfigError(f"{path}.{key}", "at least one is needed")
    if not section.groups_claim or section.username_claim == "":
        raise ConfigError(path, "a claim needs a name")
    return replace(section, name=name)


def _check_provider(section: Oidc, is_needed: bool) -> None:
    path = "auth.oidc"
    if is_needed:
        for key in ("issuer", "client_id"):
            if not getattr(section, key):
                raise ConfigError(f"{path}.{key}", "mode oidc needs it: the provider has it for every client")
    if section.issuer is not None:
        _check_url(section.issuer, f"{path}.issuer", section.allow_insecure_http)
    if section.client_id is not None and not _PRINTABLE.fullmatch(section.client_id):
        raise ConfigError(f"{path}.client_id", "printable characters are needed")
    if section.client_secret is not None and section.client_secret_file is not None:
        raise ConfigError(path, "client_secret and client_secret_file exclude each other")
    if "openid" not in section.scopes or not all(_SCOPE.fullmatch(one) for one in section.scopes):
        raise ConfigError(f"{path}.scopes", "a list with openid in it is needed")
    if not section.username_claim or not section.groups_claim or not all(section.allowed_groups):
        raise ConfigError(path, "claims and groups have names")
    for at, host in enumerate(section.private_hosts):
        _authority(host, f"{path}.private_hosts[{at}]")


def _check_workload(section: Workload, path: str) -> None:
    _check_keys_of(section, path, ("jwks_url", "jwks_file", "public_key_file"))
    if not section.audience or not all(section.audience):
        raise ConfigError(f"{path}.audience", "what the tokens call this server is needed")
    for key, texts in (("username", [section.username]), ("groups", section.groups)):
        for text in texts:
            if not text or "${" in _CLAIM.sub("", text):
                raise ConfigError(f"{path}.{key}", "a text with ${claims.NAME} in it is needed")
    if not _CLAIM.search(section.username):
        raise ConfigError(f"{path}.username", "without ${claims.NAME} all jobs would be one user")


def _check_keys_of(section: ApiBackend | Workload, path: str, sources: tuple[str, ...]) -> None:
    """What both have: at most one source of keys, which may be asked, and algorithms that fit it."""
    given = [key for key in sources if getattr(section, key) is not None]
    if len(given) > 1:
        raise ConfigError(path, f"{' and '.join(given)} exclude each other")
    if section.jwks_url is not None:
        _check_url(section.jwks_url, f"{path}.jwks_url", section.allow_insecure_http)
    if section.issuer is not None and (not given or section.issuer.startswith("http")):
        _check_url(section.issuer, f"{path}.issuer", section.allow_insecure_http)
    if section.issuer == "":
        raise ConfigError(f"{path}.issuer", "empty")
    known = _HMACS if given == ["secret_file"] else _SIGNATURES
    if section.algorithms is not None and (not section.algorithms or not known.issuperset(section.algorithms)):
        raise ConfigError(f"{path}.algorithms", f"some of {', '.join(sorted(known))} are needed with such keys")
    if not 60 <= section.max_token_lifetime <= _DAY:
        raise ConfigError(f"{path}.max_token_lifetime", "from 1m to 24h is needed")
    for at, host in enumerate(section.private_hosts):
        _authority(host, f"{path}.private_hosts[{at}]")


def _check_url(text: str, path: str, insecure: bool) -> str:
    """Refuse a URL that may not be asked; returns what its host is called.

    :raises ConfigError: without the URL.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ConfigError(path, "not a URL") from None
    if parts.scheme not in ("https", "http") or not _PRINTABLE.fullmatch(text) or "\\" in text:
        raise ConfigError(path, "a URL that begins with https:// is needed")
    if "@" in parts.netloc or "#" in text:
        raise ConfigError(path, "a URL without user name, password and fragment is needed")
    host = _authority(parts.netloc.partition(":")[0], path)
    if port == 0 or ":" in parts.netloc.partition(":")[2]:
        raise ConfigError(path, "not the URL of a server")
    if parts.scheme == "http" and not insecure and not _is_loopback(host):
        raise ConfigError(path, "https is needed: passwords and keys could be read and changed on the way")
    return host if port is None else f"{host}:{port}"


def _authority(text: str, path: str) -> str:
    try:
        return configured_authority(text)
    except InvalidHost as error:
        raise ConfigError(path, f"not the name of a server{error.reason and f': {error.reason}'}") from None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _check_unique(names: Iterable[tuple[str | None, str]], reason: str) -> None:
    seen: set[str | None] = set()
    for name, path in names:
        if name in seen:
            raise ConfigError(path, reason)
        seen.add(name)
