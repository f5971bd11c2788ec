"""Repository metadata of rpm: what primary, filelists and other say of a package, and repomd.xml.

String for string as createrepo_c 1.2 writes it (src/xml_dump_*.c, which is libxml2's serialisation): a package's
fragments are made once, when it is uploaded, and joined into files between `opening` and `closing`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen

from pkgd.errors import InvalidPackage
from pkgd.formats.rpm import RpmPackage
from pkgd.formats.rpmdeps import KINDS, Dependency
from pkgd.formats.rpmfiles import FileList

__all__ = ["DOCUMENTS", "Fragments", "RepomdEntry", "closing", "fragments", "opening", "repomd"]

_NAMESPACE = "http://linux.duke.edu/metadata"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
# Kind of document -> the element around its packages.
DOCUMENTS = {"primary": "metadata", "filelists": "filelists", "other": "otherdata"}
_NAMESPACES = {
    "primary": f'xmlns="{_NAMESPACE}/common" xmlns:rpm="{_NAMESPACE}/rpm"',
    "filelists": f'xmlns="{_NAMESPACE}/filelists"',
    "other": f'xmlns="{_NAMESPACE}/other"',
}

_HREF = re.compile(r"(?!/)[A-Za-z0-9._+~^/-]+")
_PLAIN = re.compile(r"[^&<>\r\"\n\t\x80-\U0010ffff]*")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]{1,512}")


@frozen
class Fragments:
    """What the three documents say of one package."""

    primary: bytes
    filelists: bytes
    other: bytes


@frozen
class RepomdEntry:
    """One file of the metadata: what it is, where, and how it can be checked, before and after decompression.

    Documents that are served as they were uploaded have no `open_sha256` and `open_size` unless they are compressed.
    """

    kind: str
    href: str
    timestamp: int
    size: int
    sha256: str
    open_size: int | None = None
    open_sha256: str | None = None


def opening(kind: str, count: int) -> bytes:
    """How a document of `count` packages begins."""
    return f'{_DECLARATION}<{DOCUMENTS[kind]} {_NAMESPACES[kind]} packages="{count}">\n'.encode()


def closing(kind: str) -> bytes:
    """How a document ends, without a line end, as createrepo_c has it."""
    return f"</{DOCUMENTS[kind]}>".encode()


def fragments(package: RpmPackage, pkgid: str, href: str, size: int, time_file: int) -> Fragments:
    """What primary, filelists and other say of a package.

    :param pkgid: the SHA-256 of the file, in hex.
    :param href: where it is served, relative to the repository.
    :param size: of the file.
    :param time_file: when it was uploaded, in seconds; has to stay the same.
    :raises InvalidPackage: for a location that would lead elsewhere.
    """
    _check_href(href)
    attributes = f'pkgid="{pkgid}" name="{_attribute(package.name)}" arch="{_attribute(package.arch)}"'
    head = [f"<package {attributes}>\n", f"  {_version(package)}\n"]
    entries = (
        f'  <changelog author="{_attribute(entry.author)}" date="{entry.date}">{_text(entry.text)}</changelog>\n'
        for entry in package.changelog
    )
    return Fragments(
        primary="".join(_primary(package, pkgid, href, size, time_file)).encode(),
        filelists="".join([*head, _files(package.files, None, "  "), "</package>\n"]).encode(),
        other="".join([*head, *entries, "</package>\n"]).encode(),
    )


def _primary(package: RpmPackage, pkgid: str, href: str, size: int, time_file: int) -> Iterator[str]:
    yield '<package type="rpm">\n'
    yield _element("name", package.name)
    yield _element("arch", package.arch)
    yield f"  {_version(package)}\n"
    yield f'  <checksum type="sha256" pkgid="YES">{pkgid}</checksum>\n'
    yield _element("summary", package.summary)
    yield _element("description", package.description)
    yield _element("packager", package.packager)
    yield _element("url", package.url)
    yield f'  <time file="{time_file}" build="{package.build_time}"/>\n'
    yield f'  <size package="{size}" installed="{package.installed_size}" archive="{package.archive_size}"/>\n'
    yield f'  <location href="{_attribute(href)}"/>\n'
    yield "  <format>\n"
    yield _element("rpm:license", package.license, "    ")
    yield _element("rpm:vendor", package.vendor, "    ")
    yield _element("rpm:group", package.group, "    ")
    yield _element("rpm:buildhost", package.build_host, "    ")
    yield _element("rpm:sourcerpm", package.source_rpm, "    ")
    yield f'    <rpm:header-range start="{package.header_start}" end="{package.header_end}"/>\n'
    for kind in KINDS:
        yield from _dependencies(kind, package.dependencies[kind])
    yield _files(package.files, package.files.primary, "    ")
    yield "  </format>\n</package>\n"


def _element(name: str, value: str, indent: str = "  ") -> str:
    return f"{indent}<{name}>{_text(value)}</{name}>\n"


def _version(package: RpmPackage) -> str:
    # Their grammar leaves nothing to escape.
    return f'<version epoch="{package.epoch}" ver="{package.version}" rel="{package.release}"/>'


def _dependencies(kind: str, entries: Sequence[Dependency]) -> Iterator[str]:
    if not entries:
        return
    named = [entry for entry in entries if entry.name]
    if not named:
        yield f"    <rpm:{kind}/>\n"
        return
    yield f"    <rpm:{kind}>\n"
    for entry in named:
        yield f'      <rpm:entry name="{_attribute(entry.name)}"{_condition(entry)}/>\n'
    yield f"    </rpm:{kind}>\n"


def _condition(entry: Dependency) -> str:
    pre = ' pre="1"' if entry.pre else ""
    if not entry.flags:
        return pre
    epoch = f' epoch="{_attribute(entry.epoch)}"' if entry.epoch else ""
    version = f' ver="{_attribute(entry.version)}"' if entry.version else ""
    release = f' rel="{_attribute(entry.release)}"' if entry.release else ""
    return f' flags="{entry.flags}"{epoch}{version}{release}{pre}'


def _files(files: FileList, wanted: Sequence[int] | None, indent: str) -> str:
    """All files, or those at the wanted positions."""
    paths, kinds = files.paths, files.kinds
    if wanted is not None:
        paths, kinds = [paths[number] for number in wanted], [kinds[number] for number in wanted]
    marks = {"": f"{indent}<file>", "dir": f'{indent}<file type="dir">', "ghost": f'{indent}<file type="ghost">'}
    # Escaped all at once: a package may have hundreds of thousands.
    escaped = _text("\0".join(paths)).split("\0")
    return "".join([f"{marks[kind]}{path}</file>\n" for kind, path in zip(kinds, escaped, strict=False)])


def _text(value: str) -> str:
    if "&" in value:
        value = value.replace("&", "&amp;")
    # Most texts have none of these, and then nothing is copied.
    return value.replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def _attribute(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    value = _text(value).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")
    # libxml2 writes what is beyond ASCII by number in attributes, though not in text.
    return _BEYOND_ASCII.sub(_by_number, value)


def _by_number(found: re.Match[str]) -> str:
    return "".join([f"&#x{ord(character):X};" for character in found[0]])


def _check_href(href: str) -> None:
    if not _HREF.fullmatch(href) or ".." in href:
        raise InvalidPackage(href, "not a location within the repository")


def repomd(revision: str, entries: Iterable[RepomdEntry]) -> bytes:
    """The document that names all others: `primary`, `filelists`, `other`, and what was uploaded beside them.

    :param revision: changes with every generation; clients show it.
    :raises InvalidPackage: for a location that would lead elsewhere.
    """
    lines = [
        _DECLARATION,
        f'<repomd xmlns="{_NAMESPACE}/repo" xmlns:rpm="{_NAMESPACE}/rpm">\n',
        _element("revision", revision),
    ]
    for entry in entries:
        _check_href(entry.href)
        lines.append(f'  <data type="{_attribute(entry.kind)}">\n')
        lines.append(f'    <checksum type="sha256">{entry.sha256}</checksum>\n')
        if entry.open_sha256 is not None:
            lines.append(f'    <open-checksum type="sha256">{entry.open_sha256}</open-checksum>\n')
        lines.append(f'    <location href="{_attribute(entry.href)}"/>\n')
        lines.append(f"    <timestamp>{entry.timestamp}</timestamp>\n    <size>{entry.size}</size>\n")
        if entry.open_size is not None:
            lines.append(f"    <open-size>{entry.open_size}</open-size>\n")
        lines.append("  </data>\n")
    return "".join([*lines, "</repomd>\n"]).encode()
