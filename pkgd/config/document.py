"""From YAML and the environment to a document that has the schema's keys, and from there to its sections.

A document is what YAML gives: mappings, lists and scalars. Whatever is wrong with it is said with the
key's path. A message never has a value in it that may be a secret, nor the line of the file.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec
import yaml

from pkgd.config.kinds import Duration, Secret, Section, Size, Staleness
from pkgd.config.schema import Config
from pkgd.errors import ConfigError

__all__ = ["CONFIG_VARIABLE", "overlay", "parse_duration", "read", "structure"]

S = TypeVar("S", bound=Section)

# Environment variables with a name of their own; the rest is PKGD_<SECTION>__<KEY>.
CONFIG_VARIABLE = "PKGD_CONFIG"
_PREFIX = "PKGD_"
# What Kubernetes sets for a Service called pkgd.
_SERVICE_LINK = re.compile(r"PKGD_(?:SERVICE_(?:HOST|PORT(?:_.*)?)|PORT(?:_.*)?)")
# Keys that are not lower case, which variables cannot spell.
_SPELLED = {"enableproxy": "enableProxy"}
# One setting, which the original server has at the top.
_PROXY = "enableProxy"
_PROXY_VARIABLES = frozenset(["PKGD_ENABLEPROXY", "PKGD_MIRROR__ENABLEPROXY"])

_DURATION = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"([0-9]{1,15})(B|KiB|MiB|GiB|TiB)?")
_BYTES = {None: 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

# In the messages of the YAML library: quoted text that is longer than punctuation, and no token such as '<scalar>'.
_QUOTED = re.compile(r"'(?!<)[^']{2,}'|\"(?!<)[^\"]{2,}\"")


def read(text: str) -> dict[str, Any]:
    """The document that a file's text is.

    :raises ConfigError: if it is no YAML, no mapping, or has a key twice.
    """
    document = _yaml(text, "")
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError("", "the file must be a mapping of keys")
    _agree_on_proxy(document)
    return document


def overlay(document: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Lay `PKGD_SECTION__KEY` over the document. Values are YAML: numbers, lists, strings.

    :raises ConfigError: with the variable's name.
    """
    if not _PROXY_VARIABLES.isdisjoint(environment):
        # The environment wins over the file, whichever of the two names each has used.
        for section in (document, document.get("mirror")):
            if isinstance(section, dict):
                section.pop(_PROXY, None)
    for variable, value in sorted(environment.items()):
        if not variable.startswith(_PREFIX) or variable == CONFIG_VARIABLE or _SERVICE_LINK.fullmatch(variable):
            continue
        names = variable.removeprefix(_PREFIX).lower().split("__")
        *sections, key = [_SPELLED.get(name, name) for name in names]
        target = document
        for name in sections:
            below = target.get(name)
            if below is None:
                below = target[name] = {}
            if not isinstance(below, dict):
                raise ConfigError(variable, f"{name} is no section")
            target = below
        target[key] = _yaml(value, variable)
    _agree_on_proxy(document)


def structure(document: dict[str, Any]) -> Config:
    """The sections of a document; takes it apart.

    :raises ConfigError: for keys that do not exist, and values of the wrong kind.
    """
    _check_keys(document, Config, "")
    _convert(document, Config, "")
    _decode_entries(document, Config, "")
    return _decode(document, Config, "")


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
    except yaml.MarkedYAMLError as error:
        # The error's own text shows the line of the file, and that may be the one with the password.
        mark = error.problem_mark or error.context_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ConfigError(where, f"not YAML: {_QUOTED.sub('…', error.problem or error.context or '')}{place}") from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise ConfigError(where, f"not YAML: {_QUOTED.sub('…', str(error))}") from None


# -- the one setting with two names --


def _agree_on_proxy(document: dict[str, Any]) -> None:
    """Give `enableProxy` and `mirror.enableProxy` the value that either has."""
    mirror = document.get("mirror")
    mirror = {} if mirror is None else mirror
    if not isinstance(mirror, dict):
        return
    given = [section[_PROXY] for section in (document, mirror) if _PROXY in section]
    # What is no truth value is reported where it stands, with every other value of the wrong kind.
    if not given or not all(isinstance(one, bool) for one in given):
        return
    if len(set(given)) > 1:
        raise ConfigError(_PROXY, f"is the same setting as mirror.{_PROXY}, and the two differ")
    document[_PROXY] = mirror[_PROXY] = given[0]
    document["mirror"] = mirror


# -- keys and values --


