"""The upload calls of Gitea, Nexus, Artifactory and GitLab, so that the recipes that people have go on working.

    PUT  /api/packages/<repo>/debian/pool/<suite>/<component>/upload          Gitea, Forgejo
    DELETE       …/debian/pool/<suite>/<component>/<name>/<version>/<arch>
    PUT  /api/packages/<repo>/rpm[/<group>…]/upload[?sign=true]
    DELETE       …/rpm[/<group>…]/package/<name>/<version>/<arch>
    GET          …/debian/repository.key, …/rpm/repository.key, …/rpm[/<group>…].repo
    POST /repository/<repo>/                                                  Nexus, the package as the body
    PUT  /repository/<repo>/<path>/<file>.rpm
    PUT  /artifactory/<repo>/<path>/<file>.deb;deb.distribution=<suite>;deb.component=<component>;…
    PUT  /artifactory/<repo>/<path>/<file>.rpm
    PUT  /api/v4/projects/<repo>/packages/debian/<file>                       GitLab, dput; the .changes closes the set

An rpm repository of several parts is Gitea's owner and group, and the longest one that is configured of another's path.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from pkgd.errors import InvalidRequest, UnknownRoute
from pkgd.web.packages.paths import AptPath, Kind, RpmPath, plain_segments
from pkgd.web.target import parse_query

__all__ = ["PREFIXES", "parse_alias"]

# First segments of aliases, and the whole prefix.
PREFIXES = (b"/api/packages/", b"/repository/", b"/artifactory/", b"/api/v4/projects/")

_MAX_SUITES = 16


def parse_alias(path: bytes, query: bytes, is_rpm: Callable[[str], bool]) -> AptPath | RpmPath:
    """What an alias stands for.

    :param query: what stands behind the `?`.
    :param is_rpm: whether there is an rpm repository of that name.
    :raises MalformedHttp: if it is no plain path.
    :raises InvalidRequest: if parameters are missing or contradict.
    :raises UnknownRoute: if it is none.
    """
    path, _, matrix = path.partition(b";") if path.startswith(b"/artifactory/") else (path, b"", b"")
    match plain_segments(path):
        case ["api", "packages", owner, "debian", *rest] if owner:
            found: AptPath | RpmPath | None = _gitea_debian(owner, rest)
        case ["api", "packages", owner, "rpm", *rest] if owner:
            found = _gitea_rpm(owner, rest, parse_query(query).one("sign") == "true")
        case ["api", "packages", owner, "rpm.repo"] if owner:
            found = RpmPath(Kind.SETUP, owner)
        case ["api", "v4", "projects", project, "packages", "debian", file] if project and file:
            suite = parse_query(query).one("distribution")
            found = AptPath(Kind.INCOMING, project, file, suites=(suite,) if suite else ())
        case ["repository", repository] | ["repository", repository, ""] if repository:
            found = AptPath(Kind.UPLOAD, repository)
        case ["repository", *rest] if rest[-1].endswith(".rpm"):
            found = _by_path(rest, is_rpm)
        case ["artifactory", repository, *_, file] if repository and file.endswith((".deb", ".udeb")):
            found = _artifactory(repository, file, matrix)
        case ["artifactory", *rest] if rest[-1].endswith(".rpm"):
            found = _by_path(rest, is_rpm)
        case _:
            found = None
    if found is None:
        raise UnknownRoute(path.decode("ascii", "replace")[:200])
    return found


def _gitea_debian(owner: str, rest: list[str]) -> AptPath | None:
    match rest:
        case ["pool", suite, component, "upload"]:
            return AptPath(Kind.UPLOAD, owner, suites=(suite,), component=component)
        case ["pool", suite, component, name, version, architecture]:
            package = (name, version, architecture)
            return AptPath(Kind.PACKAGE, owner, suites=(suite,), component=component, package=package)
        case ["repository.key"]:
            return AptPath(Kind.KEY, owner)
    return None


def _gitea_rpm(owner: str, rest: list[str], sign: bool) -> RpmPath | None:
    match rest:
        case [*group, "upload"]:
            return RpmPath(Kind.UPLOAD, "/".join([owner, *group]), sign=sign)
        case [*group, "package", name, version, architecture]:
            return RpmPath(Kind.PACKAGE, "/".join([owner, *group]), package=(name, version, architecture))
        case ["repository.key"]:
            return RpmPath(Kind.KEY, owner)
        case [*group, last] if last.endswith(".repo"):
            return RpmPath(Kind.SETUP, "/".join([owner, *group, last.removesuffix(".repo")]))
    return None


def _by_path(parts: list[str], is_rpm: Callable[[str], bool]) -> RpmPath:
    """An rpm at a path of a repository: the longest name that is one, else the first part."""
    *above, file = parts
    for end in range(len(above), 0, -1):
        if is_rpm("/".join(above[:end])):
            return RpmPath(Kind.UPLOAD, "/".join(above[:end]), file)
    return RpmPath(Kind.UPLOAD, above[0] if above else "", file)


def _artifactory(repository: str, file: str, matrix: bytes) -> AptPath:
    parameters: dict[str, list[str]] = {}
    for one in filter(None, matrix.split(b";")):
        key, _, value = one.partition(b"=")
        # Their own client encodes them, and separates several values by commas, too.
        texts = unquote_to_bytes(value).decode("utf-8", "replace").split(",")
        parameters.setdefault(key.decode("ascii", "replace"), []).extend(texts)
    suites = tuple(dict.fromkeys(parameters.get("deb.distribution", [])))
    components = tuple(dict.fromkeys(parameters.get("deb.component", [])))
    if not suites:
        raise InvalidRequest("deb.distribution", "the matrix parameter that says for which suite is missing")
    if len(suites) > _MAX_SUITES or len(components) > 1:
        raise InvalidRequest("deb.component", "one component, and a few suites at most, can be given")
    return AptPath(Kind.UPLOAD, repository, file, suites=suites, component=components[0] if components else "")
