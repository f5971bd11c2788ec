"""What a package provides, needs and wishes, by createrepo_c's rules (src/parsehdr.c).

The lists of a header are not copied: what rpm resolves itself, what the package brings along and what an older
entry says already is left out, and of the many versions of libc's symbols only the highest is kept. Clients
are used to exactly these lists.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from typing import NamedTuple

from pkgd.errors import InvalidPackage
from pkgd.formats import rpmtags as tags
from pkgd.formats.rpmheader import Header
from pkgd.formats.rpmtext import decode
from pkgd.formats.rpmversion import compare

__all__ = ["KINDS", "Dependency", "read_dependencies"]

# As primary.xml orders them.
KINDS = ("provides", "requires", "conflicts", "obsoletes", "suggests", "enhances", "recommends", "supplements")

# As the header is read: what requirements are left out depends on what is provided.
_LISTS = (
    ("provides", tags.PROVIDES),
    ("conflicts", tags.CONFLICTS),
    ("obsoletes", tags.OBSOLETES),
    ("requires", tags.REQUIRES),
    ("suggests", tags.SUGGESTS),
    ("enhances", tags.ENHANCES),
    ("recommends", tags.RECOMMENDS),
    ("supplements", tags.SUPPLEMENTS),
    ("old suggests", tags.OLD_SUGGESTS),
    ("old enhances", tags.OLD_ENHANCES),
)
_SENSES = {2: b"LT", 4: b"GT", 8: b"EQ", 10: b"LE", 12: b"GE"}
_EQUAL = 8
_MISSING_OK = 1 << 19
_STRONG = 1 << 27
# What has to be there before scripts run: a prerequisite, %posttrans, %pretrans, %pre, %post.
_PRE = 1 << 6 | 1 << 5 | 1 << 7 | 1 << 9 | 1 << 10

_EPOCH = re.compile(rb"([ \t\n\v\f\r]*[+-]?[0-9]+)?:")
_LIBC = b"libc.so.6"


class Dependency(NamedTuple):
    """One entry; a tuple, because a kernel has thousands.

    `flags` is LT, GT, EQ, LE, GE or ""; what the entry does not say is "".
    """

    name: str
    flags: str = ""
    epoch: str = ""
    version: str = ""
    release: str = ""
    pre: bool = False


class _Item(NamedTuple):
    """An entry as the header has it."""

    name: bytes
    sense: int
    version: bytes

    @property
    def flags(self) -> bytes:
        return _SENSES.get(self.sense & 0xF, b"")

    @property
    def words(self) -> bytes:
        """Name, flags and version in one word, which is how createrepo_c recognises an entry."""
        return self.name + self.flags + self.version

    def dependency(self, pre: bool = False) -> Dependency | None:
        """The entry as it is listed, or None if it has to be dropped for its epoch."""
        flags = self.flags.decode()
        if not self.version:
            return Dependency(decode(self.name), flags, pre=pre)
        epoch, rest = b"0", self.version
        if b":" in rest:
            found = _EPOCH.match(rest)
            if found is None:
                return None
            epoch, rest = found[1] or b"0", rest[found.end() :]
        version, _, release = rest.partition(b"-")
        return Dependency(decode(self.name), flags, decode(epoch), decode(version), decode(release), pre)


def read_dependencies(
    header: Header, own_files: Container[bytes], own_version: bytes, limit: int
) -> Mapping[str, tuple[Dependency, ...]]:
    """All lists of a header, by their names in `KINDS`.

    :param own_files: the package's own primary files: requirements of these are left out.
    :param own_version: what a package of rpm 3, which does not say so, provides itself in; "" for no such package.
    :param limit: how many entries are taken, over all lists.
    :raises InvalidPackage: if there are more, or the header's lists are malformed.
    """
    if sum(header.count(name) for _, (name, _, _) in _LISTS) > limit:
        raise InvalidPackage(header.what, f"it has more than {limit} dependencies")
    found: dict[str, list[Dependency]] = {kind: [] for kind in KINDS}
    provided: set[bytes] = set()
    for kind, names in _LISTS:
        items = _items(header, names)
        if kind == "provides" and own_version:
            items = _with_itself(header, items, own_version)
        if kind == "requires":
            _require(items, own_files, provided, found)
            continue
        for item in items:
            dependency = item.dependency()
            if dependency is not None:
                found[_target(kind, item.sense)].append(dependency)
                if kind == "provides":
                    provided.add(item.words)
    return {kind: tuple(entries) for kind, entries in found.items()}


def _items(header: Header, names: tuple[int, int, int]) -> list[_Item]:
    """The entries of one list; none if a part is missing, as in the oldest packages."""
    if not all(tag in header for tag in names):
        return []
    if len({header.count(tag) for tag in names}) != 1:
        raise InvalidPackage(header.what, f"tags {names[0]}, {names[1]} and {names[2]} differ in length")
    header.check_texts(names[0], names[2])
    name, flags, version = names
    return [
        _Item(*item) for item in zip(header.strings(name), header.numbers(flags), header.strings(version), strict=True)
    ]


def _target(kind: str, sense: int) -> str:
    """Where an entry is listed: SUSE's old weak dependencies are two kinds in one list."""
    if kind == "old suggests":
        return "recommends" if sense & _STRONG else "suggests"
    if kind == "old enhances":
        return "supplements" if sense & _STRONG else "enhances"
    return kind


