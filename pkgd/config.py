"""The configuration: YAML and environment in, one frozen tree out (docs/configuration.md has every key).

Unknown and repeated keys are errors that name the key and the nearest known one. Nothing is opened
here but the configuration file itself.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import yaml

from pkgd.errors import ConfigError

__all__ = ["Config", "Duration", "Size", "json_schema", "load", "parse"]

_DURATION = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"([0-9]{1,15})(B|KiB|MiB|GiB|TiB)?")
_BYTES = {None: 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

# Environment variables with a name of their own; the rest is PKGD_<SECTION>__<KEY>.
_CONFIG_VARIABLE = "PKGD_CONFIG"
_PREFIX = "PKGD_"
# What Kubernetes sets for a Service called pkgd.
_SERVICE_LINK = re.compile(r"PKGD_(?:SERVICE_(?:HOST|PORT(?:_.*)?)|PORT(?:_.*)?)")

# At most a century, and less than any counter: what is larger is a slip of the keyboard.
Duration = Annotated[
    float, msgspec.Meta(title="duration", description="30s, 5m, 24h; seconds if without unit", ge=0, le=3.2e9)
]
Size = Annotated[
    int, msgspec.Meta(title="size", description="512KiB, 256MiB, 1GiB; bytes if without unit", ge=0, le=1 << 62)
]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A mapping of the file."""


class Tls(_Section, frozen=True):
    """`server.tls`: PEM files, read again when they change."""

    certificate: str | None = None
    key: str | None = None


class Shutdown(_Section, frozen=True):
    """`server.shutdown`: how a stop goes."""

    delay: Duration = 0.0
    drain: Duration = 30.0


class Server(_Section, frozen=True):
    """`server`: where and how to listen."""

    listen: list[str] = msgspec.field(default_factory=lambda: ["tcp:8080:interface=127.0.0.1"])
    tls: Tls = Tls()
    trusted_proxies: list[str] = []
    shutdown: Shutdown = Shutdown()
    max_connections: Annotated[int, msgspec.Meta(ge=1)] = 4096


class FilesystemStorage(_Section, frozen=True):
    """`storage.filesystem`: the tree of blobs and manifests."""

    root: str = "oci"
    fsync: bool = True
    min_free: Size = 256 << 20


class Storage(_Section, frozen=True):
    """`storage`: where content is kept."""

    filesystem: FilesystemStorage = FilesystemStorage()


class OciRepositories(_Section, frozen=True):
    """`repositories.oci`: rules for hosted repositories."""

    sparse: list[str] = []


class Repositories(_Section, frozen=True):
    """`repositories`: what is hosted."""

    oci: OciRepositories = OciRepositories()


class Auth(_Section, frozen=True):
    """`auth`: who may."""

    mode: Literal["none"] = "none"


class Limits(_Section, frozen=True):
    """`limits`: what one request may cost."""

    manifest_size: Size = 4 << 20
    upload_size: Size = 0
    upload_expiry: Duration = 86400.0
    body_timeout: Duration = 60.0
    header_size: Size = 64 << 10


class Access(_Section, frozen=True):
    """`logging.access`: the access log."""

    file: str | None = "-"


class Logging(_Section, frozen=True):
    """`logging`: what is written where."""

    level: Literal["debug", "info", "warn", "error", "critical"] = "info"
    access: Access = Access()


class Config(_Section, frozen=True):
    """The whole configuration."""

    version: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    state_dir: str | None = None
    server: Server = Server()
    storage: Storage = Storage()
    repositories: Repositories = Repositories()
    auth: Auth | None = None
    limits: Limits = Limits()
    logging: Logging = Logging()

    @property
    def trusted_networks(self) -> list[IPv4Network | IPv6Network]:
        """`server.trusted_proxies`, parsed."""
        return [ip_network(one, strict=False) for one in self.server.trusted_proxies]


def load(path: str | None, environment: Mapping[str, str]) -> Config:
    """Read the file, lay the environment over it, and make paths absolute.

    :param path: the file; without one `PKGD_CONFIG` names it, or every key has its default.
    :raises ConfigError: with the key's path, what is wrong and what may have been meant.
    """
    path = path or environment.get(_CONFIG_VARIABLE)
    text, base = "", os.getcwd()
    if path is not None:
        base = os.path.dirname(os.path.abspath(path))
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(path, f"cannot be read: {error}") from error
    return parse(text, environment, base)


def parse(text: str, environment: Mapping[str, str], base: str) -> Config:
    """Decode YAML text; relative paths are relative to `base`.

    :raises ConfigError: as `load` does.
    """
    document = _document(text)
    _overlay(document, environment)
    _check_keys(document, Config, "")
    _convert(document, Config, "")
    try:
        config = msgspec.convert(document, Config)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$.")
        raise ConfigError(where.rstrip("`"), reason) from error
    _check_values(config)
    return _absolute(config, environment, base)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the file, where durations and sizes may be strings too."""
    schema = msgspec.json.schema(Config)
    for section in schema["$defs"].values():
        for key in section["properties"].values():
            if key.get("title") in ("duration", "size"):
                key["type"] = [key["type"], "string"]
    return schema


# -- YAML --


class _Loader(yaml.SafeLoader):
    """YAML without repeated keys."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    document: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise ConfigError(str(key), f"a key must be a string (line {key_node.start_mark.line + 1})")
        if key in document:
            raise ConfigError(key, f"the key is given twice (line {key_node.start_mark.line + 1})")
        document[key] = loader.construct_object(value_node, deep=True)
    return document


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _yaml(text: str, where: str) -> Any:
    """Read YAML.

    :raises ConfigError: also for what the library's constructors stumble over, such as a 13th month.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise ConfigError(where, f"not YAML: {error}") from error


def _document(text: str) -> dict[str, Any]:
    document = _yaml(text, "")
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError("", "the file must be a mapping of keys")
    return document


def _overlay(document: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Lay `PKGD_SECTION__KEY` over the document. Values are YAML: numbers, lists, strings."""
    for variable, value in sorted(environment.items()):
        if not variable.startswith(_PREFIX) or variable == _CONFIG_VARIABLE or _SERVICE_LINK.fullmatch(variable):
            continue
        *sections, key = variable.removeprefix(_PREFIX).lower().split("__")
        target = document
        for section in sections:
            below = target.get(section)
            if below is None:
                below = target[section] = {}
            if not isinstance(below, dict):
                raise ConfigError(variable, f"{section} is no section")
            target = below
        target[key] = _yaml(value, variable)


