"""Packages of rpm: lead, signature header and header read; the payload is never opened.

The lead says that it is an rpm, the header is believed in the rest. Of the signature header, which nothing
protects, only digests, signatures and two sizes are taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from attrs import field, frozen

from pkgd.errors import InvalidPackage
from pkgd.formats import rpmtags as tags
from pkgd.formats.rpmdeps import Dependency, read_dependencies
from pkgd.formats.rpmdigests import Digests, PayloadHasher, PayloadHashes, read_digests, verify_digests
from pkgd.formats.rpmfiles import FileList, read_files
from pkgd.formats.rpmheader import MAX_DATA, Header, ReadAt, read_exactly, read_header
from pkgd.formats.rpmsignature import Signature, check_signature_tags, read_signatures, sign_headers
from pkgd.formats.rpmtext import check_text, decode

__all__ = [
    "ChangelogEntry",
    "Limits",
    "PayloadHasher",
    "PayloadHashes",
    "RpmPackage",
    "read_headers",
    "read_rpm",
    "rewrite",
    "verify_digests",
]

LEAD_SIZE = 96
_LEAD_MAGIC = b"\xed\xab\xee\xdb"
_SIGNED_BY_HEADER = 5

# As rpmbuild has it; what it allows for macros that were not expanded is left out.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_VERSION = re.compile(r"[A-Za-z0-9._+~^]+")
_ARCH = re.compile(r"[A-Za-z0-9_]+")
_MAX_FILE_NAME = 255

_TEXTS = (
    *(tags.SUMMARY, tags.DESCRIPTION, tags.URL, tags.LICENSE, tags.VENDOR, tags.GROUP, tags.PACKAGER),
    *(tags.BUILD_HOST, tags.SOURCE_RPM),
    *(tag for kind in tags.DEPENDENCIES for tag in (kind[0], kind[2])),
)
_CHANGELOG_ENTRIES = 10


@frozen
class Limits:
    """What is taken from one package, so that no upload costs more than it is worth.

    The largest real packages have some 200,000 files and 10,000 dependencies. `path_bytes` counts all paths as they
    are written to XML, `text_bytes` the texts with the dependencies, and the changelog by itself.
    """

    header_bytes: int = MAX_DATA
    files: int = 300_000
    path_bytes: int = 48 * 1024 * 1024
    dependencies: int = 100_000
    text_bytes: int = 8 * 1024 * 1024


class ChangelogEntry(NamedTuple):
    """What was changed, by whom and when."""

    author: str
    date: int
    text: str


@frozen
class RpmPackage:
    """What repositories have to know of a package.

    `size` is the file's; `header_start` and `header_end` are offsets in it, of the header's magic and of the payload.
    `rpm_format` is 3, 4 or 6. Texts that the package doesn't have are "", numbers 0.
    """

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    is_source: bool
    rpm_format: int
    summary: str
    description: str = field(repr=False)
    url: str
    license: str
    vendor: str
    group: str
    packager: str
    build_host: str
    source_rpm: str
    build_time: int
    installed_size: int
    archive_size: int
    size: int
    header_start: int
    header_end: int
    files: FileList
    dependencies: Mapping[str, Sequence[Dependency]] = field(repr=False)
    changelog: Sequence[ChangelogEntry] = field(repr=False)
    digests: Digests = field(repr=False)
    signatures: Sequence[Signature] = field(repr=False)

    @property
    def nevra(self) -> str:
        """Name, epoch, version, release and architecture, as dnf prints them."""
        epoch = f"{self.epoch}:" if self.epoch else ""
        return f"{self.name}-{epoch}{self.version}-{self.release}.{self.arch}"

    @property
    def file_name(self) -> str:
        """The canonical name of the file, which has no epoch."""
        return f"{self.name}-{self.version}-{self.release}.{self.arch}.rpm"


def read_rpm(read_at: ReadAt, size: int, limits: Limits | None = None) -> RpmPackage:
    """Read a package.

    Nothing but the headers is read; that the file is what they say is for `verify_digests` to tell.

    :param size: of the file.
    :raises InvalidPackage: if rpm would not read it, no repository could list it, or a limit is exceeded.
    """
    limits = limits or Limits()
    signature, header = read_headers(read_at, size, limits.header_bytes)
    check_signature_tags(signature, header)
    _check_size(header, limits.text_bytes)
    is_source = _is_source(header)
    name, version, release, arch = _identity(header, is_source)
    files = read_files(header, limits.files, limits.path_bytes)
    own_version = _own_version(header, is_source, f"{version}-{release}")
    return RpmPackage(
        name=name,
        epoch=header.number(tags.EPOCH) or 0,
        version=version,
        release=release,
        arch=arch,
        is_source=is_source,
        rpm_format=_rpm_format(header),
        summary=header.text(tags.SUMMARY),
        description=header.text(tags.DESCRIPTION),
        url=header.text(tags.URL),
        license=header.text(tags.LICENSE),
        vendor=header.text(tags.VENDOR),
        group=header.text(tags.GROUP),
        packager=header.text(tags.PACKAGER),
        build_host=header.text(tags.BUILD_HOST),
        source_rpm=_source_rpm(header, is_source),
        build_time=header.number(tags.BUILD_TIME) or 0,
        installed_size=_first(header, tags.LONG_SIZE, tags.SIZE),
        archive_size=_archive_size(signature, header),
        size=size,
        header_start=header.start,
        header_end=header.end,
        files=files,
        dependencies=read_dependencies(header, files.own, own_version, limits.dependencies),
        changelog=_changelog(header, limits.text_bytes),
        digests=read_digests(signature, header),
        signatures=read_signatures(signature),
    )


def read_headers(read_at: ReadAt, size: int, max_data: int = MAX_DATA) -> tuple[Header, Header]:
    """Read lead, signature header and header.

    :raises InvalidPackage: if rpm would not read them, or they are larger than `max_data` each.
    """
    lead = read_exactly(read_at, 0, LEAD_SIZE, "lead")
    if not lead.startswith(_LEAD_MAGIC):
        raise InvalidPackage("lead", "not an rpm package")
    if lead[4] not in (3, 4) or int.from_bytes(lead[78:80], "big") != _SIGNED_BY_HEADER:
        raise InvalidPackage("lead", "unsupported version of rpm's format")
    signature = read_header(read_at, LEAD_SIZE, size, tags.REGION_SIGNATURES, max_data)
    start = signature.end + -signature.end % 8
    return signature, read_header(read_at, start, size, tags.REGION_IMMUTABLE, max_data)


def rewrite(read_at: ReadAt, size: int, packet: bytes) -> tuple[bytes, int]:
    """Put a signature of the header into a package, in place of any that is there.

    :param packet: an OpenPGP signature packet over the bytes from `header_start` to `header_end`.
    :return: the new beginning of the file, and the offset from which the rest is taken over. Where both are of one
        length, which they are if the package had space reserved, the file can be changed in place.
    :raises InvalidPackage: if rpm would not read the package, or the packet, or would not be content with a signature
        of the header because nothing there says what the payload is.
    """
    signature, header = read_headers(read_at, size)
    lead = read_exactly(read_at, 0, LEAD_SIZE, "lead")
    return sign_headers(lead, signature, header, packet), header.start


def _check_size(header: Header, limit: int) -> None:
    entries = [header.entries[tag] for tag in _TEXTS if tag in header]
    if sum(entry.end - entry.start for entry in entries) > limit:
        raise InvalidPackage(header.what, f"its texts and dependencies have more than {limit} bytes")


def _rpm_format(header: Header) -> int:
    stated = header.number(tags.RPM_FORMAT)
    if stated is not None:
        return stated
    return 4 if header.region and tags.OLD_FILE_NAMES not in header else 3


def _is_source(header: Header) -> bool:
    if tags.SOURCE_PACKAGE in header:
        return bool(header.number(tags.SOURCE_PACKAGE))
    if tags.SOURCE_RPM in header:
        return False
    # From before packages said so: sources lie in no directory (rpm, lib/header.c, headerIsSourceHeuristic).
    if tags.DIR_NAMES in header:
        return header.count(tags.DIR_NAMES) == 1 and header.strings(tags.DIR_NAMES) == [b""]
    names = header.strings(tags.OLD_FILE_NAMES, 1)
    return bool(names) and not names[0].startswith(b"/")


def _source_rpm(header: Header, is_source: bool) -> str:
    if not is_source and tags.SOURCE_RPM not in header:
        return "(none)"
    return header.text(tags.SOURCE_RPM)


def _identity(header: Header, is_source: bool) -> tuple[str, str, str, str]:
    """Name, version, release and architecture, of which file names and URLs are made."""
    name, version, release, arch = (
        _checked(header, tag, what, grammar)
        for tag, what, grammar in (
            (tags.NAME, "name", _NAME),
            (tags.VERSION, "version", _VERSION),
            (tags.RELEASE, "release", _VERSION),
            (tags.ARCH, "architecture", _ARCH),
        )
    )
    if is_source:
        arch = "src"
    label = f"{name}-{version}-{release}.{arch}.rpm"
    if ".." in label or len(label) > _MAX_FILE_NAME:
        raise InvalidPackage(label, f"must not contain '..' or be longer than {_MAX_FILE_NAME} characters")
    return name, version, release, arch


def _checked(header: Header, tag: int, what: str, grammar: re.Pattern[str]) -> str:
    value = header.text(tag)
    # The bytes, too: decoding forgives what is neither UTF-8 nor latin-1.
    if not grammar.fullmatch(value) or not header.value(tag).isascii():
        raise InvalidPackage(value, f"rpmbuild would not allow this {what}")
    return value


def _own_version(header: Header, is_source: bool, version: str) -> bytes:
    """What a package provides itself in, if it is from a time when packages did not say so."""
    if header.region or is_source:
        return b""
    epoch = header.number(tags.EPOCH)
    return (version if epoch is None else f"{epoch}:{version}").encode()


def _first(header: Header, *wanted: int) -> int:
    return next((header.number(tag) or 0 for tag in wanted if tag in header), 0)


def _archive_size(signature: Header, header: Header) -> int:
    if tags.SIG_LONG_ARCHIVE_SIZE in signature:
        return _first(signature, tags.SIG_LONG_ARCHIVE_SIZE)
    return _first(header, tags.ARCHIVE_SIZE) or _first(signature, tags.SIG_ARCHIVE_SIZE)


def _changelog(header: Header, limit: int) -> tuple[ChangelogEntry, ...]:
    """The latest entries, the oldest of them first, no two at one time."""
    parts = (tags.CHANGELOG_TIME, tags.CHANGELOG_NAME, tags.CHANGELOG_TEXT)
    if not all(tag in header for tag in parts):
        return ()
    dates = list(header.numbers(parts[0])[:_CHANGELOG_ENTRIES])
    authors, texts = (header.strings(tag, _CHANGELOG_ENTRIES) for tag in parts[1:])
    if sum(map(len, authors)) + sum(map(len, texts)) > limit:
        raise InvalidPackage(header.what, f"its latest changes have more than {limit} bytes")
    for number in range(1, len(dates)):
        # Entries come from the latest on; equal times are set apart, as createrepo_c does it.
        wanted, earlier = dates[number], number - 1
        while earlier >= 0 and dates[earlier] == wanted:
            dates[earlier] += 1
            wanted, earlier = wanted + 1, earlier - 1
    entries = []
    for author, date, text in zip(authors, dates, texts, strict=False):
        check_text("changelog", author + b"\0" + text)
        entries.append(ChangelogEntry(decode(author[:1] + author[1:].rstrip(b" ")), date, decode(text)))
    return tuple(reversed(entries))
