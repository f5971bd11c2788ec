"""An apt repository: uploads, removals and copies, and every file that apt fetches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from pkgd.blocking import Blocking
from pkgd.errors import PkgdError, Storage, UnknownPackage, UnknownRepository
from pkgd.packages.aptfilling import Filling
from pkgd.packages.aptindices import component_of, is_udeb_slot, paths_of, read_listed
from pkgd.packages.aptlistings import Found, Wanted, held, named, select, with_file
from pkgd.packages.aptserving import AptServing
from pkgd.packages.aptsuite import AptShelves, AptSuite
from pkgd.packages.aptsuites import AptSuites
from pkgd.packages.aptuploads import Prepared, Upload, Uploads, weight_of
from pkgd.packages.drafts import Draft
from pkgd.packages.generations import Gone
from pkgd.packages.layout import apt_directory
from pkgd.packages.orphans import Orphans
from pkgd.packages.pathlists import PathLists
from pkgd.packages.pool import Pool
from pkgd.packages.poolfiles import PoolFiles
from pkgd.packages.publishing import Told
from pkgd.packages.records import Added, AptSettings, Arrival, Listed, Removed, Served, Timers
from pkgd.packages.removals import Held, Removal, removing
from pkgd.packages.signing import Signer
from pkgd.packages.staging import Staging
from pkgd.packages.sweeping import Sweeping
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.spool import Spool

__all__ = ["AptRepository", "Upload", "Wanted"]


class AptRepository:
    """One apt repository."""

    def __init__(
        self,
        settings: AptSettings,
        store: ObjectStore,
        spool: Spool,
        blocking: Blocking,
        signer: Signer,
        clock: Timers,
        told: Told | None = None,
    ) -> None:
        """
        :param store: rooted at the state directory; `spool` is in the same tree, at `pkgd.packages.layout.SPOOL`.
        :param told: what becomes of publishes.
        """
        directory = apt_directory(settings.name)
        self._blocking = blocking
        self._staging = Staging(spool, blocking)
        self._lists = PathLists(directory, store, blocking)
        self._suites = AptSuites(store, blocking, clock, spool.reserve, self._lists, told)
        self._pool = Pool(directory, store, blocking, self._suites.is_named, self._lists)
        self._filling = Filling([], self._lists, self._pool)
        self.adopt(settings, signer)
        self._sweeping = Sweeping(f"the sweep of the apt repository {settings.name}", self._sweep)
        self._filler = Sweeping(f"filling Contents of the apt repository {settings.name}", self._fill)
        files = PoolFiles(directory, store, blocking)
        self._orphans = Orphans(self._pool, files, "pool", self._suites.named, clock)

    def adopt(self, settings: AptSettings, signer: Signer) -> None:
        """Be what other settings say, of the same name, from now on. `start` publishes what that changes."""
        self._filling.stop()
        self.settings = settings
        self._uploads = Uploads(self._staging, self._blocking, settings.contents)
        self._suites.adopt(settings, signer)
        self._serving = AptServing(self._suites.publishers, self._pool)
        self._filling = Filling(self._suites.with_contents(), self._lists, self._pool)
        if self._suites.are_loaded:
            self._filling.resume()

    async def start(self) -> None:
        """Read what is published; publish suites that have nothing yet, or that settings or keys have changed.

        Before anything else; to be repeated after a failure.

        :raises SigningError: then those suites are published by the first upload.
        :raises Storage: then nothing can be published until it has succeeded.
        """
        await self.load()
        self._filling.resume()
        await self._suites.ensure()
        self._sweeping.soon()
        self._filler.soon()

    async def load(self) -> None:
        """Read what is published, for who does not want to publish.

        :raises Storage: if it cannot be read.
        """
        await self._suites.load()

    # -- changes --

    async def add(self, suite: str, component: str, arrival: Arrival) -> Added:
        """Publish a binary package (.deb, .udeb, .ddeb). Safe to repeat.

        :raises UnknownRepository: for a suite or component that is not configured.
        :raises InvalidPackage: if it is none that may be listed.
        :raises AlreadyExists: if the suite has other bytes of this name, version and architecture.
        :raises SigningError: if nothing can be signed.
        :raises Storage: if the machine refuses.
        """
        return (await self.add_together([suite], [Upload(component, arrival)]))[0]

    async def add_source(self, suite: str, component: str, dsc: Arrival, files: Mapping[str, Arrival]) -> Added:
        """Publish a source package: its .dsc, and the files that it names.

        :param files: by their names. Those that other versions of this source in the suite have may be left out.
        :raises InvalidPackage: also if a file is missing or isn't what the .dsc says.
        """
        return (await self.add_together([suite], [Upload(component, dsc, files)]))[0]

    async def add_together(self, suites: Sequence[str], uploads: Sequence[Upload]) -> Sequence[Added]:
        """Publish packages in one generation of each suite: all of them or, if one is refused, none.

        Suites have generations of their own and follow each other. What one of them refuses is refused before
        any is published, but for an upload of the same name to it at the same moment.

        :raises: as `add`.
        """
        composers = [self._suites.suite(suite, one.component) for suite in suites for one in uploads]
        for name in suites:
            self._suites.publisher(name).check_loaded()
        first = self._suites.publisher(suites[0])
        with first.gathering.expecting() as arrived:
            prepared = await self._uploads.prepare(first.published, composers[0], uploads)
            async with self._pool.holding([path for one in prepared for path in (*one.paths, *one.linked.values())]):
                for name in suites:
                    for one in prepared:
                        view, (slot, key, _) = self._suites.publisher(name).published, one.found
                        await self._suites.suite(name).check_conflict(view, key, one.sha256, is_udeb_slot(slot))
                created, number = await self._place(suites, prepared, arrived)
        self._sweeping.soon()
        return [_added(one.found, number, new) for one, new in zip(prepared, created, strict=True)]

    async def remove(self, suite: str, component: str, file_name: str) -> Removed:
        """Take the package with this file (.deb, .udeb, .dsc) out of a component of a suite.

        :raises UnknownRepository: for a suite or component that is not configured.
        :raises UnknownPackage: if there is none.
        """
        self._suites.suite(suite, component)
        return await self._remove(suite, [component], file_name)

    async def remove_everywhere(self, path: str) -> Sequence[Removed]:
        """Take the package with this path (`pool/…`) out of every suite.

        :raises UnknownPackage: if no suite has it.
        """
        removed = []
        for suite in self._suites.all():
            try:
                removed.append(await self._remove(suite.codename, suite.components, path))
            except (UnknownPackage, UnknownRepository):
                continue
        if not removed:
            raise UnknownPackage(path)
        return removed

    async def remove_together(self, suite: str, removals: Sequence[Removal]) -> Sequence[Listed]:
        """Take packages out of a suite in one generation; returns those that were there. See `removing`.

        :raises UnknownRepository: for a suite that is not configured.
        """
        change = removing(AptShelves(self._suites.suite(suite)), self._blocking, removals)
        gone, _ = await self._suites.publisher(suite).submit(change, frees=True)
        self._sweeping.soon()
        return gone

    async def copy(self, source: str, target: str, wanted: Wanted) -> Sequence[Added]:
        """Publish packages of one suite in another, too, in the same components: all that are meant, or none.

        :raises UnknownRepository: for a suite that is not configured, or lacks a component.
        :raises UnknownPackage: if there are none.
        :raises AlreadyExists: as for `add`.
        """
        components, suite = self._suites.suite(source).settings.components, self._suites.suite(target)
        found = await select(self._suites.publisher(source).published, components, wanted)
        if not found:
            raise UnknownPackage(str(wanted))
        for slot, _, _ in found:
            suite.check_component(component_of(slot))

        async def change(draft: Draft) -> Sequence[bool]:
            return [await suite.put(draft, slot, key, text, is_udeb_slot(slot)) for slot, key, text in found]

        async with self._pool.holding([path for _, _, text in found for path in paths_of(text)]):
            # Who took them out meanwhile may have taken the files, too.
            for slot, key, _ in found:
                if await self._suites.publisher(source).published.find(slot, key) is None:
                    raise UnknownPackage(" ".join(key))
            created, number = await self._suites.publisher(target).submit(change)
        self._sweeping.soon()
        return [_added(one, number, new) for one, new in zip(found, created, strict=True)]

    # -- reading --

    async def list(self, suite: str, component: str | None = None, name: str | None = None) -> Sequence[Listed]:
        """The packages of a suite, each once, sorted.

        :raises UnknownRepository: for a suite or component that is not configured.
        """
        composer = self._suites.suite(suite, component)
        components = composer.settings.components if component is None else [component]
        found = await named(self._suites.publisher(suite).published, components, name)
        return [read_listed(slot, key, text) for slot, key, text in found]

    async def held(self, suite: str) -> Sequence[Held]:
        """Likewise, with their sources.

        :raises UnknownRepository: for a suite that is not configured.
        """
        components = self._suites.suite(suite).settings.components
        return await self._blocking.work(held, await named(self._suites.publisher(suite).published, components, None))

    async def open(self, path: str) -> Served:
        """A file that clients fetch, by its path below the repository, percent-decoded: `dists/…`, `pool/…`,
        `@<generation>/dists/…`, `@<generation>/pool/…`.

        `@<generation>` counts for one suite: it is looked for in the suite that the path names.

        :raises UnknownPackage: if there is none.
        """
        return await self._serving.open(path)

    # -- what is not needed any more --

    async def sweep(self) -> None:
        """Remove what no kept generation names, and sign suites anew before they expire.

        Runs after publishes, too; to be called every hour.
        """
        await self._sweeping.run()
        await self._orphans.run()

    async def finished(self) -> None:
        """Wait until no publish and no sweep runs: for the stop."""
        self._filling.stop()
        await self._suites.finished()
        await self._sweeping.finished()
        await self._filler.finished()

    async def _fill(self) -> None:
        await self._filling.run()

    async def _sweep(self) -> None:
        self._filler.soon()
        await self._suites.sweep(self._pool.discard)

    # -- how it is done --

    async def _place(
        self, suites: Sequence[str], prepared: Sequence[Prepared], arrived: Callable[[], None]
    ) -> tuple[Sequence[bool], int]:
        """Place files, and publish what names them: which of them are new, and the first suite's generation."""
        numbers, created = [], [False] * len(prepared)
        try:
            for one in prepared:
                await self._pool.fill(one.placed, one.linked)
                if one.contents is not None:
                    await self._lists.keep(one.paths[0], one.contents)
            for name in suites:
                change = _putting(self._suites.suite(name), prepared)
                news, number = await self._suites.publisher(name).submit(change, weight_of(prepared), arrived)
                created = [old or new for old, new in zip(created, news, strict=True)]
                numbers.append(number)
        except PkgdError as error:
            # After a failed write it isn't sure what a restart finds: maybe what names these files.
            if not isinstance(error, Storage):
                for one in prepared:
                    await self._pool.discard_held(Gone(*one.found[:2], one.paths))
            raise
        return created, numbers[0]

    async def _remove(self, suite: str, components: Sequence[str], path: str) -> Removed:
        composer = self._suites.suite(suite)
        found = await with_file(self._suites.publisher(suite).published, components, path)

        async def change(draft: Draft) -> None:
            for slot, key, text in found:
                if await draft.find(slot, key) is None:
                    raise UnknownPackage(path)
                composer.take(draft, slot, key, text, is_udeb_slot(slot))

        if not found:
            raise UnknownPackage(path)
        _, number = await self._suites.publisher(suite).submit(change, frees=True)
        self._sweeping.soon()
        return Removed(suite, [read_listed(*one) for one in found], number)


def _putting(suite: AptSuite, prepared: Sequence[Prepared]) -> Callable[[Draft], Awaitable[Sequence[bool]]]:
    """The change that adds packages to a suite."""

    async def change(draft: Draft) -> Sequence[bool]:
        return [await suite.put(draft, *one.found, is_udeb_slot(one.found[0])) for one in prepared]

    return change


def _added(found: Found, number: int, created: bool) -> Added:
    listed = read_listed(*found)
    name, version, architecture = found[1]
    return Added(name, version, architecture, listed.path, listed.sha256, number, created)
