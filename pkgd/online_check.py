"""`pkgd check-config --online`: asks every back end and issuer what a login would ask them, without credentials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pkgd.config import Config
from pkgd.errors import AuthUnavailable, PkgdError
from pkgd.federation import Voucher, federate

__all__ = ["check"]


async def check(reactor: Any, config: Config, now: Callable[[], float], show: Callable[[str], None]) -> bool:
    """Ask all of them, one after the other, and show a line for each; returns whether all are as they should be.

    :raises ConfigError: if a file that the configuration names cannot be used.
    """
    federation = federate(reactor, config, now)
    fine = True
    try:
        for one in federation.vouchers:
            said, good = await _look(one)
            show(f"{'ok  ' if good else 'FAIL'} {one.path} {one.name}: {'; '.join(said)}")
            fine = fine and good
    finally:
        await federation.close()
    return fine


async def _look(voucher: Voucher) -> tuple[list[str], bool]:
    """What there is to say of one, and whether that is good."""
    said = ["plain HTTP: whoever is on the way reads passwords"] if voucher.is_plain else []
    good = True
    for look in (_probe, _look_at_keys):
        try:
            found, fine = await look(voucher)
        except PkgdError as error:
            found, fine = error.message, False
        said += [found] if found else []
        good = good and fine
    return said, good


async def _probe(voucher: Voucher) -> tuple[str, bool]:
    """Whoever shows no credentials is to be refused, and with one of two statuses."""
    if voucher.call is None:
        return "", True
    status = await voucher.call.probe()
    if status in (401, 403):
        return f"refuses whoever shows no credentials ({status})", True
    return f"answers {status} without credentials, where 401 or 403 is needed", False


async def _look_at_keys(voucher: Voucher) -> tuple[str, bool]:
    if voucher.keys is None:
        return "its keys are configured", True
    try:
        keys = await voucher.keys.keys()
    except AuthUnavailable:
        return f"no keys: {voucher.keys.failure or 'nobody answers'}", False
    if keys is None:
        return "publishes no keys: its tokens are believed without a signature, for the sake of their connection", True
    count = len(keys.keys)
    return f"{count} key{'' if count == 1 else 's'}", True
