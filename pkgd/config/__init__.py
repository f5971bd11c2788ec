"""The configuration: YAML and environment in, one frozen tree out (docs/configuration.md has every key).

Unknown and repeated keys are errors that name the key and the nearest known one. Nothing is opened
here but the configuration file itself, and a registry's password file when `read_password` is asked to.

In here: `schema` (the sections; those of packages in `hosted`, of what they are made in `kinds`), `document` (YAML,
environment, keys), `values`, `mirroring`, `hosting`, `retention` and `authorization` (what types don't say, canonical
forms), `passwords`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from pkgd.config.auth import ApiKeysSection, Auth, Throttling, TokenService
from pkgd.config.authorization import (
    Admins,
    Authorization,
    Rule,
    canonical_authorization,
    canonical_resource,
    check_tag_globs,
)
from pkgd.config.document import CONFIG_VARIABLE, overlay, parse_duration, read, structure
from pkgd.config.federated import ApiBackend, Oidc, Workload
from pkgd.config.federating import canonical_federation, is_plain, spell_out
from pkgd.config.hosted import AptRepository, AptSuite, RpmRepository, Signing, SigningKey
from pkgd.config.hosting import check_hosting
from pkgd.config.kinds import MASK, Duration, Secret, Size
from pkgd.config.mirroring import UPSTREAM_VARIABLE, canonical_mirror, canonical_server
from pkgd.config.passwords import read_client_secret, read_key_file, read_passphrase, read_password
from pkgd.config.retention import Retention, RetentionRule, check_retention
from pkgd.config.schema import (
    Access,
    Audit,
    Config,
    Evict,
    FilesystemStorage,
    Limits,
    Logging,
    Metrics,
    Mirror,
    OciRepositories,
    Repositories,
    Server,
    Shutdown,
    Storage,
    Tls,
    UpstreamRegistry,
)
from pkgd.config.values import absolute, check, check_grace, open_to_others
from pkgd.errors import ConfigError

__all__ = [
    "Access",
    "Admins",
    "ApiBackend",
    "ApiKeysSection",
    "AptRepository",
    "AptSuite",
    "Audit",
    "Auth",
    "Authorization",
    "Config",
    "Duration",
    "Evict",
    "FilesystemStorage",
    "Limits",
    "Logging",
    "Metrics",
    "Mirror",
    "OciRepositories",
    "Oidc",
    "Repositories",
    "Retention",
    "RetentionRule",
    "RpmRepository",
    "Rule",
    "Secret",
    "Server",
    "Shutdown",
    "Signing",
    "SigningKey",
    "Size",
    "Storage",
    "Throttling",
    "Tls",
    "TokenService",
    "UpstreamRegistry",
    "Workload",
    "canonical_resource",
    "hints",
    "is_plain",
    "json_schema",
    "load",
    "masked",
    "parse",
    "parse_duration",
    "read_client_secret",
    "read_key_file",
    "read_passphrase",
    "read_password",
]

_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def load(path: str | None, environment: Mapping[str, str]) -> Config:
    """Read the file, lay the environment over it, and make paths absolute.

    :param path: the file; without one `PKGD_CONFIG` names it, or every key has its default.
    :raises ConfigError: with the key's path, what is wrong and what may have been meant.
    """
    path = path or environment.get(CONFIG_VARIABLE)
    text, base = "", os.getcwd()
    if path is not None:
        base = os.path.dirname(os.path.abspath(path))
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except UnicodeDecodeError as error:
            raise ConfigError(path, "cannot be read: not UTF-8") from error
        except OSError as error:
            raise ConfigError(path, f"cannot be read: {error}") from error
    return parse(text, environment, base)


def parse(text: str, environment: Mapping[str, str], base: str) -> Config:
    """Decode YAML text; relative paths are relative to `base`.

    :raises ConfigError: as `load` does.
    """
    document = read(text)
    overlay(document, environment)
    spell_out(document)
    config = structure(document)
    check(config)
    check_grace(config)
    check_hosting(config)
    check_retention(config.repositories.retention, config.repositories.apt, config.repositories.rpm)
    check_tag_globs(config.repositories.oci.immutable_tags, "repositories.oci.immutable_tags")
    config = msgspec.structs.replace(config, authorization=canonical_authorization(config.authorization))
    if config.auth is not None:
        config = msgspec.structs.replace(config, auth=canonical_federation(config.auth))
    config = msgspec.structs.replace(config, server=canonical_server(config.server))
    config = msgspec.structs.replace(config, mirror=canonical_mirror(config, environment))
    return absolute(config, environment, base)


def hints(config: Config, environment: Mapping[str, str]) -> list[str]:
    """What the environment has that changes nothing though it looks as if it did: sentences for the log."""
    found = []
    if environment.get(UPSTREAM_VARIABLE, "").strip(" ,") and not config.mirror_enabled:
        found.append(f"{UPSTREAM_VARIABLE} changes nothing without enableProxy: true")
    proxies = [one for one in environment if one.upper() in _PROXY_VARIABLES and environment[one]]
    if proxies and config.mirror_enabled:
        found.append(f"ignored: {', '.join(sorted(proxies))}; upstream registries are asked without a proxy")
    if config.auth_mode == "none":
        if reachable := open_to_others(config):
            found.append(
                f"auth.mode is none: everybody who reaches {', '.join(reachable)} may push, overwrite and delete"
            )
    elif config.server.external_url is None:
        found.append("without server.external_url, clients log in at whatever address they ask for: set it")
    if config.auth_mode == "none" and _names_somebody(config.authorization):
        found.append("authorization names users or groups, and with auth.mode none nobody is known by name")
    return found


def _names_somebody(section: Authorization) -> bool:
    subjects = [one for rule in section.rules or () for one in rule.subjects]
    named = any(one != "anonymous" and not one.startswith("cidr:") for one in subjects)
    return named or bool(section.admins.users or section.admins.groups)


def masked(config: Config) -> dict[str, Any]:
    """The configuration as a document that may be shown: what `parse` reads, with asterisks for secrets."""
    document: dict[str, Any] = _in_words(msgspec.to_builtins(config, enc_hook=_mask))
    return document


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the file, where durations and sizes may be strings too."""
    schema: dict[str, Any] = _in_words(msgspec.json.schema(Config, schema_hook=_schema_of_secret))
    backends = schema["$defs"]["Auth"]["properties"]["basic_api_backends"]
    backends["items"] = {"anyOf": [{"type": "string"}, backends["items"]]}
    for section in schema["$defs"].values():
        keys = [one for key in section["properties"].values() for one in (key, *key.get("anyOf", ()))]
        for key in keys:
            if key.get("title") in ("duration", "size", "duration or forever"):
                key["type"] = [key["type"], "string"]
    return schema


def _in_words(document: Any) -> Any:
    """A document with the word for infinity, which is no number in JSON."""
    if isinstance(document, dict):
        return {key: _in_words(value) for key, value in document.items()}
    return "forever" if document == float("inf") else document


def _mask(value: Any) -> str:
    if not isinstance(value, Secret):
        raise NotImplementedError(f"{type(value).__name__} is no value of a configuration")
    return MASK


def _schema_of_secret(kind: type) -> dict[str, Any]:
    if kind is not Secret:
        raise NotImplementedError(f"{kind.__name__} is no value of a configuration")
    return {"type": "string"}
