"""What the rebuild has to know of apt: how its records and the files of its pool are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pkgd.blocking import Blocking
from pkgd.errors import FailedStorage, InvalidPackage
from pkgd.formats.aptindex import packages_stanza, sources_stanza
from pkgd.formats.deb import KINDS, BinaryPackage, file_name, pool_prefix, read_deb
from pkgd.formats.debversion import without_epoch
from pkgd.formats.dsc import MAX_SIZE, SourcePackage, read_dsc
from pkgd.formats.filehashes import FileHashes
from pkgd.packages.aptindices import SOURCE, StanzaShape, paths_of, read_listed
from pkgd.packages.aptsuite import AptSuite
from pkgd.packages.drafts import Draft
from pkgd.packages.layout import apt_directory, apt_pool_path, suite_directory, suites_prefix
from pkgd.packages.pathlists import PathLists
from pkgd.packages.poolfiles import DamagedFile, PoolFiles
from pkgd.packages.rebuilding import Target
from pkgd.packages.records import AptSettings
from pkgd.packages.salvage import Recorded, Vocabulary
from pkgd.packages.signing import Signer
from pkgd.storage.interfaces import ObjectStore

__all__ = ["AptKind", "AptVocabulary"]

ReadAt = Callable[[int, int], bytes]
_SHAPE = StanzaShape(("gz",))


class AptVocabulary:
    """Implements `Vocabulary`."""

    def packages(self, text: bytes) -> Iterator[Recorded]:
        """See `Vocabulary`: lines of Contents say nothing that packages don't."""
        if not text.startswith(b"Package:"):
            return
        try:
            yield from [
                Recorded(paths_of(stanza), read_listed("", _SHAPE.key(stanza), stanza).sha256)
                for stanza in _SHAPE.split(text)
            ]
        except FailedStorage:
            return  # a path may begin so, too

    def document(self, text: bytes) -> str | None:
        """See `Vocabulary`: apt has none."""
        return None

    def is_document(self, slot: str) -> bool:
        """See `Vocabulary`."""
        return False


class AptKind:
    """Implements `Kind` for one repository. `load` before use."""

    def __init__(self, settings: AptSettings, store: ObjectStore, blocking: Blocking, signer: Signer) -> None:
        self.name = f"apt:{settings.name}"
        self.directory = apt_directory(settings.name)
        self.pool = "pool"
        self.vocabulary: Vocabulary = AptVocabulary()
        lists = PathLists(self.directory, store, blocking)
        self._suites = {one.codename: AptSuite(settings, one, signer, lists) for one in settings.suites}
        for suite in self._suites.values():
            if suite.contents is not None:
                # Begun without any package, they are complete with each.
                suite.contents.is_complete = True
        self.targets: Sequence[Target] = [
            Target(name, suite_directory(settings.name, name), suite) for name, suite in self._suites.items()
        ]
        self.strangers: Sequence[str] = ()
        self._suites_prefix = suites_prefix(settings.name)
        self._store = store
        self._files = PoolFiles(self.directory, store, blocking)

    async def load(self) -> None:
        """Find the suites that have records without being configured."""
        names = sorted(one.name for one in await self._store.list(self._suites_prefix) if one.is_prefix)
        self.strangers = [f"{self._suites_prefix}/{name}" for name in names if name not in self._suites]

    def found(self, path: str) -> Recorded | None:
        """See `Kind`: a .dsc stands for its files."""
        ending = path.rpartition(".")[2]
        return Recorded((path,), "") if ending in (*KINDS, "dsc") else None

    async def add(self, target: Target, draft: Draft, package: Recorded) -> Sequence[str]:
        """See `Kind`."""
        suite, component = self._suites[target.suite], package.path.split("/")[1]
        if not package.sha256:
            suite.check_component(component)
        if package.path.endswith(".dsc"):
            return await self._add_source(suite, component, draft, package)
        kind = package.path.rpartition(".")[2]
        deb, hashes = await self._files.read(package.path, lambda read_at, found: (_deb(read_at, found, kind), found))
        if isinstance(deb, InvalidPackage):
            raise DamagedFile(package.path, deb.message)
        digest = hashes.sha256
        self._check(
            package, digest, apt_pool_path(component, pool_prefix(deb.source), deb.source, digest, file_name(deb))
        )
        slot = suite.slot(component, deb.architecture, deb.is_udeb)
        key = (deb.name, deb.version, deb.architecture)
        await suite.put(draft, slot, key, packages_stanza(deb, package.path, hashes), deb.is_udeb)
        return package.paths

    async def _add_source(self, suite: AptSuite, component: str, draft: Draft, package: Recorded) -> Sequence[str]:
        source, hashes = await self._files.read(package.path, lambda read_at, found: (_dsc(read_at, found), found))
        if isinstance(source, InvalidPackage):
            raise DamagedFile(package.path, source.message)
        dsc_name, prefix = f"{source.name}_{without_epoch(source.version)}.dsc", pool_prefix(source.name)
        self._check(package, hashes.sha256, apt_pool_path(component, prefix, source.name, hashes.sha256, dsc_name))
        directory = package.path.rpartition("/")[0]
        found, paths = {}, [package.path]
        for file in source.files:
            path = f"{directory}/{file.name}"
            actual = await self._files.read(path, lambda _, hashed: hashed)
            if (actual.size, actual.md5, actual.sha256) != (file.size, file.md5, file.sha256):
                raise DamagedFile(path, "it is not the file that its .dsc describes")
            found[file.name] = actual
            paths.append(path)
        text = sources_stanza(source, directory, dsc_name, hashes, found)
        await suite.put(draft, suite.slot(component, SOURCE), (source.name, source.version, SOURCE), text)
        return paths

    def _check(self, package: Recorded, digest: str, path: str) -> None:
        if package.sha256 not in ("", digest) or path != package.path:
            raise DamagedFile(package.path, "its content is not that of its record, or of its path")


def _deb(read_at: ReadAt, hashes: FileHashes, kind: str) -> BinaryPackage | InvalidPackage:
    try:
        return read_deb(read_at, hashes.size, kind)
    except InvalidPackage as error:
        return error


def _dsc(read_at: ReadAt, hashes: FileHashes) -> SourcePackage | InvalidPackage:
    try:
        return read_dsc(read_at(0, min(hashes.size, MAX_SIZE)))
    except (InvalidPackage, FailedStorage) as error:
        return error if isinstance(error, InvalidPackage) else InvalidPackage(".dsc", error.message)
