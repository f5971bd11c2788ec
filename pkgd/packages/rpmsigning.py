"""Packages of rpm that a repository signs itself, and those that have to be signed before they come."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from attrs import frozen

from pkgd.blocking import Blocking
from pkgd.errors import InvalidPackage, SigningError
from pkgd.formats.filehashes import FileHashes
from pkgd.formats.openpgp import Certificate
from pkgd.formats.rpm import RpmPackage, read_rpm, rewrite
from pkgd.formats.rpmverify import verify_signatures
from pkgd.packages.records import Arrival, Clock
from pkgd.packages.signing import HeaderSigner
from pkgd.packages.staging import Staging
from pkgd.storage.spool import Spool
from pkgd.storage.staged import StagedFile

__all__ = ["PackageSigning", "Signed"]

ReadAt = Callable[[int, int], bytes]
_PIECE = 1 << 20
_HASHES = ("md5", "sha1", "sha256", "sha512")


@frozen
class Signed:
    """A package as it is to be published, and the fingerprints of the keys that it is signed by, if that is known."""

    arrival: Arrival
    signers: frozenset[str] | None = None


class PackageSigning:
    """What `sign_packages` stands for."""

    def __init__(self, mode: str, signer: HeaderSigner | None, spool: Spool, blocking: Blocking, clock: Clock) -> None:
        self.mode = mode
        self._signer = signer
        self._spool = spool
        self._blocking = blocking
        self._staging = Staging(spool, blocking)
        self._clock = clock

    async def signed(self, arrival: Arrival, package: RpmPackage) -> Signed:
        """The package as it is to be published; another file than `arrival` if it had to be signed.

        :raises InvalidPackage: if it had to be signed by a key of ours and isn't, or cannot be.
        :raises SigningError: if the keys cannot be used.
        """
        if self.mode == "keep":
            return Signed(arrival)
        signer = self._known()
        try:
            return Signed(arrival, await self._signers(arrival))
        except InvalidPackage:
            if self.mode == "require":
                raise
        header = await self._staging.parse(arrival, _header, package)
        packet = await signer.sign_header(header)
        staged = await self._blocking.disk(self._spool.create_fill, "sha256")
        try:
            hashes = await self._staging.parse(arrival, _write_signed, packet, staged)
            made = Arrival(arrival.file_name, staged, hashes)
            return Signed(made, await self._signers(made))
        except BaseException:
            await self._blocking.disk(self._spool.remove_fill, staged)
            raise

    def covers(self, signers: frozenset[str] | None) -> bool:
        """Whether clients that have our keys can check what is signed by these."""
        if self.mode == "keep" or signers is None or self._signer is None:
            return False
        try:
            return signers <= {one.fingerprint for one in self._signer.certificates()}
        except SigningError:
            return False

    async def remove(self, arrival: Arrival) -> None:
        """Remove a file that `signed` has made, if it is still in the spool."""
        await self._blocking.disk(self._spool.remove_fill, arrival.staged)

    async def _signers(self, arrival: Arrival) -> frozenset[str]:
        certificates, now = self._known().certificates(), int(self._clock.seconds())
        return await self._staging.parse(arrival, _verified, certificates, now)

    def _known(self) -> HeaderSigner:
        if self._signer is None:
            raise SigningError("there is no key for packages")
        return self._signer


def _verified(read_at: ReadAt, size: int, certificates: Sequence[Certificate], now: int) -> frozenset[str]:
    return verify_signatures(read_at, read_rpm(read_at, size), certificates, now)


def _header(read_at: ReadAt, size: int, package: RpmPackage) -> bytes:
    return read_at(package.header_start, package.header_end - package.header_start)


def _write_signed(read_at: ReadAt, size: int, packet: bytes, staged: StagedFile) -> FileHashes:
    """Copy a package with another signature, hashing it on the way."""
    beginning, offset = rewrite(read_at, size, packet)
    running = [hashlib.new(name, usedforsecurity=False) for name in _HASHES]
    piece = beginning
    while piece:
        staged.append(memoryview(piece))
        for one in running:
            one.update(piece)
        piece = read_at(offset, _PIECE)
        offset += len(piece)
    return FileHashes(staged.size, *(one.hexdigest() for one in running))
