"""Packages of rpm that a repository signs itself, and those that have to be signed before they come."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from pkgd.blocking import Blocking
from pkgd.errors import InvalidPackage, SigningError
from pkgd.formats.filehashes import FileHashes
from pkgd.formats.rpm import RpmPackage, rewrite
from pkgd.packages.records import Arrival
from pkgd.packages.signing import HeaderSigner
from pkgd.packages.staging import Staging
from pkgd.storage.spool import Spool, StagedFile

__all__ = ["PackageSigning"]

ReadAt = Callable[[int, int], bytes]
_PIECE = 1 << 20
_HASHES = ("md5", "sha1", "sha256", "sha512")


class PackageSigning:
    """What `sign_packages` stands for."""

    def __init__(self, mode: str, signer: HeaderSigner | None, spool: Spool, blocking: Blocking) -> None:
        self.mode = mode
        self._signer = signer
        self._spool = spool
        self._blocking = blocking
        self._staging = Staging(spool, blocking)

    async def signed(self, arrival: Arrival, package: RpmPackage) -> Arrival:
        """The package as it is to be published; another file than `arrival` if it had to be signed.

        :raises InvalidPackage: if it had to be signed and isn't, or cannot be.
        :raises SigningError: if the key cannot be used.
        """
        if self.mode == "keep" or self._is_signed(package):
            return arrival
        if self.mode == "require":
            raise InvalidPackage(package.nevra, "it is not signed by a key of this repository, as it has to be")
        if self._signer is None:
            raise SigningError("there is no key for packages")
        header = await self._staging.parse(arrival, _header, package)
        packet = await self._signer.sign_header(header)
        staged = await self._blocking.disk(self._spool.create_fill, "sha256")
        try:
            hashes = await self._staging.parse(arrival, _write_signed, packet, staged)
        except BaseException:
            await self._blocking.disk(self._spool.remove_fill, staged)
            raise
        return Arrival(arrival.file_name, staged, hashes)

    async def remove(self, arrival: Arrival) -> None:
        """Remove a file that `signed` has made, if it is still in the spool."""
        await self._blocking.disk(self._spool.remove_fill, arrival.staged)

    def _is_signed(self, package: RpmPackage) -> bool:
        signer = self._signer
        return signer is not None and any(signer.is_ours(one.packet) for one in package.signatures)


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
