"""Who signs: keys in files, made at the first start, or those of a GnuPG home.

A failing key signs nothing, and then nothing is published; reading what has been published goes on.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from attrs import frozen
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import InvalidKey, PkgdError, SigningFailed
from pkgd.formats.openpgp import (
    PrivateKey,
    armored,
    cleartext,
    detached,
    generate_key,
    read_private_keys,
    rpm_header_signature,
)
from pkgd.formats.openpgp.packets import read_packets
from pkgd.formats.openpgp.signaturepackets import read_signature
from pkgd.packages.records import Clock
from pkgd.storage.secrets import create_secret, read_secret

__all__ = ["GnupgSigner", "KeyFile", "NativeSigner", "StartedSigner"]

log = Logger()
T = TypeVar("T")


class StartedSigner(Protocol):
    """A `Signer` that has to be got ready."""

    async def start(self) -> None:
        """Find the key, or make it. A failure is logged, and is what every signature then fails with."""

    async def clearsign(self, text: bytes) -> bytes: ...
    async def detach(self, data: bytes) -> bytes: ...
    def public_keys(self) -> bytes: ...


@frozen(kw_only=True)
class KeyFile:
    """Where a native key is.

    :param may_make: whether it is made where there is none.
    """

    name: str
    path: str
    algorithm: str = "rsa3072"
    passphrase: str | None = None
    may_make: bool = False


class NativeSigner:
    """Signs with the keys of a file, all of them; implements `Signer` and `HeaderSigner`."""

    def __init__(self, file: KeyFile, blocking: Blocking, clock: Clock) -> None:
        self._file = file
        self._blocking = blocking
        self._clock = clock
        self._keys: Sequence[PrivateKey] = ()
        self._problem = "its key has not been read yet"

    async def start(self) -> None:
        """See `StartedSigner`."""
        try:
            self._keys = await self._load()
        except PkgdError as error:
            self._problem = error.message
            log.error("the signing key {name} cannot be used: {reason}", name=self._file.name, reason=error.message)

    async def _load(self) -> Sequence[PrivateKey]:
        file = self._file
        data = await self._blocking.disk(read_secret, file.path)
        if data is not None:
            return await self._blocking.work(read_private_keys, data, file.passphrase, int(self._clock.seconds()))
        if not file.may_make:
            raise InvalidKey(file.path, "there is no such file")
        key = await self._blocking.work(
            generate_key, file.algorithm, f"pkgd {file.name} signing key", int(self._clock.seconds())
        )
        exported = await self._blocking.work(
            key.export, file.passphrase, secrets.token_bytes(8), secrets.token_bytes(16)
        )
        await self._blocking.disk(create_secret, file.path, exported)
        log.info("a signing key has been made: {path}, {fingerprint}", path=file.path, fingerprint=key.fingerprint)
        return [key]

    async def clearsign(self, text: bytes) -> bytes:
        """See `Signer`."""
        return await self._sign(cleartext, text)

    async def detach(self, data: bytes) -> bytes:
        """See `Signer`."""
        return await self._sign(detached, data)

    async def sign_header(self, header: bytes) -> bytes:
        """See `HeaderSigner`: by the first key."""
        return await self._sign(lambda keys, data, now: rpm_header_signature(keys[0], data, now), header)

    def is_ours(self, packet: bytes) -> bool:
        """See `HeaderSigner`."""
        try:
            issuers = {read_signature(one.body).issuer for one in read_packets(packet)}
        except InvalidKey:
            return False
        return any(key.signer.key_id in issuers for key in self._keys)

    def public_keys(self) -> bytes:
        """See `Signer`.

        :raises SigningFailed: if there is no key.
        """
        return armored(b"".join(key.certificate.encode() for key in self._ready()), "PUBLIC KEY BLOCK")

    def _ready(self) -> Sequence[PrivateKey]:
        if not self._keys:
            raise SigningFailed(self._problem)
        return self._keys

    async def _sign(self, call: Callable[[Sequence[PrivateKey], bytes, int], bytes], data: bytes) -> bytes:
        try:
            return await self._blocking.work(call, self._ready(), data, int(self._clock.seconds()))
        except InvalidKey as error:
            raise SigningFailed(error.message) from error


class GnupgSigner:
    """Signs with a key of a GnuPG home, through python-gnupg: agents and cards work as they do for its user."""

    def __init__(
        self, fingerprint: str, program: str, home: str | None, passphrase: str | None, blocking: Blocking
    ) -> None:
        self._fingerprint = fingerprint
        self._program = program
        self._home = home
        self._passphrase = passphrase
        self._blocking = blocking
        self._gpg: Any = None
        self._public = b""
        self._problem = "its key has not been looked for yet"

    async def start(self) -> None:
        """See `StartedSigner`."""
        try:
            self._public = await self._blocking.work(self._find)
        except PkgdError as error:
            self._problem = error.message
            log.error("the signing key {key} cannot be used: {reason}", key=self._fingerprint, reason=error.message)

    def _find(self) -> bytes:
        import gnupg

        try:
            self._gpg = gnupg.GPG(gpgbinary=self._program, gnupghome=self._home)
        except (OSError, ValueError) as error:
            raise InvalidKey(self._fingerprint, str(error)) from error
        public: str = self._gpg.export_keys(self._fingerprint)
        if not public:
            raise InvalidKey(self._fingerprint, "GnuPG has no such key")
        return public.encode("ascii")

    async def clearsign(self, text: bytes) -> bytes:
        """See `Signer`."""
        return await self._sign(text, clearsign=True, detach=False)

    async def detach(self, data: bytes) -> bytes:
        """See `Signer`."""
        return await self._sign(data, clearsign=False, detach=True)

    def public_keys(self) -> bytes:
        """See `Signer`.

        :raises SigningFailed: if there is no key.
        """
        if not self._public:
            raise SigningFailed(self._problem)
        return self._public

    async def _sign(self, data: bytes, clearsign: bool, detach: bool) -> bytes:
        self.public_keys()
        return await self._blocking.work(self._sign_now, data, clearsign, detach)

    def _sign_now(self, data: bytes, clearsign: bool, detach: bool) -> bytes:
        signed = self._gpg.sign(
            data,
            keyid=self._fingerprint,
            clearsign=clearsign,
            detach=detach,
            passphrase=self._passphrase,
            extra_args=["--digest-algo", "SHA512"],
        )
        if not signed.data:
            raise SigningFailed(f"GnuPG: {signed.status or 'no signature'}")
        found: bytes = signed.data
        return found
