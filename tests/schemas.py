"""Values compared with JSON Schemas: as much of JSON Schema 2020-12 as pkgd's OpenAPI document has, and no more.

A keyword that is not known here fails: nothing is taken for checked that isn't.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["breaches", "resolved"]

_TYPES: Mapping[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def resolved(value: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a `$ref` within the document names; a value without one is that itself."""
    while "$ref" in value:
        assert set(value) == {"$ref"}, value
        found: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value


def breaches(value: Any, schema: Mapping[str, Any], document: Mapping[str, Any], at: str = "$") -> Iterator[str]:
    """What of a value does not fit, each with its place."""
    for keyword, wanted in resolved(schema, document).items():
        match keyword:
            case "description":
                pass
            case "type":
                kinds = [wanted] if isinstance(wanted, str) else wanted
                if not any(_is_a(value, kind) for kind in kinds):
                    yield f"{at}: {value!r} is no {wanted}"
            case "const":
                if value != wanted:
                    yield f"{at}: {value!r} is not {wanted!r}"
            case "enum":
                if value not in wanted:
                    yield f"{at}: {value!r} is not among {wanted}"
            case "anyOf":
                if all(any(breaches(value, one, document, at)) for one in wanted):
                    yield f"{at}: {value!r} is none of {len(wanted)}"
            case "allOf":
                for one in wanted:
                    yield from breaches(value, one, document, at)
            case _:
                yield from _of_kind(keyword, value, wanted, resolved(schema, document), document, at)


def _of_kind(
    keyword: str, value: Any, wanted: Any, schema: Mapping[str, Any], document: Mapping[str, Any], at: str
) -> Iterator[str]:
    """What does not fit a keyword that is for values of one type; values of others fit."""
    match keyword, value:
        case "pattern", str():
            if not re.search(wanted, value):
                yield f"{at}: {value!r} does not fit {wanted}"
        case "maxLength", str():
            if len(value) > wanted:
                yield f"{at}: more than {wanted} characters"
        case "minimum", int() | float():
            if value < wanted:
                yield f"{at}: {value} is below {wanted}"
        case "minItems", list():
            if len(value) < wanted:
                yield f"{at}: fewer than {wanted}"
        case "items", list():
            for number, one in enumerate(value):
                yield from breaches(one, wanted, document, f"{at}[{number}]")
        case "required", dict():
            yield from (f"{at}: {name} is missing" for name in wanted if name not in value)
        case "properties", dict():
            for name in wanted.keys() & value.keys():
                yield from breaches(value[name], wanted[name], document, f"{at}.{name}")
        case "additionalProperties", dict():
            for name in value.keys() - schema.get("properties", {}).keys():
                if wanted is False:
                    yield f"{at}: {name} is not expected"
                else:
                    yield from breaches(value[name], wanted, document, f"{at}.{name}")
        case "pattern" | "maxLength" | "minimum" | "minItems" | "items" | "required" | "properties", _:
            pass
        case "additionalProperties", _:
            pass
        case _:
            raise AssertionError(f"{at}: the keyword {keyword} is not known")


def _is_a(value: Any, kind: str) -> bool:
    is_number = kind in ("integer", "number")
    return isinstance(value, _TYPES[kind]) and not (is_number and isinstance(value, bool))
