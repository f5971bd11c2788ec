"""apt's indices as ordered maps: what they are called, and what their stanzas say, read from the stanzas' own text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import frozen

from pkgd.errors import FailedStorage
from pkgd.formats.debnames import parse_source
from pkgd.packages.leaves import Key, PlainShape
from pkgd.packages.records import Listed

__all__ = ["SOURCE", "StanzaShape", "architectures_of", "binary_slot", "component_of", "contents_slot"]
__all__ += ["is_contents_slot", "is_packages_slot", "is_udeb_slot", "own_architecture", "paths_of", "read_listed"]
__all__ += ["read_section", "read_source_of", "source_files", "source_slot"]

# What stands for an architecture in the keys of sources, whose own architectures are those of what they build.
SOURCE = "source"
_INSTALLER = "debian-installer"
_CONTENTS = "Contents-"

_NAMES = (b"Package", b"Version", b"Architecture")
_IDENTITY = {name: re.compile(rb"^%s:[ \t]*([^\n]*)$" % name, re.MULTILINE) for name in _NAMES}
_FILENAME = re.compile(rb"^Filename:[ \t]*([^\n]+)$", re.MULTILINE)
_SOURCE = re.compile(rb"^Source:[ \t]*([^\n]+)$", re.MULTILINE)
_SECTION = re.compile(rb"^Section:[ \t]*([^\n]+)$", re.MULTILINE)
_SIZE = re.compile(rb"^Size:[ \t]*([0-9]+)$", re.MULTILINE)
_SHA256 = re.compile(rb"^SHA256:[ \t]*([0-9a-f]{64})$", re.MULTILINE)
_DIRECTORY = re.compile(rb"^Directory:[ \t]*([^\n]+)$", re.MULTILINE)
_CHECKSUMS = re.compile(rb"^Checksums-Sha256:[ \t]*\n((?: [^\n]*\n)+)", re.MULTILINE)


@frozen
class StanzaShape(PlainShape):
    """Packages and Sources. Implements `Shape`."""

    def split(self, text: bytes) -> list[bytes]:
        """See `Shape.split`: an empty line ends a stanza, and no value has one."""
        return [stanza + b"\n\n" for stanza in text.split(b"\n\n") if stanza]

    def key(self, text: bytes) -> Key:
        """See `Shape.key`: name, version, architecture."""
        name, version, architecture = (_one(_IDENTITY[one], text) for one in _NAMES)
        return name, version, architecture if _is_binary(text) else SOURCE


def binary_slot(component: str, architecture: str, is_udeb: bool = False) -> str:
    """What the index of an architecture is called."""
    where = f"{component}/{_INSTALLER}" if is_udeb else component
    return f"{where}/binary-{architecture}/Packages"


def source_slot(component: str) -> str:
    """What the index of sources is called."""
    return f"{component}/source/Sources"


def contents_slot(slot: str) -> str:
    """What the Contents beside an index of packages are called."""
    kind = "udeb-" if is_udeb_slot(slot) else ""
    return f"{component_of(slot)}/{_CONTENTS}{kind}{own_architecture(slot)}"


def is_contents_slot(slot: str) -> bool:
    """Whether it is an index of paths; that may be asked of a file of one, too."""
    return slot.split("/")[1].startswith(_CONTENTS)


def is_packages_slot(slot: str) -> bool:
    """Whether it is an index of binary packages."""
    return slot.endswith("/Packages")


def own_architecture(slot: str) -> str:
    """The architecture of an index of packages; of sources, something that is none."""
    return slot.split("/")[-2].removeprefix("binary-")


def component_of(slot: str) -> str:
    """Which component an index belongs to."""
    return slot.partition("/")[0]


def is_udeb_slot(slot: str) -> bool:
    """Whether it is an index of packages for the installer."""
    return slot.split("/")[1] == _INSTALLER


def architectures_of(slots: Iterable[str]) -> set[str]:
    """The architectures that have indices, `all` not among them."""
    return {own_architecture(slot) for slot in slots if is_packages_slot(slot)} - {"all"}


def read_listed(slot: str, key: Key, text: bytes) -> Listed:
    """What a stanza says of its package, for listings. Of a source, path, size and hash are those of the .dsc."""
    if _is_binary(text):
        path, size, digest = _one(_FILENAME, text), int(_one(_SIZE, text)), _one(_SHA256, text)
    else:
        path, size, digest = source_files(text)[0]
    return Listed(key[0], key[1], key[2], component_of(slot), path, size, digest)


def read_section(text: bytes) -> tuple[str, str]:
    """A package's section, "" if it has none, and its name."""
    found = _SECTION.search(text)
    return found[1].decode() if found else "", _one(_IDENTITY[b"Package"], text)


def read_source_of(text: bytes, name: str, version: str) -> tuple[str, str]:
    """Name and version of the source that a package was built from, or that it is.

    :param name: of the package, and `version`, which are the source's where the stanza doesn't say.
    """
    found = _SOURCE.search(text) if _is_binary(text) else None
    return parse_source(found[1].decode().strip(), version) if found else (name, version)


def paths_of(text: bytes) -> tuple[str, ...]:
    """The files of a stanza's package, below the repository."""
    if _is_binary(text):
        return (_one(_FILENAME, text),)
    return tuple(path for path, _, _ in source_files(text))


def source_files(text: bytes) -> list[tuple[str, int, str]]:
    """Path, size and SHA-256 of each file of a source, the .dsc first."""
    directory = _one(_DIRECTORY, text)
    rows = [line.split() for line in _one(_CHECKSUMS, text).splitlines()]
    return [(f"{directory}/{name}", int(size), digest) for digest, size, name in rows]


def _is_binary(text: bytes) -> bool:
    # Neither a .deb nor a .dsc may have this field of its own.
    return _FILENAME.search(text) is not None


def _one(pattern: re.Pattern[bytes], text: bytes) -> str:
    found = pattern.search(text)
    if found is None:
        raise FailedStorage("a leaf of an index has a stanza that is none")
    return found[1].decode()
