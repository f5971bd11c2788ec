"""An rpm repository: uploads and removals, and every file that dnf, yum and zypper fetch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from attrs import evolve

from pkgd.blocking import Blocking
from pkgd.errors import AlreadyExists, PkgdError, Storage, UnknownPackage
from pkgd.formats.repodata import fragments
from pkgd.formats.rpm import RpmPackage
from pkgd.packages.drafts import Draft
from pkgd.packages.generations import Gone
from pkgd.packages.layout import rpm_directory, rpm_path
from pkgd.packages.leaves import Key, Texts
from pkgd.packages.orphans import Orphans, named_by
from pkgd.packages.pool import Pool
from pkgd.packages.poolfiles import PoolFiles
from pkgd.packages.publishing import Publisher, Told
from pkgd.packages.records import (
    Added,
    Arrival,
    Listed,
    Removed,
    RpmSettings,
    Served,
    Timers,
)
from pkgd.packages.removals import Held, Removal, removing
from pkgd.packages.rpmdocuments import RpmDocuments
from pkgd.packages.rpmindices import PACKAGES, RpmShelves, paths_of, read_listed
from pkgd.packages.rpmmetadata import RpmMetadata, repo_file
from pkgd.packages.rpmserving import RpmServing
from pkgd.packages.rpmsigning import PackageSigning, Signed
from pkgd.packages.rpmuploads import added, check_conflict, package_key, read_headers_of, read_upload
from pkgd.packages.shelf import Shelf
from pkgd.packages.signing import HeaderSigner, Signer
from pkgd.packages.staging import Staging
from pkgd.packages.sweeping import Sweeping
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.spool import Spool

__all__ = ["RpmRepository"]


class RpmRepository:
    """One rpm repository. `documents` are those beside its packages."""

    def __init__(
        self,
        settings: RpmSettings,
        store: ObjectStore,
        spool: Spool,
        blocking: Blocking,
        signer: Signer,
        clock: Timers,
        header_signer: HeaderSigner | None = None,
        told: Told | None = None,
    ) -> None:
        """
        :param header_signer: needed for `sign_packages` other than keep.
        :param told: what becomes of publishes.
        """
        self.settings = settings
        directory = rpm_directory(settings.name)
        self._spool = spool
        self._staging = Staging(spool, blocking)
        self._blocking = blocking
        self._clock = clock
        self._signing = PackageSigning(settings.sign_packages, header_signer, spool, blocking, clock)
        shelf = Shelf(directory, store, blocking)
        metadata = RpmMetadata(settings, signer)
        self._publisher = Publisher(shelf, metadata, clock, settings.window, spool.reserve, told)
        self._pool = Pool(directory, store, blocking, self._is_named)
        self._serving = RpmServing(self._publisher, self._pool)
        self._sweeping = Sweeping(f"the sweep of the rpm repository {settings.name}", self._sweep)
        self.documents = RpmDocuments(self._publisher, self._staging, blocking, self._sweeping)
        files = PoolFiles(directory, store, blocking)
        self._orphans = Orphans(self._pool, files, "Packages", self._named, clock)

    def adopt(self, settings: RpmSettings, signer: Signer, header_signer: HeaderSigner) -> None:
        """See `AptRepository.adopt`."""
        self.settings = settings
        self._signing = PackageSigning(settings.sign_packages, header_signer, self._spool, self._blocking, self._clock)
        self._publisher.adopt(RpmMetadata(settings, signer), settings.window)

    async def start(self) -> None:
        """See `AptRepository.start`."""
        await self.load()
        await self._publisher.ensure()
        self._sweeping.soon()

    async def load(self) -> None:
        """See `AptRepository.load`."""
        await self._publisher.load()

    # -- changes --

    async def add(self, arrival: Arrival) -> Added:
        """Publish a package. Safe to repeat. With `sign_packages: sign` its file, and so its hash, becomes another.

        :raises InvalidPackage: also if it is not signed by a key of ours, and `sign_packages` is require.
        :raises AlreadyExists: if there are other bytes of this name, epoch, version, release and architecture.
        :raises SigningError: if nothing can be signed.
        :raises Storage: if the machine refuses.
        """
        with self._publisher.gathering.expecting() as arrived:
            package, header = await self._staging.parse(arrival, read_upload, arrival.payload)
            if self._signing.mode == "sign":
                present = await self._same(package, header)
                if present is not None:
                    return present
            signed = await self._signing.signed(arrival, package)
            try:
                return await self._add(signed, package, arrived)
            finally:
                if signed.arrival is not arrival:
                    await self._signing.remove(signed.arrival)

    async def remove(self, path: str) -> Removed:
        """Take a package out, by the path of its file (`Packages/…`), or by the file's name alone.

        :raises UnknownPackage: if there is none.
        """
        found = await self._at(path)

        async def change(draft: Draft) -> None:
            for key, texts in found:
                if await draft.find(PACKAGES, key) is None:
                    raise UnknownPackage(path)
                RpmShelves().take(draft, PACKAGES, (key, texts))

        if not found:
            raise UnknownPackage(path)
        _, number = await self._publisher.submit(change, frees=True)
        self._sweeping.soon()
        return Removed("", [read_listed(texts[0]) for _, texts in found], number)

    async def remove_together(self, removals: Sequence[Removal]) -> Sequence[Listed]:
        """See `AptRepository.remove_together`."""
        gone, _ = await self._publisher.submit(removing(RpmShelves(), self._blocking, removals), frees=True)
        self._sweeping.soon()
        return gone

    # -- reading --

    async def held(self) -> Sequence[Held]:
        """The packages, sorted; what they were built from is not looked for."""
        entries = [one async for one in self._publisher.published.all(PACKAGES)]
        return await self._blocking.work(lambda: [Held(read_listed(texts[0])) for _, texts in entries])

    async def list(self, name: str | None = None) -> Sequence[Listed]:
        """The packages, sorted."""
        view = self._publisher.published
        entries = await view.named(PACKAGES, name) if name is not None else [one async for one in view.all(PACKAGES)]
        return [read_listed(texts[0]) for _, texts in entries]

    async def open(self, path: str) -> Served:
        """A file that clients fetch: `repodata/…`, `Packages/…`, and both below `@<generation>/`.

        :raises UnknownPackage: if there is none.
        """
        return await self._serving.open(path)

    @property
    def generation(self) -> int:
        """The current generation; 0 if nothing is published."""
        current = self._publisher.kept.current
        return current.number if current else 0

    def mirrorlist(self, url: str) -> bytes:
        """One line: the current generation. `url` is the repository's, without a slash at the end."""
        return f"{url}/@{self.generation}/\n".encode()

    def repo_file(self, url: str, by_mirrorlist: bool = True) -> bytes:
        """`pkgd.repo` for dnf, yum and zypper.

        :param by_mirrorlist: False for clients that remember what a mirrorlist said.

        Packages are checked only where all are known to be signed by keys that key.asc has; the metadata always is,
        and says what each package has to be.
        """
        current = self._publisher.kept.current
        are_signed = self._signing.covers(current.signers if current else frozenset())
        return repo_file(self.settings.name, url, are_signed, by_mirrorlist)

    # -- what is not needed any more --

    async def sweep(self) -> None:
        """See `AptRepository.sweep`."""
        await self._sweeping.run()
        await self._orphans.run()

    async def finished(self) -> None:
        """See `AptRepository.finished`."""
        await self._publisher.finished()
        await self._sweeping.finished()

    async def _sweep(self) -> None:
        await self._publisher.sweep(self._pool.discard)

    # -- how it is done --

    async def _add(self, signed: Signed, package: RpmPackage, arrived: Callable[[], None]) -> Added:
        arrival = signed.arrival
        digest = arrival.hashes.sha256
        path = rpm_path(digest, package.file_name)
        key = package_key(package)
        text = await self._blocking.work(
            fragments, package, digest, path, arrival.hashes.size, int(self._clock.seconds())
        )

        async def change(draft: Draft) -> bool:
            if await check_conflict(draft, key, digest, package.nevra):
                return False
            draft.put(PACKAGES, key, (text.primary, text.filelists, text.other))
            draft.vouch(signed.signers)
            return True

        self._publisher.check_loaded()
        async with self._pool.holding([path]):
            await check_conflict(self._publisher.published, key, digest, package.nevra)
            try:
                await self._pool.fill({path: arrival}, {})
                created, number = await self._publisher.submit(change, arrived=arrived)
            except PkgdError as error:
                # After a failed write it isn't sure what a restart finds: maybe what names this file.
                if not isinstance(error, Storage):
                    await self._pool.discard_held(Gone(PACKAGES, key, (path,)))
                raise
        self._sweeping.soon()
        return evolve(added(read_listed(text.primary), number), created=created)

    async def _same(self, package: RpmPackage, header: bytes) -> Added | None:
        """The package as it is published, if it is this one but for the signature.

        A signature differs each time it is made; the header says what the payload is.
        """
        found = await self._publisher.published.find(PACKAGES, package_key(package))
        if found is None:
            return None
        listed = read_listed(found[0])
        served = await self._pool.open(listed.path, "")
        try:
            _, present = await self._blocking.work(read_headers_of, served.reader.read_at, served.reader.size)
        finally:
            served.reader.close()
        if present != header:
            raise AlreadyExists(package.nevra)
        return added(listed, self.generation)

    async def _at(self, path: str) -> Sequence[tuple[Key, Texts]]:
        """The packages whose file has this path, or this name."""
        file_name = path.rpartition("/")[2]
        view = self._publisher.published
        # A name may have hyphens, so whatever stands before one may be the name.
        parts = file_name.split("-")
        found = []
        for end in range(1, len(parts)):
            for key, texts in await view.named(PACKAGES, "-".join(parts[:end])):
                if f"/{read_listed(texts[0]).path}".endswith(f"/{path}"):
                    found.append((key, texts))
        return found

    async def _named(self) -> Collection[str]:
        """Every file that any generation names."""
        publisher = self._publisher
        shape = publisher.composer.shape
        return await named_by(publisher.shelf, publisher.kept, shape, paths_of, lambda slot: slot == PACKAGES)

    async def _is_named(self, gone: Gone, path: str) -> bool:
        """Whether the current generation, or one that is kept, names a file."""
        found = await self._publisher.published.find(gone.slot, gone.key)
        await self._publisher.kept.complete()
        named = found is not None and read_listed(found[0]).path == path
        return named or self._publisher.kept.withdrawn(path)
