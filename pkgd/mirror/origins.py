"""Where a request is to be answered from: the hosted registry, or which upstreams (pure).

In this order: `?ns=`, `X-Registry-Host`, a leading host in the path, the hosted repositories, the
fallback list. What names an upstream is never answered from anywhere else (containerd,
docs/hosts.md; distribution-spec, "Registry Proxying").
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from pkgd.errors import InvalidHost, InvalidName, InvalidRequest, UnknownName
from pkgd.formats.globs import Globs
from pkgd.formats.hosts import parse_configured_host, parse_host
from pkgd.formats.names import Origin, RepositoryName

__all__ = ["HOSTED", "Choice", "OriginRules", "choose", "origin_at"]

DOCKER_HUB = "docker.io"


@frozen
class OriginRules:
    """The part of the configuration that decides.

    `configured` are the upstream hosts that the operator has written down; `own_names` are this
    registry's own; `allow` and `deny` match `host/repository`, `reserved` a hosted repository's name.
    """

    enabled: bool
    fallback: tuple[str, ...] = ()
    trust_header: bool = True
    path_prefix: bool = True
    allow: Globs = field(factory=lambda: Globs(["**"]))
    deny: Globs = field(factory=lambda: Globs([]))
    reserved: Globs = field(factory=lambda: Globs([]))
    own_names: frozenset[str] = frozenset()
    configured: frozenset[str] = frozenset()


@frozen
class Choice:
    """The hosted repository first, or not; then upstream repositories, in order.

    `names_upstream` says whether the request names the upstream itself; if not, the first definite
    answer of `origins` counts.
    """

    hosted: bool
    origins: tuple[Origin, ...] = ()
    names_upstream: bool = False


HOSTED = Choice(hosted=True)


def choose(name: RepositoryName, namespaces: Sequence[str], header: str | None, rules: OriginRules) -> Choice:
    """Decide about one request.

    :param name: the repository in the path.
    :param namespaces: every `ns` parameter.
    :param header: `X-Registry-Host`.
    :raises InvalidRequest: for more than one `ns`: two readers could choose differently.
    :raises UnknownName: for an upstream that cannot be one, or may not be mirrored; both alike.
    """
    if len(namespaces) > 1:
        raise InvalidRequest("ns", "the parameter is given more than once")
    named = namespaces[0] if namespaces else header if rules.trust_header else None
    if named is None:
        return _by_path(name, rules) or _by_fallback(name, rules)
    if _canonical(named) in rules.own_names:
        return _by_path(name, rules) or HOSTED
    origin = _origin(named, str(name), rules)
    if origin is None:
        raise UnknownName(str(name))
    return Choice(hosted=False, origins=(origin,), names_upstream=True)


def origin_at(host: str, name: str) -> Origin:
    """The repository that a host means by a name: Docker Hub's one-part names are below `library`.

    :raises InvalidName: if it is no repository name.
    """
    if host == DOCKER_HUB and "/" not in name:
        name = f"library/{name}"
    return Origin(host, RepositoryName.parse(name))


def _by_path(name: RepositoryName, rules: OriginRules) -> Choice | None:
    """The choice of a name that begins with a host: what podman and CRI-O send.

    A host that is our own, or may not be mirrored, is nobody else's either: no other upstream learns of it.
    """
    host, _, rest = name.partition("/")
    if not rules.path_prefix or not rest or "." not in host or rules.reserved.match(name) or _canonical(host) is None:
        return None
    origin = None if _canonical(host) in rules.own_names else _origin(host, rest, rules)
    return HOSTED if origin is None else Choice(hosted=True, origins=(origin,), names_upstream=True)


def _by_fallback(name: RepositoryName, rules: OriginRules) -> Choice:
    if not rules.enabled or rules.reserved.match(name):
        return HOSTED
    origins = [_permitted(host, name, rules) for host in rules.fallback]
    return Choice(hosted=True, origins=tuple(one for one in origins if one is not None))


def _canonical(named: str) -> str | None:
    """The host that is written, whoever may ask for it; None if it is none."""
    try:
        return parse_configured_host(named)
    except InvalidHost:
        return None


def _origin(named: str, name: str, rules: OriginRules) -> Origin | None:
    """The upstream repository that a request names, or None if there can be none, or it may not be mirrored."""
    host = _canonical(named)
    if host not in rules.configured:
        try:
            host = parse_host(named)
        except InvalidHost:
            return None
    return _permitted(host, name, rules)


def _permitted(host: str, name: str, rules: OriginRules) -> Origin | None:
    """The repository of a host, or None if it cannot have that name, or may not be mirrored."""
    try:
        origin = origin_at(host, name)
    except InvalidName:
        return None
    permitted = rules.allow.match(str(origin)) and not rules.deny.match(str(origin))
    return origin if permitted else None