def _with_itself(header: Header, items: list[_Item], own_version: bytes) -> list[_Item]:
    """Add what packages of rpm 3 leave unsaid (rpm, lib/headerutil.c, providePackageNVR)."""
    if not items and tags.PROVIDES[0] in header and tags.PROVIDES[2] not in header:
        items = [_Item(name, 0, b"") for name in header.strings(tags.PROVIDES[0])]
    itself = _Item(header.value(tags.NAME)[:-1], _EQUAL, own_version)
    known = any(item.words == itself.words for item in items)
    return items if known else [*items, itself]


def _require(
    items: list[_Item], own_files: Container[bytes], provided: Container[bytes], found: dict[str, list[Dependency]]
) -> None:
    """List the requirements: only what the package doesn't bring along, and libc last."""
    latest: dict[bytes, tuple[bytes, bool]] = {}
    libc: _Item | None = None
    libc_entry: Dependency | None = None
    for item in _wanted(items, own_files, provided):
        pre = bool(item.sense & _PRE)
        # Only the last entry of a name is known, so that repeats with others between them stay.
        if latest.get(item.name) == (item.flags + b" " + item.version, pre):
            continue
        dependency = item.dependency(pre)
        if dependency is None:
            continue
        if item.sense & _MISSING_OK:
            found["recommends"].append(dependency._replace(pre=False))
        elif item.name.startswith(_LIBC):
            if libc is None or _is_later(item.name, libc.name):
                libc, libc_entry = item, dependency
        else:
            found["requires"].append(dependency)
            latest[item.name] = (item.flags + b" " + item.version, pre)
    if libc_entry is not None:
        found["requires"].append(libc_entry)


def _wanted(items: list[_Item], own_files: Container[bytes], provided: Container[bytes]) -> Iterator[_Item]:
    for item in items:
        if not item.name.startswith(b"rpmlib(") and item.name not in own_files and item.words not in provided:
            yield item


def _is_later(name: bytes, than: bytes) -> bool:
    """Whether one `libc.so.6(GLIBC_2.34)(64bit)` asks for more than another."""
    (detail, version), (other_detail, other_version) = _symbol_version(name), _symbol_version(than)
    return detail > other_detail or (detail == other_detail and compare(version, other_version) > 0)


def _symbol_version(name: bytes) -> tuple[int, str]:
    """How much a name says of a version, and the version, from its first digit on, if it says all."""
    _, opening, rest = name.partition(b"(")
    content, closing, _ = rest.partition(b")")
    digit = re.search(rb"[0-9]", content)
    if opening and closing and digit:
        return 4, content[digit.start() :].decode("latin-1")
    return (0 if not opening else 1 if not closing else 2 if not content else 3), ""
