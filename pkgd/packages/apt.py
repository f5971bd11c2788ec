"""An apt repository: uploads, removals and copies, and every file that apt fetches."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pkgd.blocking import Blocking
from pkgd.errors import PkgdError, Storage, UnknownPackage, UnknownRepository
from pkgd.formats.aptindex import packages_stanza
from pkgd.formats.deb import KINDS, file_name, pool_prefix, read_deb
from pkgd.packages.aptindices import SOURCE, component_of, is_udeb_slot, paths_of, read_listed
from pkgd.packages.aptlistings import Found, named
from pkgd.packages.aptsources import read_source
from pkgd.packages.aptsuite import AptSuite
from pkgd.packages.drafts import Draft
from pkgd.packages.generations import Gone
from pkgd.packages.layout import apt_directory, apt_pool_path, suite_directory
from pkgd.packages.pool import Pool
from pkgd.packages.publishing import Publisher
from pkgd.packages.records import Added, AptSettings, Arrival, Clock, Listed, Removed, Served
from pkgd.packages.serving import Serving, media_type_of
from pkgd.packages.shelf import Shelf
from pkgd.packages.signing import Signer
from pkgd.packages.staging import Staging
from pkgd.packages.sweeping import Sweeping
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.spool import Spool

__all__ = ["AptRepository"]

_GENERATION = re.compile(r"@([1-9][0-9]{0,14})")
_BY_HASH = re.compile(r".+/by-hash/(?:SHA256/[0-9a-f]{64}|SHA512/[0-9a-f]{128})")


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
        self._blocking = blocking
        self._staging = Staging(spool, blocking)
        self._suites = {one.codename: AptSuite(settings, one, signer) for one in settings.suites}
        self._publishers = {
            name: Publisher(Shelf(suite_directory(settings.name, name), store, blocking), suite, clock, settings.window)
            for name, suite in self._suites.items()
        }
        self._pool = Pool(apt_directory(settings.name), store, blocking, self._is_named)
        self._sweeping = Sweeping(f"the apt repository {settings.name}", self._sweep)
        self._clock = clock

    async def start(self) -> None:
        """Read what is published; publish suites that have nothing yet, or that settings or keys have changed.

        Before anything else; to be repeated after a failure.

        :raises SigningError: then those suites are published by the first upload.
        :raises Storage: then nothing can be published until it has succeeded.
        """
        for publisher in self._publishers.values():
            await publisher.load()
        for publisher in self._publishers.values():
            await publisher.ensure()
        self._sweeping.soon()

    # -- changes --

    async def add(self, suite: str, component: str, arrival: Arrival) -> Added:
        """Publish a binary package (.deb, .udeb, .ddeb). Safe to repeat.

        :raises UnknownRepository: for a suite or component that is not configured.
        :raises InvalidPackage: if it is none that may be listed.
        :raises AlreadyExists: if the suite has other bytes of this name, version and architecture.
        :raises SigningError: if nothing can be signed.
        :raises Storage: if the machine refuses.
        """
        composer = self._suite(suite, component)
        kind = arrival.file_name.rpartition(".")[2]
        package = await self._staging.parse(arrival, read_deb, kind if kind in KINDS else None)
        digest = arrival.hashes.sha256
        path = apt_pool_path(component, pool_prefix(package.source), package.source, digest, file_name(package))
        text = packages_stanza(package, path, arrival.hashes)
        slot = composer.slot(component, package.architecture, package.is_udeb)
        key = (package.name, package.version, package.architecture)
        return await self._add(suite, (slot, key, text), {path: arrival}, {})

    async def add_source(self, suite: str, component: str, dsc: Arrival, files: Mapping[str, Arrival]) -> Added:
        """Publish a source package: its .dsc, and the files that it names.

        :param files: by their names. Those that other versions of this source in the suite have may be left out.
        :raises InvalidPackage: also if a file is missing or isn't what the .dsc says.
        """
        composer = self._suite(suite, component)
        data = await self._staging.read(dsc)
        view = self._publishers[suite].published
        slots = [composer.slot(one, SOURCE) for one in composer.settings.components]
        found = await read_source(self._blocking, view, slots, component, data, dsc, files)
        slot = composer.slot(component, SOURCE)
        return await self._add(suite, (slot, (*found.identity, SOURCE), found.text), found.placed, found.linked)

    async def remove(self, suite: str, component: str, file_name: str) -> Removed:
        """Take the package with this file (.deb, .udeb, .dsc) out of a component of a suite.

        :raises UnknownRepository: for a suite or component that is not configured.
        :raises UnknownPackage: if there is none.
        """
        self._suite(suite, component)
        return await self._remove(suite, [component], file_name, f"/{file_name}")

    async def remove_everywhere(self, path: str) -> Sequence[Removed]:
        """Take the package with this path (`pool/…`) out of every suite.

        :raises UnknownPackage: if no suite has it.
        """
        removed = []
        for name, suite in self._suites.items():
            try:
                removed.append(await self._remove(name, suite.settings.components, path.rpartition("/")[2], f"/{path}"))
            except UnknownPackage:
                continue
        if not removed:
            raise UnknownPackage(path)
        return removed

    async def copy(
        self, source: str, target: str, name: str, version: str | None = None, architecture: str | None = None
    ) -> Sequence[Added]:
        """Publish packages of one suite in another, too, in the same components.

        :param version: all, if None; likewise `architecture`, which is "source" for sources.
        :raises UnknownRepository: for a suite that is not configured, or lacks a component.
        :raises UnknownPackage: if there are none.
        :raises AlreadyExists: as for `add`; then none is copied.
        """
        composer, wanted = self._suite(source), self._suite(target)
        found = [
            one
            for one in await named(self._publishers[source].published, composer.settings.components, name)
            if version in (None, one[1][1]) and architecture in (None, one[1][2])
        ]
        if not found:
            raise UnknownPackage(" ".join(filter(None, (name, version, architecture))))
        for slot, _, _ in found:
            wanted.check_component(component_of(slot))

        async def change(draft: Draft) -> Sequence[bool]:
            return [await wanted.put(draft, slot, key, text, is_udeb_slot(slot)) for slot, key, text in found]

        async with self._pool.holding([path for _, _, text in found for path in paths_of(text)]):
            # Who took them out meanwhile may have taken the files, too.
            for slot, key, _ in found:
                if await self._publishers[source].published.find(slot, key) is None:
                    raise UnknownPackage(" ".join(key))
            created, number = await self._publishers[target].submit(change)
        self._sweeping.soon()
        return [_added(one, number, new) for one, new in zip(found, created, strict=True)]

    # -- reading --

    async def list(self, suite: str, component: str | None = None, name: str | None = None) -> Sequence[Listed]:
        """The packages of a suite, each once, sorted.

        :raises UnknownRepository: for a suite or component that is not configured.
        """
        composer = self._suite(suite, component)
        components = composer.settings.components if component is None else [component]
        found = await named(self._publishers[suite].published, components, name)
        return [read_listed(slot, key, text) for slot, key, text in found]

    async def open(self, path: str) -> Served:
        """A file that clients fetch, by its path below the repository, percent-decoded: `dists/…`, `pool/…`,
        `@<generation>/dists/…`, `@<generation>/pool/…`.

        `@<generation>` counts for one suite: it is looked for in the suite that the path names.

        :raises UnknownPackage: if there is none.
        """
        first, _, rest = path.partition("/")
        number = None
        if first.startswith("@"):
            found = _GENERATION.fullmatch(first)
            number = int(found[1]) if found else 0
            first, _, rest = rest.partition("/")
        if first == "pool":
            return await self._pool.open(f"pool/{rest}", media_type_of(rest))
        suite, _, below = rest.partition("/")
        if first != "dists" or suite not in self._publishers:
            raise UnknownPackage(path)
        serving = Serving(self._publishers[suite])
        if _BY_HASH.fullmatch(below):
            return await serving.open_digest(below.rpartition("/")[2], path)
        return await serving.open(below, number)

    # -- what is not needed any more --

    async def sweep(self) -> None:
        """Remove what no kept generation names, and sign suites anew before they expire.

        Runs after publishes, too; to be called every hour.
        """
        await self._sweeping.run()

    async def finished(self) -> None:
        """Wait until no publish and no sweep runs: for the stop."""
        for publisher in self._publishers.values():
            await publisher.finished()
        await self._sweeping.finished()

    async def _sweep(self) -> None:
        for publisher in self._publishers.values():
            await self._refresh(publisher)
            # All have to be known before a file counts as named by none.
            await publisher.kept.complete()
        for publisher in self._publishers.values():
            await publisher.sweep(self._pool.discard)

    async def _refresh(self, publisher: Publisher) -> None:
        """Halfway to Valid-Until, publish anew."""
        current, valid_for = publisher.kept.current, self.settings.valid_for
        if current is not None and valid_for is not None and self._clock.seconds() > current.date + valid_for / 2:
            await publisher.submit(_touch)

    # -- how it is done --

    def _suite(self, name: str, component: str | None = None) -> AptSuite:
        found = self._suites.get(name)
        if found is None:
            raise UnknownRepository(f"suite {name} of the apt repository {self.settings.name}")
        if component is not None:
            found.check_component(component)
        return found

    async def _add(self, suite: str, found: Found, placed: Mapping[str, Arrival], linked: Mapping[str, str]) -> Added:
        """Place files, and publish what names them."""
        slot, key, text = found
        composer, publisher = self._suites[suite], self._publishers[suite]
        is_udeb = is_udeb_slot(slot)
        digest = read_listed(slot, key, text).sha256
        publisher.check_loaded()
        async with self._pool.holding((*placed, *linked, *linked.values())):
            await composer.check_conflict(publisher.published, key, digest, is_udeb)
            try:
                await self._pool.fill(placed, linked)
                created, number = await publisher.submit(lambda draft: composer.put(draft, slot, key, text, is_udeb))
            except PkgdError as error:
                # After a failed write it isn't sure what a restart finds: maybe what names these files.
                if not isinstance(error, Storage):
                    await self._pool.discard_held(Gone(slot, key, (*placed, *linked)))
                raise
        self._sweeping.soon()
        return _added(found, number, created)

    async def _remove(self, suite: str, components: Sequence[str], file_name: str, ending: str) -> Removed:
        composer = self._suites[suite]
        name = file_name.partition("_")[0]
        view = self._publishers[suite].published
        found = [one for one in await named(view, components, name) if f"/{read_listed(*one).path}".endswith(ending)]

        async def change(draft: Draft) -> None:
            for slot, key, text in found:
                if await draft.find(slot, key) is None:
                    raise UnknownPackage(file_name)
                composer.take(draft, slot, key, text, is_udeb_slot(slot))

        if not found:
            raise UnknownPackage(file_name)
        _, number = await self._publishers[suite].submit(change)
        self._sweeping.soon()
        return Removed(suite, [read_listed(*one) for one in found], number)

    async def _is_named(self, gone: Gone, path: str) -> bool:
        """Whether any suite names a file, or has a generation that does."""
        for publisher in self._publishers.values():
            found = await publisher.published.find(gone.slot, gone.key)
            await publisher.kept.complete()
            if (found is not None and path in paths_of(found[0])) or publisher.kept.withdrawn(path):
                return True
        return False


def _added(found: Found, number: int, created: bool) -> Added:
    listed = read_listed(*found)
    name, version, architecture = found[1]
    return Added(name, version, architecture, listed.path, listed.sha256, number, created)


async def _touch(draft: Draft) -> None:
    draft.touch()
