"""Signing by GnuPG, for keys in its home, in its agent or on a card: by python-gnupg, which runs `gpg`.

There is no passphrase here: it is for the agent to know. A command line has fixed words and a fingerprint, no more.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from subprocess import Popen
from threading import Timer
from typing import Any

import gnupg
from attrs import field, frozen, validators
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import InvalidKey, SigningError
from pkgd.formats.openpgp import Certificate, armored, dearmored, read_certificates
from pkgd.packages.signing import verified

__all__ = ["GnupgSettings", "GnupgSigner"]

log = Logger()

# A second longer, and a card has been pulled out, or somebody is being asked for a passphrase.
TIMEOUT = 10.0
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{40}")
# It asks nobody: there is no terminal, and a daemon's display is nobody's.
_OPTIONS = ["--pinentry-mode", "error", "--digest-algo", "SHA512"]
_SHOWN = 300


@frozen
class GnupgSettings:
    """Which key, which program, and which home; None is what the program takes by default."""

    fingerprint: str = field(validator=validators.matches_re(_FINGERPRINT))
    gpg: str = "gpg"
    home: str | None = None
    timeout: float = TIMEOUT


class GnupgSigner:
    """A `Signer` and `HeaderSigner` with one key of GnuPG's."""

    def __init__(
        self, blocking: Blocking, settings: GnupgSettings, certificate: Certificate, clock: Callable[[], float]
    ) -> None:
        """See `open`."""
        self._blocking = blocking
        self._settings = settings
        self._certificate = certificate
        self._clock = clock

    @classmethod
    async def open(
        cls, blocking: Blocking, settings: GnupgSettings, clock: Callable[[], float] = time.time
    ) -> GnupgSigner:
        """Read the public key. Whether the secret one can be used, is seen when it is.

        :raises SigningError: if GnuPG doesn't have it, or clients would refuse it.
        """
        certificate = await blocking.work(_public_key, settings)
        signer = cls(blocking, settings, certificate, clock)
        if certificate.revoked or not certificate.usable_keys(int(clock())):
            raise SigningError(f"the key {settings.fingerprint} is revoked, has expired, or may not sign")
        return signer

    async def clearsign(self, text: bytes) -> bytes:
        """See `Signer`."""
        return await self._blocking.work(self._sign, text, clearsign=True, detach=False)

    async def detach(self, data: bytes) -> bytes:
        """See `Signer`."""
        return await self._blocking.work(self._sign, data, clearsign=False, detach=True)

    async def sign_header(self, header: bytes) -> bytes:
        """See `HeaderSigner`."""
        return dearmored(await self.detach(header))

    def certificates(self) -> Sequence[Certificate]:
        """See `HeaderSigner`."""
        return [self._certificate]

    def public_keys(self) -> bytes:
        """See `Signer`."""
        return armored(self._certificate.encode(), "PUBLIC KEY BLOCK")

    @property
    def expires(self) -> int:
        """When nothing of the key can sign any more, in seconds since the epoch; 0 is never."""
        ends = [one.expires for one in self._certificate.signing]
        return 0 if 0 in ends else max(ends, default=0)

    def _sign(self, content: bytes, clearsign: bool, detach: bool) -> bytes:
        # Not `keyid`: it becomes --default-key, in place of which gpg takes another key if it can't be used.
        which = ["--local-user", self._settings.fingerprint]
        gpg = _gpg(self._settings)
        result = gpg.sign(content, clearsign=clearsign, detach=detach, extra_args=which)
        _check(gpg, result, "sign")
        return verified(bytes(result.data), content, [self._certificate], int(self._clock()))


class _Gpg(gnupg.GPG):  # type: ignore[misc]
    """python-gnupg, which by itself waits for ever for its program."""

    def __init__(self, settings: GnupgSettings) -> None:
        self._timeout = settings.timeout
        self.timed_out = False
        environment = {**os.environ, "LC_ALL": "C"}
        super().__init__(settings.gpg, settings.home, options=_OPTIONS, env=environment)

    def _open_subprocess(self, args: list[str], passphrase: bool = False) -> Popen[bytes]:
        process: Popen[bytes] = super()._open_subprocess(args, passphrase)
        timer = Timer(self._timeout, self._end, [process])
        timer.daemon = True
        timer.start()
        return process

    def _end(self, process: Popen[bytes]) -> None:
        if process.poll() is None:
            self.timed_out = True
            process.kill()


def _gpg(settings: GnupgSettings) -> _Gpg:
    try:
        return _Gpg(settings)
    except (OSError, ValueError) as error:
        log.error("GnuPG cannot be run: {reason}", reason=_shown(str(error)))
        raise SigningError("GnuPG cannot be run") from error


def _public_key(settings: GnupgSettings) -> Certificate:
    gpg = _gpg(settings)
    data: Any = gpg.export_keys(settings.fingerprint, armor=False)
    if gpg.timed_out:
        raise SigningError(f"GnuPG did not answer within {settings.timeout:g} seconds")
    if not data:
        raise SigningError(f"GnuPG has no key {settings.fingerprint}")
    try:
        return read_certificates(bytes(data))[0]
    except InvalidKey as error:
        raise SigningError(error.message) from error


def _check(gpg: _Gpg, result: Any, what: str) -> None:
    """See that a run has gone well.

    :raises SigningError: if not; what GnuPG said is in the log.
    """
    if gpg.timed_out:
        raise SigningError(f"GnuPG did not answer within {gpg._timeout:g} seconds")
    if result.returncode != 0 or not result.data:
        log.error("GnuPG cannot {what}: {reason}", what=what, reason=_shown(str(result.stderr)))
        raise SigningError(f"GnuPG cannot {what}; the log has its reasons")


def _shown(text: str) -> str:
    """The end of what a program has said, in one line."""
    return " | ".join(line for line in text.splitlines() if line and not line.startswith("[GNUPG:]"))[-_SHOWN:]
