"""The keys of the mirror, checked and brought into canonical form.

Values that may carry a password by mistake, such as URLs, are not repeated in errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

import msgspec

from pkgd.config.kinds import CENTURY, MASK
from pkgd.config.schema import Config, Mirror, Server, UpstreamRegistry
from pkgd.errors import ConfigError, InvalidHost
from pkgd.formats.hosts import configured_authority, parse_configured_host

__all__ = ["UPSTREAM_VARIABLE", "canonical_mirror", "canonical_server"]

# As in the original server: where everything is asked for first.
UPSTREAM_VARIABLE = "REGISTRY_UPSTREAM_MIRROR"

_DOCKER_HUB = "docker.io"
_DEFAULT_PORTS = {"http": 80, "https": 443}
# Without what different programs read differently.
_URL_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*")
_PRINTABLE = re.compile(r"[!-~]+")


def canonical_server(server: Server) -> Server:
    """`server` with its names in canonical form.

    :raises ConfigError: if one is not a host, or the URL not that of a server.
    """
    url = server.external_url
    if url is not None:
        url = _url(url, "server.external_url")
        if urlsplit(url).path:
            raise ConfigError("server.external_url", "a URL without a path is needed: clients look at its root")
    names = _hosts(server.own_names, "server.own_names")
    return msgspec.structs.replace(server, external_url=url, own_names=names)


def canonical_mirror(config: Config, environment: Mapping[str, str]) -> Mirror:
    """`mirror` with hosts, URLs and globs in canonical form, and `REGISTRY_UPSTREAM_MIRROR` over its list.

    Without `enableProxy` the variable changes nothing.

    :raises ConfigError: with the key's path, or the variable's name, and what is wrong.
    """
    mirror = config.mirror
    variable = [one.strip() for one in environment.get(UPSTREAM_VARIABLE, "").split(",") if one.strip()]
    if mirror.upstream_only and not (mirror.upstream_mirror or variable):
        raise ConfigError("mirror.upstream_only", "there is no upstream_mirror to ask")
    if CENTURY < mirror.serve_stale < float("inf"):
        raise ConfigError("mirror.serve_stale", "more than a century; forever says it better")
    upstream = _upstream(mirror.upstream_mirror, "mirror.upstream_mirror")
    if variable and mirror.enable_proxy:
        upstream = _upstream(variable, UPSTREAM_VARIABLE)
    mirror = msgspec.structs.replace(
        mirror,
        upstream_mirror=upstream,
        fallback=_hosts(mirror.fallback, "mirror.fallback"),
        allow=_globs(mirror.allow, "mirror.allow"),
        deny=_globs(mirror.deny, "mirror.deny"),
        registries=_registries(mirror.registries),
    )
    _check_others(mirror, config.own_names)
    return mirror


def _check_others(mirror: Mirror, own: frozenset[str]) -> None:
    """This registry is not its own upstream."""
    named = {
        "mirror.upstream_mirror": [configured_authority(urlsplit(url).netloc) for url in mirror.upstream_mirror],
        "mirror.fallback": mirror.fallback,
        "mirror.registries": mirror.registries,
    }
    for path, hosts in named.items():
        for host in hosts:
            if host in own:
                raise ConfigError(path, f"{host} is this registry itself (server.external_url, server.own_names)")


# -- registries --


def _registries(given: dict[str, UpstreamRegistry]) -> dict[str, UpstreamRegistry]:
    """The sections by canonical host, each with its URL."""
    found: dict[str, UpstreamRegistry] = {}
    spelled: dict[str, str] = {}
    for key, section in given.items():
        # Whoever writes a URL with a password for a key doesn't read it again in the log.
        path = f"mirror.registries.{key.rpartition('@')[2]}"
        host = _host(key, path)
        if host in found:
            raise ConfigError(path, f"is the same registry as {spelled[host]}, which has a section already")
        _check_credentials(section, path)
        url = section.url if section.url is None else _url(section.url, f"{path}.url")
        # As they stand in URLs, where registry-1.docker.io is not docker.io.
        private = _hosts(section.private_hosts, f"{path}.private_hosts", configured_authority)
        found[host] = msgspec.structs.replace(section, url=url, private_hosts=private)
        spelled[host] = key
    with_urls = Mirror(registries=found)
    return {host: with_urls.registry(host) for host in found}


def _check_credentials(section: UpstreamRegistry, path: str) -> None:
    if section.password is not None and section.password_file is not None:
        raise ConfigError(path, "password and password_file exclude each other")
    if (section.username is None) != (section.password is None and section.password_file is None):
        raise ConfigError(path, "username and a password (password or password_file) are given together")
    if section.username is not None and (not section.username or ":" in section.username):
        raise ConfigError(f"{path}.username", "empty, or with a colon, which no user name can have")
    if section.password is not None and section.password.reveal() in ("", MASK):
        raise ConfigError(f"{path}.password", "empty, or the mask of check-config --print, and no password")


# -- hosts, URLs, globs --


def _host(text: str, path: str, parse: Callable[[str], str] = parse_configured_host) -> str:
    try:
        return parse(text)
    except InvalidHost as error:
        raise ConfigError(path, f"not the host of a registry{error.reason and f': {error.reason}'}") from None


def _hosts(texts: list[str], path: str, parse: Callable[[str], str] = parse_configured_host) -> list[str]:
    """Hosts in canonical form, each once."""
    return _once(_host(text, f"{path}[{number}]", parse) for number, text in enumerate(texts))


def _upstream(texts: list[str], path: str) -> list[str]:
    """Mirrors by their URLs, each once; a bare host means https."""
    return _once(
        _url(text if "://" in text else f"https://{text}", f"{path}[{number}]") for number, text in enumerate(texts)
    )


def _url(text: str, path: str) -> str:
    """A server's URL, or that of a path on it, in canonical form and without a slash at the end."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ConfigError(path, "not a URL") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ConfigError(path, "not a URL that begins with https:// or http://")
    if "@" in parts.netloc:
        raise ConfigError(path, "a URL without user name and password is needed")
    if "?" in text or "#" in text:
        raise ConfigError(path, "a URL without query and fragment is needed")
    try:
        host = configured_authority(parts.netloc.partition(":")[0])
    except InvalidHost as error:
        raise ConfigError(path, f"not the URL of a server: {error.reason}") from None
    folder = parts.path.rstrip("/")
    # The parser drops spaces, tabs and line ends without a word.
    if not _PRINTABLE.fullmatch(text) or port == 0 or not _URL_PATH.fullmatch(folder):
        raise ConfigError(path, "not the URL of a server, or of a path on it")
    if not {".", ".."}.isdisjoint(folder.split("/")):
        raise ConfigError(path, "a URL without . and .. in its path is needed")
    return f"{parts.scheme}://{host}{'' if port in (None, _DEFAULT_PORTS[parts.scheme]) else f':{port}'}{folder}"


def _globs(texts: list[str], path: str) -> list[str]:
    """Globs over `host/repository`, whose host is canonical if it has no wildcard: else they would match nothing."""
    return _once(_glob(text, f"{path}[{number}]") for number, text in enumerate(texts))


def _glob(text: str, path: str) -> str:
    host, slash, name = text.partition("/")
    if not slash and "**" not in host:
        raise ConfigError(path, "a glob over host/repository is needed, such as docker.io/**")
    if not re.search(r"[*?]", host):
        host = _host(host, path)
    if host == _DOCKER_HUB and "/" not in name and "**" not in name:
        # There, what has one part is called library/<name>.
        name = f"library/{name}"
    return f"{host}{slash}{name}"


def _once(values: Iterable[str]) -> list[str]:
    """In the given order, and each only once."""
    return list(dict.fromkeys(values))
