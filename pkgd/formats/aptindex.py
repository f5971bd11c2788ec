"""What apt reads of a repository: Packages, Translation and Sources stanzas, and Release.

Stanzas are those of apt-ftparchive, byte for byte: its order of fields, the package's own text in them
(apt, ftparchive/writer.cc, pkgTagSection::Write).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from attrs import field, frozen

from pkgd.errors import InvalidPackage
from pkgd.formats.aptorder import PACKAGE_ORDER, SOURCE_ORDER
from pkgd.formats.deb import BinaryPackage
from pkgd.formats.deb822 import Stanza
from pkgd.formats.dsc import SourcePackage
from pkgd.formats.filehashes import FileHashes

__all__ = [
    "IndexEntry",
    "ReleaseFields",
    "description_md5",
    "packages_stanza",
    "release_file",
    "sources_stanza",
    "translation_stanza",
]

# Blocks of Release, and fields of .dsc and Sources -> the hash in them.
_RELEASE_HASHES = {"MD5Sum": "md5", "SHA1": "sha1", "SHA256": "sha256", "SHA512": "sha512"}
_SOURCE_HASHES = {
    "Files": "md5",
    "Checksums-Sha1": "sha1",
    "Checksums-Sha256": "sha256",
    "Checksums-Sha512": "sha512",
}

_ONE_LINE = re.compile("[^\x00-\x1f\x7f-\x9f\u2028\u2029]*")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


# -- stanzas -----------------------------------------------------------------------------------


def packages_stanza(package: BinaryPackage, filename: str, hashes: FileHashes, *, is_translated: bool = False) -> bytes:
    """A package's entry in Packages, with the empty line that ends it.

    :param filename: where the file is, relative to the root of the repository.
    :param is_translated: the long description is in Translation-en, and only its first line and its hash are here.
    """
    control = package.control
    written = {
        "Filename": filename,
        "Size": str(hashes.size),
        "MD5sum": hashes.md5,
        "SHA1": hashes.sha1,
        "SHA256": hashes.sha256,
        "SHA512": hashes.sha512,
        # Empty ones are left out.
        "Section": control.get("Section"),
        "Priority": control.get("Priority"),
        "Status": "",
    }
    if is_translated:
        written["Description"] = control.get("Description").partition("\n")[0]
        written["Description-md5"] = description_md5(control)
    return _stanza(control, PACKAGE_ORDER, written)


def description_md5(control: Stanza) -> str:
    """What a description is known by: the hash of all of it, and of a line end."""
    text = control.get("Description") + "\n"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def translation_stanza(package: BinaryPackage) -> bytes:
    """A package's entry in Translation-en, with the empty line that ends it."""
    control = package.control
    lines = (
        f"Package: {package.name}",
        f"Description-md5: {description_md5(control)}",
        f"Description-en: {control.get('Description')}",
        "\n",
    )
    return "\n".join(lines).encode()


def sources_stanza(
    source: SourcePackage,
    directory: str,
    dsc_name: str,
    dsc_hashes: FileHashes,
    file_hashes: Mapping[str, FileHashes] | None = None,
) -> bytes:
    """A source package's entry in Sources, with the empty line that ends it.

    :param directory: where its files are, relative to the root of the repository.
    :param dsc_name: the name of the .dsc, which becomes the first of its files.
    :param file_hashes: of every file; if given, the lists that the .dsc doesn't have are added.
    """
    control = source.stanza
    written = {"Package": source.name, "Source": "", "Directory": directory, "Priority": "", "Status": ""}
    for name, algorithm in _SOURCE_HASHES.items():
        rows = [_row(dsc_name, dsc_hashes, algorithm)]
        if name in control:
            written[name] = "".join([*rows, "\n ", control.get(name)])
        elif file_hashes is not None:
            rows += [_row(one.name, file_hashes[one.name], algorithm) for one in source.files]
            written[name] = "".join(rows)
    return _stanza(control, SOURCE_ORDER, written)


def _row(name: str, hashes: FileHashes, algorithm: str) -> str:
    return f"\n {getattr(hashes, algorithm)} {hashes.size} {name}"


def _stanza(control: Stanza, order: Sequence[str], written: Mapping[str, str]) -> bytes:
    """The fields of both, ordered ones first; what is written replaces what is there, or removes it if empty."""
    known = {name.lower() for name in order}
    rest = [name for name in control.names if name.lower() not in known]
    lines = []
    for name in (*order, *rest):
        if name in written:
            value = written[name]
            if not value:
                continue
        elif name in control:
            value = control.raw(name)
        else:
            continue
        lines.append(f"{name}:{'' if not value or value[0].isspace() else ' '}{value}\n")
    lines.append("\n")
    return "".join(lines).encode()


# -- Release -----------------------------------------------------------------------------------


@frozen(kw_only=True)
class ReleaseFields:
    """What a suite says of itself; empty values are left out. Dates are in seconds since 1970.

    apt asks its user before it accepts another `origin`, `label` or `codename` than it has seen.
    """

    date: int
    codename: str
    suite: str = ""
    origin: str = ""
    label: str = ""
    version: str = ""
    valid_until: int | None = None
    architectures: Sequence[str]
    components: Sequence[str]
    description: str = ""
    acquire_by_hash: bool = True
    not_automatic: bool = False
    but_automatic_upgrades: bool = False
    signed_by: str = ""
    snapshots: str = ""
    no_support_for_architecture_all: str = ""


@frozen
class IndexEntry:
    """A file that Release answers for: its path relative to Release; hashes that are "" aren't listed."""

    path: str
    hashes: FileHashes = field(repr=False)


def release_file(fields: ReleaseFields, entries: Sequence[IndexEntry]) -> bytes:
    """The text of Release.

    :raises InvalidPackage: if a value has a line end or another control character in it.
    """
    values = {
        "Origin": fields.origin,
        "Label": fields.label,
        "Suite": fields.suite,
        "Codename": fields.codename,
        "Version": fields.version,
        "Date": _date(fields.date),
        "Valid-Until": "" if fields.valid_until is None else _date(fields.valid_until),
        "Architectures": " ".join(fields.architectures),
        "Components": " ".join(fields.components),
        "Description": fields.description,
        "Acquire-By-Hash": _yes(fields.acquire_by_hash),
        "NotAutomatic": _yes(fields.not_automatic),
        "ButAutomaticUpgrades": _yes(fields.but_automatic_upgrades),
        "Signed-By": fields.signed_by,
        "Snapshots": fields.snapshots,
        "No-Support-for-Architecture-all": fields.no_support_for_architecture_all,
    }
    lines = [f"{name}: {_one_line(name, value)}\n" for name, value in values.items() if value]
    ordered = sorted(entries, key=lambda entry: entry.path.encode())
    for name, algorithm in _RELEASE_HASHES.items():
        lines += _block(name, algorithm, ordered)
    return "".join(lines).encode()


def _block(name: str, algorithm: str, entries: Sequence[IndexEntry]) -> list[str]:
    rows = []
    for entry in entries:
        digest = getattr(entry.hashes, algorithm)
        if digest:
            rows.append(f" {digest} {entry.hashes.size:>16} {_one_line('path', entry.path)}\n")
    return [f"{name}:\n", *rows] if rows else []


def _yes(value: bool) -> str:
    return "yes" if value else ""


def _one_line(name: str, value: str) -> str:
    if not _ONE_LINE.fullmatch(value):
        raise InvalidPackage(name, "a value with control characters")
    return value


def _date(seconds: int) -> str:
    """A date as apt reads it: names in English whatever the locale, and always UTC."""
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at:%Y %H:%M:%S} UTC"