# -- keys and values --


def _fields(section: type) -> dict[str, Any]:
    return get_type_hints(section, include_extras=True)


def _section_of(kind: Any) -> type | None:
    """The section class in a field's type, `Auth | None` included."""
    options = getattr(kind, "__args__", ()) if not isinstance(kind, type) else (kind,)
    found = [one for one in options if isinstance(one, type) and issubclass(one, _Section)]
    return found[0] if found else None


def _check_keys(document: dict[str, Any], section: type, path: str) -> None:
    """Refuse keys that don't exist, wherever they stand, and values that are none of a key's few."""
    fields = _fields(section)
    for key, value in document.items():
        where = f"{path}{key}"
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1, 0.5)
            raise ConfigError(where, "unknown key", near[0] if near else "")
        if get_origin(fields[key]) is Literal and value not in get_args(fields[key]):
            raise ConfigError(where, f"{value!r} is none of {', '.join(get_args(fields[key]))}")
        below = _section_of(fields[key])
        if below is not None and isinstance(value, dict):
            _check_keys(value, below, f"{where}.")


def _convert(document: dict[str, Any], section: type, path: str) -> None:
    """Turn durations and sizes into numbers, in place."""
    for key, kind in _fields(section).items():
        value = document.get(key)
        below = _section_of(kind)
        if below is not None and isinstance(value, dict):
            _convert(value, below, f"{path}{key}.")
        elif isinstance(value, str) and kind == Duration:
            document[key] = _quantity(value, _DURATION, _SECONDS, f"{path}{key}", "a duration such as 30s")
        elif isinstance(value, str) and kind == Size:
            document[key] = int(_quantity(value, _SIZE, _BYTES, f"{path}{key}", "a size such as 256MiB"))


def _quantity(value: str, pattern: re.Pattern[str], units: Mapping[Any, float], path: str, what: str) -> float:
    match = pattern.fullmatch(value)
    if not match:
        raise ConfigError(path, f"{value!r} is not {what}")
    return float(match[1]) * units[match[2]]


def _check_values(config: Config) -> None:
    """What types alone don't say."""
    for network in config.server.trusted_proxies:
        try:
            ip_network(network, strict=False)
        except ValueError as error:
            raise ConfigError("server.trusted_proxies", str(error)) from error
    tls = config.server.tls
    if (tls.certificate is None) != (tls.key is None):
        raise ConfigError("server.tls", "certificate and key are given together")
    if not config.server.listen:
        raise ConfigError("server.listen", "at least one endpoint is needed")
    for endpoint in config.server.listen:
        if config.auth is None and not _is_loopback(endpoint):
            raise ConfigError(
                "server.listen",
                f"{endpoint} is open to others, and nothing says who may do what; "
                "if everybody may do everything, add\nauth:\n  mode: none",
            )


def _is_loopback(endpoint: str) -> bool:
    """Whether it is for this machine only. A colon within an argument, as in IPv6 addresses, is escaped."""
    kind, *arguments = re.split(r"(?<!\\):", endpoint)
    if kind in ("unix", "systemd"):
        return True
    interfaces = [one.partition("=")[2].replace("\\", "") for one in arguments if one.startswith("interface=")]
    return bool(interfaces) and all(_is_loopback_address(one) for one in interfaces)


def _is_loopback_address(text: str) -> bool:
    try:
        return text == "localhost" or ip_address(text).is_loopback
    except ValueError:
        return False


def _absolute(config: Config, environment: Mapping[str, str], base: str) -> Config:
    """Resolve every path: the state directory against the file, the rest against either."""
    # systemd separates several directories by colons.
    state = config.state_dir or environment.get("STATE_DIRECTORY", "").partition(":")[0] or "pkgd-data"
    state = os.path.normpath(os.path.join(base if config.state_dir else os.getcwd(), state))
    tls, access, files = config.server.tls, config.logging.access, config.storage.filesystem
    replace = msgspec.structs.replace
    return replace(
        config,
        state_dir=state,
        server=replace(config.server, tls=Tls(certificate=_join(base, tls.certificate), key=_join(base, tls.key))),
        storage=Storage(filesystem=replace(files, root=os.path.normpath(os.path.join(state, files.root)))),
        logging=replace(
            config.logging, access=Access(file=access.file if access.file == "-" else _join(base, access.file))
        ),
    )


def _join(base: str, path: str | None) -> str | None:
    return None if path is None else os.path.normpath(os.path.join(base, path))
