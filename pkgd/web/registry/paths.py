"""`/v2/` paths (distribution-spec, "Endpoints"), read from the right: `a/blobs/b` is a repository too."""

from __future__ import annotations

from enum import Enum, auto

from attrs import frozen

from pkgd.errors import UnknownRoute
from pkgd.formats.names import RepositoryName
from pkgd.web.target import parse_path

__all__ = ["Kind", "V2Path", "parse_v2_path"]


class Kind(Enum):
    """What a path names."""

    BASE = auto()
    CATALOG = auto()
    DISCOVER = auto()
    BLOB = auto()
    UPLOADS = auto()
    UPLOAD = auto()
    MANIFEST = auto()
    TAGS = auto()
    REFERRERS = auto()


@frozen
class V2Path:
    """A parsed path: its kind, its repository if it has one, and its last part, unchecked."""

    kind: Kind
    name: RepositoryName | None = None
    argument: str = ""


_CACHE: dict[bytes, V2Path] = {}
_CACHE_ENTRIES = 4096
_CACHED_LENGTH = 512


def parse_v2_path(path: bytes) -> V2Path:
    """Read a raw path that begins with `/v2`. Lately parsed ones are remembered.

    :raises MalformedHttp: if it is no plain path.
    :raises UnknownRoute: if it names nothing.
    :raises InvalidName: if the repository's name is none.
    """
    found = _CACHE.get(path)
    if found is None:
        found = _parse(parse_path(path))
        if len(path) <= _CACHED_LENGTH:
            if len(_CACHE) >= _CACHE_ENTRIES:
                _CACHE.clear()
            _CACHE[path] = found
    return found


def _parse(segments: list[str]) -> V2Path:
    rest = segments[1:]
    if rest in ([], [""]):
        return V2Path(Kind.BASE)
    if rest == ["_catalog"]:
        return V2Path(Kind.CATALOG)
    if rest[-3:] == ["_oci", "ext", "discover"]:
        return V2Path(Kind.DISCOVER, _name(rest[:-3]) if rest[:-3] else None)
    return _of_repository(rest)


def _of_repository(rest: list[str]) -> V2Path:
    """What is below a repository's name."""
    match rest:
        case [*name, "manifests", argument] if name and argument:
            return V2Path(Kind.MANIFEST, _name(name), argument)
        case [*name, "tags", "list"] if name:
            return V2Path(Kind.TAGS, _name(name))
        case [*name, "referrers", argument] if name and argument:
            return V2Path(Kind.REFERRERS, _name(name), argument)
        case [*name, "blobs", "uploads", ""] | [*name, "blobs", "uploads"] if name:
            return V2Path(Kind.UPLOADS, _name(name))
        case [*name, "blobs", "uploads", argument] if name:
            return V2Path(Kind.UPLOAD, _name(name), argument)
        case [*name, "blobs", argument] if name and argument:
            return V2Path(Kind.BLOB, _name(name), argument)
    raise UnknownRoute("/v2/" + "/".join(rest)[:200])


def _name(parts: list[str]) -> RepositoryName:
    return RepositoryName.parse("/".join(parts))
