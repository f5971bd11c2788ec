"""What Debian lets things be called: packages, versions, architectures, suites and components (Debian Policy 5.6).

Everything that becomes part of a path or of an index goes through here first.
"""

from __future__ import annotations

import re

from pkgd.errors import InvalidPackage

__all__ = [
    "check_architecture",
    "check_component",
    "check_file_name",
    "check_package",
    "check_suite",
    "check_version",
    "parse_source",
    "pool_prefix",
]

_MAX_NAME = 200
_MAX_FILE_NAME = 255
# dpkg keeps epochs in an int.
_MAX_EPOCH = 2**31 - 1

_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_VERSION = re.compile(r"(?:([0-9]{1,10}):)?[0-9][A-Za-z0-9.+~-]*")
_REVISION = re.compile(r"[A-Za-z0-9+.~]+")
_ARCHITECTURE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
# Words that stand for architectures elsewhere, and are none.
_NO_ARCHITECTURES = frozenset(["any", "source"])
_SUITE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.+_~-]*[A-Za-z0-9+_~])?")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_~-]*")
_SOURCE = re.compile(r"([^ ]+)(?: +\(([^() ]+)\))?")


def check_package(name: str) -> str:
    """The name of a binary or source package, if it is one.

    :raises InvalidPackage: otherwise, as do the others here.
    """
    return _checked(name, _PACKAGE, "not a name that a package may have")


def check_version(version: str) -> str:
    """A version, if it is one: an epoch of any number, digits first, and a revision that isn't empty."""
    found = _VERSION.fullmatch(version)
    _, hyphen, revision = version.rpartition("-")
    if (
        found is None
        or len(version) > _MAX_NAME
        or int(found[1] or 0) > _MAX_EPOCH
        or (hyphen and not _REVISION.fullmatch(revision))
    ):
        raise InvalidPackage(version, "not a version")
    return version


def check_architecture(architecture: str) -> str:
    """The architecture of a package, `all` included, if it is one."""
    if architecture in _NO_ARCHITECTURES:
        raise InvalidPackage(architecture, "not an architecture that a package may have")
    return _checked(architecture, _ARCHITECTURE, "not an architecture")


def check_suite(suite: str) -> str:
    """The name of a suite or codename, if it is one."""
    return _checked(suite, _SUITE, "not the name of a suite")


def check_component(component: str) -> str:
    """The name of a component, if it is one."""
    return _checked(component, _SUITE, "not the name of a component")


def check_file_name(name: str) -> str:
    """The name of a file of a package, if it is one: no directories, nothing hidden."""
    if len(name) > _MAX_FILE_NAME or not _FILE_NAME.fullmatch(name):
        raise InvalidPackage(name, "not a name that a file may have")
    return name


def _checked(text: str, grammar: re.Pattern[str], reason: str) -> str:
    if len(text) > _MAX_NAME or not grammar.fullmatch(text):
        raise InvalidPackage(text, reason)
    return text


def parse_source(source: str, version: str) -> tuple[str, str]:
    """Name and version of the source package, of a field `Source: name [(version)]`.

    :param version: of the binary package, which is the source's unless the field says otherwise.
    """
    found = _SOURCE.fullmatch(source)
    if found is None:
        raise InvalidPackage(source, "not a source package")
    return check_package(found[1]), check_version(found[2] or version)


def pool_prefix(source: str) -> str:
    """The directory of the pool that a source package is in: `a`, or `liba` for libraries."""
    return source[:4] if source.startswith("lib") else source[:1]
