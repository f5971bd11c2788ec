"""What comes into an apt repository, read and not published yet: packages, and sources with their files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import field, frozen

from pkgd.blocking import Blocking
from pkgd.errors import InvalidPackage
from pkgd.formats.aptindex import packages_stanza
from pkgd.formats.deb import KINDS, file_name, pool_prefix, read_deb
from pkgd.packages.aptindices import SOURCE, read_listed
from pkgd.packages.aptlistings import Found
from pkgd.packages.aptsources import read_source
from pkgd.packages.aptsuite import AptSuite
from pkgd.packages.drafts import Readable
from pkgd.packages.layout import apt_pool_path
from pkgd.packages.pathlists import PathList
from pkgd.packages.records import Arrival
from pkgd.packages.staging import Staging

__all__ = ["Prepared", "Upload", "Uploads", "weight_of"]

# What a publish has to hold in memory of packages: those of so many paths weigh as one.
_USUAL_PATHS = 500
_MOST_TOGETHER = 2000


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
    contents: PathList | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Its files, below the repository."""
        return (*self.placed, *self.linked)

    @property
    def sha256(self) -> str:
        """What its content is known by."""
        return read_listed(*self.found).sha256


def weight_of(prepared: Iterable[Prepared]) -> int:
    """How much work they are for a publish: as many packages of the usual size."""
    return sum(1 + (one.contents.count // _USUAL_PATHS if one.contents else 0) for one in prepared)


class Uploads:
    """Reads what has arrived, so that nothing that is no package goes any further."""

    def __init__(
        self, staging: Staging, blocking: Blocking, with_contents: bool, most_together: int = _MOST_TOGETHER
    ) -> None:
        """
        :param most_together: how much work may be uploaded together.
        """
        self._staging = staging
        self._blocking = blocking
        self._with_contents = with_contents
        self._most_together = most_together

    async def prepare(self, view: Readable, suite: AptSuite, uploads: Sequence[Upload]) -> list[Prepared]:
        """Read files that belong together, all of them.

        :param view: what is published, for files of sources that have come with another version.
        :raises InvalidPackage: for the first that isn't what it should be; of several, with the file's name.
        """
        prepared: list[Prepared] = []
        for one in uploads:
            if weight_of(prepared) > self._most_together:
                raise InvalidPackage(one.arrival.file_name, "there are too many paths in what is uploaded together")
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
            source = await read_source(self._blocking, view, slots, component, data, arrival, upload.files)
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
