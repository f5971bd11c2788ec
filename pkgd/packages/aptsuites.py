"""The suites of an apt repository, each with its publisher: which there are, and which files any of them names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from pkgd.blocking import Blocking
from pkgd.errors import UnknownRepository
from pkgd.packages.aptcontents import Contents
from pkgd.packages.aptindices import StanzaShape, is_contents_slot, paths_of
from pkgd.packages.aptsuite import AptSuite
from pkgd.packages.generations import Gone
from pkgd.packages.layout import suite_directory, suites_prefix
from pkgd.packages.orphans import named_by, named_by_strangers
from pkgd.packages.pathlists import PathLists
from pkgd.packages.publishing import Publisher, Told
from pkgd.packages.records import AptSettings, SuiteSettings, Timers
from pkgd.packages.shelf import Shelf
from pkgd.packages.signing import Signer
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.reserve import Reserve

__all__ = ["AptSuites"]


class AptSuites:
    """Those of one repository: none before `adopt`.

    :param reserve: what deletes may have on a full disk.
    :param lists: of the paths in packages, for Contents.
    """

    def __init__(
        self,
        store: ObjectStore,
        blocking: Blocking,
        clock: Timers,
        reserve: Reserve,
        lists: PathLists,
        told: Told | None = None,
    ) -> None:
        self._store = store
        self._blocking = blocking
        self._clock = clock
        self._reserve = reserve
        self._lists = lists
        self._told = told
        self._suites: Mapping[str, AptSuite] = {}
        self.publishers: Mapping[str, Publisher] = {}
        # Of suites that were configured once: whoever publishes one of them again has to be the same.
        self._former: dict[str, Publisher] = {}

    def adopt(self, settings: AptSettings, signer: Signer) -> None:
        """See `AptRepository.adopt`."""
        self._settings = settings
        self._former.update(self.publishers)
        self._suites = {one.codename: AptSuite(settings, one, signer, self._lists) for one in settings.suites}
        self.publishers = {name: self._publisher_of(name, suite) for name, suite in self._suites.items()}

    def _publisher_of(self, name: str, suite: AptSuite) -> Publisher:
        window = self._settings.window
        found = self._former.pop(name, None)
        if found is not None:
            found.adopt(suite, window)
            return found
        shelf = Shelf(suite_directory(self._settings.name, name), self._store, self._blocking)
        return Publisher(shelf, suite, self._clock, window, self._reserve, self._told)

    # -- which there are --

    def all(self) -> Sequence[SuiteSettings]:
        """The settings of each."""
        return [one.settings for one in self._suites.values()]

    def suite(self, name: str, component: str | None = None) -> AptSuite:
        """One of them, by its codename.

        :raises UnknownRepository: if it is not configured, or has no such component.
        """
        found = self._suites.get(name)
        if found is None:
            raise UnknownRepository(f"suite {name} of the apt repository {self._settings.name}")
        if component is not None:
            found.check_component(component)
        return found

    def publisher(self, name: str) -> Publisher:
        """Of a suite that may have been given up meanwhile.

        :raises UnknownRepository: if it is not configured.
        """
        self.suite(name)
        return self.publishers[name]

    def with_contents(self) -> Sequence[tuple[Contents, Publisher]]:
        """Those that have Contents."""
        return [(one.contents, self.publishers[name]) for name, one in self._suites.items() if one.contents]

    # -- what is published --

    @property
    def are_loaded(self) -> bool:
        """Whether what is published has been read, of all of them."""
        return all(one.is_loaded for one in self.publishers.values())

    async def load(self) -> None:
        """See `AptRepository.load`."""
        for publisher in self.publishers.values():
            await publisher.load()

    async def ensure(self) -> None:
        """Publish those that have nothing yet, or that settings or keys have changed.

        :raises SigningError: if it cannot be signed.
        """
        for publisher in self.publishers.values():
            await publisher.ensure()

    async def finished(self) -> None:
        """Wait until nothing is being published."""
        for publisher in [*self.publishers.values(), *self._former.values()]:
            await publisher.finished()

    async def sweep(self, discard: Callable[[Gone], Awaitable[None]]) -> None:
        """Remove what no kept generation names, and sign suites anew before they expire.

        :param discard: removes the files of a package that its suite does not name any more.
        """
        publishers = [one for one in self.publishers.values() if one.is_loaded]
        for publisher in publishers:
            await self._refresh(publisher)
            # All have to be known before a file counts as named by none.
            await publisher.kept.complete()
        for publisher in publishers:
            await publisher.sweep(discard)

    async def _refresh(self, publisher: Publisher) -> None:
        """Halfway to Valid-Until, publish anew."""
        current, valid_for = publisher.kept.current, self._settings.valid_for
        if current is not None and valid_for is not None and self._clock.seconds() > current.date + valid_for / 2:
            await publisher.touch()

    # -- which files they name --

    async def named(self) -> Collection[str]:
        """Every file that any generation of any suite names, configured or not."""
        how = (StanzaShape(self._settings.forms), paths_of, lambda slot: not is_contents_slot(slot))
        known = {name: one for name, one in self.publishers.items() if one.is_loaded}
        found = await named_by_strangers(self._store, self._blocking, suites_prefix(self._settings.name), known, *how)
        for one in known.values():
            found |= await named_by(one.shelf, one.kept, *how)
        return found

    async def is_named(self, gone: Gone, path: str) -> bool:
        """Whether any suite names a file, or has a generation that does."""
        for publisher in [*self.publishers.values(), *self._former.values()]:
            if not publisher.is_loaded:
                return True  # who knows
            found = await publisher.published.find(gone.slot, gone.key)
            await publisher.kept.complete()
            if (found is not None and path in paths_of(found[0])) or publisher.kept.withdrawn(path):
                return True
        return False
