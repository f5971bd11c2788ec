"""Notices of signing keys that are about to expire: in time for clients to be given others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from twisted.logger import Logger

from pkgd.packages.records import Clock
from pkgd.packages.signers import StartedSigner

__all__ = ["KeyExpiry"]

log = Logger()

# How often the same is said.
_DAY = 24 * 3600


class KeyExpiry:
    """Looks at the keys of signers, by their names.

    :param warn_before: how long before a key expires that is said, in seconds.
    :param tell: told of all keys that expire: by the signer's name and the key's fingerprint, when.
    """

    def __init__(
        self,
        signers: Mapping[str, StartedSigner],
        clock: Clock,
        warn_before: float,
        tell: Callable[[Mapping[tuple[str, str], float]], None],
    ) -> None:
        self._signers = signers
        self._clock = clock
        self._warn_before = warn_before
        self._tell = tell
        self._said: dict[str, float] = {}

    def use(self, signers: Mapping[str, StartedSigner], warn_before: float) -> None:
        """Look at these from now on."""
        self._signers, self._warn_before = signers, warn_before

    async def run(self) -> None:
        """Look at all of them. To be called every hour or so; the log hears of each once a day."""
        found = {
            (name, fingerprint): expires
            for name, signer in self._signers.items()
            for fingerprint, expires in signer.expiries().items()
            if expires
        }
        self._tell(found)
        for (name, fingerprint), expires in found.items():
            self._warn(name, fingerprint, expires)

    def _warn(self, name: str, fingerprint: str, expires: int) -> None:
        now = self._clock.seconds()
        if expires - now > self._warn_before or now - self._said.get(fingerprint, -_DAY) < _DAY:
            return
        self._said[fingerprint] = now
        log.warn(
            "the signing key {name} ({fingerprint}) {verb} on {date}: make another one, and let clients have it",
            name=name,
            fingerprint=fingerprint,
            verb="expires" if expires > now else "has expired",
            date=time.strftime("%Y-%m-%d", time.gmtime(expires)),
        )
