"""Logging in for a command by a device code (RFC 8628).

The provider's code stays here, and the command gets one of ours for it: it asks as often as it likes, and the provider
is asked as often as that likes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve

from pkgd.auth.jwtverify import Claims
from pkgd.auth.oidc import Provider, Refusal
from pkgd.auth.pending import DeviceLogin, Pending
from pkgd.auth.secrettexts import new_secret
from pkgd.errors import AuthUnavailable, InvalidRequest

__all__ = ["DEVICE_SECONDS", "DeviceCodes"]

# How long a login may take, in seconds.
DEVICE_SECONDS = 1800.0
MIN_INTERVAL = 1.0


class DeviceCodes:
    """Those that have been given.

    :param now: seconds since the epoch.
    """

    def __init__(self, provider: Provider, logins: Pending[DeviceLogin], now: Callable[[], float]) -> None:
        self._provider = provider
        self._logins = logins
        self._now = now

    async def start(self) -> dict[str, Any]:
        """A new code, with all that a command has to know (RFC 8628, 3.2).

        :raises InvalidRequest: if the provider has none.
        :raises AuthUnavailable: if it cannot be asked, or says what cannot be read.
        """
        answer = await self._provider.authorize_device()
        if answer is None:
            raise InvalidRequest("", "the provider gives no device codes: make an API key at /ui/keys instead")
        shown = {name: answer.get(name) for name in ("user_code", "verification_uri", "verification_uri_complete")}
        code, interval, lifetime = answer.get("device_code"), answer.get("interval", 5), answer.get("expires_in")
        texts = [code, shown["user_code"], shown["verification_uri"]]
        if not all(isinstance(one, str) for one in texts) or not _is_number(interval) or not _is_number(lifetime):
            raise AuthUnavailable("the provider's device code cannot be read")
        login = DeviceLogin(str(code), max(float(interval), MIN_INTERVAL), self._now())
        handle = new_secret()
        self._logins.add(handle, login)
        return {**shown, "device_code": handle, "interval": login.interval, "expires_in": lifetime}

    async def redeem(self, handle: str) -> Claims | Refusal:
        """The claims of who has logged in elsewhere meanwhile, once; or why there are none (RFC 8628, 3.5).

        :param handle: what `start` has given as `device_code`.
        :raises TokenRefused: if what the provider answers is not to be believed.
        :raises AuthUnavailable: if it cannot be asked.
        """
        login = self._logins.find(handle)
        if login is None:
            return Refusal("expired_token")
        now = self._now()
        if 0 <= now - login.asked < login.interval:
            return Refusal("authorization_pending")
        self._logins.add(handle, evolve(login, asked=now))
        claims = await self._provider.redeem_device(login.code)
        if not isinstance(claims, Refusal):
            self._logins.take(handle)
        elif claims.error == "slow_down":
            self._logins.add(handle, evolve(login, asked=now, interval=login.interval + 5))
        elif claims.error != "authorization_pending":
            self._logins.take(handle)
        return claims


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 86400
