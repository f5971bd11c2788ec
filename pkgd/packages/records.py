"""What goes into repositories and comes out of them, as values: arrivals, answers, listings, settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from attrs import field, frozen
from twisted.internet.interfaces import IDelayedCall

from pkgd.formats.filehashes import FileHashes
from pkgd.formats.rpmdigests import PayloadHashes
from pkgd.storage.interfaces import Reader
from pkgd.storage.staged import StagedFile

__all__ = [
    "APT_FORMS",
    "Added",
    "AptSettings",
    "Arrival",
    "Clock",
    "Listed",
    "Removed",
    "RpmSettings",
    "Served",
    "SuiteSettings",
    "Timers",
    "Window",
]

# Compressions of apt's indices, best liked first; the plain text is listed in Release and served, too.
APT_FORMS = ("zst", "gz", "xz")


class Clock(Protocol):
    """What is needed of a reactor."""

    def seconds(self) -> float:
        """Seconds since the epoch."""


class Timers(Clock, Protocol):
    """What is needed of a running one."""

    def callLater(self, delay: float, call: Callable[[], None]) -> IDelayedCall:
        """Call it in so many seconds."""


@frozen
class Window:
    """How long superseded generations are kept: so many of them, and each so long after it was superseded."""

    generations: int = 3
    seconds: float = 24 * 3600


@frozen(kw_only=True)
class SuiteSettings:
    """A suite, and what its Release says of it.

    `architectures` are published from the start; others join with the first package of theirs.
    """

    codename: str
    components: Sequence[str] = ("main",)
    architectures: Sequence[str] = ("amd64", "arm64")
    origin: str = ""
    label: str = ""
    description: str = ""
    not_automatic: bool = False
    but_automatic_upgrades: bool = False


@frozen(kw_only=True)
class AptSettings:
    """An apt repository.

    :param forms: those of `APT_FORMS` that are published.
    :param valid_for: in seconds.
    :param contents: whether there are indices of the paths in packages.
    """

    name: str
    suites: Sequence[SuiteSettings] = field(factory=lambda: (SuiteSettings(codename="stable"),))
    forms: Sequence[str] = ("gz", "zst")
    valid_for: int | None = None
    contents: bool = False
    window: Window = Window()


@frozen(kw_only=True)
class RpmSettings:
    """An rpm repository: `form` is "gz" or "zst"."""

    name: str
    form: Literal["gz", "zst"] = "gz"
    sign_packages: Literal["keep", "require", "sign"] = "keep"
    window: Window = Window()


@frozen
class Arrival:
    """A whole file in the spool, and what its bytes gave while they arrived.

    Whoever made it calls `Spool.remove_fill(staged)` in the end, whatever became of it: of a file that was taken
    there is nothing left to remove.

    :param file_name: the last part of the URL; it tells `.udeb` from `.deb`, and names the files of sources.
    :param payload: of an rpm, what `PayloadHasher` found; without it the file is read once more.
    """

    file_name: str
    staged: StagedFile
    hashes: FileHashes
    payload: PayloadHashes | None = None


@frozen
class Added:
    """What became of an upload: its package is published, durably.

    `path` is where its file is fetched, relative to the repository. `created` is False if it was there already.
    """

    name: str
    version: str
    architecture: str
    path: str
    sha256: str
    generation: int
    created: bool


@frozen
class Removed:
    """Packages that are not in the named suite (of an rpm repository: "") any more, and the generation that says so."""

    suite: str
    packages: Sequence[Listed]
    generation: int


@frozen
class Listed:
    """A package in a repository, as listings have it; `component` is "" in rpm repositories.

    `architecture` is "source" for sources of apt, "src" for those of rpm. `version` is epoch:version-release for rpm.
    """

    name: str
    version: str
    architecture: str
    component: str
    path: str
    size: int
    sha256: str


@frozen
class Served:
    """A file of a repository, open. Whoever asked closes the `reader`.

    :param sha256: of its bytes, in hex: the strong ETag.
    :param modified: Last-Modified, in seconds since 1970: of an index its generation's date, of a package when it came.
    :param is_immutable: what this path answers never changes: it may be cached for good.
    :param shares_second: another generation was published in the second of `modified`: no 304 by date then.
    :param generation: which one it was taken from; 0 for files of packages.
    """

    reader: Reader = field(repr=False)
    media_type: str
    sha256: str
    modified: int
    is_immutable: bool
    shares_second: bool = False
    generation: int = 0
