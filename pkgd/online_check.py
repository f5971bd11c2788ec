"""`pkgd check-config --online`: asks back ends, issuers and the provider what a login would, without credentials."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from pkgd.auth.jwks import RemoteKeys
from pkgd.auth.oidc import Provider
from pkgd.config import Config, is_plain
from pkgd.errors import AuthUnavailable, PkgdError
from pkgd.federation import Voucher, federate
from pkgd.provider import make_provider

__all__ = ["check"]


async def check(reactor: Any, config: Config, now: Callable[[], float], show: Callable[[str], None]) -> bool:
    """Ask all of them, one after the other, and show a line for each; returns whether all are as they should be.

    :raises ConfigError: if a file that the configuration names cannot be used.
    """
    federation = federate(reactor, config, now)
    provider = make_provider(reactor, config, now) if config.auth_mode == "oidc" else None
    fine = True
    try:
        if provider is not None:
            looks: tuple[_Look, ...] = (partial(_discover, provider), partial(_look_at_keys, provider.keys))
            issuer = provider.settings.issuer
            fine = await _look("auth.oidc", issuer, is_plain(issuer), looks, show)
        for one in federation.vouchers:
            looks = (partial(_probe, one), partial(_look_at_keys, one.keys))
            fine = await _look(one.path, one.name, one.is_plain, looks, show) and fine
    finally:
        await federation.close()
        if provider is not None:
            await provider.close()
    return fine


_Look = Callable[[], Awaitable[tuple[str, bool]]]


async def _look(path: str, name: str, plain: bool, looks: tuple[_Look, ...], show: Callable[[str], None]) -> bool:
    """Show what there is to say of one; returns whether that is good."""
    said = ["plain HTTP: whoever is on the way reads passwords"] if plain else []
    good = True
    for look in looks:
        try:
            found, fine = await look()
        except PkgdError as error:
            found, fine = error.message, False
        said += [found] if found else []
        good = good and fine
    show(f"{'ok  ' if good else 'FAIL'} {path} {name}: {'; '.join(said)}")
    return good


async def _discover(provider: Provider) -> tuple[str, bool]:
    try:
        return await provider.probe(), True
    except AuthUnavailable as error:
        return error.reason, False


async def _probe(voucher: Voucher) -> tuple[str, bool]:
    """Whoever shows no credentials is to be refused, and with one of two statuses."""
    if voucher.call is None:
        return "", True
    status = await voucher.call.probe()
    if status in (401, 403):
        return f"refuses whoever shows no credentials ({status})", True
    return f"answers {status} without credentials, where 401 or 403 is needed", False


async def _look_at_keys(source: RemoteKeys | None) -> tuple[str, bool]:
    if source is None:
        return "its keys are configured", True
    try:
        keys = await source.keys()
    except AuthUnavailable:
        return f"no keys: {source.failure or 'nobody answers'}", False
    if keys is None:
        return "publishes no keys: its tokens are believed without a signature, for the sake of their connection", True
    count = len(keys.keys)
    return f"{count} key{'' if count == 1 else 's'}", True
