"""`/apt/…` and `/rpm/…` paths, read from the raw target.

What a path names is decided here; whether that is there, by the rooms behind. A `;` means nothing here: only
Artifactory's shape has matrix parameters (`pkgd.web.packages.aliases`).
"""

from __future__ import annotations

import re
from enum import Enum

from attrs import frozen

from pkgd.errors import UnknownRoute
from pkgd.web.target import parse_path

__all__ = ["AptPath", "Kind", "RpmPath", "parse_apt_path", "parse_rpm_path", "plain_segments"]

_GENERATION = re.compile(r"@(?:0|[1-9][0-9]{0,14})")
_NO_SUITES = frozenset(["dists", "pool", "incoming"])
_SOURCES = ".sources"


class Kind(Enum):
    """What a path names. The value says what the log and errors call it."""

    BASE = "a repository"
    KEY = "its public keys"
    SETUP = "its client configuration"
    INDEX = "a file of its index"
    POOL = "a package file"
    UPLOAD = "an upload"
    INCOMING = "a file of an upload"
    MIRRORLIST = "its current generation"
    PACKAGE = "a package by name, version and architecture"


@frozen
class AptPath:
    """A path of an apt repository.

    `rest` is the path below the repository of an index or a pool's file, else a file's name, which may be "" for an
    upload whose package says it. Of an upload, `suites` are one or several, or none if what is uploaded says for
    which it is; `component` may be "". `package` is name, version and architecture.
    """

    kind: Kind
    repository: str
    rest: str = ""
    suites: tuple[str, ...] = ()
    component: str = ""
    package: tuple[str, str, str] = ("", "", "")


@frozen
class RpmPath:
    """A path of an rpm repository.

    `rest` is as for apt; `sign` asks for a signature on an upload.
    """

    kind: Kind
    repository: str
    rest: str = ""
    sign: bool = False
    package: tuple[str, str, str] = ("", "", "")


def plain_segments(path: bytes) -> list[str]:
    """The segments of a path; `^` may stand there as it is, for so dnf asks for what repodata calls so.

    :raises MalformedHttp: as `parse_path`.
    """
    return parse_path(path.replace(b"^", b"%5E"))


def parse_apt_path(path: bytes) -> AptPath:
    """Read a raw path that begins with `/apt/`.

    :raises MalformedHttp: if it is no plain path.
    :raises UnknownRoute: if it names nothing.
    """
    match plain_segments(path)[1:]:
        case [repository, *rest] if repository:
            return _apt(repository, rest)
    raise _unknown(path)


def _apt(repository: str, rest: list[str]) -> AptPath:
    match _without_generation(rest):
        case ["dists", *below] if _is_file(below):
            return AptPath(Kind.INDEX, repository, "/".join(rest))
        case ["pool", *below] if _is_file(below):
            return AptPath(Kind.POOL, repository, "/".join(rest))
        case ["key.asc"]:
            return AptPath(Kind.KEY, repository)
    match rest:
        case [] | [""]:
            return AptPath(Kind.BASE, repository)
        case [name] if name.endswith(_SOURCES) and name != _SOURCES:
            return AptPath(Kind.SETUP, repository, suites=(name.removesuffix(_SOURCES),))
        case ["incoming", suite, file] if file:
            return AptPath(Kind.INCOMING, repository, file, suites=(suite,))
        case [suite, component, file] if file and suite not in _NO_SUITES and not suite.startswith("@"):
            return AptPath(Kind.UPLOAD, repository, file, suites=(suite,), component=component)
    raise UnknownRoute("/".join(["/apt", repository, *rest])[:200])


def parse_rpm_path(path: bytes) -> RpmPath:
    """Read a raw path that begins with `/rpm/`; the repository is what stands before the first part that is none of it.

    :raises MalformedHttp: if it is no plain path.
    :raises UnknownRoute: if it names nothing.
    """
    segments = plain_segments(path)[1:]
    end = next((at for at, one in enumerate(segments) if one in ("repodata", "Packages") or one.startswith("@")), None)
    if end is None:
        return _rpm_file(segments)
    repository = "/".join(segments[:end])
    rest = segments[end:]
    if repository:
        match _without_generation(rest):
            case ["repodata", *below] if _is_file(below):
                return RpmPath(Kind.INDEX, repository, "/".join(rest))
            case ["Packages", *below] if _is_file(below):
                return RpmPath(Kind.POOL, repository, "/".join(rest))
            case ["key.asc"]:
                return RpmPath(Kind.KEY, repository)
    raise _unknown(path)


def _rpm_file(segments: list[str]) -> RpmPath:
    *parts, file = segments or [""]
    repository = "/".join(parts)
    if not repository:
        if not file:
            raise UnknownRoute("/rpm/")
        return RpmPath(Kind.BASE, file)
    match file:
        case "":
            return RpmPath(Kind.BASE, repository)
        case "key.asc":
            return RpmPath(Kind.KEY, repository)
        case "pkgd.repo":
            return RpmPath(Kind.SETUP, repository)
        case "mirrorlist":
            return RpmPath(Kind.MIRRORLIST, repository)
    return RpmPath(Kind.UPLOAD, repository, file)


def _without_generation(rest: list[str]) -> list[str]:
    """What stands behind `@<generation>`, if that is there."""
    return rest[1:] if rest and _GENERATION.fullmatch(rest[0]) else rest


def _is_file(below: list[str]) -> bool:
    return bool(below) and below[-1] != ""


def _unknown(path: bytes) -> UnknownRoute:
    return UnknownRoute(path.decode("ascii", "replace")[:200])
