"""Debian's binary packages (.deb, .udeb, .ddeb): what repositories have to know, read from a few kilobytes.

    ar: debian-binary | control.tar[.gz|.xz|.zst] | data.tar[.gz|.xz|.zst|.bz2|.lzma]

Reading a package costs the same whatever the size of data.tar, which is opened only for its list of paths
(deb(5); dpkg, dpkg-deb/extract.c). What dpkg and apt would read differently from each other is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from attrs import field, frozen

from pkgd.errors import InvalidPackage
from pkgd.formats.ar import Member, ReadAt, read_members
from pkgd.formats.deb822 import Stanza, parse_stanza
from pkgd.formats.debnames import (
    check_architecture,
    check_file_name,
    check_package,
    check_version,
    parse_source,
    pool_prefix,
)
from pkgd.formats.debrelations import check_relations
from pkgd.formats.debtar import TarLimits, read_control, walk_paths
from pkgd.formats.debversion import without_epoch
from pkgd.formats.expansion import expand

__all__ = ["KINDS", "SERVER_FIELDS", "BinaryPackage", "file_name", "pool_prefix", "read_deb", "walk_deb_paths"]

# Fields of an index that the repository itself writes: none of them is the package's to say.
SERVER_FIELDS = ("Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512")
# How the names of such files end.
KINDS = ("deb", "udeb", "ddeb")

_PIECE = 64 * 1024
_MAX_CONTROL_TAR = 16 * 1024 * 1024
_FORMAT = re.compile(rb"2\.[0-9]+\n.*", re.DOTALL)
_MAX_FORMAT = 1024
_CONTROL = ("", "gz", "xz", "zst")
_DATA = (*_CONTROL, "bz2", "lzma")
_INSTALLER = "debian-installer"
_MIN_FIELD_NAME = 2
# What dpkg, which would not install a package with other words in these fields, knows.
_WORDS = {
    "Multi-Arch": re.compile(r"no|same|foreign|allowed"),
    "Essential": re.compile(r"yes|no"),
    "Protected": re.compile(r"yes|no"),
    "Important": re.compile(r"yes|no"),
    # Any word, but none that only begins with one that it knows.
    "Priority": re.compile(r"(?!(?:required|important|standard|optional|extra).)[a-z0-9-]+", re.IGNORECASE),
}


@frozen
class BinaryPackage:
    """What indices say of a package; `kind` is one of `KINDS`, `section` is "" where there is none."""

    control: Stanza = field(repr=False)
    name: str
    version: str
    architecture: str
    source: str
    source_version: str
    section: str
    kind: str = "deb"
    paths: Sequence[str] | None = field(default=None, repr=False)

    @property
    def is_udeb(self) -> bool:
        """Whether it is for the installer, and has an index of its own."""
        return self.kind == "udeb"


@frozen
class _Parts:
    control: Member
    data: Member


def read_deb(read_at: ReadAt, size: int, kind: str | None = None) -> BinaryPackage:
    """Read what a package says of itself.

    :param read_at: the file's bytes.
    :param size: of the file.
    :param kind: one of `KINDS` where the name of the file tells, else what the package makes likely.
    :raises InvalidPackage: if it is none that dpkg would install, or one that an index cannot carry.
    """
    parts = _find_parts(read_at, size)
    expanded = expand(_pieces(read_at, parts.control), _compression(parts.control), _MAX_CONTROL_TAR)
    text = read_control(expanded)
    if not text.endswith(b"\n"):
        raise InvalidPackage("control", "its last line has no end")
    return _describe(parse_stanza(text), kind)


def walk_deb_paths(read_at: ReadAt, size: int, limit: int, limits: TarLimits | None = None) -> Iterator[bytes]:
    """The paths in a package that are no directories, as `walk_paths` gives them; reads all of it.

    :param limit: how many bytes data.tar may expand to.
    :raises InvalidPackage: if it is damaged, or larger than the limits.
    """
    data = _find_parts(read_at, size).data
    expanded = expand(_pieces(read_at, data), _compression(data), limit)
    return walk_paths(expanded, limits or TarLimits())


def file_name(package: BinaryPackage) -> str:
    """The name of its file in the pool: without the epoch, as dpkg and dak have it.

    :raises InvalidPackage: if it is too long for a file.
    """
    stem = f"{package.name}_{without_epoch(package.version)}_{package.architecture}"
    return check_file_name(f"{stem}.{package.kind}")


def _find_parts(read_at: ReadAt, size: int) -> _Parts:
    """The two archives, in their places and there once."""
    members = read_members(read_at, size)
    if not members or members[0].name != "debian-binary":
        raise InvalidPackage("archive", "its first member is not debian-binary")
    if not _FORMAT.fullmatch(read_at(members[0].start, min(members[0].size, _MAX_FORMAT))):
        raise InvalidPackage("archive", "it is of another format than 2")
    control, rest = _take(members[1:], "control.tar", _CONTROL)
    data, rest = _take(rest, "data.tar", _DATA)
    # dpkg takes the first of its kind, apt the last: there may be one.
    for member in rest:
        if member.name.startswith(("control.tar", "data.tar", "debian-binary")):
            raise InvalidPackage("archive", f"it has {member.name} where nothing like it belongs")
    return _Parts(control, data)


def _take(members: Sequence[Member], stem: str, compressions: Sequence[str]) -> tuple[Member, Sequence[Member]]:
    """The member of that name, which only members that begin with `_` may stand before; and those behind it."""
    allowed = {f"{stem}.{compression}".rstrip("."): compression for compression in compressions}
    for position, member in enumerate(members):
        if member.name in allowed:
            return member, members[position + 1 :]
        if not member.name.startswith("_"):
            raise InvalidPackage("archive", f"it has {member.name} where {stem} belongs")
    raise InvalidPackage("archive", f"it has no {stem}")


def _compression(member: Member) -> str:
    return member.name.partition(".tar")[2].removeprefix(".")


def _pieces(read_at: ReadAt, member: Member) -> Iterator[bytes]:
    offset, end = member.start, member.start + member.size
    while offset < end:
        piece = read_at(offset, min(_PIECE, end - offset))
        if not piece:
            raise InvalidPackage("archive", "it is shorter than it was")
        yield piece
        offset += len(piece)


def _describe(control: Stanza, kind: str | None) -> BinaryPackage:
    for name in SERVER_FIELDS:
        if name in control:
            raise InvalidPackage(name, "a field that only a repository may write")
    name, version = check_package(control.line("Package")), check_version(control.line("Version"))
    source, source_version = parse_source(control.get("Source") or name, version)
    section = control.get("Section")
    package = BinaryPackage(
        control=control,
        name=name,
        version=version,
        architecture=check_architecture(control.line("Architecture")),
        source=source,
        source_version=source_version,
        section=section,
        kind=kind or _likely_kind(control, section),
    )
    file_name(package)
    _check_words(control)
    check_relations(control)
    return package


def _check_words(control: Stanza) -> None:
    for name in control.names:
        if len(name) < _MIN_FIELD_NAME:
            raise InvalidPackage(name, "a name of a field that is too short for dpkg")
    for name, words in _WORDS.items():
        value = control.get(name) and control.line(name)
        if value and not words.fullmatch(value):
            raise InvalidPackage(value, f"not a value that {name} may have")


def _likely_kind(control: Stanza, section: str) -> str:
    """Package-Type tells, but most packages for the installer have none, only their section."""
    said = control.get("Package-Type")
    if said in KINDS:
        return said
    return "udeb" if section.rpartition("/")[2] == _INSTALLER else "deb"
