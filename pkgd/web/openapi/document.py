"""The OpenAPI document (3.1), made of `operations.json`, which is one with abbreviations.

In `operations.json` an operation may be that of several methods (`"get head"`), says which `access` it needs, and
lists the statuses of its `errors`. From these follow its security, its path's parameters and the answers that
everything has in common. The tests compare all of it with the tables that requests are dispatched by, and every answer
that they get with its schema.
"""

from __future__ import annotations

import os
import re
from http import HTTPStatus
from typing import Any

import msgspec

from pkgd.web.errors import IN_TEXT

__all__ = ["make_document"]

_FILE = os.path.join(os.path.dirname(__file__), "operations.json")
_PARAMETER = re.compile(r"\{([a-z]+)\}")

# What may become of any request; of one that has to be let in; of one that has a body.
_ALWAYS = (400, 500, 503)
_GATED = (401, 403, 429)
_WITH_BODY = (408, 413)
# The header that comes with it.
_HEADERS = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}
_MEANINGS = {
    400: "It cannot be understood, or what it brings is not valid.",
    401: "Credentials are needed, or others.",
    403: "It is not allowed.",
    404: "It is not there, or not to be seen.",
    405: "It cannot be done with a repository of an upstream.",
    408: "The body took too long.",
    409: "Something else is there, or under way.",
    413: "The body is too large.",
    414: "There are too many tags.",
    416: "There is no such range, or it is not the next one.",
    429: "Too many have failed, or the upstream wants a pause.",
    500: "The storage has failed, or pkgd; the log says more.",
    502: "The upstream cannot be reached, or answers nonsense.",
    503: "Not now.",
    504: "The upstream takes too long.",
    507: "There is no space left.",
    508: "The request has come through here before.",
}


def make_document(version: str) -> bytes:
    """The document.

    :param version: that of pkgd.
    """
    with open(_FILE, "rb") as file:
        document: dict[str, Any] = msgspec.json.decode(file.read())
    document["info"]["version"] = version
    document["paths"] = {path: _path(path, item) for path, item in document["paths"].items()}
    document["components"]["responses"].update(
        (_name(status, in_text), _refusal(status, in_text)) for status in _MEANINGS for in_text in (False, True)
    )
    return msgspec.json.encode(document)


def _path(path: str, item: dict[str, Any]) -> dict[str, Any]:
    """A path with its operations, a method each."""
    written: dict[str, Any] = {}
    names = dict.fromkeys(_PARAMETER.findall(path))
    if names:
        written["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in names]
    for methods, operation in item.items():
        full = _operation(path, operation)
        first, *others = methods.split()
        written[first] = full
        for method in others:
            other = {**full, "operationId": full["operationId"] + method.capitalize()}
            written[method] = _without_bodies(other) if method == "head" else other
    return written


def _operation(path: str, operation: dict[str, Any]) -> dict[str, Any]:
    """An operation, written out."""
    full = {name: value for name, value in operation.items() if name not in ("access", "errors")}
    access = operation["access"]
    full["x-pkgd-access"] = access
    full.setdefault("security", _security(access))
    statuses = {*_ALWAYS, *operation.get("errors", ())}
    statuses.update(_GATED if access is not None else ())
    statuses.update(_WITH_BODY if "requestBody" in operation else ())
    in_text = path.encode("ascii").startswith(IN_TEXT)
    refusals = {
        str(status): {"$ref": f"#/components/responses/{_name(status, in_text)}"} for status in sorted(statuses)
    }
    # What the file itself says of a status is more than this.
    full["responses"] = {**refusals, **operation["responses"]}
    return full


def _security(access: str | None) -> list[dict[str, list[str]]]:
    """The credentials that are needed for an access; an empty one says that the policy may do without."""
    if access is None:
        return []
    credentials: list[dict[str, list[str]]] = [{"basic": []}, {"bearer": []}]
    if access.startswith("pull "):
        return [{}, *credentials]
    return [*credentials, {"session": []}] if access == "enter account" else credentials


def _name(status: int, in_text: bool) -> str:
    return f"Refusal{status}{'Text' if in_text else ''}"


def _refusal(status: int, in_text: bool) -> dict[str, Any]:
    """An answer that refuses, as `pkgd.web.errors` writes it."""
    body = {"text/plain": {}} if in_text else {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}
    refusal: dict[str, Any] = {"description": f"{HTTPStatus(status).phrase}. {_MEANINGS[status]}", "content": body}
    if status in _HEADERS:
        refusal["headers"] = {_HEADERS[status]: {"schema": {"type": "string"}}}
    return refusal


def _without_bodies(operation: dict[str, Any]) -> dict[str, Any]:
    """What answers to HEAD have of it."""
    responses = {
        status: {name: value for name, value in response.items() if name != "content"}
        for status, response in operation["responses"].items()
    }
    return {**operation, "responses": responses}
