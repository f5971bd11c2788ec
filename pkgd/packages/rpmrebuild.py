"""What the rebuild has to know of rpm: how its records and the files of its pool are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from pkgd.blocking import Blocking
from pkgd.errors import InvalidPackage, SigningError, TooLarge
from pkgd.formats.filehashes import FileHashes
from pkgd.formats.openpgp import Certificate
from pkgd.formats.repodata import fragments
from pkgd.formats.rpm import RpmPackage, read_rpm
from pkgd.formats.rpmverify import verify_signatures
from pkgd.packages.drafts import Draft
from pkgd.packages.layout import rpm_directory, rpm_path
from pkgd.packages.poolfiles import DamagedFile, PoolFiles
from pkgd.packages.rebuilding import Target
from pkgd.packages.records import Clock, RpmSettings
from pkgd.packages.rpmextras import EXTRAS, read_extra
from pkgd.packages.rpmindices import PACKAGES, FragmentShape, read_listed
from pkgd.packages.rpmmetadata import RpmMetadata, extra_slot
from pkgd.packages.rpmuploads import check_conflict, package_key
from pkgd.packages.salvage import Recorded, Vocabulary
from pkgd.packages.signers import StartedSigner
from pkgd.storage.interfaces import ObjectStore

__all__ = ["RpmKind", "RpmVocabulary"]

ReadAt = Callable[[int, int], bytes]
_SHAPE = FragmentShape(("gz",))
_PRIMARY = b'<package type="rpm">\n'
_OTHERS = b"<package pkgid="
_TIME = re.compile(rb'\n  <time file="([0-9]+)"')


class RpmVocabulary:
    """Implements `Vocabulary`."""

    def packages(self, text: bytes) -> Iterator[Recorded]:
        """See `Vocabulary`: filelists and other say nothing that primary doesn't."""
        if not text.startswith(_PRIMARY):
            return
        for fragment in _SHAPE.split(text):
            listed, time = read_listed(fragment), _TIME.search(fragment)
            yield Recorded((listed.path,), listed.sha256, int(time[1]) if time else 0)

    def document(self, text: bytes) -> str | None:
        """See `Vocabulary`: of a kind that it may be."""
        if text.startswith((_PRIMARY, _OTHERS)):
            return None
        for kind in EXTRAS:
            try:
                read_extra(kind, text)
            except (InvalidPackage, TooLarge):
                continue
            return extra_slot(kind)
        return None

    def is_document(self, slot: str) -> bool:
        """See `Vocabulary`."""
        return slot in map(extra_slot, EXTRAS)


class RpmKind:
    """Implements `Kind` for one repository."""

    def __init__(
        self, settings: RpmSettings, store: ObjectStore, blocking: Blocking, signer: StartedSigner, clock: Clock
    ) -> None:
        self.name = f"rpm:{settings.name}"
        self.directory = rpm_directory(settings.name)
        self.pool = "Packages"
        self.vocabulary: Vocabulary = RpmVocabulary()
        self.strangers: Sequence[str] = ()
        self.targets: Sequence[Target] = [Target("", self.directory, RpmMetadata(settings, signer))]
        self._signer = signer if settings.sign_packages != "keep" else None
        self._files = PoolFiles(self.directory, store, blocking)
        self._clock = clock

    def found(self, path: str) -> Recorded | None:
        """See `Kind`."""
        return Recorded((path,), "") if path.endswith(".rpm") else None

    async def add(self, target: Target, draft: Draft, package: Recorded) -> Sequence[str]:
        """See `Kind`."""
        now = int(self._clock.seconds())
        certificates = self._certificates()
        rpm, signers, hashes = await self._files.read(
            package.path, lambda read_at, found: (*_rpm(read_at, found, certificates, now), found)
        )
        if isinstance(rpm, InvalidPackage):
            raise DamagedFile(package.path, rpm.message)
        digest = hashes.sha256
        if package.sha256 not in ("", digest) or rpm_path(digest, rpm.file_name) != package.path:
            raise DamagedFile(package.path, "its content is not that of its record, or of its path")
        if not await check_conflict(draft, package_key(rpm), digest, rpm.nevra):
            text = fragments(rpm, digest, package.path, hashes.size, package.time or now)
            draft.put(PACKAGES, package_key(rpm), (text.primary, text.filelists, text.other))
            draft.vouch(signers)
        return package.paths

    def _certificates(self) -> Sequence[Certificate]:
        try:
            return self._signer.certificates() if self._signer is not None else ()
        except SigningError:
            return ()


def _rpm(
    read_at: ReadAt, hashes: FileHashes, certificates: Sequence[Certificate], now: int
) -> tuple[RpmPackage | InvalidPackage, frozenset[str] | None]:
    """A package, and who has signed it, if that is of interest and all of its signatures are good."""
    try:
        package = read_rpm(read_at, hashes.size)
    except InvalidPackage as error:
        return error, None
    try:
        return package, verify_signatures(read_at, package, certificates, now) if certificates else None
    except InvalidPackage:
        return package, None
