"""What comes into an apt repository, read and not published yet: packages, and sources with their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import field, frozen

from pkgd.errors import InvalidPackage
from pkgd.formats.aptindex import packages_stanza
from pkgd.formats.deb import KINDS, file_name, pool_prefix, read_deb
from pkgd.packages.aptindices import SOURCE, read_listed
from pkgd.packages.aptlistings import Found
from pkgd.packages.aptsources import read_source
from pkgd.packages.aptsuite import AptSuite
from pkgd.packages.drafts import Readable
from pkgd.packages.layout import apt_pool_path
from pkgd.packages.records import Arrival
from pkgd.packages.staging import Staging

__all__ = ["Prepared", "Upload", "Uploads"]


@frozen
class Upload:
    """A file for a component: a binary package, or a .dsc with the files that have come with it.

    :param files: of a source, by their names; None for a binary package.
    """

    component: str
    arrival: Arrival
    files: Mapping[str, Arrival] | None = None


@frozen
class Prepared:
    """A package that may be published: where it belongs, and which files to place where, or to link from where."""

    found: Found
    placed: Mapping[str, Arrival] = field(repr=False)
    linked: Mapping[str, str] = field(repr=False, factory=dict)
    # Of a binary package, for Contents, where those are wanted.
    contents: Sequence[bytes] | None = field(repr=False, default=None)

    @property
    def paths(self) -> tuple[str, ...]:
        """Its files, below the repository."""
        return (*self.placed, *self.linked)

    @property
    def sha256(self) -> str:
        """What its content is known by."""
        return read_listed(*self.found).sha256


class Uploads:
    """Reads what has arrived, so that nothing that is no package goes any further."""

    def __init__(self, staging: Staging, with_contents: bool) -> None:
        self._staging = staging
        self._with_contents = with_contents

    async def prepare(self, view: Readable, suite: AptSuite, uploads: Sequence[Upload]) -> list[Prepared]:
        """Read files that belong together, all of them.

        :param view: what is published, for files of sources that have come with another version.
        :raises InvalidPackage: for the first that isn't what it should be; of several, with the file's name.
        """
        prepared = []
        for one in uploads:
            try:
                prepared.append(await self._read(view, suite, one))
            except InvalidPackage as error:
                if len(uploads) == 1:
                    raise
                reason = f"{error.value}: {error.reason}" if error.value != one.arrival.file_name else error.reason
                raise InvalidPackage(one.arrival.file_name, reason) from error
        return prepared

    async def _read(self, view: Readable, suite: AptSuite, upload: Upload) -> Prepared:
        component, arrival = upload.component, upload.arrival
        if upload.files is not None:
            data = await self._staging.read(arrival)
            slots = [suite.slot(one, SOURCE) for one in suite.settings.components]
            source = await read_source(view, slots, component, data, arrival, upload.files)
            found = suite.slot(component, SOURCE), (*source.identity, SOURCE), source.text
            return Prepared(found, source.placed, source.linked)
        kind = arrival.file_name.rpartition(".")[2]
        package = await self._staging.parse(arrival, read_deb, kind if kind in KINDS else None)
        digest = arrival.hashes.sha256
        path = apt_pool_path(component, pool_prefix(package.source), package.source, digest, file_name(package))
        slot = suite.slot(component, package.architecture, package.is_udeb)
        key = (package.name, package.version, package.architecture)
        found = slot, key, packages_stanza(package, path, arrival.hashes)
        contents = await self._staging.paths(arrival) if self._with_contents else None
        return Prepared(found, {path: arrival}, {}, contents)
