"""Who signs what is published.

What cannot be signed is not published. Whatever a back end has made is verified before it is handed out, by code that
knows the public keys only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import frozen

from pkgd.blocking import Blocking
from pkgd.errors import InvalidKey, SigningError
from pkgd.formats.clearsigned import signed_text
from pkgd.formats.openpgp import (
    Certificate,
    PrivateKey,
    armored,
    cleartext,
    dearmored,
    detached,
    rpm_header_signature,
    signed_by,
    text_signed_by,
)

__all__ = ["HeaderSigner", "NativeSigner", "Signer", "verified"]

_Operation = Callable[[Sequence[PrivateKey], bytes, int], bytes]


class Signer(Protocol):
    """Signs with one or more keys. Every method raises `SigningError` if it cannot; then nothing is published."""

    async def clearsign(self, text: bytes) -> bytes:
        """The text with its signatures: `InRelease`."""

    async def detach(self, data: bytes) -> bytes:
        """Signatures of the data, in armor: `Release.gpg`, `repomd.xml.asc`."""

    def public_keys(self) -> bytes:
        """What clients have to know, in one armor."""


class HeaderSigner(Protocol):
    """Who signs packages of rpm."""

    async def sign_header(self, header: bytes) -> bytes:
        """An OpenPGP signature packet over a package's header. Raises `SigningError`."""

    def certificates(self) -> Sequence[Certificate]:
        """The keys that clients know, and check packages with. Raises `SigningError` if they could not be read."""


@frozen
class NativeSigner:
    """Signs with keys in memory: with every one of them that has not expired, so that clients may know any.

    Signatures are in the order of the keys. The key that has been in use longest should be the first, for it is the
    one that clients know, and some look at the first signature only.

    :param clock: seconds since the epoch.
    """

    _blocking: Blocking
    _keys: tuple[PrivateKey, ...]
    _clock: Callable[[], float]

    @classmethod
    def of(cls, blocking: Blocking, keys: Sequence[PrivateKey], clock: Callable[[], float]) -> NativeSigner:
        """A signer with these keys.

        :raises SigningError: if there is none.
        """
        if not keys:
            raise SigningError("there is no signing key")
        return cls(blocking, tuple(keys), clock)

    async def clearsign(self, text: bytes) -> bytes:
        """See `Signer`."""
        return await self._blocking.work(self._sign, cleartext, text)

    async def detach(self, data: bytes) -> bytes:
        """See `Signer`."""
        return await self._blocking.work(self._sign, detached, data)

    def public_keys(self) -> bytes:
        """See `Signer`."""
        return armored(b"".join(key.certificate.encode() for key in self._keys), "PUBLIC KEY BLOCK")

    async def sign_header(self, header: bytes) -> bytes:
        """See `HeaderSigner`: by the first key that can."""
        return await self._blocking.work(self._sign_header, header)

    def certificates(self) -> Sequence[Certificate]:
        """See `HeaderSigner`."""
        return [key.certificate for key in self._keys]

    def _sign_header(self, header: bytes) -> bytes:
        now = int(self._clock())
        try:
            return rpm_header_signature(self._usable(now)[0], header, now)
        except InvalidKey as error:
            raise SigningError(error.message) from error

    def _sign(self, operation: _Operation, content: bytes) -> bytes:
        now = int(self._clock())
        usable = self._usable(now)
        try:
            signed = operation(usable, content, now)
        except InvalidKey as error:
            raise SigningError(error.message) from error
        return verified(signed, content, [key.certificate for key in usable], now)

    def _usable(self, now: int) -> Sequence[PrivateKey]:
        usable = [key for key in self._keys if not key.problem(now)]
        if not usable:
            raise SigningError(f"signing key {self._keys[-1].fingerprint}: {self._keys[-1].problem(now)}")
        return usable


def verified(signed: bytes, content: bytes, certificates: Sequence[Certificate], now: int) -> bytes:
    """What has been signed, clear-signed or detached, once it is known that a key of each certificate has signed this.

    :raises SigningError: if it is not so.
    """
    is_text = signed.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----")
    packets = b"" if is_text else _packets(signed)
    for certificate in certificates:
        keys = certificate.usable_keys(now)
        if (text_signed_by(signed, keys) if is_text else signed_by(packets, content, keys)) is None:
            raise SigningError(f"the signature that was made is not one of the key {certificate.fingerprint}")
    if is_text and _lines(signed_text(signed)) != _lines(content):
        raise SigningError("what was signed is another text")
    return signed


def _lines(text: bytes) -> list[bytes]:
    """A text without what isn't signed."""
    return [line.rstrip(b" \t\r") for line in text.removesuffix(b"\n").split(b"\n")]


def _packets(signed: bytes) -> bytes:
    try:
        return dearmored(signed)
    except InvalidKey as error:
        raise SigningError("what was made is no signature") from error
