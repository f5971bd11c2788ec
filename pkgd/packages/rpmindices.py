"""rpm's metadata as an ordered map: packages by name, epoch, version, release and architecture."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from pkgd.errors import FailedStorage
from pkgd.formats.repodata import DOCUMENTS, closing, opening
from pkgd.packages.drafts import Draft
from pkgd.packages.generations import Gone
from pkgd.packages.leaves import PACKAGES_CUT, Cut, Entry, Key, PlainShape
from pkgd.packages.records import Listed

__all__ = ["PACKAGES", "FragmentShape", "RpmShelves", "WholeShape", "key_of", "paths_of", "read_listed"]

# What the one index of packages is called in its generation.
PACKAGES = "packages"

_END = b"</package>\n"
# What packages say of themselves is escaped, so nothing of it looks like an element.
_IDENTITY = re.compile(
    rb'<package type="rpm">\n  <name>([^<]*)</name>\n  <arch>([^<]*)</arch>\n'
    rb'  <version epoch="([0-9]+)" ver="([^"]*)" rel="([^"]*)"/>\n'
    rb'  <checksum type="sha256" pkgid="YES">([0-9a-f]{64})</checksum>\n'
)
_SIZE = re.compile(rb'\n  <size package="([0-9]+)"')
_LOCATION = re.compile(rb'\n  <location href="([^"]+)"/>')


@frozen
class FragmentShape:
    """primary, filelists and other, cut at the same packages. Implements `Shape`."""

    forms: Sequence[str]
    parts: Sequence[str] = tuple(DOCUMENTS)
    cut: Cut = PACKAGES_CUT
    keeps_texts: bool = True

    def head(self, part: str, count: int) -> bytes:
        """See `Shape.head`."""
        return opening(part, count)

    def tail(self, part: str) -> bytes:
        """See `Shape.tail`."""
        return closing(part)

    def split(self, text: bytes) -> list[bytes]:
        """See `Shape.split`."""
        return [fragment + _END for fragment in text.split(_END)[:-1]]

    def key(self, text: bytes) -> Key:
        """See `Shape.key`."""
        name, arch, epoch, version, release, _ = _match(_IDENTITY, text)
        return name, epoch, version, release, arch


@frozen
class WholeShape(PlainShape):
    """A document that is published as it was uploaded. Implements `Shape`."""

    def split(self, text: bytes) -> list[bytes]:
        """See `Shape.split`: it is one."""
        return [text]

    def key(self, text: bytes) -> Key:
        """See `Shape.key`."""
        return ("",)


class RpmShelves:
    """Implements `Shelves`."""

    def slot_of(self, package: Listed) -> str:
        """See `Shelves.slot_of`."""
        return PACKAGES

    def read(self, slot: str, entry: Entry) -> Listed:
        """See `Shelves.read`."""
        return read_listed(entry[1][0])

    def take(self, draft: Draft, slot: str, entry: Entry) -> None:
        """See `Shelves.take`."""
        key, texts = entry
        draft.remove(slot, key)
        draft.gone.append(Gone(slot, key, (read_listed(texts[0]).path,)))


def key_of(name: str, epoch: int, version: str, release: str, arch: str) -> Key:
    """The key of a package."""
    return name, str(epoch), version, release, arch


def read_listed(text: bytes) -> Listed:
    """What a package's primary fragment says of it, for listings."""
    name, arch, epoch, version, release, digest = _match(_IDENTITY, text)
    (size,), (path,) = _search(_SIZE, text), _search(_LOCATION, text)
    whole = f"{version}-{release}" if epoch == "0" else f"{epoch}:{version}-{release}"
    return Listed(name, whole, arch, "", path, int(size), digest)


def paths_of(text: bytes) -> tuple[str, ...]:
    """The file of a fragment's package, below the repository; none if the text is another document."""
    return _search(_LOCATION, text) if _IDENTITY.match(text) else ()


def _match(pattern: re.Pattern[bytes], text: bytes) -> tuple[str, ...]:
    return _groups(pattern.match(text))


def _search(pattern: re.Pattern[bytes], text: bytes) -> tuple[str, ...]:
    return _groups(pattern.search(text))


def _groups(found: re.Match[bytes] | None) -> tuple[str, ...]:
    if found is None:
        raise FailedStorage("a leaf of an index has a fragment that is none")
    return tuple(group.decode() for group in found.groups())
