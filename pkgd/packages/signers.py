"""A signer that a repository can be given before its keys have been read.

What hinders it is logged at the start, and is then the reason why nothing can be published; reading what has been
published goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from attrs import frozen
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import PkgdError, SigningError
from pkgd.formats.openpgp import Certificate, PrivateKey, read_private_keys
from pkgd.packages.gnupgsigner import GnupgSettings, GnupgSigner
from pkgd.packages.keyring import KeyRing, default_user_id
from pkgd.packages.records import Clock
from pkgd.packages.signing import NativeSigner
from pkgd.secretfiles import read_secret_file

__all__ = ["StartedSigner", "gnupg_key", "key_file", "key_ring"]

log = Logger()


@frozen
class Opened:
    """What signs, and when its keys expire, by fingerprint."""

    signer: NativeSigner | GnupgSigner
    expiries: Mapping[str, int]

    @classmethod
    def native(cls, blocking: Blocking, keys: Sequence[PrivateKey], clock: Clock) -> Opened:
        """With keys of ours."""
        return cls(NativeSigner.of(blocking, keys, clock.seconds), {one.fingerprint: one.expires for one in keys})


class StartedSigner:
    """Implements `Signer` and `HeaderSigner`."""

    def __init__(self, name: str, opening: Callable[[], Awaitable[Opened]]) -> None:
        """
        :param name: what the configuration calls the key.
        :param opening: reads the keys.
        """
        self._name = name
        self._opening = opening
        self._opened: Opened | None = None
        self.problem = "its keys have not been read yet"

    async def start(self) -> None:
        """Read the keys. May be called again."""
        try:
            self._opened = await self._opening()
        except PkgdError as error:
            self.problem = error.message
            log.error("the signing key {name} cannot be used: {reason}", name=self._name, reason=error.message)

    async def clearsign(self, text: bytes) -> bytes:
        """See `Signer`."""
        return await self._ready().signer.clearsign(text)

    async def detach(self, data: bytes) -> bytes:
        """See `Signer`."""
        return await self._ready().signer.detach(data)

    def public_keys(self) -> bytes:
        """See `Signer`."""
        return self._ready().signer.public_keys()

    async def sign_header(self, header: bytes) -> bytes:
        """See `HeaderSigner`."""
        return await self._ready().signer.sign_header(header)

    def certificates(self) -> Sequence[Certificate]:
        """See `HeaderSigner`."""
        return self._ready().signer.certificates()

    @property
    def is_usable(self) -> bool:
        """Whether its keys have been read; if not, `problem` says why."""
        return self._opened is not None

    def expiries(self) -> Mapping[str, int]:
        """When its keys expire, in seconds since the epoch, by fingerprint; 0 is never. Empty before they are read."""
        return self._opened.expiries if self._opened is not None else {}

    def _ready(self) -> Opened:
        if self._opened is None:
            raise SigningError(f"signing key {self._name}: {self.problem}")
        return self._opened


def key_ring(
    directory: str, algorithm: str, passphrase: str | None, blocking: Blocking, clock: Clock
) -> Callable[[], Awaitable[Opened]]:
    """Opens the keys of a directory; makes the first one if there is none."""

    async def opening() -> Opened:
        ring = KeyRing(directory, passphrase)
        keys = await blocking.work(ring.ensure, default_user_id(), int(clock.seconds()), algorithm)
        return Opened.native(blocking, keys, clock)

    return opening


def key_file(path: str, passphrase: str | None, blocking: Blocking, clock: Clock) -> Callable[[], Awaitable[Opened]]:
    """Opens the keys of one file."""

    def read() -> Sequence[PrivateKey]:
        return read_private_keys(read_secret_file(path), passphrase, int(clock.seconds()))

    async def opening() -> Opened:
        return Opened.native(blocking, await blocking.work(read), clock)

    return opening


def gnupg_key(settings: GnupgSettings, blocking: Blocking, clock: Clock) -> Callable[[], Awaitable[Opened]]:
    """Opens a key of GnuPG's."""

    async def opening() -> Opened:
        signer = await GnupgSigner.open(blocking, settings, clock.seconds)
        return Opened(signer, {settings.fingerprint.lower(): signer.expires})

    return opening
