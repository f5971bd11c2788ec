"""What types alone don't say of `server` and its neighbours; and the paths of files, made absolute."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from msgspec.structs import replace

from pkgd.config.authenticating import absolute_auth, check_auth
from pkgd.config.federating import absolute_federation
from pkgd.config.hosted import Signing, SigningKey
from pkgd.config.schema import Audit, Config, Mirror, Tls, UpstreamRegistry
from pkgd.errors import ConfigError

__all__ = ["absolute", "check", "check_grace", "open_to_others"]

# Ten minutes: so long may pass between two steps of a push. In seconds.
LEAST_GRACE = 600.0


def check(config: Config) -> None:
    """Refuse what cannot work, and what would be open to everybody without anybody having said so.

    :raises ConfigError: with the key's path.
    """
    for network in config.server.trusted_proxies:
        try:
            ip_network(network, strict=False)
        except ValueError as error:
            raise ConfigError("server.trusted_proxies", str(error)) from error
    tls = config.server.tls
    if (tls.certificate is None) != (tls.key is None):
        raise ConfigError("server.tls", "certificate and key are given together")
    if config.auth is not None:
        check_auth(config.auth)
    if config.auth_mode == "oidc":
        url = config.server.external_url
        if url is None or not (url.startswith("https://") or urlsplit(url).hostname in ("localhost", "127.0.0.1")):
            raise ConfigError("server.external_url", "mode oidc needs it, with https: browsers are sent back there")
    if not config.server.listen:
        raise ConfigError("server.listen", "at least one endpoint is needed")
    for endpoint in config.server.listen:
        if config.auth is None and not _is_loopback(endpoint):
            raise ConfigError(
                "server.listen",
                f"{endpoint} is open to others, and nothing says who may do what; "
                "if everybody may do everything, add\nauth:\n  mode: none",
            )


def check_grace(config: Config) -> None:
    """Refuse a grace that is shorter than what may pass between two steps of a push.

    :raises ConfigError: with the key's path.
    """
    if config.storage.gc.grace < LEAST_GRACE:
        raise ConfigError("storage.gc.grace", "at least 10m: else pushes that take their time lose their layers")


def open_to_others(config: Config) -> list[str]:
    """The endpoints that others than this machine may reach."""
    return [one for one in config.server.listen if not _is_loopback(one)]


def absolute(config: Config, environment: Mapping[str, str], base: str) -> Config:
    """Resolve every path: the state directory against the file, the rest against either."""
    # systemd separates several directories by colons.
    state = config.state_dir or environment.get("STATE_DIRECTORY", "").partition(":")[0] or "pkgd-data"
    # Links are followed here and nowhere else: the storage opens nothing through one. /var/lib/pkgd is a link where
    # systemd gives the service a user of its own.
    state = os.path.realpath(os.path.join(base if config.state_dir else os.getcwd(), state))
    tls, access, files = config.server.tls, config.logging.access, config.storage.filesystem
    return replace(
        config,
        state_dir=state,
        server=replace(config.server, tls=Tls(certificate=_join(base, tls.certificate), key=_join(base, tls.key))),
        storage=replace(
            config.storage, filesystem=replace(files, root=os.path.realpath(os.path.join(state, files.root)))
        ),
        mirror=_absolute_mirror(config.mirror, base),
        signing=_absolute_signing(config.signing, base),
        auth=None if config.auth is None else absolute_federation(absolute_auth(config.auth, base), base),
        logging=replace(
            config.logging,
            access=replace(access, file=access.file if access.file == "-" else _join(base, access.file)),
            audit=Audit(file=_join(base, config.logging.audit.file)),
        ),
    )


def _absolute_mirror(mirror: Mirror, base: str) -> Mirror:
    def resolved(one: UpstreamRegistry) -> UpstreamRegistry:
        return replace(one, password_file=_join(base, one.password_file), ca_file=_join(base, one.ca_file))

    return replace(mirror, registries={host: resolved(one) for host, one in mirror.registries.items()})


def _absolute_signing(signing: Signing, base: str) -> Signing:
    def resolved(one: SigningKey) -> SigningKey:
        return replace(
            one,
            key_file=_join(base, one.key_file),
            passphrase_file=_join(base, one.passphrase_file),
            homedir=_join(base, one.homedir),
        )

    return replace(signing, keys={name: resolved(one) for name, one in signing.keys.items()})


def _join(base: str, path: str | None) -> str | None:
    return None if path is None else os.path.normpath(os.path.join(base, path))


def _is_loopback(endpoint: str) -> bool:
    """Whether it is for this machine only. A colon within an argument, as in IPv6 addresses, is escaped."""
    kind, *arguments = re.split(r"(?<!\\):", endpoint)
    if kind == "unix" or (kind == "systemd" and "domain=UNIX" in arguments):
        return True
    interfaces = [one.partition("=")[2].replace("\\", "") for one in arguments if one.startswith("interface=")]
    return bool(interfaces) and all(_is_loopback_address(one) for one in interfaces)


def _is_loopback_address(text: str) -> bool:
    try:
        return text == "localhost" or ip_address(text).is_loopback
    except ValueError:
        return False