def _fields(section: type[Section]) -> dict[str, Any]:
    """A section's keys as the file has them, with their types."""
    return {one.encode_name: one.type for one in msgspec.structs.fields(section)}


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _below(kind: Any, value: Any, path: str) -> Iterator[tuple[dict[str, Any], type[Section], str]]:
    """The sections in a field's value: itself (`Auth | None` is one, too), or each entry of a mapping or list of them.

    Comes with the path of the section's keys.
    """
    if isinstance(value, list):
        if item := _entry(kind, list):
            yield from ((one, item, f"{path}[{at}].") for at, one in enumerate(value) if isinstance(one, dict))
        return
    if not isinstance(value, dict):
        return
    if entry := _entry(kind):
        yield from ((one, entry, f"{path}.{name}.") for name, one in value.items() if isinstance(one, dict))
        return
    for one in get_args(kind) or (kind,):
        if _is_section(one):
            yield value, one, f"{path}."


def _entry(kind: Any, container: type = dict) -> type[Section] | None:
    """What a mapping from names to sections has for each name, or a list of sections at each place."""
    for one in (kind, *get_args(kind)):  # also of `list[Rule] | None`
        if get_origin(one) is container:
            found: type[Section] = get_args(one)[-1]
            return found if _is_section(found) else None
    return None


def _check_keys(document: dict[str, Any], section: type[Section], path: str) -> None:
    """Refuse keys that don't exist, wherever they stand, and values that are none of a key's few."""
    fields = _fields(section)
    for key, value in document.items():
        where = f"{path}{key}"
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1, 0.5)
            raise ConfigError(where, "unknown key", near[0] if near else "")
        _check_choice(fields[key], value, where)
        for below in _below(fields[key], value, where):
            _check_keys(*below)


def _check_choice(kind: Any, value: Any, path: str) -> None:
    """Refuse what is none of a key's few values, or an entry that is none of a list's."""
    if get_origin(kind) is list and isinstance(value, list):
        for at, one in enumerate(value):
            _check_choice(get_args(kind)[0], one, f"{path}[{at}]")
    elif get_origin(kind) is Literal and value not in get_args(kind):
        near = difflib.get_close_matches(value, get_args(kind), 1, 0.5) if isinstance(value, str) else []
        raise ConfigError(path, f"{value!r} is none of {', '.join(get_args(kind))}", near[0] if near else "")


def _convert(document: dict[str, Any], section: type[Section], path: str) -> None:
    """Turn durations and sizes into numbers, in place."""
    for key, kind in _fields(section).items():
        value, where = document.get(key), f"{path}{key}"
        for below in _below(kind, value, where):
            _convert(*below)
        if not isinstance(value, str):
            continue
        if kind == Staleness and value == "forever":
            document[key] = float("inf")
        elif kind in (Duration, Staleness, Duration | None):
            what = "a duration such as 30s" + (", nor forever" if kind == Staleness else "")
            document[key] = _quantity(value, _DURATION, _SECONDS, where, what)
        elif kind == Size:
            document[key] = int(_quantity(value, _SIZE, _BYTES, where, "a size such as 256MiB"))


def parse_duration(text: str, path: str) -> float:
    """A duration such as 30s or 90d, in seconds.

    :raises ConfigError: with `path`, if it is none.
    """
    return _quantity(text, _DURATION, _SECONDS, path, "a duration such as 90d")


def _quantity(value: str, pattern: re.Pattern[str], units: Mapping[Any, float], path: str, what: str) -> float:
    match = pattern.fullmatch(value)
    if not match:
        raise ConfigError(path, f"{value!r} is not {what}")
    return float(match[1]) * units[match[2]]


# -- documents to sections --


def _decode_entries(document: dict[str, Any], section: type[Section], path: str) -> None:
    """Decode what stands in mappings of sections, in place: for these, the library's errors don't name the entry."""
    for key, kind in _fields(section).items():
        value, where = document.get(key), f"{path}{key}"
        entry = _entry(kind)
        if entry and isinstance(value, dict):
            document[key] = {name: _decode(one, entry, f"{where}.{name}.") for name, one in value.items()}
            continue
        for below in _below(kind, value, where):
            _decode_entries(*below)


def _decode(document: Any, section: type[S], path: str) -> S:
    try:
        return msgspec.convert(document, section, dec_hook=_decode_secret)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$.")
        raise ConfigError((path + where.rstrip("`")).rstrip("."), reason) from error


def _decode_secret(kind: type, value: Any) -> Secret:
    if kind is not Secret or not isinstance(value, str):
        raise ValueError(f"Expected `str`, got `{type(value).__name__}`")
    return Secret(value)
