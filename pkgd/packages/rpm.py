"""INTERFACE ONLY: being filled in."""

from __future__ import annotations

from collections.abc import Sequence

from pkgd.blocking import Blocking
from pkgd.packages.records import Added, Arrival, Clock, HeaderSigner, Listed, Removed, RpmSettings, Served, Signer
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.spool import Spool

__all__ = ["EXTRAS", "RpmRepository"]

# Documents that are published as they were uploaded: the type in repomd -> the name that its file ends with.
EXTRAS = {"group": "comps.xml", "modules": "modules.yaml", "updateinfo": "updateinfo.xml"}


class RpmRepository:
    """One rpm repository."""

    def __init__(
        self,
        settings: RpmSettings,
        store: ObjectStore,
        spool: Spool,
        blocking: Blocking,
        signer: Signer,
        clock: Clock,
        header_signer: HeaderSigner | None = None,
    ) -> None:
        """
        :param header_signer: needed for `sign_packages` other than keep.
        """
        self.settings = settings

    async def start(self) -> None:
        """See `AptRepository.start`."""

    async def add(self, arrival: Arrival) -> Added:
        """Publish a package. Safe to repeat. With `sign_packages: sign` its file, and so its hash, becomes another.

        :raises InvalidPackage: also if it is not signed by a key of ours, and `sign_packages` is require.
        :raises AlreadyExists: if there are other bytes of this name, epoch, version, release and architecture.
        :raises SigningFailed: if nothing can be signed.
        :raises Storage: if the machine refuses.
        """
        raise NotImplementedError

    async def put_extra(self, kind: str, arrival: Arrival) -> int:
        """Publish a document of `EXTRAS` whole, in place of the one that is there; returns the generation.

        :raises UnknownPackage: for another kind.
        :raises InvalidPackage: if it is not what it should be.
        """
        raise NotImplementedError

    async def remove_extra(self, kind: str) -> int:
        """Publish without the document.

        :raises UnknownPackage: if there is none.
        """
        raise NotImplementedError

    async def remove(self, path: str) -> Removed:
        """Take a package out, by the path of its file (`Packages/…`), or by the file's name alone.

        :raises UnknownPackage: if there is none.
        """
        raise NotImplementedError

    async def list(self, name: str | None = None) -> Sequence[Listed]:
        """The packages, sorted."""
        raise NotImplementedError

    async def open(self, path: str) -> Served:
        """A file that clients fetch: `repodata/…`, `Packages/…`, and both below `@<generation>/`.

        :raises UnknownPackage: if there is none.
        """
        raise NotImplementedError

    @property
    def generation(self) -> int:
        """The current generation."""
        raise NotImplementedError

    def mirrorlist(self, url: str) -> bytes:
        """One line: the current generation. `url` is the repository's, without a slash at the end."""
        raise NotImplementedError

    def repo_file(self, url: str) -> bytes:
        """`pkgd.repo` for dnf, yum and zypper."""
        raise NotImplementedError

    async def sweep(self) -> None:
        """See `AptRepository.sweep`."""

    async def finished(self) -> None:
        """See `AptRepository.finished`."""
