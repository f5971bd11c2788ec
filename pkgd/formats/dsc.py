"""Debian's source packages (.dsc) and uploads (.changes): stanzas that list files, clear-signed as a rule.

Signatures are for whoever knows the uploaders' keys; here the text is read (dsc(5), deb-changes(5)).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from attrs import field, frozen

from pkgd.errors import InvalidPackage
from pkgd.formats.clearsigned import signed_text
from pkgd.formats.deb import SERVER_FIELDS
from pkgd.formats.deb822 import Stanza, parse_stanza
from pkgd.formats.debnames import (
    check_file_name,
    check_package,
    check_suite,
    check_version,
    parse_source,
)

__all__ = ["Changes", "ChangesFile", "SourceFile", "SourcePackage", "read_changes", "read_dsc"]

MAX_SIZE = 4 * 1024 * 1024
_MAX_FILES = 1000
_MAX_DISTRIBUTIONS = 16

_SIZE = re.compile(r"0|[1-9][0-9]{0,14}")
_MD5 = re.compile(r"[0-9a-f]{32}")
_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# `-` and `?` stand for what the package doesn't say.
_SECTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]*(?:/[A-Za-z0-9][A-Za-z0-9+.-]*)*|[-?]")


@frozen
class SourceFile:
    """A file that a source package consists of; hashes in lower-case hex, `sha1` is "" where it isn't listed."""

    name: str
    size: int
    md5: str
    sha1: str
    sha256: str


@frozen
class SourcePackage:
    """What a .dsc says; its `files` don't include itself."""

    name: str
    version: str
    stanza: Stanza = field(repr=False)
    files: tuple[SourceFile, ...]


@frozen
class ChangesFile(SourceFile):
    """A file of an upload, and where it should go."""

    section: str
    priority: str


@frozen
class Changes:
    """What a .changes says: what is uploaded, and for which suites."""

    source: str
    version: str
    distribution: str
    architectures: tuple[str, ...]
    stanza: Stanza = field(repr=False)
    files: tuple[ChangesFile, ...]

    @property
    def distributions(self) -> tuple[str, ...]:
        """The suites, if it names more than one."""
        return tuple(self.distribution.split())


def read_dsc(data: bytes) -> SourcePackage:
    """Read a source package's description.

    :raises InvalidPackage: if it isn't one that a repository may list: malformed, with files that aren't its own,
        or whose lists of hashes don't agree.
    """
    stanza = _read(data)
    for field_name in ("Package", "Directory", *SERVER_FIELDS):
        if field_name in stanza:
            raise InvalidPackage(field_name, "a field that only a repository may write")
    name, version = check_package(stanza.line("Source")), check_version(stanza.line("Version"))
    files = tuple(one for one, _ in _files(stanza, ()))
    for one in files:
        if not one.name.startswith(f"{name}_") or one.name.endswith(".dsc"):
            raise InvalidPackage(one.name, f"not a file of the source package {name}")
    return SourcePackage(name, version, stanza, files)


def read_changes(data: bytes) -> Changes:
    """Read the list of what belongs to one upload.

    :raises InvalidPackage: if it is malformed, or if its lists of hashes don't agree.
    """
    stanza = _read(data)
    version = check_version(stanza.line("Version"))
    source, _ = parse_source(stanza.line("Source"), version)
    distribution = stanza.line("Distribution")
    if len(distribution.split()) > _MAX_DISTRIBUTIONS:
        raise InvalidPackage("Distribution", f"more than {_MAX_DISTRIBUTIONS} suites")
    for suite in distribution.split():
        check_suite(suite)
    files = [
        ChangesFile(one.name, one.size, one.md5, one.sha1, one.sha256, section, priority)
        for one, (section, priority) in _files(stanza, (_SECTION, _SECTION))
    ]
    return Changes(source, version, distribution, tuple(stanza.get("Architecture").split()), stanza, tuple(files))


def _read(data: bytes) -> Stanza:
    if len(data) > MAX_SIZE:
        raise InvalidPackage("stanza", f"it is longer than {MAX_SIZE} bytes")
    return parse_stanza(signed_text(data))


def _files(stanza: Stanza, more: Sequence[re.Pattern[str]]) -> Iterator[tuple[SourceFile, list[str]]]:
    """The files, each with what stands between size and name in `Files`; every list has the same ones."""
    sha1 = _checksums(stanza, "Checksums-Sha1", _SHA1) if "Checksums-Sha1" in stanza else None
    sha256 = _checksums(stanza, "Checksums-Sha256", _SHA256)
    rows = list(_rows(stanza, "Files", (_MD5, _SIZE, *more)))
    names = {name for *_, name in rows}
    if len(names) != len(rows) or names != sha256.keys() or (sha1 is not None and names != sha1.keys()):
        raise InvalidPackage("Files", "a list of other files than in Checksums-Sha256 and Checksums-Sha1, or one twice")
    for md5, size, *between, name in rows:
        hashes = [sha1[name] if sha1 else (size, ""), sha256[name]]
        if any(listed != size for listed, _ in hashes):
            raise InvalidPackage(name, "a file whose size is not the same everywhere")
        yield SourceFile(name, int(size), md5, hashes[0][1], hashes[1][1]), between


def _checksums(stanza: Stanza, field_name: str, grammar: re.Pattern[str]) -> dict[str, tuple[str, str]]:
    """Size and hash by name."""
    found: dict[str, tuple[str, str]] = {}
    for digest, size, name in _rows(stanza, field_name, (grammar, _SIZE)):
        if name in found:
            raise InvalidPackage(name, f"a file that is twice in {field_name}")
        found[name] = (size, digest)
    return found


def _rows(stanza: Stanza, field_name: str, grammars: Sequence[re.Pattern[str]]) -> Iterator[list[str]]:
    """The lines of a list, in columns; the last column is a file's name.

    :raises InvalidPackage: for a list that isn't there, a line of another shape, and too many of them.
    """
    lines = stanza.raw(field_name).split("\n")
    if lines[0].strip() or len(lines) < 2:
        raise InvalidPackage(field_name, "a list of files that is missing or begins in the line of its name")
    if len(lines) > _MAX_FILES:
        raise InvalidPackage(field_name, f"more than {_MAX_FILES} files")
    for line in lines[1:]:
        columns = line.split()
        check_file_name(columns[-1])
        if len(columns) != len(grammars) + 1:
            raise InvalidPackage(line, f"not a line of {field_name}")
        if not all(grammar.fullmatch(column) for grammar, column in zip(grammars, columns, strict=False)):
            raise InvalidPackage(line, f"not a line of {field_name}")
        yield columns
