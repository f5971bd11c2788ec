"""INTERFACE ONLY: being filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pkgd.blocking import Blocking
from pkgd.packages.records import Added, AptSettings, Arrival, Clock, Listed, Removed, Served, Signer
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.spool import Spool

__all__ = ["AptRepository"]


class AptRepository:
    """One apt repository."""

    def __init__(
        self,
        settings: AptSettings,
        store: ObjectStore,
        spool: Spool,
        blocking: Blocking,
        signer: Signer,
        clock: Clock,
    ) -> None:
        """
        :param store: rooted at the state directory; `spool` is in the same tree, at `pkgd.packages.layout.SPOOL`.
        """
        self.settings = settings

    async def start(self) -> None:
        """Publish every suite that has no generation yet, or whose settings have changed. Once, after the signer is ready.

        :raises SigningFailed: then the suite is published by the first upload.
        """

    async def add(self, suite: str, component: str, arrival: Arrival) -> Added:
        """Publish a binary package (.deb, .udeb, .ddeb). Safe to repeat.

        :raises UnknownRepository: for a suite or component that is not configured.
        :raises InvalidPackage: if it is none that may be listed.
        :raises AlreadyExists: if the suite has other bytes of this name, version and architecture.
        :raises SigningFailed: if nothing can be signed.
        :raises Storage: if the machine refuses.
        """
        raise NotImplementedError

    async def add_source(self, suite: str, component: str, dsc: Arrival, files: Mapping[str, Arrival]) -> Added:
        """Publish a source package: its .dsc, and the files that it names.

        :param files: by their names. Those that other versions of this source in the suite have may be left out.
        :raises InvalidPackage: also if a file is missing or isn't what the .dsc says.
        """
        raise NotImplementedError

    async def remove(self, suite: str, component: str, file_name: str) -> Removed:
        """Take the package with this file (.deb, .udeb, .dsc) out of a component of a suite.

        :raises UnknownRepository: for a suite or component that is not configured.
        :raises UnknownPackage: if there is none.
        """
        raise NotImplementedError

    async def remove_everywhere(self, path: str) -> Sequence[Removed]:
        """Take the package with this path (`pool/…`) out of every suite.

        :raises UnknownPackage: if no suite has it.
        """
        raise NotImplementedError

    async def copy(
        self, source: str, target: str, name: str, version: str | None = None, architecture: str | None = None
    ) -> Sequence[Added]:
        """Publish packages of one suite in another, too, in the same components.

        :param version: all, if None; likewise `architecture`, which is "source" for sources.
        :raises UnknownRepository: for a suite that is not configured, or lacks a component.
        :raises UnknownPackage: if there are none.
        :raises AlreadyExists: as for `add`; then none is copied.
        """
        raise NotImplementedError

    async def list(self, suite: str, component: str | None = None, name: str | None = None) -> Sequence[Listed]:
        """The packages of a suite, each once, sorted.

        :raises UnknownRepository: for a suite or component that is not configured.
        """
        raise NotImplementedError

    async def open(self, path: str) -> Served:
        """A file that clients fetch, by its path below the repository, percent-decoded: `dists/…`, `pool/…`,
        `@<generation>/dists/…`, `@<generation>/pool/…`.

        `@<generation>` counts for one suite: it is looked for in the suite that the path names.

        :raises UnknownPackage: if there is none.
        """
        raise NotImplementedError

    async def sweep(self) -> None:
        """Remove what no kept generation names. Runs after publishes, too; call it every hour, and hope for nothing."""

    async def finished(self) -> None:
        """Wait until no publish and no sweep runs: for the stop."""
