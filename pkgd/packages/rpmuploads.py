"""Packages of rpm on their way into a repository: read, checked, and compared with what is there."""

from __future__ import annotations

from collections.abc import Callable

from pkgd.errors import AlreadyExists
from pkgd.formats.rpm import RpmPackage, read_rpm, verify_digests
from pkgd.formats.rpmdigests import PayloadHashes
from pkgd.packages.drafts import Readable
from pkgd.packages.leaves import Key
from pkgd.packages.records import Added, Listed
from pkgd.packages.rpmindices import PACKAGES, key_of, read_listed

__all__ = ["added", "check_conflict", "package_key", "read_headers_of", "read_upload"]

ReadAt = Callable[[int, int], bytes]


def package_key(package: RpmPackage) -> Key:
    """The key of a package in the index."""
    return key_of(package.name, package.epoch, package.version, package.release, package.arch)


def read_upload(read_at: ReadAt, size: int, payload: PayloadHashes | None) -> tuple[RpmPackage, bytes]:
    """A package whose bytes are what it says they are, and its header.

    :raises InvalidPackage: if they aren't.
    """
    package, header = read_headers_of(read_at, size)
    verify_digests(read_at, package, payload)
    return package, header


def read_headers_of(read_at: ReadAt, size: int) -> tuple[RpmPackage, bytes]:
    """A package, and its header, which says what the payload is.

    :raises InvalidPackage: if it is none.
    """
    package = read_rpm(read_at, size)
    return package, read_at(package.header_start, package.header_end - package.header_start)


async def check_conflict(view: Readable, key: Key, digest: str, nevra: str) -> bool:
    """Whether the package is there already.

    :raises AlreadyExists: if it is there with other content.
    """
    found = await view.find(PACKAGES, key)
    if found is not None and read_listed(found[0]).sha256 != digest:
        raise AlreadyExists(nevra)
    return found is not None


def added(listed: Listed, number: int) -> Added:
    """What is answered for a package that is there already."""
    return Added(listed.name, listed.version, listed.architecture, listed.path, listed.sha256, number, False)
