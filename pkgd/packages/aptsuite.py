"""A suite of an apt repository: which indices it has, and the Release that answers for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from attrs import frozen

from pkgd.errors import AlreadyExists, UnknownRepository
from pkgd.formats.aptindex import IndexEntry, ReleaseFields, release_file
from pkgd.formats.filehashes import FileHashes
from pkgd.packages.aptcontents import Contents
from pkgd.packages.aptindices import (
    SOURCE,
    StanzaShape,
    architectures_of,
    binary_slot,
    component_of,
    contents_slot,
    is_contents_slot,
    is_udeb_slot,
    paths_of,
    read_listed,
    source_slot,
)
from pkgd.packages.composing import Composition
from pkgd.packages.drafts import Draft, Published, Readable
from pkgd.packages.forms import SUFFIXES
from pkgd.packages.generations import FileRef, Gone
from pkgd.packages.indices import Index
from pkgd.packages.leaves import Edits, Entry, Key, Shape
from pkgd.packages.pathlists import PathLists
from pkgd.packages.records import AptSettings, Listed, SuiteSettings
from pkgd.packages.signing import Signer

__all__ = ["AptShelves", "AptSuite"]


class AptSuite:
    """Implements `Composer` for a suite, and knows where in it a package belongs."""

    def __init__(self, settings: AptSettings, suite: SuiteSettings, signer: Signer, lists: PathLists) -> None:
        """
        :param lists: of the paths in packages, for Contents if they are wanted.
        """
        self.settings = suite
        self.contents = Contents(settings.forms, lists) if settings.contents else None
        self.shape: Shape = StanzaShape(tuple(settings.forms))
        self.valid_for = settings.valid_for
        self._signer = signer

    # -- composing --

    def required(self) -> Iterable[str]:
        """See `Composer.required`."""
        for component in self.settings.components:
            yield source_slot(component)
            for architecture in ("all", *self.settings.architectures):
                yield binary_slot(component, architecture)
                if self.contents is not None:
                    yield contents_slot(binary_slot(component, architecture))

    def is_whole(self, slot: str) -> bool:
        """See `Composer.is_whole`: none is."""
        return False

    def shape_of(self, slot: str) -> Shape:
        """See `Composer.shape_of`."""
        return self.contents.shape if self.contents is not None and is_contents_slot(slot) else self.shape

    def marks(self) -> str:
        """See `Composer.marks`."""
        parts = (self.settings, tuple(self.shape.forms), self.valid_for, self._signer.public_keys())
        text = repr(parts if self.contents is None else (*parts, "contents"))
        return hashlib.sha256(text.encode()).hexdigest()

    async def derive(self, published: Published, draft: Draft) -> Mapping[str, Edits | None]:
        """See `Composer.derive`: Contents. Those that are not wanted any more go."""
        if self.contents is None:
            return dict.fromkeys(filter(is_contents_slot, published.slots))
        return await self.contents.derive(published, draft)

    async def compose(self, number: int, date: int, indices: Mapping[str, Index]) -> Composition:
        """See `Composer.compose`."""
        files, entries = {}, []
        for slot, index in indices.items():
            if component_of(slot) not in self.settings.components or not self._is_listed(slot):
                continue
            for (part, form), one in index.files.items():
                path = slot + SUFFIXES[form]
                files[path] = FileRef(index.name, part, form, one.size, one.sha256)
                entries.append(IndexEntry(path, FileHashes(one.size, "", "", one.sha256, "")))
        release = release_file(self._fields(date, indices), entries)
        documents = {
            "Release": release,
            "Release.gpg": await self._signer.detach(release),
            "InRelease": await self._signer.clearsign(release),
        }
        return Composition(files, documents)

    def _is_listed(self, slot: str) -> bool:
        return not is_contents_slot(slot) or (self.contents is not None and self.contents.is_complete)

    def _fields(self, date: int, slots: Iterable[str]) -> ReleaseFields:
        suite = self.settings
        return ReleaseFields(
            date=date,
            codename=suite.codename,
            suite=suite.codename,
            origin=suite.origin,
            label=suite.label,
            description=suite.description,
            valid_until=None if self.valid_for is None else date + self.valid_for,
            architectures=("all", *self.architectures(slots)),
            components=tuple(suite.components),
            not_automatic=suite.not_automatic,
            but_automatic_upgrades=suite.but_automatic_upgrades,
            # Packages of all are in the index of every architecture, too.
            no_support_for_architecture_all="Packages",
        )

    # -- where packages belong --

    def architectures(self, slots: Iterable[str]) -> list[str]:
        """The architectures of the suite: those of the settings, and those that have come with packages."""
        return sorted({*self.settings.architectures, *architectures_of(slots)})

    def check_component(self, component: str) -> None:
        """Refuse a component that isn't configured.

        :raises UnknownRepository: then.
        """
        if component not in self.settings.components:
            raise UnknownRepository(f"component {component} of the suite {self.settings.codename}")

    def slot(self, component: str, architecture: str, is_udeb: bool = False) -> str:
        """The index that has a package first of all."""
        return source_slot(component) if architecture == SOURCE else binary_slot(component, architecture, is_udeb)

    def slots(self, slots: Iterable[str], component: str, architecture: str, is_udeb: bool = False) -> list[str]:
        """Every index that has a package of this architecture: `all` is in each."""
        everywhere = self.architectures(slots) if architecture == "all" else ()
        return [self.slot(component, one, is_udeb) for one in (architecture, *everywhere)]

    async def check_conflict(self, view: Readable, key: Key, digest: str, is_udeb: bool = False) -> None:
        """Refuse what the suite has with other content.

        :raises AlreadyExists: then.
        """
        for component in self.settings.components:
            slot = self.slot(component, key[2], is_udeb)
            found = await view.find(slot, key)
            if found is not None and read_listed(slot, key, found[0]).sha256 != digest:
                raise AlreadyExists(" ".join(key))

    async def put(self, draft: Draft, slot: str, key: Key, text: bytes, is_udeb: bool = False) -> bool:
        """Add a package to a draft. Returns False if it is there already.

        :param slot: as `slot` has it.
        :raises AlreadyExists: if it is there with other content.
        """
        await self.check_conflict(draft, key, read_listed(slot, key, text).sha256, is_udeb)
        if await draft.find(slot, key) is not None:
            return False
        self._join(draft, key[2], is_udeb)
        for one in self.slots(draft.slots, component_of(slot), key[2], is_udeb):
            draft.put(one, key, (text,))
        return True

    def take(self, draft: Draft, slot: str, key: Key, text: bytes, is_udeb: bool = False) -> None:
        """Take a package out of a draft."""
        for one in self.slots(draft.slots, component_of(slot), key[2], is_udeb):
            draft.remove(one, key)
        draft.gone.append(Gone(slot, key, paths_of(text)))

    def _join(self, draft: Draft, architecture: str, is_udeb: bool) -> None:
        """The indices of an architecture that is new here begin with the packages of all."""
        if architecture == SOURCE:
            return
        wanted = set(self.architectures(draft.slots)) | ({architecture} - {"all"})
        kinds = [False, True] if is_udeb or any("/debian-installer/" in slot for slot in draft.slots) else [False]
        for component in self.settings.components:
            for one in sorted(wanted):
                for kind in kinds:
                    slot = binary_slot(component, one, kind)
                    if slot not in draft.slots:
                        draft.begin(slot, binary_slot(component, "all", kind))


@frozen
class AptShelves:
    """Implements `Shelves`."""

    suite: AptSuite

    def slot_of(self, package: Listed) -> str:
        """See `Shelves.slot_of`."""
        return self.suite.slot(package.component, package.architecture, package.path.endswith(".udeb"))

    def read(self, slot: str, entry: Entry) -> Listed:
        """See `Shelves.read`."""
        return read_listed(slot, entry[0], entry[1][0])

    def take(self, draft: Draft, slot: str, entry: Entry) -> None:
        """See `Shelves.take`."""
        self.suite.take(draft, slot, entry[0], entry[1][0], is_udeb_slot(slot))
