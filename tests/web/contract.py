"""What `/api/openapi.json` promises of an answer, compared with the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from attrs import frozen

from pkgd.web.openapi.document import make_document
from tests.schemas import breaches, resolved
from tests.web.messages import Response

__all__ = ["DOCUMENT", "PathItem", "contract_breaches", "document_paths"]

DOCUMENT: Mapping[str, Any] = json.loads(make_document("1.0"))
# What the connection itself answers, on any path.
_OF_CONNECTIONS = frozenset([408, 411, 413, 414, 417, 431, 501, 505])
_METHODS = frozenset(["get", "head", "post", "put", "patch", "delete", "options"])
# What a parameter may be on one path only.
_EXAMPLES = {
    ("/apt/{repository}/@{generation}/{path}", "path"): "dists/stable/InRelease",
    ("/rpm/{repository}/@{generation}/{path}", "path"): "repodata/repomd.xml",
    ("/rpm/{repository}/repodata/{path}", "path"): "repomd.xml",
}


@frozen
class PathItem:
    """A path of the document."""

    template: str
    item: Mapping[str, Any]

    @property
    def operations(self) -> dict[str, Any]:
        """By method, in small letters."""
        return {method: one for method, one in self.item.items() if method in _METHODS}

    @property
    def methods(self) -> set[str]:
        """As in requests."""
        return {method.upper() for method in self.operations}

    @property
    def names(self) -> list[str]:
        """Those of its parameters, each once."""
        return list(dict.fromkeys(re.findall(r"\{([a-z]+)\}", self.template)))

    def _parameters(self) -> dict[str, Mapping[str, Any]]:
        found = [resolved(one, DOCUMENT) for one in self.item.get("parameters", [])]
        return {one["name"]: one for one in found}

    def filled(self) -> str:
        """The path with its parameters' examples in it."""
        examples = {name: self.example(name) for name in self.names}
        return self.template.format(**examples)

    def example(self, name: str) -> str:
        """A value of one of them that is good for this path."""
        return _EXAMPLES.get((self.template, name)) or str(self._parameters()[name]["example"])

    def pattern(self) -> re.Pattern[str]:
        """What its paths look like."""
        found = ""
        for piece in re.split(r"(\{[a-z]+\})", self.template):
            name = piece.strip("{}")
            if piece == name:
                found += re.escape(piece)
            else:
                found += ".+" if self._parameters()[name].get("x-pkgd-slashes") else "[^/]+"
        return re.compile(found)


@cache
def document_paths() -> list[PathItem]:
    """Every path, those first that say most: what they have in common with others is theirs."""
    found = [PathItem(template, item) for template, item in DOCUMENT["paths"].items()]
    return sorted(found, key=lambda one: (one.template.count("{"), -len(re.sub(r"\{[a-z]+\}", "", one.template))))


def contract_breaches(method: str, target: str, answer: Response) -> Iterator[str]:
    """What of an answer the document does not say; what is not in it at all is nobody's promise."""
    path = re.sub("/blobs/uploads$", "/blobs/uploads/", target.partition("?")[0])
    item = next((one for one in document_paths() if _patterns()[one.template].fullmatch(path)), None)
    operation = None if item is None or method.islower() else item.operations.get(method.lower())
    if operation is None or answer.status in _OF_CONNECTIONS:
        return
    written = operation["responses"].get(str(answer.status))
    if written is None:
        yield f"{method} {target}: {answer.status} is not in the document: {answer.body[:200]!r}"
        return
    yield from (f"{method} {target}: {answer.status}: {one}" for one in _body_breaches(method, written, answer))


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {one.template: one.pattern() for one in document_paths()}


def _body_breaches(method: str, written: Mapping[str, Any], answer: Response) -> Iterator[str]:
    response = resolved(written, DOCUMENT)
    content = response.get("content", {})
    if method == "HEAD":
        return
    if not content:
        if answer.body:
            yield "there is a body"
        return
    kind = (answer.header("Content-Type") or "").partition(";")[0]
    media = content.get(kind, content.get("*/*"))
    if media is None:
        yield f"the body is {kind}, and not one of {', '.join(content)}"
    elif "schema" in media:
        yield from breaches(answer.json, media["schema"], DOCUMENT)
